"""Endpoints without a counterpart here (phones, devices, streams, functions): what would be sent is kept for looking at."""

from broker.services.sns.envelope import lambda_event
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication
from broker.services.sns.topic import Subscription


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """Functions get an event, streams what queues get, phones and devices the text."""
    payload = _payload(publication, subscription)
    if payload is None:
        return
    published = publication.published
    plan.capture(
        subscription, published.message_id, payload, subject=published.subject, attributes=publication.attributes
    )
    plan.report(subscription, published.message_id, published.at_ms, "SUCCESS")


def _payload(publication: Publication, subscription: Subscription) -> str | None:
    """What would be sent; None where it must be signed first."""
    protocol, link = subscription.protocol, publication.unsubscribe_url(subscription)
    if protocol == "lambda":
        signature = publication.signature(protocol)
        notification = publication.notification(protocol)
        return None if signature is None else lambda_event(notification, subscription.arn, link, signature)
    if protocol == "firehose" and not subscription.raw:
        envelope = publication.envelope(protocol)
        return None if envelope is None else envelope.document(link)
    return publication.text(platform(subscription.endpoint) if protocol == "application" else protocol)


def platform(endpoint_arn: str) -> str:
    """The push notification service of an endpoint: arn:aws:sns:REGION:ACCOUNT:endpoint/PLATFORM/APPLICATION/ID."""
    return endpoint_arn.split(":", 5)[5].split("/")[1]
