"""Deliveries to SQS queues: in the publish's own transaction, as the envelope or raw with the message's attributes."""

from broker.services.sns.plan import Plan, Undeliverable
from broker.services.sns.publication import Publication
from broker.services.sns.topic import Subscription


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """A queue that does not take the message is a client error: the message is given up at once."""
    published = publication.published
    body = publication.text("sqs") if subscription.raw else publication.envelope(subscription)
    if body is None:
        return
    attributes = publication.attributes if subscription.raw else ()
    assert subscription.queue is not None
    try:
        plan.send(
            subscription.queue,
            body,
            attributes=attributes,
            group=published.group,
            deduplication_id=published.deduplication_id,
            trace_header=published.trace_header,
        )
    except Undeliverable as undeliverable:
        plan.give_up(
            subscription,
            body,
            undeliverable.reason,
            attributes=attributes,
            group=published.group,
            deduplication_id=published.deduplication_id,
        )
        plan.report(
            subscription,
            published.message_id,
            published.at_ms,
            "FAILURE",
            status_code=400,
            response=undeliverable.reason,
        )
    else:
        plan.report(subscription, published.message_id, published.at_ms, "SUCCESS")
