"""Message attributes: what they may be, their MD5s, and which of them a receive returns.

Source: SQS Developer Guide, Message attributes; API Reference, ReceiveMessage.
"""

import base64

import pytest

from tests.sqs.attribute_md5 import attributes_md5, binary, number, string
from tests.sqs.queues import Queue, refused
from tests.sqs.wire_clients import JsonClient, QueryClient

THREE = {"city": string("Zürich"), "count": number("12.50"), "blob": binary(b"\x00\xff\r\n")}


def test_attributes_come_back_with_type_and_value(queue: Queue) -> None:
    queue.send(MessageAttributes=THREE)
    assert queue.receive_one(MessageAttributeNames=["All"])["MessageAttributes"] == THREE


def test_the_md5_is_that_of_the_sdks(queue: Queue) -> None:
    reply = queue.send(MessageAttributes=THREE)
    assert reply["MD5OfMessageAttributes"] == attributes_md5(THREE)
    assert queue.receive_one(MessageAttributeNames=["All"])["MD5OfMessageAttributes"] == attributes_md5(THREE)


def test_custom_labels_are_part_of_the_type_and_of_the_md5(queue: Queue) -> None:
    labelled = {
        "a": string("x", "String.label"),
        "b": number("1", "Number.int.32"),
        "c": binary(b"GIF89a", "Binary.gif"),
    }
    assert queue.send(MessageAttributes=labelled)["MD5OfMessageAttributes"] == attributes_md5(labelled)
    assert queue.receive_one(MessageAttributeNames=["All"])["MessageAttributes"] == labelled


def test_not_asked_for_not_returned(queue: Queue, sqs_json: JsonClient) -> None:
    queue.send(MessageAttributes=THREE)
    (message,) = sqs_json.call("ReceiveMessage", {"QueueUrl": queue.url}).json["Messages"]
    assert set(message) == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["All"], ["Foo", "bar", "bar.one", "bar.two", "bare"]),
        ([".*"], ["Foo", "bar", "bar.one", "bar.two", "bare"]),
        (["bar"], ["bar"]),
        (["bar.*"], ["bar.one", "bar.two"]),
        (["bar.*", "Foo"], ["Foo", "bar.one", "bar.two"]),
        (["bar.one", "nothing"], ["bar.one"]),
        (["foo"], []),
        (["nothing"], []),
        (["bar", "bar", "All"], ["Foo", "bar", "bar.one", "bar.two", "bare"]),
    ],
    ids=lambda value: ",".join(value) or "none",
)
def test_names_choose_and_the_md5_is_that_of_the_chosen(queue: Queue, names: list[str], chosen: list[str]) -> None:
    attributes = {name: string(f"value of {name}") for name in ("Foo", "bar", "bar.one", "bar.two", "bare")}
    queue.send(MessageAttributes=attributes)
    received = queue.receive_one(MessageAttributeNames=names)
    if chosen:
        expected = {name: attributes[name] for name in chosen}
        assert received["MessageAttributes"] == expected
        assert received["MD5OfMessageAttributes"] == attributes_md5(expected)
    else:
        assert "MessageAttributes" not in received
        assert "MD5OfMessageAttributes" not in received


def test_a_message_without_attributes_has_no_md5_of_them(queue: Queue, sqs_query: QueryClient) -> None:
    queue.send()
    queue.send(MessageAttributes={})
    for received in queue.receive(2, MessageAttributeNames=["All"], VisibilityTimeout=0):
        assert not {"MessageAttributes", "MD5OfMessageAttributes"} & set(received)
    answer = sqs_query.call("ReceiveMessage", QueueUrl=queue.url, MessageAttributeName__1="All")
    assert answer.text("ReceiveMessageResult/Message/MD5OfMessageAttributes") is None


def test_ten_attributes_and_no_more(queue: Queue) -> None:
    ten = {f"a{n}": string("x") for n in range(10)}
    queue.send(MessageAttributes=ten)
    with refused("InvalidParameterValue"):
        queue.send(MessageAttributes=ten | {"one more": string("x")})
    with refused("InvalidParameterValue"):
        queue.send(MessageAttributes=ten | {"a11": string("x")})
    assert queue.counts() == (1, 0, 0)


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "x" * 256, "aws", "Awesome", "amazonas"])
def test_names_that_are_allowed(queue: Queue, name: str) -> None:
    queue.send(MessageAttributes={name: string("x")})
    assert name in queue.receive_one(MessageAttributeNames=["All"])["MessageAttributes"]


@pytest.mark.parametrize(
    "name",
    ["", "x" * 257, ".a", "a.", "a..b", "a b", "ä", "a/b", "AWS.a", "aws.a", "Amazon.a", "AMAZON.a", "a\n"],
)
def test_names_that_are_not(queue: Queue, name: str) -> None:
    with refused("InvalidParameterValue"):
        queue.send(MessageAttributes={name: string("x")})
    assert queue.counts() == (0, 0, 0)


@pytest.mark.parametrize("data_type", ["", "string", "Text", "Boolean", "StringList", "String" + "x" * 300])
def test_types_that_are_not_allowed(queue: Queue, data_type: str) -> None:
    with refused("InvalidParameterValue"):
        queue.send(MessageAttributes={"a": string("x", data_type)})
    assert queue.counts() == (0, 0, 0)


@pytest.mark.parametrize("data_type", ["String.\x01", "Number.a\x00b", "String.\ufffe"])
def test_a_character_outside_xml_is_refused_in_a_custom_label(queue: Queue, data_type: str) -> None:
    with refused("InvalidParameterValue"):
        queue.send(MessageAttributes={"a": string("1", data_type)})
    assert queue.counts() == (0, 0, 0)


def test_a_name_is_given_once_and_never_left_out(queue: Queue, sqs_query: QueryClient) -> None:
    one = {"MessageAttribute__1__Value__DataType": "String", "MessageAttribute__1__Value__StringValue": "x"}
    two = {name.replace("__1__", "__2__"): value for name, value in one.items()}
    named = {"MessageAttribute__1__Name": "a", "MessageAttribute__2__Name": "a"}
    for attributes in (one, one | two | named):
        answer = sqs_query.call("SendMessage", QueueUrl=queue.url, MessageBody="hello", **attributes)
        assert (answer.status, answer.text("Error/Code")) == (400, "InvalidParameterValue")
    assert queue.counts() == (0, 0, 0)


def test_an_empty_string_is_no_value(queue: Queue) -> None:
    text = "Message (user) attribute 'a' must contain a non-empty value of type 'String'."
    with refused("InvalidParameterValue", text=text):
        queue.send(MessageAttributes={"a": string("")})


def test_an_empty_binary_or_number_is_no_value(queue: Queue) -> None:
    for attribute in (binary(b""), number("")):
        with refused("InvalidParameterValue"):
            queue.send(MessageAttributes={"a": attribute})


def test_the_value_must_be_of_the_types_kind(queue: Queue) -> None:
    for attribute in ({"DataType": "String", "BinaryValue": b"x"}, {"DataType": "Binary", "StringValue": "x"}):
        with refused("InvalidParameterValue"):
            queue.send(MessageAttributes={"a": attribute})


def test_a_value_is_required(queue: Queue) -> None:
    with refused("InvalidParameterValue", "MissingParameter"):
        queue.send(MessageAttributes={"a": {"DataType": "String"}})


@pytest.mark.parametrize("value", ["0", "-1", "12.50", "1e10", "+5", "-0.001", "1" * 38])
def test_numbers(queue: Queue, value: str) -> None:
    queue.send(MessageAttributes={"n": number(value)})
    assert queue.receive_one(MessageAttributeNames=["n"])["MessageAttributes"]["n"]["StringValue"] == value


@pytest.mark.parametrize("value", ["one", "1,5", "0x10", "1 2", "NaN", "Infinity", "1e127", "-1e129"])
def test_what_is_no_number(queue: Queue, value: str) -> None:
    with refused("InvalidParameterValue"):
        queue.send(MessageAttributes={"n": number(value)})


def test_a_character_outside_xml_is_refused_in_a_value(queue: Queue) -> None:
    with refused("InvalidMessageContents", "InvalidParameterValue"):
        queue.send(MessageAttributes={"a": string("a\x00b")})


def test_attributes_through_the_query_protocol(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "SendMessage",
        QueueUrl=queue.url,
        MessageBody="hello",
        MessageAttribute__1__Name="city",
        MessageAttribute__1__Value__DataType="String",
        MessageAttribute__1__Value__StringValue="Zürich",
        MessageAttribute__2__Name="count",
        MessageAttribute__2__Value__DataType="Number",
        MessageAttribute__2__Value__StringValue="12.50",
        MessageAttribute__3__Name="blob",
        MessageAttribute__3__Value__DataType="Binary",
        MessageAttribute__3__Value__BinaryValue=base64.b64encode(b"\x00\xff\r\n").decode(),
    )
    assert answer.text("SendMessageResult/MD5OfMessageAttributes") == attributes_md5(THREE)
    assert queue.receive_one(MessageAttributeNames=["All"], VisibilityTimeout=0)["MessageAttributes"] == THREE

    answer = sqs_query.call(
        "ReceiveMessage", QueueUrl=queue.url, MessageAttributeName__1="city", MessageAttributeName__2="blob"
    )
    path = "ReceiveMessageResult/Message"
    chosen = {name: THREE[name] for name in ("city", "blob")}
    assert answer.text(f"{path}/MD5OfMessageAttributes") == attributes_md5(chosen)
    assert sorted(answer.texts(f"{path}/MessageAttribute/Name")) == ["blob", "city"]
    assert answer.texts(f"{path}/MessageAttribute/Value/StringValue") == ["Zürich"]
    assert answer.texts(f"{path}/MessageAttribute/Value/BinaryValue") == [base64.b64encode(b"\x00\xff\r\n").decode()]
    assert sorted(answer.texts(f"{path}/MessageAttribute/Value/DataType")) == ["Binary", "String"]


TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def test_the_trace_header_is_a_system_attribute(queue: Queue) -> None:
    system = {"AWSTraceHeader": string(TRACE)}
    reply = queue.send(MessageSystemAttributes=system)
    assert reply["MD5OfMessageSystemAttributes"] == attributes_md5(system)
    assert "MD5OfMessageAttributes" not in reply
    received = queue.receive_one(MessageSystemAttributeNames=["AWSTraceHeader"], MessageAttributeNames=["All"])
    assert received["Attributes"] == {"AWSTraceHeader": TRACE}
    assert "MessageAttributes" not in received


def test_the_trace_header_may_come_as_an_http_header(queue: Queue, sqs_json: JsonClient) -> None:
    payload = {"QueueUrl": queue.url, "MessageBody": "hello"}
    answer = sqs_json.call("SendMessage", payload, **{"X-Amzn-Trace-Id": TRACE})
    assert "MD5OfMessageSystemAttributes" not in answer.json
    received = queue.receive_one(MessageSystemAttributeNames=["AWSTraceHeader"])
    assert received["Attributes"] == {"AWSTraceHeader": TRACE}


@pytest.mark.parametrize(
    "system",
    [
        {"SenderId": string("me")},
        {"Nonsense": string("x")},
        {"AWSTraceHeader": binary(b"x")},
        {"AWSTraceHeader": number("1")},
    ],
)
def test_any_other_system_attribute_is_refused(queue: Queue, system: dict[str, dict[str, str]]) -> None:
    with refused("InvalidParameterValue"):
        queue.send(MessageSystemAttributes=system)
