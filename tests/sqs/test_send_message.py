"""SendMessage: what is answered, and what a message may be. Source: SQS API Reference, SendMessage; Developer Guide, Quotas."""

import re

import pytest

from tests.sqs.attribute_md5 import body_md5
from tests.sqs.conftest import MakeClient, MakeQueue
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient

MIB = 1_048_576
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def too_long(limit: int) -> str:
    return f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."


def test_the_reply_names_the_message_and_the_md5_of_its_body(queue: Queue) -> None:
    reply = queue.send("grüße")
    assert UUID.fullmatch(reply["MessageId"])
    assert reply["MD5OfMessageBody"] == body_md5("grüße")
    assert "SequenceNumber" not in reply
    assert "MD5OfMessageAttributes" not in reply
    assert "MD5OfMessageSystemAttributes" not in reply


def test_the_json_reply_holds_nothing_that_does_not_apply(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("SendMessage", {"QueueUrl": queue.url, "MessageBody": "hello"})
    assert set(answer.json) == {"MessageId", "MD5OfMessageBody"}
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert answer.headers["x-amzn-requestid"]


def test_the_query_reply_holds_the_same(queue: Queue, sqs_query: QueryClient) -> None:
    answer = sqs_query.call("SendMessage", QueueUrl=queue.url, MessageBody="hello")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.text("SendMessageResult/MD5OfMessageBody") == body_md5("hello")
    assert UUID.fullmatch(answer.text("SendMessageResult/MessageId") or "")
    assert answer.text("SendMessageResult/MD5OfMessageAttributes") is None
    assert answer.text("SendMessageResult/SequenceNumber") is None
    assert answer.text("ResponseMetadata/RequestId") == answer.headers["x-amzn-requestid"]


def test_every_message_has_its_own_id(queue: Queue) -> None:
    assert len({queue.send("same")["MessageId"] for _ in range(20)}) == 20


def test_the_received_message_is_the_sent_one(queue: Queue) -> None:
    sent = queue.send("hello")
    received = queue.receive_one()
    assert received["MessageId"] == sent["MessageId"]
    assert received["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert received["Body"] == "hello"


@pytest.mark.parametrize(
    "body",
    [
        " ",
        " leading and trailing ",
        "tab\tnewline\ncarriage\rboth\r\n",
        '<xml attribute="x">&amp; \' "</xml>',
        "]]>",
        "&#13;",
        "\ud7ff\ue000\ufffd",
        "\U00010000 \U0001f600 \U0010ffff",
        "\u0085\u2028\u2029\u007f\u009f",
        '{"json": "\\u0000 \\\\ "}',
        "a+b%20c&d=e;f",
        "null",
    ],
)
def test_a_body_comes_back_as_it_was_on_both_protocols(queue: Queue, sqs_query: QueryClient, body: str) -> None:
    queue.send(body)
    assert sqs_query.call("SendMessage", QueueUrl=queue.url, MessageBody=body).status == 200
    first, second = queue.receive(2, VisibilityTimeout=0)
    assert (first["Body"], second["Body"]) == (body, body)
    assert first["MD5OfBody"] == second["MD5OfBody"] == body_md5(body)
    answer = sqs_query.call("ReceiveMessage", QueueUrl=queue.url, MaxNumberOfMessages=2)
    assert answer.texts("ReceiveMessageResult/Message/Body") == [body, body]
    assert answer.texts("ReceiveMessageResult/Message/MD5OfBody") == [body_md5(body)] * 2


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x08", "\x0b", "\x0c", "\x0e", "\x1f", "\ufffe", "\uffff"])
def test_characters_outside_xml_are_refused(queue: Queue, character: str) -> None:
    with refused("InvalidMessageContents") as caught:
        queue.send(f"a{character}b")
    assert isinstance(caught.value, queue.sqs.exceptions.InvalidMessageContents)
    assert queue.counts() == (0, 0, 0)


def test_a_lone_surrogate_is_refused(queue: Queue, sqs_json: JsonClient) -> None:
    body = f'{{"QueueUrl": "{queue.url}", "MessageBody": "a\\ud800b"}}'.encode()
    assert sqs_json.call("SendMessage", body).status == 400
    assert queue.counts() == (0, 0, 0)


def test_an_empty_body_is_no_body(queue: Queue) -> None:
    with refused("MissingParameter", "InvalidParameterValue"):
        queue.send("")


def test_a_body_is_required(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("SendMessage", {"QueueUrl": queue.url})
    assert answer.status == 400
    assert answer.json["__type"] == "com.amazon.coral.service#MissingRequiredParameterException"
    assert answer.json["message"] == "The request must contain the parameter MessageBody."


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue) -> None:
    with refused(NO_SUCH_QUEUE, text="The specified queue does not exist."):
        sqs.send_message(QueueUrl=queue.url + "x", MessageBody="hello")


def test_a_message_may_have_one_mebibyte(queue: Queue) -> None:
    body = "x" * MIB
    queue.send(body)
    assert queue.receive_one()["Body"] == body
    with refused("InvalidParameterValue", text=too_long(MIB)):
        queue.send(body + "x")


def test_a_mebibyte_goes_through_a_form_too(queue: Queue, sqs_query: QueryClient) -> None:
    body = "\u00e9" * (MIB // 2)  # six characters of the form for two bytes of the body
    assert sqs_query.call("SendMessage", QueueUrl=queue.url, MessageBody=body).status == 200
    assert queue.receive_one()["Body"] == body
    answer = sqs_query.call("SendMessage", QueueUrl=queue.url, MessageBody=body + "x")
    assert answer.text("Error/Code") == "InvalidParameterValue"
    assert answer.text("Error/Message") == too_long(MIB)


def test_size_is_counted_in_utf_8_bytes(make_queue: MakeQueue) -> None:
    queue = make_queue(MaximumMessageSize="1024")
    queue.send("\u00e9" * 512)
    queue.send("\U0001f600" * 256)
    for body in ("\u00e9" * 512 + "x", "\U0001f600" * 257):
        with refused("InvalidParameterValue", text=too_long(1024)):
            queue.send(body)


def test_the_queues_own_maximum_holds(make_queue: MakeQueue) -> None:
    queue = make_queue(MaximumMessageSize="1024")
    queue.send("x" * 1024)
    with refused("InvalidParameterValue", text=too_long(1024)):
        queue.send("x" * 1025)
    queue.set(MaximumMessageSize="2048")
    queue.send("x" * 2048)


def test_names_types_and_values_of_attributes_count_to_the_size(make_queue: MakeQueue) -> None:
    queue = make_queue(MaximumMessageSize="1024")
    attributes = {
        "abcde": {"DataType": "String", "StringValue": "\u00e9" * 5},  # 5 + 6 + 10
        "b": {"DataType": "Binary.gif", "BinaryValue": b"\x00" * 20},  # 1 + 10 + 20
    }
    room = 1024 - 21 - 31
    queue.send("x" * room, MessageAttributes=attributes)
    with refused("InvalidParameterValue", text=too_long(1024)):
        queue.send("x" * (room + 1), MessageAttributes=attributes)


def test_the_trace_header_does_not_count_to_the_size(make_queue: MakeQueue) -> None:
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    make_queue(MaximumMessageSize="1024").send("x" * 1024, MessageSystemAttributes=trace)


@pytest.mark.parametrize("delay", [-1, 901, 100_000])
def test_a_delay_is_0_to_900_seconds(queue: Queue, delay: int) -> None:
    text = f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
    with refused("InvalidParameterValue", text=text):
        queue.send(DelaySeconds=delay)
    assert queue.counts() == (0, 0, 0)


def test_the_sender_is_who_signed(client_of: MakeClient, queue: Queue, account: str) -> None:
    queue.send()
    received = queue.receive_one(MessageSystemAttributeNames=["SenderId"])
    assert received["Attributes"] == {"SenderId": account}
