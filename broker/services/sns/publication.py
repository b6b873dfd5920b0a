"""One published message: what was published, and the texts made of it once for all subscriptions.

A text that must be signed and is not yet leads to `Unsigned`: whoever publishes has it signed beside the event loop, and
publishes again.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from broker.core.message import Attribute
from broker.services.sns.envelope import Envelope, Notification, Signature, timestamp_text
from broker.services.sns.filter_policy import FilterInput
from broker.services.sns.signatures import notification_text
from broker.services.sns.topic import Subscription, Topic

SEQUENCE_BASE: Final = 10_000_000_000_000_000_000  # 20 digits, as AWS's
_REPLAYED: Final = Attribute("Replayed", "String", b"true")


class Unsigned(Exception):
    """Nothing was changed; these texts are to be signed first."""

    def __init__(self, texts: set[str]) -> None:
        super().__init__(f"{len(texts)} texts")
        self.texts = texts


class Published(msgspec.Struct, frozen=True, array_like=True):
    """All of a message that outlives its publishing: what an archive keeps."""

    message_id: str
    message: str
    at_ms: int
    subject: str | None = None
    attributes: tuple[Attribute, ...] = ()
    by_protocol: dict[str, str] | None = None  # MessageStructure=json: the texts, "default" among them
    group: str | None = None
    deduplication_id: str | None = None
    order: int | None = None  # FIFO topics: its place
    trace_header: str | None = None
    base_url: str = ""  # of links, when it is replayed


class Signing(NamedTuple):
    """What envelopes need beside the message."""

    base_url: str  # of links: the address that the publisher used
    certificate_url: str
    signatures: Mapping[str, str]  # by text


class Publication:
    """A message on its way to a topic's subscriptions. `signing` None: nothing has been signed yet."""

    __slots__ = ("published", "topic", "attributes", "signing", "unsigned", "_inputs", "_envelopes")

    def __init__(self, published: Published, topic: Topic, signing: Signing, *, replayed: bool = False) -> None:
        self.published = published
        self.topic = topic
        self.attributes = (*published.attributes, _REPLAYED) if replayed else published.attributes
        self.signing = signing
        self.unsigned: set[str] = set()
        self._inputs: dict[str, FilterInput] = {}
        self._envelopes: dict[str, Envelope] = {}

    def text(self, protocol: str) -> str:
        """The message for a protocol."""
        by_protocol = self.published.by_protocol
        if by_protocol is None:
            return self.published.message
        return by_protocol.get(protocol, by_protocol["default"])

    def passes(self, subscription: Subscription) -> bool:
        """Whether the subscription's filter policy lets the message through."""
        policy = subscription.filter
        if policy is None:
            return True
        text = self.text(subscription.protocol)
        given = self._inputs.get(text)
        if given is None:
            given = self._inputs[text] = FilterInput(self.published.attributes, text)
        return policy.matches(given)

    def notification(self, protocol: str) -> Notification:
        """The message in the form that all of SNS's documents are made of."""
        published = self.published
        return Notification(
            message_id=published.message_id,
            topic_arn=self.topic.arn,
            subject=published.subject,
            message=self.text(protocol),
            timestamp=timestamp_text(published.at_ms),
            attributes=self.attributes,
            sequence_number=self.sequence_number,
        )

    @property
    def sequence_number(self) -> str | None:
        order = self.published.order
        return None if order is None else str(SEQUENCE_BASE + order)

    def signature(self, protocol: str) -> Signature | None:
        """Of the message for a protocol; None for a FIFO topic, and where it is yet to be signed."""
        if self.topic.fifo:
            return None
        canonical = notification_text(self.notification(protocol))
        signed = self.signing.signatures.get(canonical)
        if signed is None:
            self.unsigned.add(canonical)
            return None
        return Signature(self.topic.signature_version, signed, self.signing.certificate_url)

    def envelope(self, subscription: Subscription) -> str | None:
        """The JSON document for a subscription; None where it must be signed first (its text is in `unsigned` then)."""
        text = self.text(subscription.protocol)
        envelope = self._envelopes.get(text)
        if envelope is None:
            signature = self.signature(subscription.protocol)
            if signature is None and not self.topic.fifo:
                return None
            envelope = self._envelopes[text] = Envelope(self.notification(subscription.protocol), signature)
        return envelope.for_subscription(unsubscribe_url(self.signing.base_url, subscription))


def unsubscribe_url(base_url: str, subscription: Subscription) -> str:
    """The link that ends a subscription."""
    return f"{base_url}/?Action=Unsubscribe&SubscriptionArn={quote(subscription.arn, safe=':')}"
