"""The store's reads: each one statement, so one read transaction, fetched whole in a thread of aiosqlite's.

Three connections, opened when first needed: pages that a caller of the broker waits for never queue up behind a look or a
backup. Nothing stays open between two awaits. This module knows nothing of the writer.
"""

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiosqlite
import orjson

from broker.store import schema
from broker.store import statements as sql
from broker.store.base import Page, StoredMessage, StoreError
from broker.store.changes import DeduplicationRow

_CACHE_KB: Final = 8192
_CLOSE_TIMEOUT_S: Final = 5.0


class _ClosingConnection(sqlite3.Connection):
    """A connection that another thread can wait for to be closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


class _Reader:
    """One connection, opened at the first read."""

    def __init__(self, path: str, busy_timeout_ms: int, *, query_only: bool = True) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._query_only = query_only
        self._opening = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None
        self._raw: _ClosingConnection | None = None

    async def fetch(self, statement: str, values: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = self._connection or await self._open()
        try:
            return list(await connection.execute_fetchall(statement, values))  # type: ignore[arg-type]
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._path}: {error}") from error

    async def _open(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._connection is None:
                connection = await aiosqlite.connect(self._path, isolation_level=None, factory=self._make)
                await connection.execute_fetchall(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
                await connection.execute_fetchall(f"PRAGMA cache_size = -{_CACHE_KB}")
                if self._query_only:
                    await connection.execute_fetchall("PRAGMA query_only = ON")
                self._connection = connection
            return self._connection

    def _make(self, *arguments: Any, **options: Any) -> _ClosingConnection:
        self._raw = _ClosingConnection(*arguments, **options)
        return self._raw

    def close(self) -> None:
        """End a read that is running, close, and wait for it. Blocking; from any thread."""
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
        self._pages: _Reader | None = None
        self._administration: _Reader | None = None
        self._backups: _Reader | None = None

    def _open_readers(self, path: str, busy_timeout_ms: int) -> None:
        self._pages = _Reader(path, busy_timeout_ms)
        self._administration = _Reader(path, busy_timeout_ms)
        self._backups = _Reader(path, busy_timeout_ms, query_only=False)

    def _close_readers(self) -> None:
        for reader in (self._pages, self._administration, self._backups):
            if reader is not None:
                reader.close()
        self._pages = self._administration = self._backups = None

    async def scan(
        self, queue: int, after_order: int, *, skip_groups: tuple[str, ...], unleased: bool, limit: int, bytes_max: int
    ) -> Page:
        values: dict[str, Any] = {
            "queue": queue,
            "after_order": after_order,
            "limit": limit,
            "bytes_max": bytes_max,
            "skip_group": skip_groups[0] if skip_groups else None,
            "skip_groups": orjson.dumps(skip_groups).decode() if len(skip_groups) > 1 else "[]",
        }
        return await _page(self._pages, sql.SCAN[min(len(skip_groups), 2), unleased], values)

    async def group(
        self, queue: int, group: str, after_order: int, *, unleased: bool, limit: int, bytes_max: int
    ) -> Page:
        values = {"queue": queue, "group": group, "after_order": after_order, "limit": limit, "bytes_max": bytes_max}
        return await _page(self._pages, sql.GROUP[unleased], values)

    async def timed(
        self, queue: int, after: tuple[int, int], *, content_until_ms: int, limit: int, bytes_max: int
    ) -> Page:
        values = {
            "queue": queue,
            "after_ms": after[0],
            "after_id": after[1],
            "content_until_ms": content_until_ms,
            "limit": limit,
            "bytes_max": bytes_max,
        }
        return await _page(self._pages, sql.TIMED, values)

    async def count_timed(
        self, queue: int, after_ms: int, until_ms: int, *, by_group: bool
    ) -> tuple[int, list[tuple[str | None, int, int]]]:
        assert self._pages is not None, "the store is not open"
        values = {"queue": queue, "after_ms": after_ms, "until_ms": until_ms}
        rows = await self._pages.fetch(sql.COUNT_TIMED[by_group], values)
        return rows[0][0], [(group, received, waiting) for _, exists, group, received, waiting in rows if exists]

    async def in_flight(self, queue: int, after_id: int, *, now_ms: int, limit: int) -> Page:
        values = {"queue": queue, "after_id": after_id, "now_ms": now_ms, "limit": limit, "bytes_max": 1}
        return await _page(self._pages, sql.IN_FLIGHT, values)

    async def messages(self, ids: tuple[int, ...], *, content: bool) -> Page:
        values = {"ids": orjson.dumps(ids).decode(), "limit": len(ids), "bytes_max": 1}
        return await _page(self._pages, sql.MESSAGES[content], values)

    async def oldest(self, queue: int, lane: int, *, limit: int) -> Page:
        values = {"queue": queue, "lane": lane, "limit": limit, "bytes_max": 1}
        return await _page(self._pages, sql.OLDEST, values)

    async def look(self, queue: int, after_id: int, *, limit: int, bytes_max: int) -> Page:
        values = {"queue": queue, "after_id": after_id, "limit": limit, "bytes_max": bytes_max}
        return await _page(self._administration, sql.LOOK, values)

    async def newest_arrivals(self, queue: int, since_ms: int) -> tuple[int, list[tuple[int, int]]]:
        assert self._pages is not None, "the store is not open"
        rows = await self._pages.fetch(sql.NEWEST_ARRIVALS, {"queue": queue, "since_ms": since_ms})
        return rows[0][0], [(at_ms, how_many) for _, at_ms, how_many in rows if at_ms is not None]

    async def deduplication(self, queue: int, digests: tuple[bytes, ...], *, since_ms: int) -> list[DeduplicationRow]:
        if not digests:
            return []
        assert self._pages is not None, "the store is not open"
        values = {"queue": queue, "digests": b"".join(digests), "count": len(digests), "since_ms": since_ms}
        return [DeduplicationRow(*row) for row in await self._pages.fetch(sql.DEDUPLICATION, values)]

    async def backup(self, path: str) -> None:
        assert self._backups is not None, "the store is not open"
        part = await asyncio.to_thread(schema.name_for_part, path)
        try:
            # One read transaction. It copies what is live, so the copy has no unused pages.
            await self._backups.fetch("VACUUM INTO ?", (part,))
            await asyncio.to_thread(schema.publish, part, path)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)


async def _page(reader: _Reader | None, statement: str, values: Mapping[str, Any]) -> Page:
    """Run one of the page statements: the number of the batch, the row's place, how many were found, then the message."""
    assert reader is not None, "the store is not open"
    found = await reader.fetch(statement, values)
    batch_number, first, how_many, *_ = found[0]
    if first is None:
        return Page(batch_number, [], more=False)
    found.sort(key=_place)
    rows = [StoredMessage._make((*row[3:9], row[9] == 1, *row[10:])) for row in found]
    return Page(batch_number, rows, more=how_many > len(rows))


def _place(row: tuple[Any, ...]) -> int:
    place: int = row[1]
    return place
