"""A receive that always waits on one queue, and hands on what it is given: how services consume queues from within.

It is woken by events, as a long poll is: nothing runs on a timer, and an idle one costs neither a task nor a deadline. What it
carries counts as work that the manual clock waits for.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from broker.core.message import Delivery
from broker.core.queue import Queue
from broker.core.waiting import Waiter
from broker.services.runtime import Runtime

RECEIVE_MAX: Final = 10


class Courier(ABC):
    """One queue's. `go_on` is called within an engine call, whenever there may be more room or the queue may be there."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._waiter: Waiter | None = None
        self._waits_on: Queue | None = None

    @abstractmethod
    def find(self) -> Queue | None:
        """The queue; None where there is none (any more), or this courier is dismissed."""

    @abstractmethod
    def room(self) -> int:
        """How many messages may be taken on now. Where none, somebody calls `go_on` later."""

    @abstractmethod
    def visibility_ms(self, queue: Queue) -> int:
        """For how long a message is leased."""

    @abstractmethod
    def carry(self, leased: Sequence[Delivery]) -> None:
        """Take on messages that are leased. The lease is not on disk yet: wait for `runtime.durable` before anything leaves."""

    def go_on(self) -> None:
        """Wait for the next messages, if there is room for some."""
        queue = self.find()
        if queue is None or self._waiter is not None:
            return
        room = min(self.room(), RECEIVE_MAX)
        if room <= 0:
            return
        self._waiter = Waiter(room, self.visibility_ms(queue), None, None, lambda: True, self._resume)
        self._waits_on = queue
        self.runtime.engine.wait(queue, self._waiter)
        self.runtime.engine.serve(queue)

    def stop(self) -> None:
        """Take on nothing more."""
        if self._waiter is not None and self._waits_on is not None:
            self.runtime.engine.stop_waiting(self._waits_on, self._waiter)
        self._waiter = self._waits_on = None

    def _resume(self, leased: Sequence[Delivery] | None) -> None:
        """Messages are leased; or (None) rows are absent, or the queue is gone."""
        self._waiter = self._waits_on = None
        if leased is None:
            self.runtime.start_work(self._fetch())
        elif leased:
            self.carry(leased)
            self.go_on()

    async def _fetch(self) -> None:
        """Bring in what the receive could not do without, and go on."""
        leased = await self.runtime.insist(self._receive)
        if leased is None:
            return
        if leased:
            self.carry(leased)
        await self.runtime.call(self.go_on)

    def _receive(self) -> Sequence[Delivery]:
        queue = self.find()
        if queue is None or self._waiter is not None:
            return ()
        room = min(self.room(), RECEIVE_MAX)
        return self.runtime.engine.receive(queue, room, self.visibility_ms(queue)) if room > 0 else ()
