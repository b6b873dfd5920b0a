"""The first read opens the database file a second time, which may fail."""

import shutil
from pathlib import Path

import pytest

from broker.store.base import StoreError
from broker.store.sqlite import SqliteStore


async def test_a_file_that_cannot_be_opened_is_an_error_of_the_store(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = SqliteStore(str(data))
    store.open()
    shutil.move(data, tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="unable to open"):
        await store.messages((1,), content=False)
    shutil.move(tmp_path / "elsewhere", data)
    assert (await store.messages((1,), content=False)).rows == []
    store.close()
