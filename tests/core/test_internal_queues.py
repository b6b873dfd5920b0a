"""Queues of the broker's own: made when a message is to lie in them."""

import pytest

from broker.errors import ServiceUnavailable
from tests.core.bench import Bench


def test_none_is_made_while_there_is_no_room_for_its_message(bench: Bench) -> None:
    """Its record would share a batch, and fail it, with the deletes that make room."""
    there = bench.engine.internal_queue("there")
    bench.commit()
    bench.journal.room_for_messages = False
    with pytest.raises(ServiceUnavailable):
        bench.engine.internal_queue("new")
    assert not bench.journal.batch
    assert bench.engine.internal_queue("there") is there
    bench.journal.room_for_messages = True
    assert bench.engine.internal_queue("new") is not there
