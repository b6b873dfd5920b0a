"""The first read opens the database file a second time, which may fail."""

import sqlite3
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from broker.store.base import StoreError
from broker.store.sqlite import SqliteStore


async def test_a_file_that_cannot_be_opened_is_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: Any, **_options: Any) -> aiosqlite.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    store = SqliteStore(str(tmp_path / "data"))
    store.open()
    with monkeypatch.context() as patched:
        patched.setattr(aiosqlite, "connect", refuse)
        with pytest.raises(StoreError, match="unable to open"):
            await store.messages((1,), content=False)
    assert (await store.messages((1,), content=False)).rows == [], "the next one tries again"
    store.close()
