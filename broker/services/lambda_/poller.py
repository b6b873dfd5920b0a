"""Pollers: take batches from the queue of an event source mapping, and have its function process them.

A batch is complete when it has its size, when its window is over, or when another message would make the event larger than 6 MB.
What the function has processed is deleted; what it has not stays invisible until the queue's visibility timeout ends, so that its
receive count grows and it ends as a dead letter. Source: Lambda Developer Guide, "Using Lambda with Amazon SQS".
"""

import logging
from collections.abc import Sequence
from typing import Final

from broker.core.errors import InvalidParameterValue
from broker.core.message import Delivery
from broker.core.queue import Queue
from broker.errors import AwsError, ServiceUnavailable
from broker.services.courier import Courier
from broker.services.lambda_.errors import TooManyRequests
from broker.services.lambda_.invoke import choose_version
from broker.services.lambda_.mapping import MappingRecord
from broker.services.lambda_.records import event_of, failures_of, passes, record_bytes
from broker.services.lambda_.workers import Workers
from broker.services.runtime import Runtime

EVENT_BYTES_MAX: Final = 6 * 1_048_576 - 1_024
_FIRST_CONCURRENCY: Final = 5
_GROWTH_MS: Final = 200  # one batch more at a time, as AWS adds 300 a minute
_CONCURRENCY_MAX: Final = 1_250
_log = logging.getLogger("pombo.lambda")


class Poller(Courier):
    """One mapping's. `mapping` is replaced when the mapping changes."""

    def __init__(self, runtime: Runtime, mapping: MappingRecord) -> None:
        super().__init__(runtime)
        self.mapping = mapping
        self.dismissed = False
        self._gathered: list[Delivery] = []
        self._gathered_bytes = 0
        self._window = 0  # which window is open; a deadline of an older one is out of date
        self._under_way = 0
        self._since_ms = 0  # since when batches have been under way without a pause

    # The queue

    def find(self) -> Queue | None:
        if self.dismissed or not self.mapping.enabled:
            return None
        return self.runtime.engine.queues_by_name.get(self.mapping.queue)

    def visibility_ms(self, queue: Queue) -> int:
        return queue.settings.visibility_ms

    def room(self) -> int:
        if self._under_way >= self._concurrency():
            return 0
        return self.mapping.batch_size - len(self._gathered)

    def _concurrency(self) -> int:
        """How many batches may be under way: five at first, then more with time, up to what the mapping allows."""
        most = self.runtime.part(Workers).concurrency_max
        if self.mapping.maximum_concurrency is not None:
            return min(most, self.mapping.maximum_concurrency)
        if self.mapping.provisioned is not None:
            return min(most, self.mapping.provisioned["MaximumPollers"] * 10)
        grown = _FIRST_CONCURRENCY
        if self._under_way:
            grown += (self.runtime.clock.now_ms() - self._since_ms) // _GROWTH_MS
        return min(most, grown, _CONCURRENCY_MAX)

    # Batches

    def carry(self, leased: Sequence[Delivery]) -> None:
        for message in leased:
            size = record_bytes(message)
            if self._gathered and self._gathered_bytes + size > EVENT_BYTES_MAX:
                self._dispatch()
            self._gathered.append(message)
            self._gathered_bytes += size
            if len(self._gathered) == 1 and self.mapping.window_s:
                self._open_window()
        if self._gathered and (len(self._gathered) >= self.mapping.batch_size or not self.mapping.window_s):
            self._dispatch()

    def _open_window(self) -> None:
        self._window += 1
        window = self._window
        at_ms = self.runtime.clock.now_ms() + self.mapping.window_s * 1_000
        self.runtime.deadlines.add(at_ms, lambda: self._window_over(window))

    def _window_over(self, window: int) -> None:
        if window == self._window and self._gathered:
            self._dispatch()
            self.go_on()

    def _dispatch(self) -> None:
        batch, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._window += 1
        if self._under_way == 0:
            self._since_ms = self.runtime.clock.now_ms()
        self._under_way += 1
        self.runtime.start_work(self._process(batch))

    async def _process(self, batch: list[Delivery]) -> None:
        try:
            durable = self.runtime.durable()
            if durable is not None:
                await durable
            wanted = [message for message in batch if passes(self.mapping, message)]
            failed: set[str] = set()
            if wanted:
                failed = await self._invoke(wanted)
            done = [m for m in batch if m.content.message_id not in failed]
            for message in done:  # one by one: what one call has looked up is used up by it
                await self.runtime.call(self._delete, message)
        except ServiceUnavailable as error:
            # What was processed and not deleted comes again, as it may on AWS.
            _log.warning("a batch for %s could not be deleted: %s", self.mapping.target.arn, error)
        finally:
            self._under_way -= 1
        await self.runtime.call(self.go_on)

    async def _invoke(self, batch: list[Delivery]) -> set[str]:
        """The ids of the messages that were not processed."""
        every = {message.content.message_id for message in batch}
        try:
            function, version = await self.runtime.call(choose_version, self.runtime, self.mapping.target)
            ran = await self.runtime.part(Workers).invoke(
                function,
                version,
                self.mapping.target,
                event_of(self.mapping, batch),
                request_id=self.runtime.chance.uuid(),
            )
        except TooManyRequests:
            self.mapping.last_result = "PROBLEM: Function call failed"
            return every
        except AwsError as error:
            self.mapping.last_result = f"PROBLEM: {error.message}"
            return every
        if ran.function_error is not None:
            self.mapping.last_result = "PROBLEM: Function call failed"
            return every
        self.mapping.last_result = "OK"
        return failures_of(ran.payload, every) if self.mapping.report_failures else set()

    def _delete(self, message: Delivery) -> None:
        """Nothing happens if it is gone: the function may have deleted it itself."""
        engine = self.runtime.engine
        queue = engine.queues_by_name.get(self.mapping.queue)
        if queue is None:
            return
        try:
            engine.delete(queue, message.receipt_handle)
        except InvalidParameterValue:  # on a FIFO queue: the function took longer than the message was hidden
            _log.info("message %s was processed and comes again", message.content.message_id)
