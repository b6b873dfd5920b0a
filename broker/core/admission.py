"""Admission: the rules that a message must keep before a queue takes it, whoever sends it.

SQS's sends come through here and so will every other service's, so that none can put into a queue what SendMessage
would refuse. Knows nothing of requests: the shape of a message attribute (its name, type and format) is the sender's own to
check, its size and its characters are the queue's. Source: SQS API Reference, SendMessage; Developer Guide, Quotas.
"""

import re
from collections.abc import Sequence
from hashlib import md5, sha256
from typing import Final, NamedTuple

from broker.core.content import Attribute
from broker.core.errors import InvalidMessageContents, InvalidParameterValue, MissingParameter
from broker.core.message import Admitted
from broker.core.settings import QueueSettings

DELAY_S_MAX: Final = 900

_ID_MAX: Final = 128
_CONTROLS: Final = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D})
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_PRINTABLE: Final = re.compile(r"[^ -~]")
_NONCHARACTERS: Final = ("\ufffe".encode(), "\uffff".encode())
_ALLOWED: Final = (
    "the set of allowed characters is #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]."
)
_WRONG_TYPE: Final = "The request include parameter that is not valid for this queue type."


class Body(NamedTuple):
    """A body that has passed the character rule: for many queues, it is read once."""

    content: bytes  # UTF-8
    md5: str

    @classmethod
    def read(cls, text: str) -> "Body":
        """Raises MissingParameter, InvalidMessageContents."""
        if not text:
            raise MissingParameter("MessageBody")
        content = _encode_body(text)
        return cls(content, md5(content, usedforsecurity=False).hexdigest())


def admit(
    settings: QueueSettings,
    *,
    body: str | Body,
    attributes: tuple[Attribute, ...],
    delay_s: int | None,
    group: str | None,
    deduplication_id: str | None,
    sender: str,
    trace_header: str | None,
    in_batch: bool,
) -> Admitted:
    """The message in the form that `Engine.send` takes.

    `delay_s` None: the queue's. `in_batch` only chooses AWS's text. Raises MissingParameter, InvalidParameterValue and
    InvalidMessageContents. Whoever sends several at once calls `require_fifo_ids` first: that error fails all of them.
    """
    if isinstance(body, str):
        body = Body.read(body)
    size = len(body.content) + (attributes_bytes(attributes) if attributes else 0)
    if size > settings.message_bytes_max:
        verb = "cannot be validated" if in_batch else "are invalid"
        raise InvalidParameterValue(
            f"One or more parameters {verb}. Reason: Message must be shorter than {settings.message_bytes_max} bytes."
        )
    for attribute in attributes:
        _check_attribute_characters(attribute)
    return Admitted(
        body.content,
        body.md5,
        attributes,
        _delay_ms(settings, delay_s),
        _group(settings, group, deduplication_id, in_batch),
        _deduplication_id(settings, deduplication_id, body.content),
        _printable(sender),
        None if trace_header is None else _printable(trace_header),
    )


def require_fifo_ids(
    settings: QueueSettings, group: str | None, deduplication_id: str | None, *, in_batch: bool
) -> None:
    """A message of a FIFO queue needs a group, and a deduplication ID unless the queue makes one of the body."""
    if not settings.fifo:
        return
    if not group:
        missing = MissingParameter("MessageGroupId")
        raise InvalidParameterValue(missing.message) if in_batch else missing
    if deduplication_id is None and not settings.content_based_deduplication:
        raise InvalidParameterValue(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
            "explicitly"
        )


def attributes_bytes(attributes: Sequence[Attribute]) -> int:
    """What message attributes count towards a message's size: names, types and values in UTF-8."""
    return sum(len(a.name.encode()) + len(a.data_type.encode()) + len(a.value) for a in attributes)


def check_id(parameter: str, value: str) -> None:
    """A group, deduplication or receive attempt ID: 1 to 128 ASCII letters, digits and punctuation marks."""
    if not (0 < len(value) <= _ID_MAX and value.isascii() and value.isprintable() and " " not in value):
        raise InvalidParameterValue(
            f"Value {value} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric "
            "and punctuation characters. 1 to 128 in length."
        )


def characters_allowed(encoded: bytes) -> bool:
    """Whether UTF-8 text holds XML's characters only. Each step is one pass in C."""
    if len(encoded.translate(None, _CONTROLS)) != len(encoded):
        return False
    return encoded.isascii() or not any(noncharacter in encoded for noncharacter in _NONCHARACTERS)


def wrong_queue_type(parameter: str, value: object) -> InvalidParameterValue:
    """The error for a parameter that only the other queue type has."""
    return InvalidParameterValue(f"Value {value} for parameter {parameter} is invalid. Reason: {_WRONG_TYPE}")


def _group(settings: QueueSettings, group: str | None, deduplication_id: str | None, in_batch: bool) -> str | None:
    require_fifo_ids(settings, group, deduplication_id, in_batch=in_batch)
    if group is not None:
        check_id("MessageGroupId", group)
    return group


def _deduplication_id(settings: QueueSettings, given: str | None, encoded: bytes) -> str | None:
    if not settings.fifo:
        if given is not None:
            raise wrong_queue_type("MessageDeduplicationId", given)
        return None
    if given is None:
        return sha256(encoded).hexdigest()
    check_id("MessageDeduplicationId", given)
    return given


def _delay_ms(settings: QueueSettings, delay_s: int | None) -> int | None:
    if delay_s is None:
        return None
    if not 0 <= delay_s <= DELAY_S_MAX:
        raise InvalidParameterValue(
            f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and "
            f"<= {DELAY_S_MAX}."
        )
    if settings.fifo:
        # Observed: zero is accepted on a FIFO queue, and the queue's own delay applies (recorded 07-2025).
        if delay_s:
            raise wrong_queue_type("DelaySeconds", delay_s)
        return None
    return delay_s * 1000


def _printable(text: str) -> str:
    """What headers say may be any bytes; what is kept of them can be stored and shown in every protocol."""
    return text if text.isascii() and text.isprintable() else _NOT_PRINTABLE.sub("?", text)


def _encode_body(body: str) -> bytes:
    try:
        encoded = body.encode()
    except UnicodeEncodeError:
        raise InvalidMessageContents(_forbidden(body, "message body")) from None
    if not characters_allowed(encoded):
        raise InvalidMessageContents(_forbidden(body, "message body"))
    return encoded


def _check_attribute_characters(attribute: Attribute) -> None:
    # The type's label too has "the same restrictions as the message body" (Developer Guide, message metadata).
    if not characters_allowed(attribute.data_type.encode()):
        raise InvalidParameterValue(_forbidden(attribute.data_type, f"message attribute '{attribute.name}' type"))
    if attribute.data_type.startswith("Binary") or characters_allowed(attribute.value):
        return
    # AWS answers another code than for the body here.
    text = attribute.value.decode("utf-8", "surrogatepass")
    raise InvalidParameterValue(_forbidden(text, f"message attribute '{attribute.name}' value"))


def _forbidden(text: str, place: str) -> str:
    found = _FORBIDDEN.search(text)
    assert found is not None
    return f"Invalid binary character '#x{ord(found[0]):X}' was found in the {place}, {_ALLOWED}"
