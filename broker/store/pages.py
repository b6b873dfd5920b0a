"""Putting a read's answer together, in the thread that reads: cursors that make one object of all rows of a statement.

`aiosqlite` fetches the rows of a statement whole: what `fetchall` answers here is one page. This module knows the columns of
those in read_statements.py.
"""

import sqlite3
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self

import msgspec
import orjson

from broker.store import read_statements as sql
from broker.store.base import AcceptedPage, Page, StoredMessage
from broker.store.blocks import (
    Opened,
    Waiting,
    arrivals,
    check_block,
    last_id,
    place_beyond,
    sent_bytes,
    stored,
    without,
)
from broker.store.columns import Columns
from broker.store.entries import DIGEST_BYTES
from broker.store.extents import Placed
from broker.store.new_blocks import HEAD_BYTES, Extent, GroupNames
from broker.store.sent import Sent, bytes_of

_PLACES: Final = msgspec.json.Decoder(list[tuple[int, int, GroupNames | None, int | None, list[Extent] | None]])
_NO_EDGE: Final = 1 << 63
_CONTENT: Final = StoredMessage._fields.index("content")  # in heads, how large it is
_BODY: Final = StoredMessage._fields.index("body")


class Cursor(sqlite3.Cursor):
    """Puts an answer together in the reading thread. `values` are those of its statement."""

    values: dict[str, Any]

    def run(self, statement: str, values: "Values", sent: Sent) -> Self:
        """Begin. Until the answer is there, what blocks refer to stays."""
        self.values = values
        self.sent = sent
        self._began = sent.begin_read()
        try:
            text, names = sql.by_place(statement)
            return self.execute(text, [values[name] for name in names])
        except BaseException:
            sent.end_read(self._began)
            raise

    def fetchall(self) -> list[Any]:
        try:
            return [self.answer()]
        finally:
            self.close()  # also after an error: an open cursor would keep all later reads in its transaction
            self.sent.end_read(self._began)

    @abstractmethod
    def answer(self) -> Any:
        """What the rows come to."""


class Values(dict[str, Any]):
    """The values of a statement whose answer such a cursor puts together."""

    def __init__(self, cursor: type[Cursor], **values: Any) -> None:
        super().__init__(values)
        self.cursor = cursor


class PageCursor(Cursor):
    """Makes a Page of the rows of a page statement, and reads no further than the page goes: `limit` and `bytes_max` end it."""

    def answer(self) -> Page:
        rows: list[StoredMessage] = []
        limit, bytes_max, size = self.values["limit"], self.values["bytes_max"], 0
        batch_number, full, more = 0, False, False
        for row in self:
            if full:
                more = True
                break
            batch_number = row[0]
            if row[1] is None:
                break  # nothing but the number of the batch
            rows.append(StoredMessage._make((*row[1:7], row[7] == 1, *row[8:])))  # SQLite knows no bool
            size += len(row[-2] or b"") + len(row[-1] or b"")  # attributes may be as large as bodies
            full = len(rows) >= limit or size >= bytes_max
        return Page(batch_number, rows, more)


class PackedPageCursor(Cursor):
    """Takes a page apart that is one row."""

    def answer(self) -> Page:
        batch_number, more, heads, contents, bodies, *_ = next(self)
        return Page(batch_number, unpacked(heads, contents, bodies), bool(more))


class InBlock(NamedTuple):
    """A block that a page reads."""

    id: int
    heads: bytes
    taken: bytes  # as the page sees it
    names: GroupNames | None
    members: bytes
    segment: int | None  # where what was sent is; None: in the database
    extents: list[Extent] | None
    content_bytes: int  # of all its messages, as the heads say
    body_bytes: int


class BlocksPageCursor(Cursor):
    """Merges a page of messages that have rows of their own with those in blocks, and reads no further than the page goes.

    Where `skipped` is among the values, it is without those message groups.
    """

    place_of: Callable[[StoredMessage], int] = attrgetter("order")

    def answer(self) -> Page:
        place_of, limit, bytes_max = type(self).place_of, self.values["limit"], self.values["bytes_max"]
        queue, after = self.values["queue"], self.values["after"]
        batch_number, more, heads, contents, bodies, *_ = next(self)
        rows = unpacked(heads, contents, bodies)
        as_columns = bool(self.values.get("columns")) and not rows
        blocks, found_more = self._chosen(next(self), place_of(rows[-1]) if more else _NO_EDGE, as_columns=as_columns)
        # The statement is not at its end: what it found is still there.
        if as_columns and all(block.names is None for block in blocks):
            return Page(batch_number, [], found_more, self._columns(blocks))
        found = InBlocks(more=found_more)
        for block, content in zip(blocks, self.opened(blocks), strict=True):
            waiting = content.waiting(queue, after, block.taken, block.names, block.members)
            found.add(waiting, last_id(block.heads))
        return Page(batch_number, *found.merged(rows, bool(more), limit, bytes_max, place_of))

    def _columns(self, blocks: list[InBlock]) -> list[Columns]:
        """What waits in blocks."""
        queue, after = self.values["queue"], self.values["after"]
        waiting: list[Columns] = []
        for block, (contents, content_at, bodies, body_at) in zip(blocks, self.placed(blocks), strict=True):
            whole = Columns(
                queue, block.heads, contents, content_at, block.content_bytes, bodies, body_at, block.body_bytes
            )
            begin = 0 if block.id > after else place_beyond(block.heads, after)
            if not begin and 1 not in block.taken:
                waiting.append(whole)
            elif some := whole.some([place >= begin and not gone for place, gone in enumerate(block.taken)]):
                waiting.append(some)
        return waiting

    def _chosen(self, found: tuple[Any, ...], edge: int, *, as_columns: bool) -> tuple[list[InBlock], bool]:
        """The blocks that fill the page, about, and whether there are more. ValueError: what was read does not fit together.

        `as_columns`: as many as can be columns.
        """
        limit, bytes_max, after = self.values["limit"], self.values["bytes_max"], self.values["after"]
        _, _, places, *columns, _, _ = found
        all_heads, all_taken, all_members = (column or b"" for column in columns)
        chosen: list[InBlock] = []
        at = members_at = count = size = 0
        full = False
        for block_id, messages, names, segment, extents in _PLACES.decode(places):
            begin, at = at, at + messages
            members_begin, members_at = members_at, members_at + (0 if names is None else messages)
            if full or len(chosen) == self.values["blocks_max"] or (as_columns and names is not None and count):
                return chosen, True
            heads, taken = all_heads[begin * HEAD_BYTES : at * HEAD_BYTES], all_taken[begin:at]
            members = all_members[members_begin:members_at]
            check_block(block_id, heads, taken, names, members)
            if names is not None:
                taken, as_columns = self.passed(taken, names, members), False
            sizes = sent_bytes(heads)
            chosen.append(InBlock(block_id, heads, taken, names, members, segment, extents, *sizes))
            waiting = taken.count(0, 0 if block_id > after else place_beyond(heads, after))
            count += waiting
            size += sum(sizes) * waiting // messages
            full = (
                count >= (2 * limit if as_columns else limit)
                or (size >= bytes_max and count > 0)
                or last_id(heads) >= edge
            )
        return chosen, False

    def passed(self, taken: bytes, names: GroupNames, members: bytes) -> bytes:
        """`taken`, with messages that the page passes over as if they were."""
        skipped = self.values.get("skipped")
        return without(taken, names, members, skipped) if skipped else taken

    def opened(self, blocks: list[InBlock]) -> list[Opened]:
        """These blocks, with what was sent."""
        return [Opened(block.heads, *placed) for block, placed in zip(blocks, self.placed(blocks), strict=True)]

    def placed(self, blocks: list[InBlock]) -> list[Placed]:
        """What was sent in these blocks."""
        return read_contents(self.connection, self.sent, blocks)


class LookCursor(BlocksPageCursor):
    """The same where a page is in the order of ids."""

    place_of = attrgetter("id")


class HeadsPageCursor(BlocksPageCursor):
    """The same in the order of the queue, without what was sent."""

    def opened(self, blocks: list[InBlock]) -> list[Opened]:
        return [Opened(block.heads, None, 0, None, 0) for block in blocks]


def read_contents(connection: sqlite3.Connection, sent: Sent, blocks: Sequence[InBlock]) -> list[Placed]:
    """What was sent in blocks. ValueError: the database has none of an id, or not as much as the heads say. Raises StoreError."""
    here = _read_contents(connection, [block for block in blocks if block.segment is None])
    found: list[Placed] = []
    for segment, some in groupby(blocks, attrgetter("segment")):
        if segment is None:
            found += [here[block.id] for block in some]
        else:
            found += sent.read_blocks(segment, [_extents(block) for block in some])
    return found


def _extents(block: InBlock) -> list[Extent]:
    extents = block.extents or []
    if bytes_of(extents) != block.content_bytes + block.body_bytes:
        raise ValueError(f"the database is damaged: what was sent in block {block.id} is not as long as its heads say")
    return extents


def _read_contents(connection: sqlite3.Connection, blocks: list[InBlock]) -> dict[int, Placed]:
    """The same of those that the database has it of, in one step."""
    ids = [block.id for block in blocks]
    if not ids:
        return {}
    ((found, contents, bodies),) = connection.execute(sql.CONTENTS, (orjson.dumps(ids).decode(),)).fetchall()
    read = orjson.loads(found)
    if read != ids:
        missing = next(block_id for block_id in ids if block_id not in read)
        raise ValueError(f"the database is damaged: block {missing} has no content")
    placed: dict[int, Placed] = {}
    content_at = body_at = 0
    contents, bodies = contents or b"", bodies or b""
    for block in blocks:
        placed[block.id] = Placed(contents, content_at, bodies, body_at)
        content_at += block.content_bytes
        body_at += block.body_bytes
    if (content_at, body_at) != (len(contents), len(bodies)):
        raise ValueError("the database is damaged: the contents of blocks are not as long as their heads say")
    return placed


class InBlocks:
    """What a page finds in blocks. `more`: there may be more beyond them."""

    def __init__(self, *, more: bool) -> None:
        self.rows: list[StoredMessage] = []
        self.size = 0
        self.read_to = 0  # the id of the last message of the last block
        self.more = more

    def add(self, waiting: Waiting, read_to: int) -> None:
        """The next block has these."""
        rows, size = waiting
        self.rows += rows
        self.size += size
        self.read_to = read_to

    def merged(
        self,
        rows: list[StoredMessage],
        more: bool,
        limit: int,
        bytes_max: int,
        place_of: Callable[[StoredMessage], int],
    ) -> tuple[list[StoredMessage], bool]:
        """The page, with messages that have rows of their own, and whether there is more. `more`: of those."""
        if not self.rows:
            return rows, more
        edge = place_of(rows[-1]) if more else _NO_EDGE  # beyond it there may be more of either
        if self.more:
            edge = min(edge, self.read_to)
        if rows:
            rows = sorted(rows + self.rows, key=place_of)
            while place_of(rows[-1]) > edge:
                rows.pop()
        elif self.size < bytes_max:
            return self.rows[:limit], self.more or limit < len(self.rows)
        else:
            rows = self.rows
        fit = _fitting(rows, limit, bytes_max)
        return rows[:fit], more or self.more or fit < len(rows)


def _fitting(rows: list[StoredMessage], limit: int, bytes_max: int) -> int:
    """How many of them a page holds: to the row that brings it to its bytes, at least one."""
    size = 0
    for count, row in enumerate(rows[:limit], start=1):
        if row.content is not None and row.body is not None:
            size += len(row.content) + len(row.body)
            if size >= bytes_max:
                return count
    return min(limit, len(rows))


def unpacked(heads: str, contents: bytes | None, bodies: bytes | None) -> list[StoredMessage]:
    """Messages that have rows of their own. A page has the contents of all, of some, or of none."""
    rows: list[StoredMessage] = []
    content_at = body_at = 0
    for state in orjson.loads(heads):
        content_bytes, body_bytes = state[_CONTENT], state[_BODY]
        if content_bytes is None or contents is None or bodies is None:
            state[_CONTENT] = state[_BODY] = None
        else:
            state[_CONTENT] = contents[content_at : content_at + content_bytes]
            state[_BODY] = bodies[body_at : body_at + body_bytes]
            content_at += content_bytes
            body_at += body_bytes
        rows.append(stored(state))
    return rows


class AcceptedCursor(Cursor):
    """Makes an AcceptedPage of whole rows, and reads no further than the page goes: `limit` and `since_ms` end it."""

    def answer(self) -> AcceptedPage:
        limit, since_ms = DIGEST_BYTES * self.values["limit"], self.values["since_ms"]
        first = last = page_newest_ms = size = 0
        found: list[bytes] = []
        more = False
        for row_first, row_last, newest_ms, digests in self:
            if newest_ms <= since_ms:
                break
            if size >= limit:
                more = True
                break
            if not found:
                last, page_newest_ms = row_last, newest_ms
            first = row_first
            found.append(digests)
            size += len(digests)
        return AcceptedPage(first, last, page_newest_ms, b"".join(found), more)


class ArrivalsCursor(Cursor):
    """Counts arrivals by their time, in `runs_max` runs at most: (newest batch, [(time, how many)] ascending)."""

    def answer(self) -> tuple[int, list[tuple[int, int]]]:
        since_ms, runs_max = self.values["since_ms"], self.values["runs_max"]
        times: Counter[int] = Counter()
        newest = 0
        for batch_number, at_ms, how_many, heads, taken in self:
            if heads is not None:
                found, complete = arrivals(heads, taken, since_ms)
                times.update(found)
                if complete:
                    break
            else:
                newest = batch_number
                if at_ms is not None:
                    times[at_ms] += how_many
        runs = sorted(times.items())
        size = max(1, -(-len(runs) // runs_max))
        shared = [runs[at : at + size] for at in range(0, len(runs), size)]
        return newest, [(some[-1][0], sum(count for _, count in some)) for some in shared]
