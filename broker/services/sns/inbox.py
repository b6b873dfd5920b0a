"""Publishes what other services hand over: their internal queue of messages for topics is emptied by a courier."""

import logging
from collections.abc import Sequence
from typing import Final

from broker.core.message import Delivery
from broker.core.queue import Queue
from broker.errors import AwsError, ServiceUnavailable
from broker.services.context import Call
from broker.services.courier import Courier
from broker.services.runtime import Runtime
from broker.services.sns.message_rules import Draft
from broker.services.sns.names import TopicName, read_topic_arn
from broker.services.sns.publishing import publish_all
from broker.services.topic_messages import QUEUE, TopicMessage, decode
from broker.store.base import Recovered

_LEASE_MS: Final = 60_000
_PARALLEL_MAX: Final = 10
_log = logging.getLogger("pombo.sns")


class Inbox(Courier):
    """One per broker. `base_url`: of links in what is published. Comes after `Topics` among the parts of the runtime."""

    def __init__(self, runtime: Runtime, base_url: str) -> None:
        super().__init__(runtime)
        self._base_url = base_url
        self._under_way = 0
        runtime.engine.created.append(self._queue_created)

    def recover(self, recovered: Recovered) -> None:
        self.go_on()

    def forget(self) -> None:
        self._waiter = None

    def reset(self) -> None:
        """The queue goes with all others; the next message makes it anew."""
        self.stop()

    def find(self) -> Queue | None:
        return self.runtime.engine.find_internal_queue(QUEUE)

    def room(self) -> int:
        return _PARALLEL_MAX - self._under_way

    def visibility_ms(self, queue: Queue) -> int:
        return _LEASE_MS

    def carry(self, leased: Sequence[Delivery]) -> None:
        self._under_way += len(leased)
        for one in leased:
            self.runtime.start_work(self._publish(one))

    async def _publish(self, leased: Delivery) -> None:
        message = decode(leased.body)
        try:
            durable = self.runtime.durable()
            if durable is not None:
                await durable
            await self._publish_one(message)
            await self.runtime.call(self._done, leased)
        except ServiceUnavailable as error:
            _log.warning("a message for %s is published later: %s", message.topic_arn, error)
        finally:
            self._under_way -= 1
        await self.runtime.call(self.go_on)

    async def _publish_one(self, message: TopicMessage) -> None:
        try:
            name = read_topic_arn(message.topic_arn)
            draft = Draft(message.message, None, message.attributes, None, None, None, len(message.message.encode()))
            (outcome,) = await publish_all(self._call(name), name, [lambda _topic: draft])
        except ServiceUnavailable:
            raise
        except AwsError as error:
            outcome = error
        if isinstance(outcome, AwsError):
            _log.warning("a message for %s is lost: %s", message.topic_arn, outcome.message)

    def _call(self, name: TopicName) -> Call:
        account, region = name.account, name.region
        return Call(self.runtime, "query", account, region, True, account, self._base_url, "/", "", None, lambda: True)

    def _queue_created(self, queue: Queue) -> None:
        if queue is self.find():
            self.go_on()

    def _done(self, leased: Delivery) -> None:
        queue = self.find()
        if queue is not None:
            self.runtime.engine.delete(queue, leased.receipt_handle)
