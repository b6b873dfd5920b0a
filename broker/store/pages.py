"""Putting a read's answer together, in the thread that reads: cursors that make one object of all rows of a statement.

`aiosqlite` fetches the rows of a statement whole: what `fetchall` answers here is one page. This module knows the columns of
those in read_statements.py.
"""

import sqlite3
from typing import Any

import orjson

from broker.store.base import AcceptedPage, Page, StoredMessage
from broker.store.entries import DIGEST_BYTES


class Cursor(sqlite3.Cursor):
    """Puts an answer together in the reading thread. `values` are those of its statement."""

    values: dict[str, Any]


class Values(dict[str, Any]):
    """The values of a statement whose answer such a cursor puts together."""

    def __init__(self, cursor: type[Cursor], **values: Any) -> None:
        super().__init__(values)
        self.cursor = cursor


class PageCursor(Cursor):
    """Makes a Page of the rows of a page statement, and reads no further than the page goes: `limit` and `bytes_max` end it."""

    def fetchall(self) -> list[Any]:
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
        self.close()
        return [Page(batch_number, rows, more)]


class PackedPageCursor(Cursor):
    """Takes a page apart that is one row."""

    def fetchall(self) -> list[Any]:
        ((batch_number, more, heads, contents, bodies),) = super().fetchall()
        self.close()
        rows: list[StoredMessage] = []
        content_at = body_at = 0
        for *state, content_bytes, body_bytes in orjson.loads(heads):
            content_end, body_end = content_at + content_bytes, body_at + body_bytes
            content, body = contents[content_at:content_end], bodies[body_at:body_end]
            rows.append(StoredMessage._make((*state, content, body)))
            content_at, body_at = content_end, body_end
        return [Page(batch_number, rows, bool(more))]


class AcceptedCursor(Cursor):
    """Makes an AcceptedPage of whole rows, and reads no further than the page goes: `limit` and `since_ms` end it."""

    def fetchall(self) -> list[Any]:
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
        self.close()
        return [AcceptedPage(first, last, page_newest_ms, b"".join(found), more)]
