"""The store's reads: each one statement, so one read transaction, fetched whole in a thread of aiosqlite's. (A page asks
once more for what was sent in its blocks, before its statement has ended, see pages.py.)

Three connections, opened when first needed: pages that a caller of the broker waits for never queue up behind a look or a
backup. Nothing stays open between two awaits. This module knows nothing of the writer.
"""

import asyncio
import contextlib
import os
import sqlite3
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import aiosqlite
import orjson

from broker.store import read_statements as sql
from broker.store import schema
from broker.store.backup import bring_in_sent
from broker.store.base import AcceptedPage, Page, StoreError
from broker.store.blocks import BLOCKS_PER_PAGE
from broker.store.changes import DeduplicationRow
from broker.store.entries import entry_at, places_of
from broker.store.group_pages import GroupPageCursor, OpenedBlocks
from broker.store.pages import (
    AcceptedCursor,
    ArrivalsCursor,
    BlocksPageCursor,
    Cursor,
    HeadsPageCursor,
    LookCursor,
    PackedPageCursor,
    PageCursor,
    Values,
)
from broker.store.sent import Sent

_CACHE_KB: Final = 8192
_CLOSE_TIMEOUT_S: Final = 5.0
_ALL_BYTES: Final = 1 << 62


class _ReadConnection(sqlite3.Connection):
    """A connection that reads pages as such, and that another thread can wait for to be closed."""

    sent: Sent

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.closed = threading.Event()

    def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
        if not isinstance(values, Values):
            return super().execute(statement, values)
        return self.cursor(values.cursor).run(statement, values, self.sent)

    def close(self) -> None:
        super().close()
        self.closed.set()


class _Reader:
    """One connection, opened at the first read."""

    def __init__(
        self,
        path: str,
        busy_timeout_ms: int,
        ready: Callable[[int | None], Awaitable[None]],
        sent: Sent,
        *,
        query_only: bool = True,
    ) -> None:
        self._path = path
        self._sent = sent
        self._ready = ready
        self._busy_timeout_ms = busy_timeout_ms
        self._query_only = query_only
        self._opening = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None
        self._raw: _ReadConnection | None = None
        self._closed = False

    async def fetch(
        self, statement: str, values: Mapping[str, Any] | Sequence[Any], contains: int | None = None
    ) -> list[tuple[Any, ...]]:
        await self._ready(contains)
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        try:
            connection = self._connection or await self._open()
            return list(await connection.execute_fetchall(statement, values))  # type: ignore[arg-type]
        except (sqlite3.Error, ValueError, struct.error) as error:  # the others: a page whose rows do not fit together
            raise StoreError(f"{self._path}: {error}") from error

    async def _open(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._connection is None:
                connection = await aiosqlite.connect(self._path, isolation_level=None, factory=self._make)
                try:
                    await connection.execute_fetchall(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
                    await connection.execute_fetchall(f"PRAGMA cache_size = -{_CACHE_KB}")
                    if self._query_only:
                        await connection.execute_fetchall("PRAGMA query_only = ON")
                except BaseException:
                    await connection.close()  # with its thread
                    raise
                self._connection = connection
            return self._connection

    def _make(self, *arguments: Any, **options: Any) -> _ReadConnection:
        self._raw = _ReadConnection(*arguments, **options)
        self._raw.sent = self._sent
        return self._raw

    def close(self) -> None:
        """End a read that is running, close, and wait for it. Blocking; from any thread."""
        self._closed = True
        if self._connection is None:
            return
        assert self._raw is not None
        self._raw.interrupt()
        # `stop` makes a future on the caller's event loop where there is one, which may be gone before the future is set.
        stopper = threading.Thread(target=self._connection.stop)
        stopper.start()
        stopper.join()
        if not self._raw.closed.wait(_CLOSE_TIMEOUT_S):
            raise StoreError(f"a read of {self._path} does not end")
        self._connection = self._raw = None


class SqliteReads:
    """The reading half of the store. See the contract in base.py for what each read answers."""

    def __init__(self) -> None:
        self._opened = OpenedBlocks()  # the thread's that reads pages
        self._pages: _Reader | None = None
        self._administration: _Reader | None = None
        self._backups: _Reader | None = None

    def _open_readers(
        self, path: str, busy_timeout_ms: int, ready: Callable[[int | None], Awaitable[None]], sent: Sent
    ) -> None:
        """`ready` returns when everything up to that batch (None: all that is committed) can be read; it may raise StoreError.

        `sent`: what blocks refer to.
        """
        self._sent = sent
        self._pages = _Reader(path, busy_timeout_ms, ready, sent)
        self._administration = _Reader(path, busy_timeout_ms, ready, sent)
        self._backups = _Reader(path, busy_timeout_ms, ready, sent, query_only=False)

    def _close_readers(self) -> None:
        for reader in (self._pages, self._administration, self._backups):
            if reader is not None:
                reader.close()
        self._pages = self._administration = self._backups = None

    async def scan(
        self,
        queue: int,
        after_order: int,
        *,
        skip_groups: tuple[str, ...],
        unleased: bool,
        limit: int,
        bytes_max: int,
        contains: int | None = None,
        columns: bool = False,
    ) -> Page:
        return await _packed_page(
            self._pages,
            sql.SCAN[min(len(skip_groups), 2), unleased],
            BlocksPageCursor,
            contains=contains,
            queue=queue,
            after=after_order,
            blocks_max=_blocks_max(limit),
            columns=columns,
            skipped=frozenset(skip_groups),
            skip_group=skip_groups[0] if skip_groups else None,
            skip_groups=orjson.dumps(skip_groups).decode() if len(skip_groups) > 1 else "[]",
            limit=limit,
            bytes_max=bytes_max,
        )

    async def group(
        self,
        queue: int,
        group: str,
        after_order: int,
        *,
        unleased: bool,
        limit: int,
        bytes_max: int,
        contains: int | None = None,
    ) -> Page:
        return await _packed_page(
            self._pages,
            sql.GROUP[unleased],
            GroupPageCursor,
            contains=contains,
            opened=self._opened,
            queue=queue,
            group=group,
            after=after_order,
            blocks_max=_blocks_max(limit),
            limit=limit,
            bytes_max=bytes_max,
        )

    async def timed(
        self, queue: int, after: tuple[int, int], *, content_until_ms: int, limit: int, bytes_max: int
    ) -> Page:
        return await _packed_page(
            self._pages,
            sql.TIMED,
            PackedPageCursor,
            queue=queue,
            after_ms=after[0],
            after_id=after[1],
            content_until_ms=content_until_ms,
            limit=limit,
            bytes_max=bytes_max,
        )

    async def count_timed(
        self, queue: int, after_ms: int, until_ms: int, *, by_group: bool
    ) -> tuple[int, list[tuple[str | None, int, int]]]:
        assert self._pages is not None, "the store is not open"
        values = {"queue": queue, "after_ms": after_ms, "until_ms": until_ms}
        rows = await self._pages.fetch(sql.COUNT_TIMED[by_group], values)
        return rows[0][0], [(group, received, waiting) for _, exists, group, received, waiting in rows if exists]

    async def in_flight(self, queue: int, after_id: int, *, now_ms: int, limit: int) -> Page:
        return await _page(self._pages, sql.IN_FLIGHT, queue=queue, after_id=after_id, now_ms=now_ms, limit=limit)

    async def messages(self, ids: tuple[int, ...], *, content: bool) -> Page:
        return await _page(self._pages, sql.MESSAGES[content], ids=orjson.dumps(ids).decode(), limit=len(ids))

    async def oldest(self, queue: int, lane: int, *, limit: int) -> Page:
        return await _packed_page(
            self._pages,
            sql.OLDEST,
            HeadsPageCursor,
            queue=queue,
            lane=lane,
            after=0,
            limit=limit,
            bytes_max=_ALL_BYTES,
            blocks_max=_blocks_max(limit),
        )

    async def look(self, queue: int, after_id: int, *, limit: int, bytes_max: int) -> Page:
        return await _packed_page(
            self._administration,
            sql.LOOK,
            LookCursor,
            queue=queue,
            after=after_id,
            limit=limit,
            bytes_max=bytes_max,
            blocks_max=_blocks_max(limit),
        )

    async def newest_arrivals(self, queue: int, since_ms: int, *, runs_max: int) -> tuple[int, list[tuple[int, int]]]:
        assert self._pages is not None, "the store is not open"
        values = Values(ArrivalsCursor, queue=queue, since_ms=since_ms, runs_max=runs_max)
        ((newest, runs),) = await self._pages.fetch(sql.NEWEST_ARRIVALS, values)
        return newest, runs

    async def deduplication(
        self, queue: int, digests: tuple[bytes, ...], spans: Sequence[tuple[int, int]], *, since_ms: int
    ) -> list[DeduplicationRow]:
        if not digests:
            return []
        assert self._pages is not None, "the store is not open"
        values = {
            "queue": queue,
            "digests": b"".join(digests),
            "count": len(digests),
            "spans": orjson.dumps(spans).decode(),
            "since_ms": since_ms,
        }
        found: dict[int, DeduplicationRow] = {}
        for some_digests, facts in await self._pages.fetch(sql.DEDUPLICATION, values):
            for digest in digests:
                for place in places_of(some_digests, digest):
                    row = entry_at(queue, some_digests, facts, place)
                    if row.sent_at_ms > since_ms and any(first <= row.order <= last for first, last in spans):
                        found[row.order] = row
        return list(found.values())

    async def accepted(self, queue: int, below_order: int, *, since_ms: int, limit: int) -> AcceptedPage:
        assert self._pages is not None, "the store is not open"
        values = Values(AcceptedCursor, queue=queue, below_order=below_order, since_ms=since_ms, limit=limit)
        (page,) = await self._pages.fetch(sql.ACCEPTED, values)
        assert isinstance(page, AcceptedPage)
        return page

    async def backup(self, path: str) -> None:
        assert self._backups is not None, "the store is not open"
        part = await asyncio.to_thread(schema.name_for_part, path)
        try:
            # One read transaction. The copy has no unused pages.
            with self._sent.pinned():
                await self._backups.fetch("VACUUM INTO ?", (part,))
                await asyncio.to_thread(bring_in_sent, part, self._sent)
            await asyncio.to_thread(schema.publish, part, path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)


def _blocks_max(limit: int) -> int:
    """How many blocks a page may have: something waits in each, but for the first, where that may lie before the page."""
    return min(BLOCKS_PER_PAGE, limit + 1)


async def _page(reader: _Reader | None, statement: str, *, bytes_max: int = _ALL_BYTES, **values: Any) -> Page:
    """Run one of the page statements."""
    return await _fetch_page(reader, statement, Values(PageCursor, bytes_max=bytes_max, **values), None)


async def _packed_page(
    reader: _Reader | None, statement: str, cursor: type[Cursor], *, contains: int | None = None, **values: Any
) -> Page:
    """Run one of those that put the page together themselves."""
    return await _fetch_page(reader, statement, Values(cursor, **values), contains)


async def _fetch_page(reader: _Reader | None, statement: str, values: Values, contains: int | None) -> Page:
    assert reader is not None, "the store is not open"
    (page,) = await reader.fetch(statement, values, contains)
    assert isinstance(page, Page)
    return page
