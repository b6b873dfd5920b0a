"""Deliveries that leave the process: the document goes into the subscription's outbox, from which `outbox.py` sends it."""

from broker.services.sns.outgoing import Outgoing
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication, unsubscribe_url
from broker.services.sns.topic import Subscription

SUBJECT = "AWS Notification Message"  # of a mail whose message has none


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """HTTP and e-mail-JSON get the envelope, raw HTTP and e-mail the message."""
    published = publication.published
    if subscription.protocol == "email":
        link = unsubscribe_url(publication.groundwork.base_url, subscription)
        body: str | None = f"{publication.text('email')}\n\n--\nTo stop receiving messages of this topic, open {link}\n"
    elif subscription.raw:
        body = publication.text(subscription.protocol)
    else:
        body = publication.envelope(subscription)
    if body is None:
        return
    outgoing = Outgoing(
        "Notification",
        published.message_id,
        body,
        published.at_ms,
        published.subject or SUBJECT,
        subscription.raw,
    )
    plan.leave(subscription, outgoing)
