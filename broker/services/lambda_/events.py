"""Asynchronous invocations: events wait in their function's internal queue, and are run with retries.

A failed event is tried again after one minute and after two more, a throttled one with growing delays, both until it is too
old. Then it goes to the function's OnFailure destination, and to its dead-letter queue. Retries are visibility timeouts: they
survive a restart and follow the clock. Source: Lambda Developer Guide, "How Lambda handles errors and retries with
asynchronous invocation".
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

from broker.core.message import Delivery
from broker.core.queue import Queue
from broker.errors import AwsError, ServiceUnavailable
from broker.services.courier import Courier
from broker.services.function_events import FunctionEvent, decode, events_queue
from broker.services.lambda_.destinations import destination_record, send_dead_letter, send_record
from broker.services.lambda_.errors import ResourceNotFound, TooManyRequests
from broker.services.lambda_.function import FunctionRecord
from broker.services.lambda_.invoke import choose_version
from broker.services.lambda_.names import FunctionName, Target
from broker.services.lambda_.state import Functions
from broker.services.lambda_.workers import Ran, Workers
from broker.services.runtime import Runtime
from broker.store.base import Recovered

RETRIES: Final = 2
AGE_S: Final = 21_600  # six hours
_RETRY_MS: Final = (60_000, 120_000)
_THROTTLED_MS: Final = (1_000, 300_000)  # doubling from the first to the second
_PARALLEL_MAX: Final = 50
_SLACK_MS: Final = 30_000  # a lease is the function's timeout and this
_log = logging.getLogger("pombo.lambda")


class Events:
    """The couriers of all functions with waiting events. Comes after `Functions` among the parts of the runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._couriers: dict[FunctionName, EventCourier] = {}

    def recover(self, recovered: Recovered) -> None:
        for function in self.runtime.part(Functions).by_name.values():
            self.watch(function)

    def forget(self) -> None:
        self._couriers.clear()

    def reset(self) -> None:
        self._couriers.clear()

    def watch(self, function: FunctionRecord) -> None:
        """A function exists: its events are run from now on."""
        courier = self._couriers[function.name] = EventCourier(self, function.name)
        courier.go_on()

    def unwatch(self, name: FunctionName) -> None:
        """The function is gone."""
        self._couriers.pop(name, None)

    def employs(self, courier: "EventCourier") -> bool:
        return self._couriers.get(courier.name) is courier


class EventCourier(Courier):
    """One function's."""

    def __init__(self, events: Events, name: FunctionName) -> None:
        super().__init__(events.runtime)
        self.name = name
        self._events = events
        self._under_way = 0

    def find(self) -> Queue | None:
        if not self._events.employs(self):
            return None
        return self.runtime.engine.find_internal_queue(events_queue(self.name.arn))

    def room(self) -> int:
        return _PARALLEL_MAX - self._under_way

    def visibility_ms(self, queue: Queue) -> int:
        function = self.runtime.part(Functions).by_name.get(self.name)
        longest = 0 if function is None else max(v.settings.timeout_s for v in function.versions.values())
        return longest * 1_000 + _SLACK_MS

    def carry(self, leased: Sequence[Delivery]) -> None:
        self._under_way += len(leased)
        for one in leased:
            self.runtime.start_work(self._run(one))

    async def _run(self, leased: Delivery) -> None:
        try:
            durable = self.runtime.durable()
            if durable is not None:
                await durable
            event = decode(leased.body)
            ran, throttled = await self._attempt(event)
            await self.runtime.call(self._record, leased, event, ran, throttled)
        except ServiceUnavailable as error:
            _log.warning("an event of %s is run again: %s", self.name.arn, error)
        finally:
            self._under_way -= 1
        await self.runtime.call(self.go_on)

    async def _attempt(self, event: FunctionEvent) -> tuple[Ran | None, bool]:
        """What came of it; None where it could not be run, and whether that was for want of room."""
        target = Target(self.name, event.qualifier)
        try:
            function, version = await self.runtime.call(choose_version, self.runtime, target)
            ran = await self.runtime.part(Workers).invoke(
                function,
                version,
                target,
                event.payload,
                request_id=event.request_id,
                client_context=event.client_context,
                trace_header=event.trace_header,
            )
        except TooManyRequests:
            return None, True
        except ResourceNotFound as error:
            return Ran.failed(error.message), False
        except AwsError as error:
            _log.warning("an event of %s could not be run: %s", self.name.arn, error.message)
            return None, True
        return ran, False

    def _record(self, leased: Delivery, event: FunctionEvent, ran: Ran | None, throttled: bool) -> None:
        """What follows from an attempt, in one transaction."""
        queue = self.find()
        function = self.runtime.part(Functions).by_name.get(self.name)
        if queue is None or function is None:
            return
        engine = self.runtime.engine
        if queue.find_received(engine.check_handle(queue, leased.receipt_handle).message) is None:
            return
        config = _config(function, event.qualifier)
        failed = throttled or ran is None or ran.function_error is not None
        if failed:
            delay_ms = self._delay_ms(config, event, leased.receive_count, throttled=throttled)
            if delay_ms is not None:
                engine.change_visibility(queue, leased.receipt_handle, delay_ms)
                return
        self._tell(function, config, event, ran, leased.receive_count, failed=failed)
        engine.delete(queue, leased.receipt_handle)

    def _delay_ms(self, config: dict[str, Any], event: FunctionEvent, attempts: int, *, throttled: bool) -> int | None:
        """When the event is tried again; None: no more."""
        age_ms = config.get("MaximumEventAgeInSeconds", AGE_S) * 1_000
        if throttled:
            least, most = _THROTTLED_MS
            delay_ms = min(least << min(attempts - 1, 20), most)
        else:
            if attempts > config.get("MaximumRetryAttempts", RETRIES):
                return None
            delay_ms = _RETRY_MS[min(attempts, len(_RETRY_MS)) - 1]
        return None if self.runtime.clock.now_ms() + delay_ms > event.at_ms + age_ms else delay_ms

    def _tell(
        self,
        function: FunctionRecord,
        config: dict[str, Any],
        event: FunctionEvent,
        ran: Ran | None,
        attempts: int,
        *,
        failed: bool,
    ) -> None:
        """Send what the function's configuration wants to be told, and where."""
        destinations = config.get("DestinationConfig") or {}
        wanted = (destinations.get("OnFailure" if failed else "OnSuccess") or {}).get("Destination")
        retries = config.get("MaximumRetryAttempts", RETRIES)
        condition = "Success" if not failed else "RetriesExhausted" if attempts > retries else "EventAgeExceeded"
        dead_letters = function.latest.settings.dead_letter_arn
        if failed and dead_letters:
            send_dead_letter(self.runtime, dead_letters, event, ran)
        if wanted:
            record = destination_record(self.name.arn, event, ran, attempts, condition)
            send_record(self.runtime, wanted, record)


def _config(function: FunctionRecord, qualifier: str | None) -> dict[str, Any]:
    """The event invoke configuration of a version or alias, or the function's."""
    alias = function.aliases.get(qualifier or "")
    if alias is not None and alias.event_invoke is not None:
        return alias.event_invoke
    version = function.versions.get(qualifier or "")
    if version is not None and version.event_invoke is not None:
        return version.event_invoke
    return function.latest.event_invoke or {}
