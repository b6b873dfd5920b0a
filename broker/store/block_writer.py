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
from broker.store.new_blocks import HEAD_BYTES, GroupNames, NewBlock

_CONTENTS_AT_ONCE: Final = 16  # of blocks, up to 64 KB each
# Of a block that has fewer messages than one in so many, the rest gets rows: it would keep the space of all.
_SPARSE: Final = 8
# Numbers of messages that are no further apart are looked for together. What lies between is read and passed over.
_GAP: Final = 512
_PLACES: Final = list[tuple[int, int, int, int, int, GroupNames | None]]


class BlockWriter:
    """See the module's text. Used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queues: set[int] = set()  # that may have blocks
        self._emptied: set[int] = set()  # by the transaction under way

    def recover(self) -> None:
        """Find out which queues have blocks."""
        self._queues = {queue for (queue,) in self._connection.execute(sql.QUEUES_WITH_BLOCKS)}

    def committed(self, batch: Batch) -> None:
        """The transaction of the batch is: what it emptied has no blocks, and of what it dropped nothing is ever asked."""
        self._queues.difference_update(self._emptied, batch.dropped)

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
            rows.append((*place, bytearray(block.count), block.heads, names, block.members))
            contents.append((block.id, block.contents, block.bodies))
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
        self._emptied = set()
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
            self._delete(
                [block.id for block in gone],
                {(block.queue, block.stretch) for block in gone if block.names is not None},
            )
            self._emptied = {queue for (queue,) in self._connection.execute(sql.WITHOUT_BLOCKS, (sql.keys([*wanted]),))}
        return elsewhere + [message_id for message_id in missing if message_id in deleted]

    def clear_some(self, queue: int, count: int) -> bool:
        """Delete up to that many blocks of a dropped generation; whether there may be more."""
        found = self._connection.execute(sql.DROPPED_BLOCKS, (queue, count)).fetchall()
        if found:
            self._delete(
                [block_id for block_id, _, _ in found], {(queue, stretch) for _, stretch, grouped in found if grouped}
            )
        if len(found) == count:
            return True
        self._queues.discard(queue)
        return False

    def _put_rows_of(
        self, kept: list[tuple[Block, list[int]]], put_rows: Callable[[list[tuple[int, MessageRow]]], None]
    ) -> None:
        blocks = (sql.keys([block.id for block, _ in kept]),)
        found = {row[0]: row for row in self._connection.execute(sql.CONTENT_OF_BLOCKS, blocks).fetchall()}
        rows: list[tuple[int, MessageRow]] = []
        for block, places in kept:
            if block.id not in found:
                raise CommitUncertain(f"the database is damaged: block {block.id} has no content")
            _, contents, bodies = found[block.id]
            rows.extend((block.stretch, row) for row in block.rows(places, contents, bodies))
        put_rows(rows)

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
        for block_id, queue, last, stretch, count, names in msgspec.json.decode(places, type=_PLACES):
            begin, at = at, at + count
            members_begin, members_at = members_at, members_at + (0 if names is None else count)
            among = wanted[queue]
            first_wanted, end_wanted = bisect_left(among, block_id), bisect_right(among, last)
            if first_wanted < end_wanted:
                heads = all_heads[begin * HEAD_BYTES : at * HEAD_BYTES]
                members = all_members[members_begin:members_at]
                block = Block(block_id, queue, stretch, all_taken[begin:at], heads, names, members)
                yield block, first_wanted, end_wanted

    def _delete(self, blocks: list[int], of_groups: set[tuple[int, int]]) -> None:
        """Delete blocks. `of_groups`: (queue, stretch) of those that hold groups."""
        wanted = (sql.keys(blocks),)
        self._connection.execute(sql.DELETE_BLOCK, wanted)
        self._connection.execute(sql.DELETE_BLOCK_CONTENT, wanted)
        if of_groups:
            stretches = msgspec.json.encode(list(of_groups)).decode()
            self._connection.execute(sql.DELETE_BLOCK_GROUPS, (stretches,))


def _spans(queue: int, ids: list[int]) -> Iterator[tuple[int, int, int]]:
    first = last = ids[0]
    for message_id in ids:
        if message_id - last > _GAP:
            yield queue, first, last
            first = message_id
        last = message_id
    yield queue, first, last
