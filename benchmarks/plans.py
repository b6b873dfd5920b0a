"""What connections ask for next, and what they do with replies: one plan for each kind of load.

A plan is asked for the next request of a free connection; None means nothing now (it is asked again after each reply). It is closed
loops: a connection has one request under way. A phase is over when no request is under way and the plan has none.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from benchmarks.ledger import Ledger

_SETTLING_S = 0.5
_BARREN_S = 3.0  # a drain to which nothing has come for so long gives up: the rest is lost


class Request(NamedTuple):
    """What goes out, and what its reply is for."""

    kind: str
    data: bytes
    tag: Any = None


class Plan(Protocol):
    """See the module."""

    done: int  # messages sent, or received and deleted: what the phase's rate counts

    def next(self, worker: int) -> Request | None:
        """The next request of a free connection."""
        ...

    def replied(self, worker: int, request: Request, body: bytes) -> None:
        """The reply to it."""
        ...


class SendPlan:
    """Sends for `seconds`, or `count` messages."""

    def __init__(
        self, ledger: Ledger, batch: int, *, seconds: float, count: int | None = None, groups: int = 0
    ) -> None:
        self.done = 0
        self._ledger, self._batch, self._left = ledger, batch, count
        self._end_s = time.perf_counter() + seconds
        self._senders = [ledger.wire.send(queue, batch, ledger.size, groups) for queue in ledger.queues]

    def next(self, _worker: int) -> Request | None:
        if time.perf_counter() >= self._end_s or (self._left is not None and self._left <= 0):
            return None
        if self._left is not None:
            self._left -= self._batch
        first = self._ledger.numbers(self._batch)
        queue = first // self._batch % len(self._senders)
        return Request("send", self._senders[queue](first), (queue, first))

    def replied(self, _worker: int, request: Request, body: bytes) -> None:
        queue, first = request.tag
        self._ledger.acknowledged(queue, first, self._batch, body)
        self.done += self._batch


class DrainPlan:
    """Receives and deletes, `batch` at a time, for `seconds` or until nothing is left of what was sent."""

    def __init__(self, ledger: Ledger, batch: int, *, seconds: float = 3600.0) -> None:
        self.done = 0
        self.empty = 0
        self._ledger, self._batch = ledger, batch
        now_s = time.perf_counter()
        self._end_s = now_s + seconds
        self._came_s = now_s
        self._receives = [ledger.wire.receive(queue, batch) for queue in ledger.queues]
        self._deleters = [ledger.wire.delete(queue, batch) for queue in ledger.queues]
        ledger.ready = deque(
            (queue, min(batch, count - at))
            for queue, count in enumerate(ledger.unclaimed)
            for at in range(0, max(0, count), batch)
        )

    def next(self, _worker: int) -> Request | None:
        if self._ledger.held:
            return self._delete()
        now_s = time.perf_counter()
        if not self._ledger.ready or now_s >= self._end_s or now_s - self._came_s > _BARREN_S:
            return None
        return self._receive()

    def _delete(self) -> Request:
        queue, handles = self._ledger.held.popleft()
        for at in range(self._batch, len(handles), self._batch):  # an earlier phase's batches were larger
            self._ledger.held.append((queue, handles[at : at + self._batch]))
        taken = handles[: self._batch]
        return Request("delete", self._deleters[queue](taken), len(taken))

    def _receive(self) -> Request:
        queue, _ = self._ledger.ready.popleft()
        self._ledger.claim(queue, self._batch)
        return Request("receive", self._receives[queue], queue)

    def replied(self, _worker: int, request: Request, body: bytes) -> None:
        if request.kind == "delete":
            self._ledger.gone(request.tag, body)
            self.done += request.tag
            return
        handles = self._ledger.came(request.tag, self._batch, body)
        if handles:
            self._ledger.held.append((request.tag, handles))
            self._came_s = time.perf_counter()
        else:
            self.empty += 1


class CyclePlan(DrainPlan):
    """Producers and consumers in one, for `seconds`: of sends, receives and deletes, a free connection makes the one that lags.

    So all three are always under way, as from programs that know nothing of each other; if each connection sent, received, deleted
    in turn, a broker that answers many at once would make all of them send, then all receive, then all delete. Messages that wait
    when it begins keep waiting; without any, receives follow the sends.
    """

    def __init__(self, ledger: Ledger, batch: int, *, seconds: float, groups: int = 0) -> None:
        super().__init__(ledger, batch, seconds=seconds)
        self._send = SendPlan(ledger, batch, seconds=seconds, groups=groups)
        self._asked = {"send": 0, "receive": 0, "delete": 0}  # messages

    def next(self, worker: int) -> Request | None:
        if time.perf_counter() >= self._end_s:
            return None
        asked, ledger = self._asked, self._ledger
        if ledger.held and asked["delete"] <= asked["receive"] and asked["delete"] <= asked["send"]:
            request = self._delete()
            asked["delete"] += request.tag
        elif ledger.ready and asked["receive"] <= asked["send"]:
            request = self._receive()
            asked["receive"] += self._batch
        else:
            request = self._send.next(worker)
            asked["send"] += self._batch
        return request

    def replied(self, worker: int, request: Request, body: bytes) -> None:
        if request.kind == "send":
            self._send.replied(worker, request, body)
            return
        before = self._ledger.received
        super().replied(worker, request, body)
        if request.kind == "receive":
            self._asked["receive"] -= self._batch - (self._ledger.received - before)


class RepeatPlan:
    """The same requests again and again, for `seconds` (`empty` receives, for one)."""

    def __init__(self, kind: str, requests: Sequence[bytes], *, seconds: float) -> None:
        self.done = 0
        self._kind, self._requests = kind, requests
        self._end_s = time.perf_counter() + seconds

    def next(self, worker: int) -> Request | None:
        if time.perf_counter() >= self._end_s:
            return None
        return Request(self._kind, self._requests[worker % len(self._requests)])

    def replied(self, _worker: int, _request: Request, _body: bytes) -> None:
        self.done += 1


class OncePlan:
    """Each of some requests once; `then` gets the replies in their order."""

    def __init__(self, kind: str, requests: Iterator[bytes], then: Callable[[int, bytes], None]) -> None:
        self.done = 0
        self._kind, self._requests, self._then = kind, enumerate(requests), then

    def next(self, _worker: int) -> Request | None:
        for at, data in self._requests:
            return Request(self._kind, data, at)
        return None

    def replied(self, _worker: int, request: Request, body: bytes) -> None:
        self._then(request.tag, body)
        self.done += 1


class PublishPlan:
    """Publishes to a topic whose copies reach all of the ledger's queues."""

    def __init__(self, ledger: Ledger, publish: Callable[[int], bytes], *, seconds: float) -> None:
        self.done = 0
        self._ledger, self._publish = ledger, publish
        self._end_s = time.perf_counter() + seconds

    def next(self, _worker: int) -> Request | None:
        if time.perf_counter() >= self._end_s:
            return None
        first = self._ledger.numbers(1)
        return Request("publish", self._publish(first), first)

    def replied(self, _worker: int, request: Request, _body: bytes) -> None:
        self._ledger.published(request.tag)
        self.done += self._ledger.copies


class WakePlan:
    """All connections but the last poll a queue each; the last one sends to one queue after the other, when its poll is under way.

    `wakes` are the seconds from a send's bytes to the poll's reply.
    """

    def __init__(self, ledger: Ledger, pollers: int, *, count: int, seconds: float) -> None:
        self.done = 0
        self.wakes: list[float] = []
        self._ledger, self._pollers, self._count = ledger, pollers, count
        self._end_s = time.perf_counter() + seconds
        self._polls = [ledger.wire.receive(queue, 1, 20) for queue in ledger.queues]
        self._senders = [ledger.wire.send(queue, 1, ledger.size) for queue in ledger.queues]
        self._deleters = [ledger.wire.delete(queue, 1) for queue in ledger.queues]
        self._polling: set[int] = set()
        self._handles: dict[int, list[str]] = {}
        self._sent_s = 0.0
        self._awaited: int | None = None
        self._start_s = 0.0  # the first polls have all been taken in by then
        self._order = random.Random(1)  # which queue is next

    def over(self) -> bool:
        """Whether polls may be left under way."""
        return len(self.wakes) >= self._count or time.perf_counter() > self._end_s

    def next(self, worker: int) -> Request | None:
        if worker == self._pollers:
            if self._awaited is not None or len(self._polling) < self._pollers or self.over():
                return None
            self._start_s = self._start_s or time.perf_counter() + _SETTLING_S
            if time.perf_counter() < self._start_s:
                return None
            queue = self._order.randrange(self._pollers)
            first = self._ledger.numbers(1)
            self._awaited = queue
            self._sent_s = time.perf_counter()
            return Request("send", self._senders[queue](first), (queue, first))
        if self.over():
            return None
        if handles := self._handles.pop(worker, None):
            return Request("delete", self._deleters[worker](handles))
        self._polling.add(worker)
        return Request("poll", self._polls[worker])

    def replied(self, worker: int, request: Request, body: bytes) -> None:
        if request.kind == "send":
            queue, first = request.tag
            self._ledger.acknowledged(queue, first, 1, body)
        elif request.kind == "delete":
            self._ledger.gone(1, body)
        else:
            self._polling.discard(worker)
            if handles := self._ledger.came(worker, 1, body):
                self.wakes.append(time.perf_counter() - self._sent_s)
                self.done += 1
                self._handles[worker] = handles
                self._awaited = None
