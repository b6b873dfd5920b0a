"""A fresh bench for each test; and windows so small that a handful of messages fills them."""

import pytest

from broker.core import limits
from tests.core.bench import Bench

SMALL = {"PAGE_ROWS": 3, "WAITING_LOW": 2, "WAITING_MAX": 5, "GROUP_MAX": 2, "TIMED_MAX": 2, "SLICE_ROWS": 2}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(limits, name, value)
