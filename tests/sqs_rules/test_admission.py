"""What a queue takes: sizes, characters, delays, groups and deduplication ids. Source: SQS API Reference, SendMessage."""

import hashlib
from typing import Any

import pytest

from broker.core.admission import admit, require_fifo_ids
from broker.core.content import Attribute
from broker.core.errors import InvalidMessageContents, InvalidParameterValue, MissingParameter
from broker.core.message import Admitted
from broker.core.settings import QueueSettings
from broker.errors import AwsError

STANDARD = QueueSettings()
FIFO = QueueSettings(fifo=True)
BY_CONTENT = QueueSettings(fifo=True, content_based_deduplication=True)
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def admitted(settings: QueueSettings = STANDARD, **given: Any) -> Admitted:
    defaults: dict[str, Any] = {
        "body": "hello",
        "attributes": (),
        "delay_s": None,
        "group": None,
        "deduplication_id": None,
        "sender": "111111111111",
        "trace_header": None,
        "in_batch": False,
    }
    return admit(settings, **(defaults | given))


def in_group(settings: QueueSettings = FIFO, **given: Any) -> Admitted:
    return admitted(settings, **({"group": "g", "deduplication_id": "d"} | given))


def refusal(error: type[AwsError], settings: QueueSettings = STANDARD, **given: Any) -> str:
    with pytest.raises(error) as caught:
        admitted(settings, **given)
    return caught.value.message


def test_a_body_is_kept_as_utf_8_with_its_md5() -> None:
    taken = admitted(body="Zürich 😀\r\n\t")
    assert taken.body == "Zürich 😀\r\n\t".encode()
    assert taken.body_md5 == hashlib.md5(taken.body, usedforsecurity=False).hexdigest()


def test_the_md5_of_hello_world() -> None:
    assert admitted(body="Hello World").body_md5 == "b10a8db164e0754105b7a99be72e3fe5"


def test_an_empty_body_is_missing() -> None:
    assert refusal(MissingParameter, body="") == "The request must contain the parameter MessageBody."


@pytest.mark.parametrize(
    "character", ["\t", "\n", "\r", " ", "\x7f", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"]
)
def test_characters_at_the_edges_of_the_allowed_ranges(character: str) -> None:
    assert admitted(body=character).body == character.encode()


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\x00", "#x0"),
        ("\x08", "#x8"),
        ("\x0b", "#xB"),
        ("\x0c", "#xC"),
        ("\x0e", "#xE"),
        ("\x1f", "#x1F"),
        ("\ud800", "#xD800"),
        ("\udfff", "#xDFFF"),
        ("\ufffe", "#xFFFE"),
        ("\uffff", "#xFFFF"),
    ],
)
def test_characters_just_outside(character: str, shown: str) -> None:
    text = refusal(InvalidMessageContents, body=f"before {character} after")
    assert text == (
        f"Invalid binary character '{shown}' was found in the message body, the set of allowed characters is "
        "#x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]."
    )


def test_characters_of_text_attributes_are_checked_and_bytes_of_binary_ones_are_not() -> None:
    admitted(attributes=(Attribute("a", "Binary.raw", b"\x00\xff\xff\xfe"),))
    assert "attribute 'a' value" in refusal(InvalidParameterValue, attributes=(Attribute("a", "String", b"\x00"),))


@pytest.mark.parametrize("kind", ["String", "Number", "Binary"])
def test_characters_of_an_attributes_type_are_checked(kind: str) -> None:
    text = refusal(InvalidParameterValue, attributes=(Attribute("a", f"{kind}.\x1f", b"1"),))
    assert text.startswith("Invalid binary character '#x1F' was found in the message attribute 'a' type, ")


def test_the_size_is_that_of_body_and_attributes_in_utf_8() -> None:
    settings = QueueSettings(message_bytes_max=1024)
    attributes = (Attribute("name", "String.kind", "é".encode()), Attribute("b", "Binary", b"\x00\x01"))
    room = 1024 - (4 + 11 + 2) - (1 + 6 + 2)
    admitted(settings, body="x" * room, attributes=attributes)
    admitted(settings, body="é" * (room // 2), attributes=attributes)
    assert refusal(InvalidParameterValue, settings, body="x" * (room + 1), attributes=attributes) == (
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
    )
    assert refusal(InvalidParameterValue, settings, body="x" * 1025, in_batch=True) == (
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
    )


def test_a_mebibyte_is_the_most() -> None:
    admitted(body="x" * 1_048_576)
    assert "1048576 bytes" in refusal(InvalidParameterValue, body="x" * 1_048_577)


@pytest.mark.parametrize(("delay_s", "delay_ms"), [(None, None), (0, 0), (1, 1_000), (900, 900_000)])
def test_a_delay_overrides_the_queues_own(delay_s: int | None, delay_ms: int | None) -> None:
    assert admitted(delay_s=delay_s).delay_ms == delay_ms


@pytest.mark.parametrize("delay_s", [-1, 901])
def test_a_delay_is_0_to_900_seconds(delay_s: int) -> None:
    assert refusal(InvalidParameterValue, delay_s=delay_s) == (
        f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
    )


def test_a_fifo_queue_takes_no_delay_of_a_message_but_zero_which_means_the_queues() -> None:
    assert in_group(delay_s=0).delay_ms is None
    assert refusal(InvalidParameterValue, FIFO, group="g", deduplication_id="d", delay_s=2) == (
        "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this "
        "queue type."
    )


def test_a_fifo_queue_needs_a_group() -> None:
    text = "The request must contain the parameter MessageGroupId."
    assert refusal(MissingParameter, FIFO, deduplication_id="d") == text
    assert refusal(MissingParameter, FIFO, deduplication_id="d", group="") == text


def test_a_missing_group_in_a_batch_is_an_invalid_value() -> None:
    with pytest.raises(InvalidParameterValue, match="MessageGroupId"):
        require_fifo_ids(FIFO, None, "d", in_batch=True)


def test_a_fifo_queue_needs_a_deduplication_id_or_makes_one_of_the_body_alone() -> None:
    assert refusal(InvalidParameterValue, FIFO, group="g") == (
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )
    plain = in_group(BY_CONTENT, deduplication_id=None)
    assert plain.deduplication_id == hashlib.sha256(b"hello").hexdigest()
    with_attributes = in_group(BY_CONTENT, deduplication_id=None, attributes=(Attribute("a", "String", b"x"),))
    assert with_attributes.deduplication_id == plain.deduplication_id
    assert in_group(BY_CONTENT, deduplication_id="given").deduplication_id == "given"


def test_a_standard_queue_takes_a_group_but_no_deduplication_id() -> None:
    assert admitted(group="tenant").group == "tenant"
    assert refusal(InvalidParameterValue, deduplication_id="d") == (
        "Value d for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid "
        "for this queue type."
    )


@pytest.mark.parametrize("value", ["a", "Z9", PUNCTUATION, "x" * 128])
def test_ids_of_letters_digits_and_punctuation(value: str) -> None:
    taken = in_group(group=value, deduplication_id=value)
    assert (taken.group, taken.deduplication_id) == (value, value)


@pytest.mark.parametrize("value", ["a b", "a\n", "é", "\x7f", "x" * 129])
def test_other_ids_are_refused(value: str) -> None:
    for parameter, given in (
        ("MessageGroupId", {"group": value, "deduplication_id": "d"}),
        ("MessageDeduplicationId", {"group": "g", "deduplication_id": value}),
    ):
        assert refusal(InvalidParameterValue, FIFO, **given) == (
            f"Value {value} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric and "
            "punctuation characters. 1 to 128 in length."
        )


def test_what_headers_say_is_kept_printable() -> None:
    taken = admitted(sender="a\udcff\x00b", trace_header="Root=1;\nx")
    assert (taken.sender, taken.trace_header) == ("a??b", "Root=1;?x")
