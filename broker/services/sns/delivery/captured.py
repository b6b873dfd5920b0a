"""Endpoints without a counterpart here (phones, devices, streams, functions): what would be sent is kept for looking at."""

import re

from broker.services.sns.direct import OPTED_OUT
from broker.services.sns.names import read_endpoint_arn
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication
from broker.services.sns.push_state import Platforms
from broker.services.sns.sms_state import Phones
from broker.services.sns.topic import Subscription


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """Functions get an event, streams what queues get, phones and devices the text, if it may reach them."""
    payload = _payload(publication, subscription)
    if payload is None:
        return
    published = publication.published
    unreachable = _unreachable(plan, subscription)
    if unreachable is not None:
        plan.give_up(subscription, payload, unreachable)
        plan.report(
            subscription,
            published.message_id,
            published.at_ms,
            "FAILURE",
            status_code=400,
            response=unreachable,
        )
        return
    plan.capture(
        subscription, published.message_id, payload, subject=published.subject, attributes=publication.attributes
    )
    plan.report(subscription, published.message_id, published.at_ms, "SUCCESS")


def _payload(publication: Publication, subscription: Subscription) -> str | None:
    """What would be sent; None where it must be signed first."""
    protocol, link = subscription.protocol, publication.unsubscribe_url(subscription)
    if protocol == "lambda":
        event = publication.event()
        return None if event is None else event.document(subscription.arn, link)
    if protocol == "firehose" and not subscription.raw:
        envelope = publication.envelope(protocol)
        return None if envelope is None else envelope.document(link)
    if protocol == "application":
        name, _ = read_endpoint_arn(subscription.endpoint, "Endpoint")
        return publication.text(name.platform)
    return publication.text(protocol)


def _unreachable(plan: Plan, subscription: Subscription) -> str | None:
    """Why a device or a phone does not get the message; None: it does."""
    runtime = plan.topics.runtime
    if subscription.protocol == "application":
        name, identifier = read_endpoint_arn(subscription.endpoint, "Endpoint")
        endpoint = runtime.part(Platforms).endpoint(name, identifier)
        return "Endpoint does not exist" if endpoint is None else endpoint.unreachable
    if subscription.protocol == "sms":
        place = (subscription.record.owner, subscription.record.topic.region)
        number = re.sub(r"[ ()./-]", "", subscription.endpoint)
        return OPTED_OUT if runtime.part(Phones).opted_out(place, number) else None
    return None
