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
from broker.store.blocks import HEAD_BYTES, Block, written
from broker.store.changes import MessageRow

_CONTENTS_AT_ONCE: Final = 16  # of blocks, up to 64 KB each
# Of a block that has fewer messages than one in so many, the rest gets rows: it would keep the space of all.
_SPARSE: Final = 8
# Numbers of messages that are no further apart are looked for together. What lies between is read and passed over.
_GAP: Final = 512


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
        for stretch, block in blocks:
            row, content = written(block, stretch)
            rows.append(row)
            contents.append(content)
            self._queues.add(block[0].queue)
            self._emptied.discard(block[0].queue)
        sql.PUT_BLOCK.run(self._connection.execute, rows)
        sql.PUT_BLOCK_CONTENT.run(self._connection.execute, contents)

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
        gone: list[int] = []
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
                left.append((block.id, block.taken))
            else:
                gone.append(block.id)
        for at in range(0, len(kept), _CONTENTS_AT_ONCE):
            self._put_rows_of(kept[at : at + _CONTENTS_AT_ONCE], put_rows)
        sql.TAKE_FROM_BLOCK.run(self._connection.execute, left)
        if gone:
            self._delete(gone)
            self._emptied = {queue for (queue,) in self._connection.execute(sql.WITHOUT_BLOCKS, (sql.keys([*wanted]),))}
        return taken

    def clear_some(self, queue: int, count: int) -> bool:
        """Delete up to that many blocks of a dropped generation; whether there may be more."""
        found = self._connection.execute(sql.DROPPED_BLOCKS, (queue, count)).fetchall()
        if found:
            self._delete([block_id for (block_id,) in found])
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
        ((places, all_taken, all_heads),) = self._connection.execute(sql.BLOCKS_OF, (spans,)).fetchall()
        at = 0
        for block_id, queue, last, stretch, count in msgspec.json.decode(
            places, type=list[tuple[int, int, int, int, int]]
        ):
            begin, at = at, at + count
            among = wanted[queue]
            ids = among[bisect_left(among, block_id) : bisect_right(among, last)]
            if ids:
                heads = all_heads[begin * HEAD_BYTES : at * HEAD_BYTES]
                yield Block(block_id, queue, stretch, all_taken[begin:at], heads), ids

    def _delete(self, blocks: list[int]) -> None:
        wanted = (sql.keys(blocks),)
        self._connection.execute(sql.DELETE_BLOCK, wanted)
        self._connection.execute(sql.DELETE_BLOCK_CONTENT, wanted)


def _spans(queue: int, ids: list[int]) -> Iterator[tuple[int, int, int]]:
    first = last = ids[0]
    for message_id in ids:
        if message_id - last > _GAP:
            yield queue, first, last
            first = message_id
        last = message_id
    yield queue, first, last
