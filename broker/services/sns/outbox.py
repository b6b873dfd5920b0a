"""The outboxes: what leaves the process lies in one internal queue per subscription, and a courier empties it.

A courier is a receive that always waits on its queue, so that nothing polls and an idle one costs nothing. It carries several
messages at a time; each is leased while it is on its way. What fails is hidden for as long as the retry policy says, and in the
end goes to the subscription's dead-letter queue, in the transaction that deletes it here. One slow endpoint has only its own
courier. Nothing leaves before the batch that holds it is on disk.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from broker.core.message import Delivery as Leased
from broker.core.queue import Queue
from broker.core.waiting import Waiter
from broker.errors import ServiceUnavailable
from broker.services.runtime import Runtime
from broker.services.sns import outgoing as outgoing_form
from broker.services.sns.delivery_policy import CUSTOMER_MANAGED, RetryPolicy
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.plan import Plan
from broker.services.sns.state import Topics
from broker.services.sns.topic import Subscription
from broker.store.base import Recovered

ATTEMPT_MS: Final = 60_000  # a lease while a message is on its way; transports give up well before
_PARALLEL_MAX: Final = 16  # messages of one subscription that are on their way at once
_SECOND_MS: Final = 1_000
_log = logging.getLogger("pombo.sns")


class Outcome(NamedTuple):
    """How an attempt went. `permanent`: another one would fare no better."""

    delivered: bool
    permanent: bool = False
    status_code: int = 0
    response: str = ""


class Transport(Protocol):
    """What carries messages to one kind of endpoint. An attempt ends within ATTEMPT_MS; it raises nothing."""

    async def send(self, subscription: Subscription, outgoing: Outgoing) -> Outcome: ...

    async def close(self) -> None: ...


class Outboxes:
    """The couriers of a broker. `transports`: by protocol. Comes after `Topics` among the parts of the runtime."""

    def __init__(self, runtime: Runtime, transports: Mapping[str, Transport]) -> None:
        self.runtime = runtime
        self.transports = transports
        self._couriers: dict[str, Courier] = {}  # by subscription ARN
        runtime.part(Topics).outbox_filled = self.wake

    @property
    def topics(self) -> Topics:
        return self.runtime.part(Topics)

    def recover(self, recovered: Recovered) -> None:
        for subscription in self.topics.waiting_to_leave():
            self.wake(subscription)

    def forget(self) -> None:
        self._couriers.clear()

    def reset(self) -> None:
        self._couriers.clear()

    def wake(self, subscription: Subscription) -> None:
        """The subscription's outbox has something in it, or will have in this call."""
        courier = self._couriers.get(subscription.arn)
        if courier is None:
            courier = self._couriers[subscription.arn] = Courier(self, subscription.arn)
            courier.go_on()

    def employs(self, courier: "Courier") -> bool:
        """False for one from before a failed commit."""
        return self._couriers.get(courier.arn) is courier

    def drop(self, arn: str) -> None:
        """The outbox is gone."""
        self._couriers.pop(arn, None)

    async def close(self) -> None:
        """Let go of connections. What is on its way is sent again after the next start."""
        for transport in set(self.transports.values()):
            await transport.close()


class Courier:
    """Empties one outbox."""

    def __init__(self, outboxes: Outboxes, arn: str) -> None:
        self._outboxes = outboxes
        self._runtime = outboxes.runtime
        self.arn = arn
        self._waiter: Waiter | None = None
        self._under_way = 0
        self._second = 0  # the second of message time that `_begun` counts in
        self._begun = 0
        self._due_second = 0  # when it is known to go on

    def go_on(self) -> None:
        """Wait for the next messages, if there is room to carry some. Part of an engine call."""
        found = self._find()
        if found is None or self._waiter is not None or not self._outboxes.employs(self):
            return
        _, outbox = found
        room = min(self._allowed(), _PARALLEL_MAX - self._under_way)
        if room <= 0:
            return
        engine = self._runtime.engine
        self._waiter = Waiter(min(room, 10), ATTEMPT_MS, None, None, lambda: True, self._resume)
        engine.wait(outbox, self._waiter)
        engine.serve(outbox)

    def _find(self) -> tuple[Subscription, Queue] | None:
        """The subscription and its outbox, while there are such."""
        topics = self._outboxes.topics
        subscription = topics.subscriptions.get(self.arn) or topics.ended.get(self.arn)
        outbox = None if subscription is None else topics.engine.find_internal_queue(subscription.outbox)
        if subscription is None or outbox is None:
            self._outboxes.drop(self.arn)
            return None
        return subscription, outbox

    def _allowed(self) -> int:
        """How many attempts may begin in this second of message time; where none, the courier goes on in the next."""
        topics = self._outboxes.topics
        subscription = topics.subscriptions.get(self.arn)
        policy = None if subscription is None else subscription.policy
        if policy is None or policy.max_receives_per_second is None:
            return _PARALLEL_MAX
        second = self._this_second()
        allowed = policy.max_receives_per_second - self._begun
        if allowed <= 0:
            if self._due_second <= second:
                self._due_second = second + 1
                self._runtime.deadlines.add(self._due_second * _SECOND_MS, self.go_on)
        return allowed

    def _this_second(self) -> int:
        second = self._runtime.clock.now_ms() // _SECOND_MS
        if second != self._second:
            self._second, self._begun = second, 0
        return second

    def _resume(self, leased: Sequence[Leased] | None) -> None:
        """Messages are leased; or (None) rows are absent, or the queue is gone."""
        self._waiter = None
        if leased is None:
            self._runtime.start_work(self._fetch())
            return
        self._carry(leased)

    async def _fetch(self) -> None:
        """Bring in what the receive could not do without, and go on."""
        leased = await self._runtime.insist(self._receive)
        if leased is None:
            return  # after a failed commit another courier has been employed
        self._carry(leased)
        if not leased:
            await self._runtime.call(self.go_on)

    def _receive(self) -> Sequence[Leased]:
        found = self._find()
        room = min(self._allowed(), _PARALLEL_MAX - self._under_way, 10)
        if found is None or room <= 0 or self._waiter is not None or not self._outboxes.employs(self):
            return ()
        return self._runtime.engine.receive(found[1], room, ATTEMPT_MS)

    def _carry(self, leased: Sequence[Leased]) -> None:
        self._this_second()
        self._under_way += len(leased)
        self._begun += len(leased)
        for one in leased:
            self._runtime.start_work(self._attempt(one))
        if leased:
            self.go_on()

    async def _attempt(self, leased: Leased) -> None:
        try:
            durable = self._runtime.durable()
            if durable is not None:
                await durable
            outgoing = outgoing_form.decode(leased.body)
            found = self._find()
            if found is not None:
                subscription = found[0]
                transport = self._outboxes.transports.get(subscription.protocol)
                outcome = None if transport is None else await transport.send(subscription, outgoing)
                await self._settle(leased, outgoing, outcome)
        finally:
            self._under_way -= 1
        await self._runtime.call(self.go_on)

    async def _settle(self, leased: Leased, outgoing: Outgoing, outcome: Outcome | None) -> None:
        try:
            await self._runtime.call(self._record, leased, outgoing, outcome)
        except ServiceUnavailable as error:
            # There is no room for the dead letter or the record now; the lease ends, and the message is sent again.
            _log.warning("what became of message %s cannot be recorded: %s", outgoing.message_id, error)

    def _record(self, leased: Leased, outgoing: Outgoing, outcome: Outcome | None) -> None:
        """What follows from an attempt, in one transaction. None: there is no mail server any more, so it is captured."""
        found = self._find()
        if found is None:
            return
        subscription, outbox = found
        engine = self._runtime.engine
        receipt = engine.check_handle(outbox, leased.receipt_handle)
        message = outbox.find_received(receipt.message)
        if message is None:
            return
        delay_ms = None
        if outcome is not None and not outcome.delivered and not outcome.permanent:
            delay_ms = _retries(subscription).delay_ms(leased.receive_count)
        if delay_ms is not None:
            engine.change_visibility(outbox, leased.receipt_handle, delay_ms)
            return
        plan = Plan(self._outboxes.topics)
        if outcome is None:
            plan.leave(subscription, outgoing)
        elif outgoing.kind == "Notification":
            if not outcome.delivered:
                plan.give_up(subscription, outgoing.body, f"{outcome.status_code} {outcome.response}")
            plan.report(
                subscription,
                outgoing.message_id,
                outgoing.at_ms,
                "SUCCESS" if outcome.delivered else "FAILURE",
                attempts=leased.receive_count,
                status_code=outcome.status_code,
                response=outcome.response,
            )
        # What may raise comes first; filling another queue may push the message that is deleted here out of memory.
        plan.require_room()
        engine.delete(outbox, leased.receipt_handle)
        plan.apply()


def _retries(subscription: Subscription) -> RetryPolicy:
    """HTTP has a policy of its own; e-mail the one of endpoints that AWS's customers run."""
    return CUSTOMER_MANAGED if subscription.policy is None else subscription.policy.retries
