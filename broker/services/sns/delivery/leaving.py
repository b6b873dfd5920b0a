"""Deliveries that leave the process: the document goes into the subscription's outbox, from which `outbox.py` sends it."""

from broker.services.sns.outgoing import Outgoing
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication
from broker.services.sns.topic import Subscription

SUBJECT = "AWS Notification Message"  # of a mail whose message has none


def deliver(plan: Plan, publication: Publication, subscription: Subscription) -> None:
    """HTTP and e-mail-JSON get the envelope, raw HTTP and e-mail the message."""
    body = _body(publication, subscription)
    if body is None:
        return
    published = publication.published
    subject = published.subject or SUBJECT
    plan.leave(
        subscription,
        Outgoing("Notification", published.message_id, body, published.at_ms, subject, subscription.raw),
    )


def _body(publication: Publication, subscription: Subscription) -> str | None:
    """What is sent; None where it must be signed first."""
    protocol, link = subscription.protocol, publication.unsubscribe_url(subscription)
    if protocol == "email":
        return f"{publication.text(protocol)}\n\n--\nTo stop receiving messages of this topic, open {link}\n"
    if subscription.raw:
        return publication.text(protocol)
    envelope = publication.envelope(protocol)
    return None if envelope is None else envelope.document(link)
