"""The engine behaves like its reference under random operations, restarts, crashes and late reads, in windows of a few messages."""

from collections.abc import Iterator

import pytest
from hypothesis.stateful import run_state_machine_as_test

from broker.core import limits
from tests.model.machine import SETTINGS, FairMachine, FifoMachine, QueueMachine, StandardMachine, shrink_windows


@pytest.fixture(autouse=True)
def small_windows() -> Iterator[None]:
    before = shrink_windows()
    yield
    for name, value in before.items():
        setattr(limits, name, value)


@pytest.mark.parametrize("machine", [StandardMachine, FairMachine, FifoMachine])
def test_a_queue_behaves_like_its_reference(machine: type[QueueMachine]) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS)  # type: ignore[no-untyped-call]
