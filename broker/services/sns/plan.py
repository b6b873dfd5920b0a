"""What one publish does: messages for queues, gathered first and applied together.

Protocols add to the plan and change nothing. `apply` makes all of it one transaction.
"""

import logging
from typing import Final

from broker.core.admission import Body, admit, require_fifo_ids
from broker.core.content import Attribute
from broker.core.engine import Engine
from broker.core.message import Admitted
from broker.core.queue import Queue
from broker.core.settings import QueueName
from broker.errors import AwsError, ServiceUnavailable
from broker.services.sns.deliveries import Delivery, Status, encode, internal_message, records_queue
from broker.services.sns.message_rules import attribute_view
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.outgoing import encode as encode_outgoing
from broker.services.sns.state import Topics
from broker.services.sns.topic import Subscription

SENDER: Final = "AIDAIT2UOQQY3AUEKVGXU"  # the SenderId of what SNS sends to queues on AWS
_ATTRIBUTES_MAX: Final = 10
_log = logging.getLogger("pombo.sns")


class Undeliverable(Exception):
    """A queue does not take the message: it is not there, or its rules forbid it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def require_room(engine: Engine, messages: int) -> None:
    """Raise ServiceUnavailable if so many messages cannot be accepted now."""
    if messages and not engine.ledger.journal.room_for_messages:
        raise ServiceUnavailable("The service is temporarily unavailable: there is no room for messages on the disk.")
    engine.ledger.reserve(messages)


class Plan:
    """See the module's text."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.engine = topics.engine
        self.now_ms = topics.engine.ledger.now_ms()
        self._parcels: dict[Queue, list[Admitted]] = {}
        self._leaving: dict[Subscription, None] = {}

    def apply(self) -> None:
        """Send everything. Raises Absent, ServiceUnavailable; nothing has happened then."""
        if self._parcels:
            self.engine.fan_out(list(self._parcels.items()))
        for subscription in self._leaving:
            self.topics.outbox_filled(subscription)

    def require_room(self) -> None:
        """Raise ServiceUnavailable where `apply` would. What follows in this call may change something before it applies a plan
        for standard queues alone.
        """
        require_room(self.engine, sum(map(len, self._parcels.values())))

    def put(self, queue: Queue, message: Admitted) -> None:
        """A message for a queue that takes it."""
        parcel = self._parcels.get(queue)
        if parcel is None:
            self._parcels[queue] = [message]
        else:
            parcel.append(message)

    def leave(self, subscription: Subscription, outgoing: Outgoing) -> None:
        """A message on its way out of the process. Without a mail server, e-mail is captured."""
        if subscription.protocol.startswith("email") and not self.topics.mail_leaves:
            self.capture(subscription, outgoing.message_id, outgoing.body, subject=outgoing.subject)
            return
        self.put(self.engine.internal_queue(subscription.outbox), internal_message(encode_outgoing(outgoing)))
        self._leaving[subscription] = None

    def capture(
        self,
        subscription: Subscription,
        message_id: str,
        payload: str,
        *,
        subject: str | None = None,
        attributes: tuple[Attribute, ...] = (),
    ) -> None:
        """A message whose endpoint has no counterpart here."""
        name = subscription.record.topic
        self.record(
            name.account,
            name.region,
            Delivery(
                status="captured",
                protocol=subscription.protocol,
                destination=subscription.shown_endpoint,
                message_id=message_id,
                timestamp=self.now_ms,
                topic_arn=name.arn,
                subscription_arn=subscription.arn,
                subject=subject,
                payload=payload,
                message_attributes=attribute_view(attributes),
            ),
        )

    def send(
        self,
        target: QueueName,
        body: str | Body,
        *,
        attributes: tuple[Attribute, ...] = (),
        group: str | None = None,
        deduplication_id: str | None = None,
        trace_header: str | None = None,
    ) -> None:
        """A message for a user's queue, by all of its rules. Raises Undeliverable."""
        queue = self.engine.queues_by_name.get(target)
        if queue is None:
            raise Undeliverable("The specified queue does not exist.")
        if len(attributes) > _ATTRIBUTES_MAX:
            raise Undeliverable(f"A message has at most {_ATTRIBUTES_MAX} attributes.")
        if not queue.settings.fifo:
            deduplication_id = None
        try:
            require_fifo_ids(queue.settings, group, deduplication_id, in_batch=False)
            admitted = admit(
                queue.settings,
                body=body,
                attributes=attributes,
                delay_s=None,
                group=group,
                deduplication_id=deduplication_id,
                sender=SENDER,
                trace_header=trace_header,
                in_batch=False,
            )
        except AwsError as error:
            raise Undeliverable(error.message) from None
        self.put(queue, admitted)

    def give_up(
        self,
        subscription: Subscription,
        body: str | Body,
        reason: str,
        *,
        attributes: tuple[Attribute, ...] = (),
        group: str | None = None,
        deduplication_id: str | None = None,
    ) -> None:
        """What could not be delivered goes to the subscription's dead-letter queue, if it has one that takes it."""
        target = subscription.dead_letters
        if target is not None:
            try:
                self.send(target, body, attributes=attributes, group=group, deduplication_id=deduplication_id)
            except Undeliverable as undeliverable:
                reason = f"{reason} Its dead-letter queue: {undeliverable.reason}"
            else:
                return
        _log.warning("a message to %s is lost, as on AWS: %s", subscription.arn, reason)

    def record(self, account: str, region: str, delivery: Delivery) -> None:
        """A record for looking at."""
        self.put(records_queue(self.engine, account, region), encode(delivery))

    def report(
        self,
        subscription: Subscription,
        message_id: str,
        sent_at_ms: int,
        status: Status,
        *,
        attempts: int = 1,
        status_code: int = 200,
        response: str | None = None,
    ) -> None:
        """A record of how a delivery went, if the topic asks for records of such."""
        wanted = None if subscription.topic is None else subscription.topic.feedback.get(subscription.protocol)
        if wanted is None:
            return
        if status == "SUCCESS":
            if not wanted.success or not self._sampled(wanted.success_percent):
                return
        elif not wanted.failure:
            return
        name = subscription.record.topic
        self.record(
            name.account,
            name.region,
            Delivery(
                status=status,
                protocol=subscription.protocol,
                destination=subscription.shown_endpoint,
                message_id=message_id,
                timestamp=self.now_ms,
                topic_arn=name.arn,
                subscription_arn=subscription.arn,
                attempts=attempts,
                status_code=status_code,
                provider_response=response,
                dwell_time_ms=self.now_ms - sent_at_ms,
            ),
        )

    def _sampled(self, percent: int) -> bool:
        return percent >= 100 or self.engine.ledger.chance.percent() < percent
