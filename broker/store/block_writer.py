"""The writer's half of blocks: putting messages into them, and taking out what a batch deletes, leases or moves.

Which queues have blocks is known without asking, so that a batch costs nothing here where there are none. Everything is done in the
transaction of the batch; what is remembered changes when that is committed.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from broker.store import statements as sql
from broker.store.base import CommitUncertain
from broker.store.batch import Batch
from broker.store.blocks import Block
from broker.store.changes import MessageRow
from broker.store.new_blocks import HEAD_BYTES, Extent, GroupNames, NewBlock
from broker.store.sent import Sent, bytes_of

_CONTENTS_AT_ONCE: Final = 16  # of blocks, up to 64 KB each
# Of a block that has fewer messages than one in so many, the rest gets rows: it would keep the space of all.
_SPARSE: Final = 8
# Numbers of messages that are no further apart are looked for together. What lies between is read and passed over.
_GAP: Final = 512
_PLACES: Final = list[tuple[int, int, int, int, int, GroupNames | None, int | None, list[Extent] | None]]
_EXTENTS: Final = list[Extent]


class BlockWriter:
    """See the module's text. Used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, sent: Sent) -> None:
        self._connection = connection
        self._sent = sent
        self._queues: set[int] = set()  # that may have blocks
        # By the transaction under way
        self._emptied: set[int] = set()
        self._put_bytes: dict[int, int] = {}  # segment -> what new blocks refer to
        self._gone_bytes: dict[int, int] = {}

    def recover(self) -> None:
        """Find out which queues have blocks, and what these refer to. Raises CommitUncertain where that is missing."""
        self._queues = {queue for (queue,) in self._connection.execute(sql.QUEUES_WITH_BLOCKS)}
        missing = self._sent.recover(dict(self._connection.execute(sql.REFERRED).fetchall()))
        if missing:
            names = " and ".join(self._sent.path_of(number) for number in missing)
            raise CommitUncertain(f"{names} missing: what was sent of messages that wait is there")

    def begin(self) -> None:
        """A transaction begins."""
        self._emptied, self._put_bytes, self._gone_bytes = set(), {}, {}

    def committed(self, dropped: Sequence[int] = ()) -> None:
        """It is: what it emptied has no blocks, and of what it dropped nothing is ever asked."""
        self._queues.difference_update(self._emptied, dropped)
        if self._put_bytes or self._gone_bytes:
            self._sent.account(self._put_bytes, self._gone_bytes)

    def put(self, blocks: Sequence[tuple[int, NewBlock]]) -> None:
        """Write blocks, each with its stretch."""
        rows: list[tuple[object, ...]] = []
        contents: list[tuple[object, ...]] = []
        groups: dict[tuple[int, int], set[str]] = {}
        for stretch, block in blocks:
            queue, names = block.queue, ""
            if block.names is not None:
                names = msgspec.json.encode(block.names).decode()
                groups.setdefault((queue, stretch), set()).update([name for name in block.names if name is not None])
            place = block.id, queue, block.last, stretch
            where: tuple[object, ...] = None, None, None
            if block.segment is None:
                contents.append((block.id, *block.sent))
            else:
                where = block.segment, msgspec.json.encode(block.extents).decode(), block.size
                _add(self._put_bytes, block.segment, block.size)
            rows.append((*place, bytearray(block.count), block.heads, names, block.members, *where))
            self._queues.add(queue)
            self._emptied.discard(queue)
        sql.PUT_BLOCK.run(self._connection.execute, rows)
        sql.PUT_BLOCK_CONTENT.run(self._connection.execute, contents)
        if groups:
            of_stretches = [(*stretch, sorted(names)) for stretch, names in groups.items()]
            self._connection.execute(sql.PUT_BLOCK_GROUPS, (msgspec.json.encode(of_stretches).decode(),))

    def take_out(self, batch: Batch, put_rows: Callable[[list[tuple[int, MessageRow]]], None]) -> list[int]:
        """Take what the batch deletes, leases or moves out of the blocks that have it; what it deletes that was in none.

        What is not deleted is given to `put_rows`, each message with its stretch, not much of it at once.
        """
        if not self._queues:
            return list(batch.deleted)
        wanted, staying, elsewhere = self._wanted(batch)
        if not wanted:
            return elsewhere
        deleted = batch.deleted
        kept: list[tuple[Block, list[int]]] = []  # what is to have rows of its own
        left: list[tuple[int, bytearray]] = []
        fewer: list[tuple[int, bytearray, str]] = []  # the same of fewer groups
        gone: list[Block] = []
        reached = dict.fromkeys(wanted, 0)
        missing: list[int] = []
        for block, begin, end in self._found(wanted):
            among = wanted[block.queue]
            missing += among[reached[block.queue] : begin]
            reached[block.queue] = end
            ids = among[begin:end]
            places = block.take(ids)
            if len(places) < len(ids):
                found = {block.ids[place] for place in places}
                missing += [message_id for message_id in ids if message_id not in found]
                if not places:
                    continue
            stay: list[int] = []
            if bisect_left(staying, ids[0]) < bisect_right(staying, ids[-1]):
                stay = [place for place in places if block.ids[place] not in deleted]
            waiting = block.waiting
            if waiting * _SPARSE < len(block.ids):
                stay += block.take_all()
                waiting = 0
            if stay:
                kept.append((block, stay))
            if waiting:
                if names := block.names_left():
                    fewer.append((block.id, block.taken, names))
                else:
                    left.append((block.id, block.taken))
            else:
                gone.append(block)
        for queue, among in wanted.items():
            missing += among[reached[queue] :]
        for at in range(0, len(kept), _CONTENTS_AT_ONCE):
            self._put_rows_of(kept[at : at + _CONTENTS_AT_ONCE], put_rows)
        sql.TAKE_FROM_BLOCK.run(self._connection.execute, left)
        sql.TAKE_GROUPS_FROM_BLOCK.run(self._connection.execute, fewer)
        if gone:
            for block in gone:
                if block.segment is not None:
                    _add(self._gone_bytes, block.segment, bytes_of(block.extents))
            self._delete(
                [block.id for block in gone],
                [block.id for block in gone if block.segment is None],
                {(block.queue, block.stretch) for block in gone if block.names is not None},
            )
            self._emptied = {queue for (queue,) in self._connection.execute(sql.WITHOUT_BLOCKS, (sql.keys([*wanted]),))}
        return elsewhere + [message_id for message_id in missing if message_id in deleted]

    def clear_some(self, queue: int, count: int) -> bool:
        """Delete up to that many blocks of a dropped generation; whether there may be more."""
        found = self._connection.execute(sql.DROPPED_BLOCKS, (queue, count)).fetchall()
        for *_, segment, size in found:
            if segment is not None:
                _add(self._gone_bytes, segment, size)
        if found:
            self._delete(
                [row[0] for row in found],
                [row[0] for row in found if row[3] is None],
                {(queue, stretch) for _, stretch, grouped, *_ in found if grouped},
            )
        if len(found) == count:
            return True
        self._queues.discard(queue)
        return False

    def _put_rows_of(
        self, kept: list[tuple[Block, list[int]]], put_rows: Callable[[list[tuple[int, MessageRow]]], None]
    ) -> None:
        blocks = (sql.keys([block.id for block, _ in kept if block.segment is None]),)
        found = {row[0]: row[1:] for row in self._connection.execute(sql.CONTENT_OF_BLOCKS, blocks).fetchall()}
        rows: list[tuple[int, MessageRow]] = []
        for block, places in kept:
            if block.segment is not None:
                sent = self._sent.read(block.segment, block.extents)
            elif block.id in found:
                sent = found[block.id]
            else:
                raise CommitUncertain(f"the database is damaged: block {block.id} has no content")
            rows.extend((block.stretch, row) for row in block.rows(places, *sent))
        put_rows(rows)

    def move_some(self, segment: int, count: int) -> bool:
        """Bring what was sent of up to that many blocks from a segment into the database; whether there may be more."""
        found = self._connection.execute(sql.BLOCKS_IN_SEGMENT, (segment, count)).fetchall()
        contents: list[tuple[object, ...]] = []
        for block_id, extents in found:
            where = msgspec.json.decode(extents, type=_EXTENTS)
            contents.append((block_id, *self._sent.read(segment, where)))
            _add(self._gone_bytes, segment, bytes_of(where))
        sql.PUT_BLOCK_CONTENT.run(self._connection.execute, contents)
        self._connection.execute(sql.MOVED_FROM_SEGMENT, (sql.keys([block_id for block_id, _ in found]),))
        return len(found) == count

    def _wanted(self, batch: Batch) -> tuple[dict[int, list[int]], list[int], list[int]]:
        """By queue, the ids of messages that may be in blocks and must not stay there, in order.

        And those of them that are not deleted, in order, and what is deleted that cannot be in one.
        """
        queues, wanted = self._queues, dict[int, list[int]]()
        elsewhere: list[int] = []
        for message_id, queue in batch.deleted.items():
            if queue not in queues:
                elsewhere.append(message_id)
            elif (some := wanted.get(queue)) is not None:
                some.append(message_id)
            else:
                wanted[queue] = [message_id]
        staying: list[int] = []
        for lease in batch.leases.values():
            if lease.queue in queues and lease.id not in batch.messages:
                wanted.setdefault(lease.queue, []).append(lease.id)
                staying.append(lease.id)
        for move in batch.moves.values():
            if move.source in queues:
                wanted.setdefault(move.source, []).append(move.id)
                staying.append(move.id)
        for ids in wanted.values():
            ids.sort()
        staying.sort()
        return wanted, staying, elsewhere

    def _found(self, wanted: dict[int, list[int]]) -> Iterator[tuple[Block, int, int]]:
        """Blocks, and which of the wanted messages of its queue lie between its first and its last. Those of a queue in order."""
        spans = msgspec.json.encode([span for queue, ids in wanted.items() for span in _spans(queue, ids)]).decode()
        ((places, all_taken, all_heads, all_members),) = self._connection.execute(sql.BLOCKS_OF, (spans,)).fetchall()
        at = members_at = 0
        for place in msgspec.json.decode(places, type=_PLACES):
            block_id, queue, last, stretch, count, names, segment, extents = place
            begin, at = at, at + count
            members_begin, members_at = members_at, members_at + (0 if names is None else count)
            among = wanted[queue]
            first_wanted, end_wanted = bisect_left(among, block_id), bisect_right(among, last)
            if first_wanted < end_wanted:
                heads = all_heads[begin * HEAD_BYTES : at * HEAD_BYTES]
                members = all_members[members_begin:members_at]
                known = block_id, queue, stretch, all_taken[begin:at], heads, names, members
                block = Block(*known, segment, extents or [])
                yield block, first_wanted, end_wanted

    def _delete(self, blocks: list[int], with_content: list[int], of_groups: set[tuple[int, int]]) -> None:
        """Delete blocks. `with_content`: those of them that have it in the database.

        `of_groups`: (queue, stretch) of those that hold groups.
        """
        self._connection.execute(sql.DELETE_BLOCK, (sql.keys(blocks),))
        if with_content:
            self._connection.execute(sql.DELETE_BLOCK_CONTENT, (sql.keys(with_content),))
        if of_groups:
            stretches = msgspec.json.encode(list(of_groups)).decode()
            self._connection.execute(sql.DELETE_BLOCK_GROUPS, (stretches,))


def _add(sizes: dict[int, int], segment: int, size: int) -> None:
    sizes[segment] = sizes.get(segment, 0) + size


def _spans(queue: int, ids: list[int]) -> Iterator[tuple[int, int, int]]:
    first = last = ids[0]
    for message_id in ids:
        if message_id - last > _GAP:
            yield queue, first, last
            first = message_id
        last = message_id
    yield queue, first, last
