"""How requests are written and answers read: bytes in, bytes out. Names of SNS's shapes are checked against botocore's model."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.serialize import create_serializer

from client import errors
from client.errors import AwsError, aws_error
from client.messages import (
    BatchResult,
    FailedEntry,
    Message,
    MessageAttribute,
    Outgoing,
    Published,
    Received,
    SentMessage,
    attribute_parameters,
)
from client.protocols import PROTOCOLS

_session = botocore.session.Session()
SQS, SNS = PROTOCOLS["sqs"], PROTOCOLS["sns"]
NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


def model(service: str) -> ServiceModel:
    return _session.get_service_model(service)


def answered(operation: str, result: str) -> bytes:
    """SNS's answer around a result."""
    return (
        f'<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


# Requests


def test_a_request_in_json() -> None:
    attributes = attribute_parameters({"b": b"\x00\xff", "n": 1.5})
    headers, body = SQS.request("SendMessage", {"MessageBody": "é", "MessageAttributes": attributes})
    assert headers == {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
    assert json.loads(body) == {
        "MessageBody": "é",
        "MessageAttributes": {
            "b": {"DataType": "Binary", "BinaryValue": base64.b64encode(b"\x00\xff").decode()},
            "n": {"DataType": "Number", "StringValue": "1.5"},
        },
    }


TOPIC = "arn:aws:sns:us-east-1:1:t"
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("ListTopics", {}),
    ("CreateTopic", {"Name": "t", "Attributes": {"DisplayName": "a & b=c", "FifoTopic": "true"}}),
    ("CreateTopic", {"Name": "t", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": ""}]}),
    ("Subscribe", {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": "e", "ReturnSubscriptionArn": True}),
    ("Publish", {"TopicArn": TOPIC, "Message": "über+100% \n~*"}),
    (
        "Publish",
        {
            "TopicArn": TOPIC,
            "Message": "m",
            "MessageAttributes": attribute_parameters({"s": "text", "b": b"\xfb\xff", "n": -7}),
        },
    ),
    (
        "PublishBatch",
        {
            "TopicArn": TOPIC,
            "PublishBatchRequestEntries": [
                {"Id": "0", "Message": "a", "MessageAttributes": attribute_parameters({"Attributes": "x"})},
                {"Id": "1", "Message": "b", "Subject": "s", "MessageGroupId": "g", "MessageDeduplicationId": "d"},
            ],
        },
    ),
    ("AddPermission", {"TopicArn": TOPIC, "Label": "l", "AWSAccountId": ["1", "2"], "ActionName": ["Publish"]}),
    ("SetSMSAttributes", {"attributes": {"DefaultSMSType": "Promotional"}}),
    ("UntagResource", {"ResourceArn": TOPIC, "TagKeys": ["a", "b"]}),
    ("ListOriginationNumbers", {"MaxResults": 7}),
    ("SetPlatformApplicationAttributes", {"PlatformApplicationArn": "p", "Attributes": {"EventEndpointCreated": ""}}),
]


@pytest.mark.parametrize(("operation", "parameters"), FORMS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_form_says_what_botocores_says(operation: str, parameters: dict[str, Any]) -> None:
    headers, body = SNS.request(operation, parameters)
    assert headers == {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    theirs = create_serializer("query").serialize_to_request(parameters, model("sns").operation_model(operation))[
        "body"
    ]
    assert dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)) == {
        name: str(value) for name, value in theirs.items()
    }


def test_a_parameter_that_is_none_or_empty_is_not_in_a_form() -> None:
    _, body = SNS.request("Publish", {"Subject": None, "MessageAttributes": {}, "Tags": []})
    assert body == b"Action=Publish&Version=2010-03-31"


# Answers


@pytest.mark.parametrize(
    ("result", "value"),
    [
        ("<TopicArn>arn</TopicArn>", {"TopicArn": "arn"}),
        ("<SubscriptionArn/>", {"SubscriptionArn": ""}),
        ("<Topics/>", {"Topics": []}),
        ("<Topics></Topics><NextToken>n</NextToken>", {"Topics": [], "NextToken": "n"}),
        (
            "<Topics><member><TopicArn>a</TopicArn></member><member><TopicArn>b</TopicArn></member></Topics>",
            {"Topics": [{"TopicArn": "a"}, {"TopicArn": "b"}]},
        ),
        ("<phoneNumbers><member>+1</member></phoneNumbers>", {"phoneNumbers": ["+1"]}),
        ("<Attributes/>", {"Attributes": {}}),
        (
            "<Attributes><entry><key>Policy</key><value>{&quot;a&quot;:1}</value></entry>"
            "<entry><key>DisplayName</key><value/></entry></Attributes>",
            {"Attributes": {"Policy": '{"a":1}', "DisplayName": ""}},
        ),
        (
            "<Endpoints><member><EndpointArn>e</EndpointArn>"
            "<Attributes><entry><key>Enabled</key><value>true</value></entry></Attributes></member></Endpoints>",
            {"Endpoints": [{"EndpointArn": "e", "Attributes": {"Enabled": "true"}}]},
        ),
        (
            "\n  <Topics>\n    <member>\n<TopicArn>a</TopicArn>\n</member>\n  </Topics>\n",
            {"Topics": [{"TopicArn": "a"}]},
        ),
        ("", {}),
    ],
)
def test_an_answer_in_xml(result: str, value: dict[str, Any]) -> None:
    assert SNS.decode(answered("Any", result), dict[str, Any]) == value


def test_an_answer_without_a_result() -> None:
    body = f'<DeleteTopicResponse xmlns="{NAMESPACE}"><ResponseMetadata/></DeleteTopicResponse>'.encode()
    assert SNS.decode(body, dict[str, Any]) == {}


def shapes_of(shape: Shape | None) -> Iterator[tuple[str, Shape]]:
    """Every member of an answer, however deep, with its name."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield name, member
            yield from shapes_of(member)
    elif isinstance(shape, ListShape):
        yield from shapes_of(shape.member)
    elif isinstance(shape, MapShape):
        yield from shapes_of(shape.value)


@pytest.mark.parametrize("operation", model("sns").operation_names)
def test_no_empty_list_or_map_of_sns_is_read_as_text(operation: str) -> None:
    for name, shape in shapes_of(model("sns").operation_model(operation).output_shape):
        empty = [] if isinstance(shape, ListShape) else {} if isinstance(shape, MapShape) else None
        if empty is not None:
            assert SNS.decode(answered(operation, f"<{name}/>"), dict[str, Any]) == {name: empty}


def test_a_batch_in_xml() -> None:
    body = answered(
        "PublishBatch",
        "<Successful><member><Id>0</Id><MessageId>m</MessageId><SequenceNumber>1</SequenceNumber></member></Successful>"
        "<Failed><member><Id>1</Id><Code>InvalidParameter</Code><Message>no</Message>"
        "<SenderFault>true</SenderFault></member><member><Id>2</Id><Code>InternalError</Code>"
        "<SenderFault>false</SenderFault></member></Failed>",
    )
    assert SNS.decode(body, BatchResult[Published]) == BatchResult(
        successful=[Published(id="0", message_id="m", sequence_number="1")],
        failed=[
            FailedEntry(id="1", code="InvalidParameter", message="no", sender_fault=True),
            FailedEntry(id="2", code="InternalError", sender_fault=False),
        ],
    )
    assert SNS.decode(answered("PublishBatch", "<Successful/><Failed/>"), BatchResult[Published]) == BatchResult()


def test_a_failed_entry_is_the_error_that_it_would_have_raised() -> None:
    error = FailedEntry(id="0", code="ReceiptHandleIsInvalid", message="no").error
    assert isinstance(error, errors.ReceiptHandleIsInvalid)
    assert (error.message, error.status, error.transient) == ("no", 0, False)
    assert FailedEntry(id="0", code="InternalError", sender_fault=False).error.transient


def test_messages_in_json() -> None:
    body = json.dumps(
        {
            "Messages": [
                {
                    "MessageId": "m",
                    "ReceiptHandle": "r",
                    "Body": '{"a": 1}',
                    "MD5OfBody": "5",
                    "Attributes": {"ApproximateReceiveCount": "3", "MessageGroupId": "g"},
                    "MessageAttributes": {
                        "b": {"DataType": "Binary", "BinaryValue": "AP8="},
                        "n": {"DataType": "Number.int", "StringValue": "1"},
                    },
                    "SomethingNew": {"a": 1},
                }
            ]
        }
    ).encode()
    (message,) = SQS.decode(body, Received).messages
    assert isinstance(message, Message)
    assert (message.message_id, message.receipt_handle, message.md5_of_body) == ("m", "r", "5")
    assert (message.receive_count, message.group_id, message.json()) == (3, "g", {"a": 1})
    assert {name: attribute.value for name, attribute in message.message_attributes.items()} == {
        "b": b"\0\xff",
        "n": "1",
    }
    assert message.md5_of_message_attributes is None


def test_a_message_of_which_nothing_more_was_asked_for() -> None:
    message = Message(message_id="m", receipt_handle="r", body="no JSON", md5_of_body="5")
    assert (message.receive_count, message.group_id, message.message_attributes) == (0, None, {})
    with pytest.raises(ValueError):
        message.json()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"Messages":[]}'])
def test_no_messages(body: bytes) -> None:
    assert SQS.decode(body, Received).messages == []


@pytest.mark.parametrize("form", [SQS, SNS], ids=["json", "xml"])
@pytest.mark.parametrize("body", [b"\xff\xfe", b"<html><body>Hello</body></html>", b'"text"', b"<a", b"{"])
def test_what_is_no_answer_cannot_be_read(form: Any, body: bytes) -> None:
    with pytest.raises(ValueError):
        form.decode(body, SentMessage)


# Errors


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "message"),
    [
        (400, {}, b'{"__type":"com.amazonaws.sqs#OverLimit","message":"m"}', "OverLimit", "m"),
        (400, {}, b'{"__type":"OverLimit","Message":"m"}', "OverLimit", "m"),
        (400, {"x-amzn-errortype": "OverLimit:http://internal/"}, b"", "OverLimit", ""),
        (400, {"x-amzn-errortype": "OverLimit"}, b"{}", "OverLimit", ""),
        (502, {}, b"<html>Bad gateway</html>", "Http502", "<html>Bad gateway</html>"),
        (502, {}, b'"Bad gateway"', "Http502", '"Bad gateway"'),
        (404, {}, b"\xff", "Http404", "\ufffd"),
        (404, {}, b'{"a":"\xff"}', "Http404", '{"a":"\ufffd"}'),
        (500, {}, b"", "Http500", ""),
        (413, {}, b"x" * 1000, "Http413", "x" * 200),
    ],
)
def test_an_error_in_json(status: int, headers: dict[str, str], body: bytes, code: str, message: str) -> None:
    error = SQS.error(status, headers | {"x-amzn-requestid": "r"}, body)
    assert (error.code, error.message, error.status, error.request_id) == (code, message, status, "r")
    assert error.sender is (status < 500)


@pytest.mark.parametrize(
    ("status", "body", "code", "message", "sender"),
    [
        (
            404,
            b'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
            b"<Code>NotFound</Code><Message>no topic</Message></Error><RequestId>r</RequestId></ErrorResponse>",
            "NotFound",
            "no topic",
            True,
        ),
        (
            500,
            b"<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code></Error></ErrorResponse>",
            "InternalFailure",
            "",
            False,
        ),
        (502, b"<html><body>Bad gateway</body></html>", "Http502", "<html><body>Bad gateway</body></html>", False),
        (400, b"no XML", "Http400", "no XML", True),
        (503, b"", "Http503", "", False),
    ],
)
def test_an_error_in_xml(status: int, body: bytes, code: str, message: str, sender: bool) -> None:
    error = SNS.error(status, {"x-amzn-requestid": "r"}, body)
    assert (error.code, error.message, error.status, error.request_id) == (code, message, status, "r")
    assert error.sender is sender


CLASSES = AwsError.__subclasses__()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_class_is_raised_for_each_of_its_codes(kind: type[AwsError]) -> None:
    for code in kind.codes or (kind.__name__,):
        for written in (code, f"com.amazonaws.sqs#{code}", f"AWS.SimpleQueueService.{code}"):
            error = aws_error(written, "m", 400, "r")
            assert type(error) is kind
            assert error.code == code
            assert error.throttled is (kind is errors.RequestThrottled)


def test_no_code_belongs_to_two_classes() -> None:
    codes = [code for kind in CLASSES for code in kind.codes or (kind.__name__,)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_a_shape_and_its_codes_are_one_class(service: str) -> None:
    """An error is named by its shape in JSON, by its code in a form's answer and in batches."""
    for shape in model(service).error_shapes:
        names = {shape.name, shape.metadata.get("error", {}).get("code", shape.name)}
        kinds = {type(aws_error(name)) for name in names}
        assert len(kinds) == 1, (names, kinds)


def test_a_code_without_a_class_is_an_aws_error() -> None:
    error = aws_error("SomethingNew", "m", 400)
    assert type(error) is AwsError
    assert str(error) == "SomethingNew: m"
    assert str(aws_error("SomethingNew")) == "SomethingNew"


# Messages


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("text", MessageAttribute(data_type="String", string_value="text")),
        ("", MessageAttribute(data_type="String", string_value="")),
        (b"\0", MessageAttribute(data_type="Binary", binary_value=b"\0")),
        (7, MessageAttribute(data_type="Number", string_value="7")),
        (-0.5, MessageAttribute(data_type="Number", string_value="-0.5")),
        (
            MessageAttribute(data_type="Number.price", string_value="1.0"),
            MessageAttribute(data_type="Number.price", string_value="1.0"),
        ),
    ],
)
def test_a_plain_value_stands_for_an_attribute(value: Any, attribute: MessageAttribute) -> None:
    assert MessageAttribute.of(value) == attribute
    expected = value if isinstance(value, str | bytes) else attribute.string_value
    assert attribute.value == expected


def test_an_attribute_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        MessageAttribute.of("text").string_value = "other"  # type: ignore[misc]


def test_the_size_of_a_message_is_its_body_and_its_attributes() -> None:
    """Source: SQS Developer Guide, message attributes: name, type and value count."""
    assert Outgoing(body="abc").size_bytes() == 3
    assert Outgoing(body="é").size_bytes() == 2
    attributes = {"né": "ü", "b": b"\0\0\0", "n": 12}
    assert Outgoing(body="", attributes=attributes).size_bytes() == (3 + 6 + 2) + (1 + 6 + 3) + (1 + 6 + 2)


def test_only_what_is_given_is_sent() -> None:
    assert Outgoing(body="b").send_parameters() == {"MessageBody": "b"}
    assert Outgoing(body="b").publish_parameters() == {"Message": "b"}
    full = Outgoing(
        body="b",
        delay_s=0,
        message_group_id="g",
        deduplication_id="d",
        trace_header="t",
        subject="s",
        attributes={"a": "x"},
    )
    attributes = {"a": {"DataType": "String", "StringValue": "x"}}
    assert full.send_parameters() == {
        "MessageBody": "b",
        "MessageAttributes": attributes,
        "DelaySeconds": 0,
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "t"}},
        "MessageGroupId": "g",
        "MessageDeduplicationId": "d",
    }
    assert full.publish_parameters() == {
        "Message": "b",
        "MessageAttributes": attributes,
        "Subject": "s",
        "MessageGroupId": "g",
        "MessageDeduplicationId": "d",
    }
