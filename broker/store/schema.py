"""Opening the database file: is it ours, is it whole, is it of this version; and the schema's steps that it still lacks.

A file that cannot be used is refused before anything is written to it. A file of an older version is copied before the first
step. This module runs before the store serves, and knows nothing of batches.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Final

import msgspec

from broker.store.base import StoreError, StoreUnusable
from broker.store.changes import CounterRow
from broker.store.counters import pack_counters
from broker.store.directory import sync_path
from broker.store.entries import pack_facts

APPLICATION_ID: Final = 0x506F6D62  # "Pomb"
PAGE_BYTES: Final = 8192
WITH_SENT: Final = 10  # blocks of earlier steps refer to nothing
WITH_COMMIT_LOG: Final = 4  # databases of earlier steps have none beside them
_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100


def released_steps() -> list[str]:
    """The SQL of every step of schema.sql, the first one first."""
    text = resources.files("broker.store").joinpath("schema.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- step (\d+): .*$", text, flags=re.MULTILINE)
    numbers = [int(number) for number in parts[1::2]]
    assert numbers == list(range(1, len(numbers) + 1)), "schema.sql must number its steps from 1"
    return parts[2::2]


def examine(path: str, newest_version: int) -> int:
    """The schema version of the file, 0 where there is none yet. Raises StoreUnusable, and writes nothing, if it cannot be used."""
    try:
        size = os.path.getsize(path)
        if size == 0:
            return 0
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StoreUnusable(f"cannot read {path}: {error.strerror}") from error
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StoreUnusable(f"{path} is not a Pombo database (or its first bytes are damaged); it was left as it is")
    if _is_cut_short(path, header, size):
        raise StoreUnusable(f"{path} is damaged: it is shorter than it says ({size} bytes); it was left as it is")
    try:
        tables, application, version = _read_versions(path)
    except sqlite3.Error as error:
        raise StoreUnusable(f"{path} is damaged or unreadable ({error}); it was left as it is") from error
    if (tables, application, version) == (0, 0, 0):
        return 0  # a crash before the first transaction leaves a header and nothing else
    if application == APPLICATION_ID and version > newest_version:
        raise StoreUnusable(
            f"{path} was written by a newer version of Pombo (schema {version}, this version knows {newest_version});"
            " it was left as it is"
        )
    if application != APPLICATION_ID or version == 0:
        raise StoreUnusable(f"{path} is a database, but not one of Pombo's; it was left as it is")
    return version


def _is_cut_short(path: str, header: bytes, size: int) -> bool:
    """Whether pages are missing at the end. With a log beside it, the file may rightly be shorter than its header says."""
    log = path + "-wal"
    if os.path.exists(log) and os.path.getsize(log) > 0:
        return False
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    count_is_valid = header[24:28] == header[92:96]
    return count_is_valid and size < pages * (65536 if page == 1 else page)


def _read_versions(path: str) -> tuple[int, int, int]:
    """(number of tables and indexes, application id, schema version), through the log. Finds the coarsest damage."""
    # A kill while the file was made leaves a journal, which is rolled back by whoever may write. There is none later.
    is_unmade = os.path.exists(path + "-journal") and os.path.getsize(path) == PAGE_BYTES
    connection = sqlite3.connect(f"file:{_quoted(path)}?mode={'rw' if is_unmade else 'ro'}", uri=True)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return tables, application, version
    finally:
        connection.close()


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def create(connection: sqlite3.Connection, secret: bytes, steps: Sequence[str]) -> None:
    """Make a new database: all steps and the first rows in one transaction, so that a crash leaves nothing half made."""
    _add_functions(connection)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for step in steps:
        _run(connection, step)
    connection.execute("INSERT INTO meta (one, granted, secret) VALUES (1, 0, ?)", (secret,))
    connection.execute("INSERT INTO batch (number, message_time_ms, log) VALUES (0, 0, x'')")
    connection.execute(f"PRAGMA user_version = {len(steps)}")
    connection.execute("COMMIT")


def upgrade(
    connection: sqlite3.Connection,
    path: str,
    version: int,
    steps: Sequence[str],
    *,
    commits: Sequence[str],
    complete: Callable[[str], None],
) -> None:
    """Bring a database of an older version to the newest. The old one stays beside it, as `<file>.schema-<version>`, and so do the
    files of its commit log, which are `commits`: what it lacks is there. `complete` brings what blocks refer to into a copy.
    """
    if version == len(steps):
        return
    suffix = f".schema-{version}"
    if not os.path.exists(path + suffix):
        for file in commits if version >= WITH_COMMIT_LOG else ():
            if os.path.exists(file):
                _copy_file(file, file + suffix)
        # Last: who finds it finds all of it.
        _copy(connection, path + suffix, complete if version >= WITH_SENT else None)
    run_steps(connection, version, steps)


def run_steps(connection: sqlite3.Connection, version: int, steps: Sequence[str]) -> None:
    """The steps that a database of this version lacks."""
    _add_functions(connection)
    for number, step in enumerate(steps[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        _run(connection, step)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _copy(connection: sqlite3.Connection, copy: str, complete: Callable[[str], None] | None) -> None:
    """A copy under its final name is a whole one."""
    part = copy + ".part"
    if os.path.exists(part):
        os.unlink(part)
    connection.execute("VACUUM INTO ?", (part,))
    if complete is not None:
        complete(part)
    publish(part, copy)


def _copy_file(file: str, copy: str) -> None:
    """A copy of a file that nobody writes meanwhile. One that an earlier start left unfinished is made again."""
    shutil.copy(file, copy)  # with its permissions
    sync_path(copy)


def name_for_part(path: str) -> str:
    """Where a file is written before it gets its name. Raises StoreError if there is a file at either place."""
    part = path + ".part"
    for taken in (path, part):
        if os.path.exists(taken):
            raise StoreError(f"{taken} exists; a backup never replaces a file")
    return part


def publish(part: str, path: str) -> None:
    """Give a finished, synced file its name. Raises FileExistsError rather than replace another."""
    sync_path(part)
    os.link(part, path)
    os.unlink(part)
    sync_path(os.path.dirname(os.path.abspath(path)))


def _add_functions(connection: sqlite3.Connection) -> None:
    """What the steps call that SQLite has not."""
    connection.create_function("pack_facts", 3, pack_facts, deterministic=True)
    connection.create_function("pack_counters", 8, _pack_counters, deterministic=True)


def _pack_counters(*columns: int) -> bytes:
    *numbers, grouped = columns
    return pack_counters(msgspec.convert((*numbers, bool(grouped)), CounterRow))


def _run(connection: sqlite3.Connection, step: str) -> None:
    """Every statement of a step, inside the caller's transaction (`executescript` would commit it)."""
    statement = ""
    for line in step.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
