"""One published message: what was published, and the texts made of it once for all subscriptions.

What would hold up the event loop is done beside it: a text that must be signed and is not yet, or a filter policy that is to judge
a large message, leads to `Unprepared`; whoever publishes has that done, and publishes again.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from broker.core.admission import Body
from broker.core.content import Attribute
from broker.services.filtering.policy import FilterInput, FilterPolicy
from broker.services.sns.envelope import Envelope, LambdaEvent, Notification, Signature, timestamp_text
from broker.services.sns.records import Published
from broker.services.sns.signatures import notification_text
from broker.services.sns.topic import SignatureVersion, Subscription, Topic

_REPLAYED: Final = Attribute("Replayed", "String", b"true")


def sequence_number(order: int) -> str:
    """The 20-digit SequenceNumber of a FIFO topic's message; grows with its place."""
    return f"1{order:019d}"


class Judgement(NamedTuple):
    """A policy that is to judge a message's text."""

    policy: FilterPolicy
    message_id: str
    text: str
    given: FilterInput


class Unprepared(Exception):
    """Nothing was changed; these texts are to be signed first, and these messages judged by these policies."""

    def __init__(self, version: SignatureVersion, texts: set[str], judgements: list[Judgement]) -> None:
        super().__init__(f"{len(texts)} texts, {len(judgements)} judgements")
        self.version = version
        self.texts = texts
        self.judgements = judgements


class Groundwork(NamedTuple):
    """What was done beside the event loop, and the links that envelopes carry."""

    base_url: str  # of links: the address that the publisher used
    certificate_url: str = ""
    signatures: Mapping[tuple[SignatureVersion, str], str] = {}  # by version and text
    verdicts: Mapping[tuple[FilterPolicy, str, str], bool] = {}  # by policy, message id and text


class Publication:
    """A message on its way to a topic's subscriptions. `heavy`: filter policies judge it beside the event loop."""

    __slots__ = (
        "published",
        "topic",
        "attributes",
        "heavy",
        "groundwork",
        "unsigned",
        "unjudged",
        "_bodies",
        "_inputs",
        "_envelopes",
        "_event",
        "_canonicals",
    )

    def __init__(
        self, published: Published, topic: Topic, groundwork: Groundwork, *, heavy: bool = False, replayed: bool = False
    ) -> None:
        self.published = published
        self.topic = topic
        self.attributes = (*published.attributes, _REPLAYED) if replayed else published.attributes
        self.heavy = heavy
        self.groundwork = groundwork
        self.unsigned: set[str] = set()
        self.unjudged: list[Judgement] = []
        self._bodies: dict[str, Body] = {}
        self._inputs: dict[str, FilterInput] = {}
        self._envelopes: dict[str, Envelope] = {}
        self._event: LambdaEvent | None = None
        self._canonicals: dict[str, str] = {}  # what is signed, by text

    def text(self, protocol: str) -> str:
        """The message for a protocol."""
        by_protocol = self.published.by_protocol
        if by_protocol is None:
            return self.published.message
        return by_protocol.get(protocol, by_protocol["default"])

    def passes(self, subscription: Subscription) -> bool:
        """Whether the subscription's filter policy lets the message through; also False where it must be judged first."""
        policy = subscription.filter
        if policy is None:
            return True
        text = self.text(subscription.protocol)
        if self.heavy:
            verdict = self.groundwork.verdicts.get((policy, self.published.message_id, text))
            if verdict is not None:
                return verdict
        given = self._inputs.get(text)
        if given is None:
            given = self._inputs[text] = FilterInput(self.published.attributes, text)
        if self.heavy:
            self.unjudged.append(Judgement(policy, self.published.message_id, text, given))
            return False
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
        return None if order is None else sequence_number(order)

    def signature(self, protocol: str) -> Signature | None:
        """Of the message for a protocol; None for a FIFO topic, and where it is yet to be signed."""
        if self.topic.fifo:
            return None
        text = self.text(protocol)
        canonical = self._canonicals.get(text)
        if canonical is None:
            canonical = self._canonicals[text] = notification_text(self.notification(protocol))
        signed = self.groundwork.signatures.get((self.topic.signature_version, canonical))
        if signed is None:
            self.unsigned.add(canonical)
            return None
        return Signature(self.topic.signature_version, signed, self.groundwork.certificate_url)

    def body(self, protocol: str) -> Body:
        """The message alone, for a protocol's queues. Raises InvalidMessageContents, MissingParameter (no text)."""
        text = self.text(protocol)
        body = self._bodies.get(text)
        if body is None:
            body = self._bodies[text] = Body.read(text)
        return body

    def envelope(self, protocol: str) -> Envelope | None:
        """The JSON document for a protocol; None where it must be signed first (its text is in `unsigned` then)."""
        text = self.text(protocol)
        envelope = self._envelopes.get(text)
        if envelope is None:
            signature = self.signature(protocol)
            if signature is None and not self.topic.fifo:
                return None
            envelope = self._envelopes[text] = Envelope(self.notification(protocol), signature)
        return envelope

    def event(self) -> LambdaEvent | None:
        """The event for functions; None where it must be signed first."""
        if self._event is None:
            signature = self.signature("lambda")
            if signature is not None:
                self._event = LambdaEvent(self.notification("lambda"), signature)
        return self._event

    def unsubscribe_url(self, subscription: Subscription) -> str:
        """The link that ends a subscription."""
        return f"{self.groundwork.base_url}/?Action=Unsubscribe&SubscriptionArn={quote(subscription.arn, safe=':')}"
