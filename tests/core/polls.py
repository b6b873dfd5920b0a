"""Receives that wait, as a test sees them."""

from collections.abc import Sequence

from broker.core.message import Delivery
from broker.core.queue import Queue
from broker.core.waiting import Waiter
from tests.core.bench import Bench


class Poll:
    """A waiting receive and what came of it: bodies, [] when its time was up, None when it must be made again."""

    def __init__(self, bench: Bench, queue: Queue, wait_ms: int = 20_000, count: int = 1) -> None:
        self.answers: list[list[str] | None] = []
        self.connected = True
        until_ms = bench.clock.now_ms() + wait_ms
        self.waiter = Waiter(count, 30_000, None, until_ms, lambda: self.connected, self._resume)
        bench.engine.wait(queue, self.waiter)

    def _resume(self, deliveries: Sequence[Delivery] | None) -> None:
        self.answers.append(None if deliveries is None else [d.body.decode() for d in deliveries])
