"""Deliveries to SQS queues: in the publish's own transaction, as the envelope or raw with the message's attributes."""

from broker.core.admission import Body
from broker.core.errors import InvalidMessageContents, MissingParameter
from broker.services.sns.plan import Plan, Undeliverable
from broker.services.sns.publication import Publication
from broker.services.sns.topic import Subscription


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """A queue that does not take the message is a client error: the message is given up at once."""
    published = publication.published
    try:
        body = _body(publication, subscription)
    except (InvalidMessageContents, MissingParameter) as error:
        _report_failure(plan, publication, subscription, error.message)  # nor would a dead-letter queue take it
        return
    if body is None:
        return
    target = subscription.queue
    assert target is not None
    attributes = publication.attributes if subscription.raw else ()
    group, deduplication_id = published.group, published.deduplication_id
    try:
        plan.send(
            target,
            body,
            attributes=attributes,
            group=group,
            deduplication_id=deduplication_id,
            trace_header=published.trace_header,
        )
    except Undeliverable as undeliverable:
        plan.give_up(
            subscription,
            body,
            undeliverable.reason,
            attributes=attributes,
            group=group,
            deduplication_id=deduplication_id,
        )
        _report_failure(plan, publication, subscription, undeliverable.reason)
    else:
        plan.report(subscription, published.message_id, published.at_ms, "SUCCESS")


def _body(publication: Publication, subscription: Subscription) -> Body | None:
    """What the queue gets; None where it must be signed first. Raises InvalidMessageContents, MissingParameter (no text)."""
    if subscription.raw:
        return publication.body("sqs")
    envelope = publication.envelope("sqs")
    return None if envelope is None else envelope.body(publication.unsubscribe_url(subscription))


def _report_failure(plan: Plan, publication: Publication, subscription: Subscription, reason: str) -> None:
    published = publication.published
    plan.report(subscription, published.message_id, published.at_ms, "FAILURE", status_code=400, response=reason)
