"""A store in a directory of its own, and a commit log by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.store import commit_log, sent
from broker.store.commit_log import CommitLog
from broker.store.sent import Sent
from broker.store.sqlite import SqliteStore
from tests.store.inside import SECRET, Behind, Commits
from tests.store.leaving import SEGMENT_BYTES


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(directory: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(directory))
    store.open()
    yield store
    store.close()


@pytest.fixture
def commit(store: SqliteStore) -> Commits:
    return Commits(store)


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three batches."""
    monkeypatch.setattr(commit_log, "SEGMENT_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr(sent, "SEGMENT_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr(commit_log, "_FEW_BYTES", 100_000)  # nothing is prepared beside the tests


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def log(tmp_path: Path, behind: Behind) -> Iterator[CommitLog]:
    log = CommitLog(str(tmp_path), SECRET, behind, Sent(str(tmp_path)), stays=False, synced=True)
    yield log
    log.close(discard=False)
