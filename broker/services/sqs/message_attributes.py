"""Message attributes: their form in requests and replies, what may be sent, and which of them a receive returns.

Their size and characters are checked at admission. Source: SQS Developer Guide, "Amazon SQS message metadata".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from broker.core.content import Attribute
from broker.core.errors import InvalidParameterValue, UnsupportedOperation
from broker.services.sqs.message_shapes import MessageAttributeValue, ReceivedAttributeValue

ATTRIBUTES_MAX: Final = 10
TRACE_HEADER: Final = "AWSTraceHeader"

_NAME_MAX: Final = 256
_TYPE_MAX: Final = 256
_NAME_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_.-]+")
_OTHER_CHARACTER: Final = re.compile(r"[^A-Za-z0-9_.-]")
_RESERVED: Final = re.compile(r"(?:aws|amazon)\.", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_LEAST: Final = Decimal("-1e128")
_MOST: Final = Decimal("1e126")

Select = Callable[[str], bool]


def read_attributes(given: Mapping[str, MessageAttributeValue] | None) -> tuple[Attribute, ...]:
    """The message attributes of a request. Raises InvalidParameterValue where one breaks a rule."""
    if not given:
        return ()
    if len(given) > ATTRIBUTES_MAX:
        raise InvalidParameterValue(
            f"Number of message attributes [{len(given)}] exceeds the allowed maximum [{ATTRIBUTES_MAX}]."
        )
    return tuple(_read(name, value) for name, value in given.items())


def read_trace_header(given: Mapping[str, MessageAttributeValue] | None) -> Attribute | None:
    """The one system attribute that may be sent, if it was. Raises InvalidParameterValue."""
    if not given:
        return None
    for name, value in given.items():
        if name != TRACE_HEADER:
            raise InvalidParameterValue(f"Message system attribute name '{name}' is invalid.")
        if value.data_type != "String" or value.binary_value is not None:
            raise InvalidParameterValue(f"The message system attribute '{name}' must be of type 'String'.")
        if not value.string_value:
            raise InvalidParameterValue(
                f"Message system attribute '{name}' must contain a non-empty value of type 'String'."
            )
        if not (value.string_value.isascii() and value.string_value.isprintable()):
            raise InvalidParameterValue(f"Message system attribute '{name}' is not a valid X-Ray trace header.")
    header = given[TRACE_HEADER]
    assert header.string_value
    return Attribute(TRACE_HEADER, header.data_type, header.string_value.encode())


def given_bytes(given: Mapping[str, MessageAttributeValue] | None) -> int:
    """What attributes count towards the size of a request, before they are known to be valid."""
    if not given:
        return 0
    return sum(
        text_bytes(name) + text_bytes(v.data_type) + text_bytes(v.string_value or "") + len(v.binary_value or b"")
        for name, v in given.items()
    )


def text_bytes(text: str) -> int:
    """The UTF-8 length of a text that may not even be valid."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def selector(names: Sequence[str] | None) -> Select | None:
    """Which attributes a receive with these MessageAttributeNames returns; None: none.

    `All` and `.*` mean every attribute, `bar.*` those that start with `bar.`, any other name itself.
    """
    if not names:
        return None
    if "All" in names or ".*" in names:
        return lambda _name: True
    exact = frozenset(names)
    prefixes = tuple(name[:-1] for name in exact if name.endswith(".*"))
    if not prefixes:
        return exact.__contains__
    return lambda name: name in exact or name.startswith(prefixes)


def select(attributes: Sequence[Attribute], wanted: Select | None) -> list[Attribute]:
    """The attributes of a message that are to be returned."""
    return [] if wanted is None else [attribute for attribute in attributes if wanted(attribute.name)]


def received(attribute: Attribute) -> ReceivedAttributeValue:
    """An attribute in a reply."""
    if attribute.data_type.startswith("Binary"):
        return ReceivedAttributeValue(binary_value=attribute.value, data_type=attribute.data_type)
    return ReceivedAttributeValue(string_value=attribute.value.decode(), data_type=attribute.data_type)


def _read(name: str, given: MessageAttributeValue) -> Attribute:
    _check_name(name)
    kind = _check_type(name, given.data_type)
    if given.string_list_values or given.binary_list_values:
        raise UnsupportedOperation("Message attribute list values in SendMessage operation are not supported.")
    is_binary = kind == "Binary"
    other = given.string_value if is_binary else given.binary_value
    if other:
        field = "Binary" if is_binary else "String"
        raise InvalidParameterValue(f"The message attribute '{name}' with type '{kind}' must use field '{field}'.")
    value = given.binary_value if is_binary else given.string_value
    if not value:
        raise InvalidParameterValue(
            f"Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
        )
    if isinstance(value, bytes):
        return Attribute(name, given.data_type, value)
    if kind == "Number" and not _is_number(value):
        raise InvalidParameterValue(f"Can't cast the value of message (user) attribute '{name}' to a number.")
    return Attribute(name, given.data_type, _encode(name, value))


def _check_name(name: str) -> None:
    if not name:
        raise InvalidParameterValue("Message (user) attribute name can not be empty.")
    if len(name) > _NAME_MAX:
        raise InvalidParameterValue(
            f"Message (user) attribute name is too long, the length of attribute name can't exceed {_NAME_MAX}."
        )
    if not _NAME_CHARACTERS.fullmatch(name):
        other = _OTHER_CHARACTER.search(name)
        assert other is not None
        raise InvalidParameterValue(
            f"Invalid non-alphanumeric character '#x{ord(other[0]):X}' was found in the message attribute name. "
            "Can only include alphanumeric characters, hyphens, underscores, or dots."
        )
    if _RESERVED.match(name):
        raise InvalidParameterValue(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.' because these strings are "
            "reserved for internal use."
        )
    if name[0] == "." or name[-1] == "." or ".." in name:
        raise InvalidParameterValue(
            f"Invalid message attribute name '{name}'. The name must not start or end with a dot, or have successive "
            "dots."
        )


def _check_type(name: str, data_type: str) -> str:
    """String, Number or Binary."""
    if not data_type:
        raise InvalidParameterValue(f"Message (user) attribute '{name}' must contain a non-empty attribute type.")
    if len(data_type) > _TYPE_MAX:
        raise InvalidParameterValue(
            f"The type of message (user) attribute '{name}' is too long, the length of the type can't exceed "
            f"{_TYPE_MAX}."
        )
    kind = data_type.partition(".")[0]
    if kind not in ("String", "Number", "Binary"):
        raise InvalidParameterValue(
            f"The type of message (user) attribute '{name}' is invalid. You must use only the following supported type "
            "prefixes: Binary, Number, String."
        )
    _encode(name, data_type)
    return kind


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and _LEAST <= Decimal(value) <= _MOST


def _encode(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidParameterValue(f"Message (user) attribute '{name}' is not valid Unicode text.") from None
