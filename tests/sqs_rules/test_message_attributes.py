"""Message attributes: what may be sent, and which a receive returns. Source: Developer Guide, message metadata."""

import pytest

from broker.core.content import Attribute
from broker.core.errors import InvalidParameterValue, UnsupportedOperation
from broker.services.sqs.message_attributes import (
    given_bytes,
    read_attributes,
    read_trace_header,
    received,
    select,
    selector,
)
from broker.services.sqs.message_shapes import MessageAttributeValue


def string(value: str, data_type: str = "String") -> MessageAttributeValue:
    return MessageAttributeValue(data_type=data_type, string_value=value)


def binary(value: bytes, data_type: str = "Binary") -> MessageAttributeValue:
    return MessageAttributeValue(data_type=data_type, binary_value=value)


def refusal(name: str, value: MessageAttributeValue) -> str:
    with pytest.raises(InvalidParameterValue) as caught:
        read_attributes({name: value})
    return caught.value.message


def test_attributes_are_read_and_shown_as_they_were_sent() -> None:
    given = {"a": string("é", "String.x"), "b": binary(b"\x00"), "c": string("1.50", "Number")}
    read = read_attributes(given)
    assert read == (
        Attribute("a", "String.x", "é".encode()),
        Attribute("b", "Binary", b"\x00"),
        Attribute("c", "Number", b"1.50"),
    )
    shown = {attribute.name: received(attribute) for attribute in read}
    assert (shown["a"].data_type, shown["a"].string_value) == ("String.x", "é")
    assert (shown["b"].data_type, shown["b"].binary_value) == ("Binary", b"\x00")
    assert given_bytes(given) == 1 + 8 + 2 + 1 + 6 + 1 + 1 + 6 + 4


def test_none_at_all() -> None:
    assert read_attributes(None) == read_attributes({}) == ()


def test_ten_and_no_more() -> None:
    assert len(read_attributes({f"a{n}": string("x") for n in range(10)})) == 10
    with pytest.raises(InvalidParameterValue, match=r"\[11\] exceeds the allowed maximum \[10\]"):
        read_attributes({f"a{n}": string("x") for n in range(11)})


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 256, "aws", "awsome.x", "my.AWS.x"])
def test_names(name: str) -> None:
    assert read_attributes({name: string("x")})[0].name == name


@pytest.mark.parametrize(
    "name", ["", "x" * 257, ".a", "a.", ".", "a..b", "a b", "é", "a\n", "AWS.", "aws.x", "AmaZon.x", "\ud800"]
)
def test_names_that_are_refused(name: str) -> None:
    refusal(name, string("x"))


@pytest.mark.parametrize("data_type", ["", "string", "Strings", "Boolean", ".String", "String." + "x" * 256])
def test_types_that_are_refused(data_type: str) -> None:
    refusal("a", string("x", data_type))


def test_the_texts_of_aws() -> None:
    assert refusal("a", string("")) == "Message (user) attribute 'a' must contain a non-empty value of type 'String'."
    assert refusal("a", string("x", "")) == "Message (user) attribute 'a' must contain a non-empty attribute type."
    assert refusal("a", string("x", "Text")) == (
        "The type of message (user) attribute 'a' is invalid. You must use only the following supported type prefixes: "
        "Binary, Number, String."
    )
    assert refusal("a", string("x", "Number")) == "Can't cast the value of message (user) attribute 'a' to a number."
    assert (
        refusal("a", binary(b"x", "String")) == "The message attribute 'a' with type 'String' must use field 'String'."
    )
    assert (
        refusal("a", string("x", "Binary")) == "The message attribute 'a' with type 'Binary' must use field 'Binary'."
    )


def test_list_values_are_not_supported() -> None:
    with pytest.raises(UnsupportedOperation):
        read_attributes({"a": MessageAttributeValue(data_type="String", string_list_values=["x"])})
    read_attributes({"a": MessageAttributeValue(data_type="String", string_value="x", string_list_values=[])})


@pytest.mark.parametrize("value", ["0", "-0", "+1", "1.", ".5", "1e126", "1E+2", "-1e128", "0.1e-127", "9" * 38])
def test_numbers(value: str) -> None:
    assert read_attributes({"n": string(value, "Number")})[0].value == value.encode()


@pytest.mark.parametrize(
    "value",
    ["", ".", "e1", "1e", "1,5", "0x1", "NaN", "inf", "1 ", "\u0661", "1_0", "1.1e126", "-1.1e128", "1e9999999"],
)
def test_what_is_no_number(value: str) -> None:
    refusal("n", string(value, "Number"))


NAMES = ("Foo", "bar", "bar.one", "bar.two.x", "bare")
ATTRIBUTES = [Attribute(name, "String", b"x") for name in NAMES]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (None, ()),
        ([], ()),
        (["All"], NAMES),
        ([".*"], NAMES),
        (["nothing", "All"], NAMES),
        (["bar"], ("bar",)),
        (["bar.*"], ("bar.one", "bar.two.x")),
        (["bar.two.*", "Foo"], ("Foo", "bar.two.x")),
        (["foo", "BAR"], ()),
        (["bar", "bar"], ("bar",)),
    ],
)
def test_selection(names: list[str] | None, chosen: tuple[str, ...]) -> None:
    assert tuple(attribute.name for attribute in select(ATTRIBUTES, selector(names))) == chosen


def test_the_trace_header_is_the_only_system_attribute() -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    assert read_trace_header({"AWSTraceHeader": string(header)}) == Attribute(
        "AWSTraceHeader", "String", header.encode()
    )
    assert read_trace_header(None) is None
    for given in (
        {"SenderId": string("x")},
        {"AWSTraceHeader": string("")},
        {"AWSTraceHeader": string("a\nb")},
        {"AWSTraceHeader": string("1", "Number")},
        {"AWSTraceHeader": binary(b"x")},
        {"AWSTraceHeader": string(header), "Other": string("x")},
    ):
        with pytest.raises(InvalidParameterValue):
            read_trace_header(given)
