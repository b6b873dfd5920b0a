"""The JSON documents that SNS sends, in AWS's layout: two spaces, " : " between name and value, an attribute to a line.

Source: SNS Developer Guide, "HTTP/HTTPS notification JSON format", "Parsing message formats"; "Fanout to Lambda functions".
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import Any, Final, NamedTuple

import orjson

from broker.core.admission import Body, characters_allowed
from broker.core.content import Attribute

_EVENT_VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class Notification:
    """What is told of a published message, for one protocol."""

    message_id: str
    topic_arn: str
    subject: str | None
    message: str
    timestamp: str
    attributes: tuple[Attribute, ...] = ()
    sequence_number: str | None = None


class Signature(NamedTuple):
    """What makes a document verifiable."""

    version: str
    signature: str  # base64
    certificate_url: str


class Envelope:
    """A notification's document. Only UnsubscribeURL differs between subscriptions, so the rest is written once."""

    __slots__ = ("_before", "_after", "_allowed", "_hashed")

    def __init__(self, notification: Notification, signature: Signature | None) -> None:
        fields: list[tuple[str, str | None]] = [
            ("Type", "Notification"),
            ("MessageId", notification.message_id),
            ("SequenceNumber", notification.sequence_number),
            ("TopicArn", notification.topic_arn),
            ("Subject", notification.subject),
            ("Message", notification.message),
            ("Timestamp", notification.timestamp),
            *_signed(signature),
        ]
        self._before = ("{\n" + _lines(fields) + ',\n  "UnsubscribeURL" : ').encode()
        self._after = (_attribute_lines(notification.attributes) + "\n}").encode()
        self._allowed = characters_allowed(self._before) and characters_allowed(self._after)
        self._hashed = md5(self._before, usedforsecurity=False)

    def document(self, unsubscribe_url: str) -> str:
        """The document for a subscription."""
        return (self._before + _quoted(unsubscribe_url).encode() + self._after).decode()

    def body(self, unsubscribe_url: str) -> Body:
        """The same as a queue takes it; its MD5 goes on from the common part. Raises InvalidMessageContents."""
        rest = _quoted(unsubscribe_url).encode() + self._after
        if not self._allowed:
            return Body.read((self._before + rest).decode())  # raises, and names the character
        hashed = self._hashed.copy()
        hashed.update(rest)
        return Body(self._before + rest, hashed.hexdigest())


def confirmation(
    *,
    kind: str,
    message_id: str,
    token: str,
    topic_arn: str,
    subscription_arn: str,
    subscribe_url: str,
    timestamp: str,
    signature: Signature,
) -> str:
    """A SubscriptionConfirmation or UnsubscribeConfirmation. `subscription_arn`: the one that has ended, of the latter."""
    fields: list[tuple[str, str | None]] = [
        ("Type", kind),
        ("MessageId", message_id),
        ("Token", token),
        ("TopicArn", topic_arn),
        ("Message", confirmation_message(kind, topic_arn, subscription_arn)),
        ("SubscribeURL", subscribe_url),
        ("Timestamp", timestamp),
        *_signed(signature),
    ]
    return "{\n" + _lines(fields) + "\n}"


def confirmation_message(kind: str, topic_arn: str, subscription_arn: str) -> str:
    """The Message of such a document, in AWS's words."""
    if kind == "UnsubscribeConfirmation":
        return (
            f"You have chosen to deactivate subscription {subscription_arn}.\n"
            "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
        )
    return (
        f"You have chosen to subscribe to the topic {topic_arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )


class LambdaEvent:
    """What functions are invoked with. Only EventSubscriptionArn and the link differ between them, so the rest is written once.

    The names of its URLs end in Url here.
    """

    __slots__ = ("_before", "_after")

    def __init__(self, notification: Notification, signature: Signature) -> None:
        before = {
            "Type": "Notification",
            "MessageId": notification.message_id,
            "TopicArn": notification.topic_arn,
            "Subject": notification.subject,
            "Message": notification.message,
            "Timestamp": notification.timestamp,
            "SignatureVersion": signature.version,
            "Signature": signature.signature,
            "SigningCertUrl": signature.certificate_url,
        }
        self._before = orjson.dumps(before)[:-1].decode()
        self._after = orjson.dumps(attribute_values(notification.attributes)).decode()

    def document(self, subscription_arn: str, unsubscribe_url: str) -> str:
        """The event for a subscription."""
        return (
            f'{{"Records":[{{"EventSource":"aws:sns","EventVersion":"{_EVENT_VERSION}",'
            f'"EventSubscriptionArn":{_quoted(subscription_arn)},"Sns":{self._before},'
            f'"UnsubscribeUrl":{_quoted(unsubscribe_url)},"MessageAttributes":{self._after}}}}}]}}'
        )


def lambda_event(notification: Notification, subscription_arn: str, unsubscribe_url: str, signature: Signature) -> str:
    """The event for one subscription alone."""
    return LambdaEvent(notification, signature).document(subscription_arn, unsubscribe_url)


def attribute_values(attributes: Iterable[Attribute]) -> dict[str, Any]:
    """{name: {"Type", "Value"}}; a Binary value in base64."""
    return {
        a.name: {
            "Type": a.data_type,
            "Value": base64.b64encode(a.value).decode() if a.data_type.startswith("Binary") else a.value.decode(),
        }
        for a in attributes
    }


def timestamp_text(at_ms: int) -> str:
    """Milliseconds since the epoch as 2012-05-02T00:54:06.655Z."""
    at = datetime.fromtimestamp(at_ms // 1_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1_000:03}Z"


def _signed(signature: Signature | None) -> list[tuple[str, str | None]]:
    if signature is None:
        return []
    return [
        ("SignatureVersion", signature.version),
        ("Signature", signature.signature),
        ("SigningCertURL", signature.certificate_url),
    ]


def _lines(fields: list[tuple[str, str | None]]) -> str:
    return ",\n".join(f'  "{name}" : {_quoted(value)}' for name, value in fields if value is not None)


def _attribute_lines(attributes: tuple[Attribute, ...]) -> str:
    if not attributes:
        return ""
    values = attribute_values(attributes).items()
    lines = ",\n".join(f"    {_quoted(name)} : {orjson.dumps(value).decode()}" for name, value in values)
    return ',\n  "MessageAttributes" : {\n' + lines + "\n  }"


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
