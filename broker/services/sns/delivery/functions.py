"""Deliveries to functions: an asynchronous invocation, handed over in the publish's own transaction.

A function that is not here is a function elsewhere: its event is captured.
"""

from broker.services.function_events import FunctionEvent, encode, events_queue
from broker.services.sns.deliveries import internal_message
from broker.services.sns.delivery import captured
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication
from broker.services.sns.topic import Subscription

_ARN_PARTS = 7  # arn:aws:lambda:REGION:ACCOUNT:function:NAME, and perhaps a qualifier


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """The event goes into the function's internal queue."""
    parts = subscription.endpoint.split(":")
    queue = plan.engine.find_internal_queue(events_queue(":".join(parts[:_ARN_PARTS])))
    if queue is None:
        captured.deliver(plan, publication, subscription)
        return
    written = publication.event()
    if written is None:
        return
    published = publication.published
    payload = written.document(subscription.arn, publication.unsubscribe_url(subscription))
    event = FunctionEvent(
        plan.engine.ledger.chance.uuid(),
        payload.encode(),
        plan.now_ms,
        parts[_ARN_PARTS] if len(parts) > _ARN_PARTS else None,
        None,
        published.trace_header,
    )
    plan.put(queue, internal_message(encode(event)))
    plan.report(subscription, published.message_id, published.at_ms, "SUCCESS")
