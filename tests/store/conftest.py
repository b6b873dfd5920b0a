"""A commit log by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.store.commit_log import CommitLog
from broker.store.sent import Sent
from tests.store.inside import SECRET, Behind


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def log(tmp_path: Path, behind: Behind) -> Iterator[CommitLog]:
    log = CommitLog(str(tmp_path), SECRET, behind, Sent(str(tmp_path)), stays=False, synced=True)
    yield log
    log.close(discard=False)
