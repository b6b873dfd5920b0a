"""Every SQL statement that writes while the broker serves, and those of recovery, by name, with a line on what it is for.

Those that read pages are in read_statements.py. This module knows the schema and nothing of connections or threads.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any, Final

import msgspec

# ---- Writing. One step of a statement takes the GIL back a few times, however many rows it writes: so a batch's rows for a
# table go in one statement, of the next larger of a few fixed sizes (each is compiled once), filled up with rows that select
# nothing. Rows that are deleted by one number are named in one value instead, however many they are.
#
# Values are bound while the thread has the GIL. Python's module takes four times as long for None and bytes, which it tries to
# adapt first, as for int, str and bytearray: so the NULLs of messages and leases are written as empty texts, and what was sent is
# bound as bytearray.

ROWS_PER_STATEMENT: Final = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)


class Rows:
    """One statement in each of the fixed sizes, written out when first needed; `nothing` are the values of a row without effect.

    No first column is ever -1.
    """

    __slots__ = ("nothing", "rows_max", "_text", "_texts")

    def __init__(self, width: int, text: Callable[[int], str], *, rows_max: int = ROWS_PER_STATEMENT[-1]) -> None:
        self.nothing = (-1,) * width
        self.rows_max = rows_max
        self._text = text
        self._texts: dict[int, str] = {}

    def run(self, execute: Callable[[str, list[Any]], object], rows: Iterable[tuple[Any, ...]]) -> None:
        """Run the statement for all rows, in as few steps as the sizes allow, and little Python between two of them."""
        left = iter(rows)
        while some := list(islice(left, self.rows_max)):
            size, text = self.sized(len(some))
            values = list(chain.from_iterable(some))
            values += self.nothing * (size - len(some))
            execute(text, values)

    def sized(self, rows: int) -> tuple[int, str]:
        """The size to take for so many rows, at most `rows_max`, and its text."""
        size = next(size for size in ROWS_PER_STATEMENT if size >= rows)
        text = self._texts.get(size)
        if text is None:
            text = self._texts[size] = self._text(size)
        return size, text


def _values(width: int, size: int) -> str:
    row = "(" + ", ".join("?" * width) + ")"
    return "VALUES " + ", ".join([row] * size)


def _put(
    table: str, columns: str, *, verb: str = "INSERT OR REPLACE", conflict: str = "", empty_is_null: str = ""
) -> Rows:
    """`empty_is_null`: the column in which an empty text stands for NULL."""
    names = columns.split(", ")
    taken = [f"nullif(column{n}, '')" if name == empty_is_null else f"column{n}" for n, name in enumerate(names, 1)]

    def text(size: int) -> str:
        values = _values(len(names), size)
        return (
            f"{verb} INTO {table} ({columns}) SELECT {', '.join(taken)} FROM ({values}) WHERE column1 <> -1{conflict}"
        )

    return Rows(len(names), text)


def _change(table: str, columns: tuple[str, ...]) -> Rows:
    names = ", ".join(("id", *columns))
    changes = ", ".join(f"{column} = new.{column}" for column in columns)
    return Rows(
        len(columns) + 1,
        lambda size: (
            f"WITH new ({names}) AS ({_values(len(columns) + 1, size)})"
            f" UPDATE {table} SET {changes} FROM new WHERE {table}.id = new.id"
        ),
    )


def keys(numbers: Sequence[int]) -> str:
    """However many keys, as one value."""
    return msgspec.json.encode(numbers).decode()


def _delete(table: str, key: str) -> str:
    """However many rows: their keys are a JSON array."""
    return f"DELETE FROM {table} WHERE {key} IN (SELECT value FROM json_each(?))"


PUT_MESSAGE: Final = _put("message", "stretch, id, queue, lane, ord, grp, enqueued_at_ms, content", empty_is_null="grp")
PUT_BODY: Final = _put("body", "id, body")
PUT_LEASE: Final = _put(
    "lease", "id, queue, visible_at_ms, receive_count, first_received_at_ms, source", empty_is_null="source"
)
MOVE_MESSAGE: Final = _change("message", ("queue", "lane", "ord", "enqueued_at_ms", "stretch"))
# A lease follows its message; where the batch holds a new one, that replaces this row right after.
MOVE_LEASE: Final = _change("lease", ("queue",))
DELETE_MESSAGE: Final = _delete("message", "id")
DELETE_BODY: Final = _delete("body", "id")
DELETE_LEASE: Final = _delete("lease", "id")
PUT_BLOCK: Final = _put(
    "block",
    "id, queue, last, stretch, taken, heads, group_names, members, segment, extents, sent_bytes",
    empty_is_null="group_names",
)
PUT_BLOCK_CONTENT: Final = _put("block_content", "id, contents, bodies")
TAKE_FROM_BLOCK: Final = _change("block", ("taken",))
TAKE_GROUPS_FROM_BLOCK: Final = _change("block", ("taken", "group_names"))
# Of some stretches, as JSON: (queue, stretch, groups) of each.
PUT_BLOCK_GROUPS: Final = """
INSERT OR IGNORE INTO block_group (queue, stretch, grp)
SELECT json_extract(some.value, '$[0]'), json_extract(some.value, '$[1]'), name.value
FROM json_each(?) AS some CROSS JOIN json_each(some.value, '$[2]') AS name
"""
# Those of some stretches, (queue, stretch) of each as JSON, that have no block any more.
DELETE_BLOCK_GROUPS: Final = """
DELETE FROM block_group WHERE (queue, stretch) IN (
    SELECT json_extract(some.value, '$[0]'), json_extract(some.value, '$[1]') FROM json_each(?) AS some
    WHERE NOT EXISTS (
        SELECT 1 FROM block INDEXED BY block_stretch WHERE block.group_names IS NOT NULL
        AND block.queue = json_extract(some.value, '$[0]') AND block.stretch = json_extract(some.value, '$[1]')))
"""
DELETE_BLOCK: Final = _delete("block", "id")
DELETE_BLOCK_CONTENT: Final = _delete("block_content", "id")
# The blocks that any message of some spans may be in, as one row: (queue, first id, last id) of each span as JSON. A queue's blocks
# do not overlap, so the last that a span may touch is the first that does not end before the span does.
BLOCKS_OF: Final = """
SELECT json_group_array(json_array(k.id, k.queue, k.last, k.stretch, length(k.taken), json(k.group_names),
           k.segment, json(k.extents))),
       CAST(group_concat(CAST(k.taken AS TEXT), '') AS BLOB), CAST(group_concat(CAST(k.heads AS TEXT), '') AS BLOB),
       CAST(group_concat(CAST(k.members AS TEXT), '') AS BLOB)
FROM block AS k WHERE k.id IN (
    SELECT b.id FROM json_each(?) AS span CROSS JOIN block AS b INDEXED BY block_place
    ON b.queue = json_extract(span.value, '$[0]') AND b.last >= json_extract(span.value, '$[1]') AND b.last <= coalesce((
        SELECT e.last FROM block AS e INDEXED BY block_place
        WHERE e.queue = json_extract(span.value, '$[0]') AND e.last >= json_extract(span.value, '$[2]') ORDER BY e.last LIMIT 1
    ), json_extract(span.value, '$[2]')))
"""
# What was sent of some blocks: (id, contents, bodies) of each.
CONTENT_OF_BLOCKS: Final = "SELECT id, contents, bodies FROM block_content WHERE id IN (SELECT value FROM json_each(?))"
# What blocks refer to: (segment, bytes).
REFERRED: Final = "SELECT segment, sum(sent_bytes) FROM block WHERE segment IS NOT NULL GROUP BY segment"
SEGMENTS_REFERRED: Final = "SELECT DISTINCT segment FROM block WHERE segment IS NOT NULL"
# Some of the blocks that refer to a segment: (id, extents).
BLOCKS_IN_SEGMENT: Final = "SELECT id, extents FROM block INDEXED BY block_segment WHERE segment = ? LIMIT ?"
# These blocks have what was sent in block_content from now on.
MOVED_FROM_SEGMENT: Final = (
    "UPDATE block SET segment = NULL, extents = NULL, sent_bytes = NULL WHERE id IN (SELECT value FROM json_each(?))"
)
# Of some queues, those that have no block.
WITHOUT_BLOCKS: Final = (
    "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM block WHERE block.queue = json_each.value)"
)
# A batch's own row. The oldest rows, whose counters have been written to their table, go.
PUT_BATCH: Final = "INSERT OR REPLACE INTO batch (number, message_time_ms, log) VALUES (?, ?, ?)"
DELETE_BATCHES: Final = "DELETE FROM batch WHERE number < ?"
PUT_COUNTERS: Final = _put("counters", "queue, packed")
DELETE_COUNTERS: Final = _delete("counters", "queue")
PUT_ACCEPTED: Final = _put("accepted", "queue, first, last, newest_ms, digests, facts")
PUT_RESOURCE: Final = _put("resource", "kind, key, record")
# Not (kind, key) IN (VALUES …): SQLite would look at every resource there is. Its expressions are 1,000 deep at most.
DELETE_RESOURCE: Final = Rows(
    2, lambda size: f"DELETE FROM resource WHERE {' OR '.join(['(kind = ? AND key = ?)'] * size)}", rows_max=256
)
DROP_GENERATION: Final = _put("dropped", "queue", verb="INSERT OR IGNORE")
FORGET: Final = _put(
    "forgotten",
    "queue, up_to",
    verb="INSERT",
    conflict=" ON CONFLICT (queue) DO UPDATE SET up_to = max(up_to, excluded.up_to)",
)

BEGIN: Final = "BEGIN IMMEDIATE"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
GRANT: Final = "UPDATE meta SET granted = granted + ? RETURNING granted"

# ---- Recovery: everything but messages and deduplication entries.

READ_META: Final = "SELECT secret FROM meta"
READ_BATCHES: Final = "SELECT number, message_time_ms, log FROM batch ORDER BY number"
READ_RESOURCES: Final = "SELECT kind, key, record FROM resource"
READ_COUNTERS: Final = "SELECT queue, packed FROM counters"

# Each is found from the one before: a queue has many blocks.
QUEUES_WITH_BLOCKS: Final = """
WITH RECURSIVE found (queue) AS (
    SELECT min(queue) FROM block
    UNION ALL
    SELECT (SELECT min(block.queue) FROM block WHERE block.queue > found.queue) FROM found WHERE found.queue IS NOT NULL
)
SELECT queue FROM found WHERE queue IS NOT NULL
"""

# ---- Clearing away what is dead, slice by slice.

NEXT_DROPPED: Final = "SELECT queue FROM dropped LIMIT 1"
DROPPED_IDS: Final = "SELECT id FROM message INDEXED BY message_place WHERE queue = ? LIMIT ?"
DROPPED_BLOCKS: Final = (
    "SELECT id, stretch, group_names IS NOT NULL, segment, sent_bytes"
    " FROM block INDEXED BY block_place WHERE queue = ? LIMIT ?"
)
CLEARED_GENERATION: Final = "DELETE FROM dropped WHERE queue = ?"
NEXT_FORGOTTEN: Final = "SELECT queue, up_to FROM forgotten LIMIT 1"
# The last entry of a slice, where there are that many.
FORGOTTEN_UP_TO: Final = "SELECT last FROM accepted WHERE queue = ? AND last <= ? ORDER BY last LIMIT 1 OFFSET ?"
DELETE_FORGOTTEN: Final = "DELETE FROM accepted WHERE queue = ? AND last <= ?"
CLEARED_FORGOTTEN: Final = "DELETE FROM forgotten WHERE queue = ?"
FREE_PAGES: Final = "SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count"
