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
from broker.store.blocks import HEAD_BYTES, Block, GroupNames, written
from broker.store.changes import MessageRow

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

    def put(self, blocks: Sequence[tuple[int, Sequence[MessageRow]]]) -> None:
        """Write blocks, each with its stretch."""
        rows, contents = [], []
        groups: dict[tuple[int, int], set[str]] = {}
        for stretch, block in blocks:
            queue = block[0].queue
            row, content, names = written(block, stretch)
            rows.append(row)
            contents.append(content)
            if names:
                groups.setdefault((queue, stretch), set()).update(names)
            self._queues.add(queue)
            self._emptied.discard(queue)
        sql.PUT_BLOCK.run(self._connection.execute, rows)
        sql.PUT_BLOCK_CONTENT.run(self._connection.execute, contents)
        if groups:
            of_stretches = [(*stretch, sorted(names)) for stretch, names in groups.items()]
            self._connection.execute(sql.PUT_BLOCK_GROUPS, (msgspec.json.encode(of_stretches).decode(),))

    def take_out(self, batch: Batch, put_rows: Callable[[list[tuple[int, MessageRow]]], None]) -> set[int]:
        """Take what the batch deletes, leases or moves out of the blocks that have it; the ids of what was in one.

        What is not deleted is given to `put_rows`, each message with its stretch, not much of it at once.
        """
        self._emptied = set()
        taken: set[int] = set()
        wanted = self._wanted(batch) if self._queues else {}
        if not wanted:
            return taken
        deleted = batch.deleted
        kept: list[tuple[Block, list[int]]] = []  # what is to have rows of its own
        left: list[tuple[int, bytearray]] = []
        fewer: list[tuple[int, bytearray, str]] = []  # the same of fewer groups
        gone: list[Block] = []
        for block, ids in self._found(wanted):
            places = block.take(ids)
            if not places:
                continue
            found = [block.heads[place][0] for place in places]
            taken.update(found)
            stay = [place for place, message_id in zip(places, found, strict=True) if message_id not in deleted]
            waiting = block.waiting
            if waiting * _SPARSE < len(block.heads):
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
        return taken

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

    def _wanted(self, batch: Batch) -> dict[int, list[int]]:
        """By queue, the ids of messages that may be in blocks and must not stay there, in order."""
        queues, wanted = self._queues, dict[int, list[int]]()
        for message_id, queue in batch.deleted.items():
            if queue in queues:
                wanted.setdefault(queue, []).append(message_id)
        for lease in batch.leases.values():
            if lease.queue in queues and lease.id not in batch.messages:
                wanted.setdefault(lease.queue, []).append(lease.id)
        for move in batch.moves.values():
            if move.source in queues:
                wanted.setdefault(move.source, []).append(move.id)
        for ids in wanted.values():
            ids.sort()
        return wanted

    def _found(self, wanted: dict[int, list[int]]) -> Iterator[tuple[Block, list[int]]]:
        """Blocks, each with those of the wanted messages that lie between its first and its last."""
        spans = msgspec.json.encode([span for queue, ids in wanted.items() for span in _spans(queue, ids)]).decode()
        ((places, all_taken, all_heads, all_members),) = self._connection.execute(sql.BLOCKS_OF, (spans,)).fetchall()
        at = members_at = 0
        for block_id, queue, last, stretch, count, names in msgspec.json.decode(places, type=_PLACES):
            begin, at = at, at + count
            members_begin, members_at = members_at, members_at + (0 if names is None else count)
            among = wanted[queue]
            ids = among[bisect_left(among, block_id) : bisect_right(among, last)]
            if ids:
                heads = all_heads[begin * HEAD_BYTES : at * HEAD_BYTES]
                members = all_members[members_begin:members_at]
                yield Block(block_id, queue, stretch, all_taken[begin:at], heads, names, members), ids

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
