"""ConfirmSubscription, and the letters that ask for it: SubscriptionConfirmation and UnsubscribeConfirmation.

A letter is written and signed before the engine call that sends it, as signing may take a while.
"""

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from broker.services.context import Call
from broker.services.sns.envelope import Signature, confirmation, timestamp_text
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.names import TopicName, read_topic_arn
from broker.services.sns.outgoing import Kind, Outgoing
from broker.services.sns.plan import Plan, Undeliverable, require_room
from broker.services.sns.service import SERVICE
from broker.services.sns.signatures import confirmation_text
from broker.services.sns.signer import Signer
from broker.services.sns.state import Topics
from broker.services.sns.topic import Subscription, Topic


class ConfirmSubscriptionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    token: str
    authenticate_on_unsubscribe: str | None = None


class ConfirmSubscriptionResult(msgspec.Struct, rename="pascal"):
    subscription_arn: str


@SERVICE.operation("ConfirmSubscription", ConfirmSubscriptionRequest, ConfirmSubscriptionResult, at_queue=False)
async def confirm_subscription(call: Call, request: ConfirmSubscriptionRequest) -> ConfirmSubscriptionResult:
    """Confirm the subscription that the token was sent for, within two days. Needs no signature."""
    name = read_topic_arn(request.topic_arn)
    guarded = (request.authenticate_on_unsubscribe or "").lower() == "true"
    arn = await call.runtime.call(_confirm, call, name, request.token, guarded)
    return ConfirmSubscriptionResult(arn)


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed document that carries a token."""

    kind: Kind
    token: str
    message_id: str
    document: str
    link: str

    @staticmethod
    def require_room(topics: Topics) -> None:
        """Raise ServiceUnavailable where `send` would: whoever changes anything before it asks this first."""
        require_room(topics.engine, _RESERVED)

    def send(self, topics: Topics, subscription: Subscription) -> None:
        """Put it on its way to the endpoint. Part of an engine call; raises Absent before anything is changed by it."""
        plan = Plan(topics)
        if subscription.protocol == "sqs":
            assert subscription.queue is not None
            try:
                plan.send(subscription.queue, self.document)
            except Undeliverable as undeliverable:
                plan.give_up(subscription, self.document, undeliverable.reason)
        else:
            text = self.document if subscription.protocol != "email" else self._mail(subscription)
            outgoing = Outgoing(self.kind, self.message_id, text, plan.now_ms, _SUBJECTS[self.kind])
            plan.leave(subscription, outgoing)
        plan.apply()

    def _mail(self, subscription: Subscription) -> str:
        return (
            f"This address was subscribed to the topic {subscription.record.topic.arn}.\n\n"
            f"Confirm by opening this link within two days:\n{self.link}\n\n"
            "Nothing will be sent to you if you do not.\n"
        )


_RESERVED = 4  # sequence numbers for an outbox that is made, one that is purged, and the letter
_SUBJECTS = {
    "SubscriptionConfirmation": "AWS Notification - Subscription Confirmation",
    "UnsubscribeConfirmation": "AWS Notification - Unsubscribe Confirmation",
    "Notification": "AWS Notification Message",
}


async def prepare_letter(call: Call, topic: Topic, kind: Kind, protocol: str, subscription_arn: str = "") -> Letter:
    """Write and sign a letter. `subscription_arn`: the one that has ended, for an UnsubscribeConfirmation."""
    chance = call.runtime.chance
    token, message_id = (chance.token() + chance.token() + chance.token()).hex(), chance.uuid()
    timestamp = timestamp_text(call.runtime.clock.now_ms())
    link = f"{call.base_url}/?Action=ConfirmSubscription&TopicArn={quote(topic.arn, safe=':')}&Token={token}"
    details = {
        "kind": kind,
        "message_id": message_id,
        "token": token,
        "topic_arn": topic.arn,
        "subscription_arn": subscription_arn,
        "subscribe_url": link,
        "timestamp": timestamp,
    }
    text = confirmation_text(**details)
    signer = call.runtime.part(Signer)
    signed = (await signer.sign([text], topic.signature_version))[text]
    signature = Signature(topic.signature_version, signed, signer.certificate_url(call.base_url))
    return Letter(kind, token, message_id, confirmation(**details, signature=signature), link)


def _confirm(call: Call, name: TopicName, token: str, guarded: bool) -> str:
    topics = call.runtime.part(Topics)
    topics.find(name)
    subscription = topics.by_token.get(token)
    expired = subscription is not None and subscription.record.token_until_ms <= topics.engine.ledger.now_ms()
    if subscription is None or subscription.record.topic != name or expired:
        raise InvalidParameter("Token")
    if not subscription.record.confirmed or subscription.record.ended or (guarded and call.signed):
        subscription = topics.confirm(subscription, signed=call.signed, guarded=guarded and call.signed)
    return subscription.arn
