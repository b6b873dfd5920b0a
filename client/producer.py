"""Sending at a rate: callers send one message each, and the messages travel in batches.

A batch leaves as soon as it is full, at once while none is under way, and otherwise when its oldest message has waited for
`linger_s`. To a FIFO queue or topic a message group has one batch under way at a time, so its order is that of the calls.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from client.client import Attributes, Client
from client.clock import Timer
from client.errors import AwsError, CallFailed
from client.messages import BatchResult, Outgoing, Published, SentMessage

_ENTRIES_MAX: Final = 10
_QUEUE_BYTES_MAX: Final = 1_048_576  # of a batch (SQS quotas)
_TOPIC_BYTES_MAX: Final = 262_144  # (SNS quotas)


class ProducerClosed(CallFailed):
    """The producer takes no more messages."""


class _Pending:
    """A message, what it counts, and who waits for it."""

    __slots__ = ("outgoing", "size_bytes", "sent")

    def __init__(self, outgoing: Outgoing, size_bytes: int, sent: "asyncio.Future[SentMessage | Published]") -> None:
        self.outgoing = outgoing
        self.size_bytes = size_bytes
        self.sent = sent


class _Lane:
    """Messages in their order: a group's of a FIFO queue, or all those of a standard one."""

    __slots__ = ("group", "waiting", "size_bytes")

    def __init__(self, group: str | None) -> None:
        self.group = group
        self.waiting: deque[_Pending] = deque()
        self.size_bytes = 0

    def append(self, pending: _Pending) -> None:
        self.waiting.append(pending)
        self.size_bytes += pending.size_bytes

    def popleft(self) -> _Pending:
        pending = self.waiting.popleft()
        self.size_bytes -= pending.size_bytes
        return pending


class Producer:
    """Sends to one queue (name, ARN or URL) or topic (ARN). An async context manager: leaving it closes it.

    `linger_s`: how long a message may wait for others, in seconds. `concurrency`: batches under way at most. `messages_max` and
    `bytes_max`: what may be held, sent but unanswered messages included; a caller beyond that waits, in the order of the calls.
    """

    def __init__(
        self,
        client: Client,
        target: str,
        *,
        linger_s: float = 0.005,
        concurrency: int = 16,
        messages_max: int = 10_000,
        bytes_max: int = 64 * 1_048_576,
    ) -> None:
        for name, value in (("concurrency", concurrency), ("messages_max", messages_max), ("bytes_max", bytes_max)):
            if value < 1:
                raise ValueError(f"{name} is {value}; expected at least 1")
        if linger_s < 0:
            raise ValueError(f"linger_s is {linger_s}; expected at least 0")
        self._client = client
        self._target = target
        self._topic = target.startswith("arn:") and target.split(":")[2] == "sns"
        self._fifo = target.endswith(".fifo")
        self._linger_s = linger_s
        self._concurrency = concurrency
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._batch_bytes_max = _TOPIC_BYTES_MAX if self._topic else _QUEUE_BYTES_MAX
        self._url: asyncio.Task[str] | None = None
        self._lanes: dict[str | None, _Lane] = {}  # those with messages, or with a batch under way
        self._ready: OrderedDict[str | None, _Lane] = OrderedDict()  # of them, those that the next batch may take from
        self._ready_count = self._ready_bytes = 0
        self._held: set[_Pending] = set()
        self._held_bytes = 0
        self._for_room: deque[_Pending] = deque()  # callers beyond the limits
        self._batches: set[asyncio.Task[None]] = set()
        self._timer: Timer | None = None
        self._soon = False
        self._flushing = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send(
        self,
        body: str,
        *,
        attributes: Attributes | None = None,
        delay_s: int | None = None,
        message_group_id: str | None = None,
        deduplication_id: str | None = None,
        trace_header: str | None = None,
        subject: str | None = None,
    ) -> SentMessage | Published:
        """Send one message; return when the endpoint has taken it.

        Raises this message's own AwsError, or what became of its whole batch: CallFailed. Cancelled before its batch has left, it
        is not sent. Raises ProducerClosed after `close`.
        """
        if self._closed:
            raise ProducerClosed("the producer is closed")
        if not isinstance(body, str):
            raise TypeError(f"body is a {type(body).__name__}; expected str")
        outgoing = Outgoing(
            body=body,
            attributes=attributes,
            delay_s=delay_s,
            message_group_id=message_group_id,
            deduplication_id=deduplication_id,
            trace_header=trace_header,
            subject=subject,
        )
        sent: asyncio.Future[SentMessage | Published] = asyncio.get_running_loop().create_future()
        self._for_room.append(_Pending(outgoing, outgoing.size_bytes(), sent))
        self._give_room()
        return await sent

    async def flush(self) -> None:
        """Let everything leave that has been sent so far, without lingering; return when all of it has been answered."""
        self._flushing += 1
        try:
            self._schedule()
            sent = [pending.sent for pending in (*self._held, *self._for_room)]
            if sent:
                await asyncio.wait(sent)
        finally:
            self._flushing -= 1

    async def close(self) -> None:
        """Take no more messages, and flush. The client stays open."""
        self._closed = True
        await self.flush()
        while self._batches:
            await asyncio.wait(self._batches)

    # Room

    def _give_room(self) -> None:
        while self._for_room:
            pending = self._for_room[0]
            wanted = not pending.sent.done()  # else its caller has given up
            if wanted and not self._has_room(pending.size_bytes):
                return
            self._for_room.popleft()
            if wanted:
                self._held.add(pending)
                self._held_bytes += pending.size_bytes
                self._add(pending)

    def _has_room(self, size_bytes: int) -> bool:
        if not self._held:
            return True  # a message larger than the limit passes alone
        return len(self._held) < self._messages_max and self._held_bytes + size_bytes <= self._bytes_max

    def _release(self, pending: _Pending) -> None:
        self._held.discard(pending)
        self._held_bytes -= pending.size_bytes

    # Batches

    def _add(self, pending: _Pending) -> None:
        group = (pending.outgoing.message_group_id or "") if self._fifo else None
        lane = self._lanes.get(group)
        if lane is None:
            lane = self._lanes[group] = self._ready[group] = _Lane(group)
        lane.append(pending)
        if group in self._ready:
            self._ready_count += 1
            self._ready_bytes += pending.size_bytes
            self._schedule()

    def _schedule(self) -> None:
        """Start what is full; see to it that the rest starts in time."""
        while len(self._batches) < self._concurrency and (
            self._ready_count >= _ENTRIES_MAX or self._ready_bytes >= self._batch_bytes_max
        ):
            self._start()
        if self._ready_count == 0 or len(self._batches) >= self._concurrency:
            return
        if self._flushing or not self._batches:
            if not self._soon:  # when those who send in this turn of the loop have done so
                self._soon = True
                asyncio.get_running_loop().call_soon(self._start_soon)
        elif self._timer is None:
            self._timer = self._client.clock.call_later(self._linger_s, self._lingered)

    def _start_soon(self) -> None:
        self._soon = False
        if self._flushing or not self._batches:
            self._start_now()
        else:
            self._schedule()

    def _start_now(self) -> None:
        if self._ready_count and len(self._batches) < self._concurrency:
            self._start()
            self._schedule()

    def _lingered(self) -> None:
        self._timer = None
        self._start_now()

    def _start(self) -> None:
        batch, lanes = self._take()
        if self._timer is not None and self._ready_count == 0:
            self._timer.cancel()
            self._timer = None
        if not batch:
            self._give_room()
            return
        task = asyncio.get_running_loop().create_task(self._deliver(batch, lanes))
        self._batches.add(task)

    def _take(self) -> tuple[list[_Pending], list[_Lane]]:
        """The next batch, and the lanes that have to wait for it."""
        batch: list[_Pending] = []
        lanes: list[_Lane] = []
        size_bytes = 0
        while self._ready:
            group, lane = next(iter(self._ready.items()))
            self._leave(lane)
            taken_before = len(batch)
            while lane.waiting:
                pending = lane.waiting[0]
                if pending.sent.done():  # its caller has given up
                    self._release(lane.popleft())
                    continue
                if batch and (len(batch) == _ENTRIES_MAX or size_bytes + pending.size_bytes > self._batch_bytes_max):
                    break
                batch.append(lane.popleft())
                size_bytes += pending.size_bytes
            full = bool(lane.waiting)
            if self._fifo and len(batch) > taken_before:
                lanes.append(lane)
            elif full:
                self._return(lane)
                self._ready.move_to_end(group, last=False)
            else:
                del self._lanes[group]
            if full:
                break
        return batch, lanes

    def _leave(self, lane: _Lane) -> None:
        """The next batch may not take from it."""
        del self._ready[lane.group]
        self._ready_count -= len(lane.waiting)
        self._ready_bytes -= lane.size_bytes

    def _return(self, lane: _Lane) -> None:
        self._ready[lane.group] = lane
        self._ready_count += len(lane.waiting)
        self._ready_bytes += lane.size_bytes

    async def _deliver(self, batch: Sequence[_Pending], lanes: Sequence[_Lane]) -> None:
        try:
            await self._attempt(batch)
        except BaseException:
            for pending in batch:
                pending.sent.cancel()
            raise
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._batches.discard(task)
            for lane in lanes:
                if lane.waiting:
                    self._return(lane)
                else:
                    del self._lanes[lane.group]
            for pending in batch:
                self._release(pending)
            self._give_room()
            self._schedule()

    async def _attempt(self, batch: Sequence[_Pending]) -> None:
        """Send a batch. Where it is refused as a whole for one of its entries, nothing was sent: each goes alone, in order."""
        try:
            result = await self._call([pending.outgoing for pending in batch])
        except (CallFailed, UnicodeEncodeError) as error:
            refused = not isinstance(error, CallFailed) or (isinstance(error, AwsError) and not error.transient)
            if refused and len(batch) > 1:
                for pending in batch:
                    if not pending.sent.done():
                        await self._attempt([pending])
            else:
                _fail(batch, error)
        else:
            _settle(batch, result)

    async def _call(self, messages: list[Outgoing]) -> BatchResult[Any]:
        if self._topic:
            return await self._client.publish_batch(self._target, messages)
        if self._url is None or (self._url.done() and self._url.exception() is not None):
            self._url = asyncio.get_running_loop().create_task(self._client.queue_url(self._target))
        return await self._client.send_batch(await asyncio.shield(self._url), messages)


def _settle(batch: Sequence[_Pending], result: BatchResult[Any]) -> None:
    for entry in result.successful:
        sent = batch[int(entry.id)].sent
        if not sent.done():
            sent.set_result(entry)
    for failed in result.failed:
        sent = batch[int(failed.id)].sent
        if not sent.done():
            sent.set_exception(failed.error)
    _fail(batch, CallFailed("the endpoint's answer does not say what became of the message"))


def _fail(batch: Sequence[_Pending], error: Exception) -> None:
    """For those that are not settled yet."""
    for pending in batch:
        if not pending.sent.done():
            pending.sent.set_exception(error)
