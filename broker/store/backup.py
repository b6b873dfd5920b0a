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
from broker.store.commit_log import Commits, read_commits
from broker.store.directory import Directory
from broker.store.sqlite_writer import Writer

_BUSY_TIMEOUT_S = 10.0


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
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S)
        ) as source:
            source.isolation_level = None
            (secret,) = source.execute(sql.READ_META).fetchone()
            commits = read_commits(data, secret)
            source.execute("VACUUM INTO ?", (part,))
        if version >= schema.WITH_COMMIT_LOG:
            _complete(part, commits, version, steps)
        schema.publish(part, path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot copy {database} to {path}: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _complete(part: str, commits: Commits, version: int, steps: Sequence[str]) -> None:
    """Bring what a copy lacks into it: what it is written with knows the newest version's tables."""
    with contextlib.closing(sqlite3.connect(part)) as copy:
        copy.isolation_level = None
        schema.run_steps(copy, version, steps)
        writer = Writer(copy, part, synced=False)
        late = commits.after(writer.recover().batch_number)
        if late:
            writer.apply(merged(late))
