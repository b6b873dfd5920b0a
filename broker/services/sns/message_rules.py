"""What may be published: the message, its subject, structure, attributes and FIFO ids. Source: SNS API Reference, Publish."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple, Protocol

import orjson

from broker.core.content import Attribute
from broker.services.sns.errors import InvalidParameter, ParameterValueInvalid
from broker.services.sns.message_shapes import MessageAttributeValue
from broker.services.sns.topic import MESSAGE_BYTES_DEFAULT, Topic

_SUBJECT_MAX: Final = 100
_SUBJECT: Final = re.compile(r"[^\x00-\x20\x7f][^\x00-\x1f\x7f]*")
_NAME_MAX: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_KINDS: Final = ("String", "Number", "Binary")
_FIFO_ID: Final = re.compile(r"[!-~]{1,128}")
_STRUCTURE: Final = "Message Structure - "


class Given(Protocol):
    """What Publish and an entry of PublishBatch have in common."""

    message: str
    subject: str | None
    message_structure: str | None
    message_attributes: dict[str, MessageAttributeValue] | None
    message_deduplication_id: str | None
    message_group_id: str | None


class Draft(NamedTuple):
    """A message that passed every check."""

    message: str
    subject: str | None
    attributes: tuple[Attribute, ...]
    by_protocol: dict[str, str] | None
    group: str | None
    deduplication_id: str | None
    size: int  # in bytes, with the attributes


def draft(given: Given, topic: Topic | None = None) -> Draft:
    """The message as it may be published to a topic, or to an endpoint (None). Raises InvalidParameter, ParameterValueInvalid."""
    if not given.message:
        raise InvalidParameter("Empty message")
    subject = given.subject or None
    if subject is not None and (len(subject) >= _SUBJECT_MAX or not _SUBJECT.fullmatch(subject)):
        raise InvalidParameter("Subject")
    if topic is not None:
        _check_ids(given, topic)
    attributes = tuple(_attribute(n, v) for n, v in (given.message_attributes or {}).items())
    length = size(given)
    if length > (MESSAGE_BYTES_DEFAULT if topic is None else topic.message_bytes_max):
        raise InvalidParameter("Message too long")
    by_protocol = None
    if given.message_structure:
        if given.message_structure != "json":
            raise InvalidParameter("MessageStructure")
        by_protocol = _by_protocol(given.message)
    return Draft(
        given.message,
        subject,
        attributes,
        by_protocol,
        given.message_group_id or None,
        given.message_deduplication_id or None,
        length,
    )


def size(given: Given) -> int:
    """What counts towards a message's size: its text, and its attributes' names, types and values, in UTF-8 bytes."""
    total = len(given.message.encode())
    for name, value in (given.message_attributes or {}).items():
        total += len(name.encode()) + len(value.data_type.encode())
        total += len((value.string_value or "").encode()) + len(value.binary_value or b"")
    return total


def require_fifo_ids(given: Given, topic: Topic) -> None:
    """A message to a FIFO topic has a group, and a deduplication ID unless the topic makes one. In a batch, one fails all."""
    if not topic.fifo:
        return
    if not given.message_group_id:
        raise InvalidParameter("The MessageGroupId parameter is required for FIFO topics")
    if not given.message_deduplication_id and not topic.content_based:
        raise InvalidParameter(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
        )


def _check_ids(given: Given, topic: Topic) -> None:
    group, deduplication_id = given.message_group_id, given.message_deduplication_id
    require_fifo_ids(given, topic)
    if deduplication_id and not topic.fifo:
        raise InvalidParameter(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for "
            "this topic type"
        )
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", deduplication_id)):
        if value and not _FIFO_ID.fullmatch(value):
            raise InvalidParameter(
                f"{name} Reason: {name} can only include alphanumeric and punctuation characters. 1 to 128 in length"
            )


def _by_protocol(message: str) -> dict[str, str]:
    """The texts of MessageStructure=json. Values that are not strings are passed over."""
    try:
        document = orjson.loads(message)
    except orjson.JSONDecodeError:
        raise InvalidParameter(f"{_STRUCTURE}JSON message body failed to parse") from None
    texts = {n: v for n, v in document.items() if isinstance(v, str)} if isinstance(document, dict) else {}
    if "default" not in texts:
        raise InvalidParameter(f"{_STRUCTURE}No default entry in JSON message body")
    return texts


def _attribute(name: str, given: MessageAttributeValue) -> Attribute:
    _check_name(name)
    kind = given.data_type.partition(".")[0]
    if not given.data_type:
        raise ParameterValueInvalid(f"The message attribute '{name}' must contain non-empty message attribute type.")
    if kind not in _KINDS:
        raise ParameterValueInvalid(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes "
            "is Binary, Number, and String."
        )
    value: bytes | str | None = given.binary_value if kind == "Binary" else given.string_value
    other = given.string_value if kind == "Binary" else given.binary_value
    if other:
        field = "Binary" if kind == "Binary" else "String"
        raise ParameterValueInvalid(
            f"The message attribute '{name}' with type '{given.data_type}' must use field '{field}'."
        )
    if not value:
        raise ParameterValueInvalid(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type "
            f"'{given.data_type}'."
        )
    if kind == "Number" and not _is_number(value):
        raise ParameterValueInvalid(f"Could not cast message attribute '{name}' value to number.")
    encoded = value if isinstance(value, bytes) else value.encode()
    return Attribute(name, given.data_type, encoded)


def _check_name(name: str) -> None:
    if not name:
        raise InvalidParameter("Message attribute name can not be empty.")
    if len(name) > _NAME_MAX:
        raise InvalidParameter(f"Length of message attribute name must be less than {_NAME_MAX} bytes.")
    if not _NAME.fullmatch(name) or name[0] == "." or name[-1] == "." or ".." in name:
        raise InvalidParameter(f"Message attribute name '{name}' is not valid.")


def _is_number(value: str | bytes) -> bool:
    try:
        return isinstance(value, str) and len(value) <= 256 and Decimal(value).is_finite()
    except InvalidOperation:
        return False


def attribute_view(attributes: tuple[Attribute, ...]) -> dict[str, dict[str, str]] | None:
    """Message attributes for looking at: {name: {"Type", "Value"}}, a Binary value in hexadecimal digits."""
    if not attributes:
        return None
    return {
        a.name: {
            "Type": a.data_type,
            "Value": a.value.hex() if a.data_type.startswith("Binary") else a.value.decode(),
        }
        for a in attributes
    }
