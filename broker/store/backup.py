"""Copying a data directory's database while a broker may be using it: one read transaction, published under its name whole."""

import contextlib
import os
import sqlite3

from broker.store import schema
from broker.store.base import StoreError
from broker.store.directory import Directory

_BUSY_TIMEOUT_S = 10.0


def backup_directory(data: str, path: str) -> None:
    """Copy the database of the data directory `data` to the new file `path`. Blocking. Raises StoreError."""
    database = Directory(data).database
    part = path + ".part"
    if not os.path.exists(database):
        raise StoreError(f"{data} holds no database")
    if os.path.exists(path) or os.path.exists(part):
        raise StoreError(f"{path} or {part} exists; a backup never replaces a file")
    schema.examine(database, len(schema.released_steps()))
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT_S)
        ) as source:
            source.isolation_level = None
            source.execute("VACUUM INTO ?", (part,))
        schema.publish(part, path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot copy {database} to {path}: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
