"""Endpoints without a counterpart here (phones, devices, streams, functions): what would be sent is kept for looking at."""

from broker.services.sns.envelope import lambda_event
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication, unsubscribe_url
from broker.services.sns.topic import Subscription


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """Functions get an event, streams what queues get, phones and devices the text."""
    protocol = subscription.protocol
    if protocol == "lambda":
        signature = publication.signature(protocol)
        if signature is None:
            return
        link = unsubscribe_url(publication.groundwork.base_url, subscription)
        payload: str | None = lambda_event(publication.notification(protocol), subscription.arn, link, signature)
    elif protocol == "firehose" and not subscription.raw:
        payload = publication.envelope(subscription)
    elif protocol == "application":
        payload = publication.text(platform(subscription.endpoint))
    else:
        payload = publication.text(protocol)
    if payload is None:
        return
    published = publication.published
    plan.capture(
        subscription, published.message_id, payload, subject=published.subject, attributes=publication.attributes
    )
    plan.report(subscription, published.message_id, published.at_ms, "SUCCESS")


def platform(endpoint_arn: str) -> str:
    """The push notification service of an endpoint: arn:aws:sns:REGION:ACCOUNT:endpoint/PLATFORM/APPLICATION/ID."""
    return endpoint_arn.split(":", 5)[5].split("/")[1]
