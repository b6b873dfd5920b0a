"""Copying a data directory's database while a broker may be using it: one read transaction, published under its name whole.

What is in the commit log and not yet in the database is read before the copy begins, and brought into it.
"""

import contextlib
import os
import sqlite3
from collections.abc import Sequence

from broker.store import schema
from broker.store import statements as sql
from broker.store.base import StoreError
from broker.store.batch import merged
from broker.store.block_writer import BlockWriter
from broker.store.commit_records import Commits, open_segments, read_commits
from broker.store.directory import Directory
from broker.store.sent import Sent
from broker.store.sqlite_writer import Writer

_BUSY_TIMEOUT_S = 10.0
_BLOCKS_AT_ONCE = 64


def backup_directory(data: str, path: str) -> None:
    """Copy the database of the data directory `data` to the new file `path`. Blocking. Raises StoreError."""
    database = Directory(data).database
    part = path + ".part"
    if not os.path.exists(database):
        raise StoreError(f"{data} holds no database")
    if os.path.exists(path) or os.path.exists(part):
        raise StoreError(f"{path} or {part} exists; a backup never replaces a file")
    steps = schema.released_steps()
    version = schema.examine(database, len(steps))
    sent = Sent(data)
    try:
        with (
            sent.pinned(),
            contextlib.closing(
                sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S)
            ) as source,
        ):
            source.isolation_level = None
            (secret,) = source.execute(sql.READ_META).fetchone()
            commits = read_commits(data, secret)
            source.execute("VACUUM INTO ?", (part,))
            sent.find(open_segments(data, secret))
            if version >= schema.WITH_SENT:
                bring_in_sent(part, sent)
        if version >= schema.WITH_COMMIT_LOG:
            _complete(part, commits, version, steps)
        schema.publish(part, path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot copy {database} to {path}: {error}") from error
    finally:
        sent.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def bring_in_sent(part: str, sent: Sent) -> None:
    """Bring what a copy's blocks refer to into it. Blocking; to be pinned since before the copy was made."""
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")  # it is thrown away if anything fails
        copy.execute("PRAGMA synchronous = OFF")  # and synced as a whole in the end
        writer = BlockWriter(copy, sent)
        for (segment,) in copy.execute(sql.SEGMENTS_REFERRED).fetchall():
            copy.execute(sql.BEGIN)
            while writer.move_some(segment, _BLOCKS_AT_ONCE):
                pass
            copy.execute(sql.COMMIT)


def _complete(part: str, commits: Commits, version: int, steps: Sequence[str]) -> None:
    """Bring what a copy lacks into it: what it is written with knows the newest version's tables."""
    with contextlib.closing(sqlite3.connect(part)) as copy:
        copy.isolation_level = None
        schema.run_steps(copy, version, steps)
        writer = Writer(copy, part, Sent(os.path.dirname(os.path.abspath(part))), synced=False, mindful=False)
        late = commits.after(writer.recover().batch_number)
        if late:
            writer.apply(merged(late))
