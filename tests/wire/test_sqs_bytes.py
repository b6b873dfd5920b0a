"""SQS's own requests and replies, byte by byte, in both protocols.

Source: the sample requests and responses of the SQS API Reference; the names of the Query protocol (locationName, flattened)
in AWS's service model of 2012-11-05.
"""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from broker.services.sqs import SERVICE
from broker.services.sqs.message_shapes import (
    BatchResultErrorEntry,
    Message,
    MessageAttributeValue,
    ReceivedAttributeValue,
    ReceiveMessageResult,
    SendMessageBatchRequestEntry,
    SendMessageBatchResult,
    SendMessageBatchResultEntry,
    SendMessageResult,
)
from broker.wire.aws_json import JsonCodec
from broker.wire.aws_query import QueryCodec
from broker.wire.query_form import parse_form
from tests.wire.pigeons import REQUEST_ID

XMLNS = "http://queue.amazonaws.com/doc/2012-11-05/"
METADATA = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
URL = "http://localhost:4566/000000000000/q"
URL_FORM = f"QueueUrl={quote(URL, safe='')}"


def by_json(operation: str, body: str) -> Any:
    return JsonCodec(SERVICE.operations[operation], SERVICE).decode(body.encode())


def by_query(operation: str, form: str) -> Any:
    return QueryCodec(SERVICE.operations[operation], SERVICE).decode(parse_form(form.encode()))


def json_reply(operation: str, reply: Any) -> str:
    return JsonCodec(SERVICE.operations[operation], SERVICE).encode(reply, REQUEST_ID).body.decode()


def query_reply(operation: str, reply: Any) -> str:
    return QueryCodec(SERVICE.operations[operation], SERVICE).encode(reply, REQUEST_ID).body.decode()


REQUESTS = {
    "CreateQueue": (
        '{"QueueName":"q","Attributes":{"DelaySeconds":"5","VisibilityTimeout":"0"},"tags":{"a":"b"}}',
        "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5"
        "&Attribute.2.Name=VisibilityTimeout&Attribute.2.Value=0&Tag.1.Key=a&Tag.1.Value=b",
    ),
    "GetQueueAttributes": (
        f'{{"QueueUrl":"{URL}","AttributeNames":["QueueArn","Policy"]}}',
        f"{URL_FORM}&AttributeName.1=QueueArn&AttributeName.2=Policy",
    ),
    "SetQueueAttributes": (
        f'{{"QueueUrl":"{URL}","Attributes":{{"Policy":""}}}}',
        f"{URL_FORM}&Attribute.Name=Policy&Attribute.Value=",
    ),
    "SendMessage": (
        f'{{"QueueUrl":"{URL}","MessageBody":"a+b","DelaySeconds":0,"MessageAttributes":{{"n":{{"DataType":"Binary",'
        '"BinaryValue":"AQI="}},"MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"r"}},'
        '"MessageGroupId":"g","MessageDeduplicationId":"d"}',
        f"{URL_FORM}&MessageBody=a%2Bb&DelaySeconds=0&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=Binary"
        "&MessageAttribute.1.Value.BinaryValue=AQI%3D&MessageSystemAttribute.1.Name=AWSTraceHeader"
        "&MessageSystemAttribute.1.Value.DataType=String&MessageSystemAttribute.1.Value.StringValue=r"
        "&MessageGroupId=g&MessageDeduplicationId=d",
    ),
    "SendMessageBatch": (
        f'{{"QueueUrl":"{URL}","Entries":[{{"Id":"1","MessageBody":"a"}},{{"Id":"2","MessageBody":"b","DelaySeconds":9,'
        '"MessageAttributes":{"n":{"DataType":"Number","StringValue":"1"}}}]}',
        f"{URL_FORM}&SendMessageBatchRequestEntry.1.Id=1&SendMessageBatchRequestEntry.1.MessageBody=a"
        "&SendMessageBatchRequestEntry.2.Id=2&SendMessageBatchRequestEntry.2.MessageBody=b"
        "&SendMessageBatchRequestEntry.2.DelaySeconds=9&SendMessageBatchRequestEntry.2.MessageAttribute.1.Name=n"
        "&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.DataType=Number"
        "&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.StringValue=1",
    ),
    "ReceiveMessage": (
        f'{{"QueueUrl":"{URL}","MaxNumberOfMessages":10,"WaitTimeSeconds":20,"VisibilityTimeout":0,"AttributeNames":["All"],'
        '"MessageSystemAttributeNames":["SenderId"],"MessageAttributeNames":["a.*","b"],"ReceiveRequestAttemptId":"r"}',
        f"{URL_FORM}&MaxNumberOfMessages=10&WaitTimeSeconds=20&VisibilityTimeout=0&AttributeName=All"
        "&MessageSystemAttributeName.1=SenderId&MessageAttributeName.1=a.*&MessageAttributeName.2=b"
        "&ReceiveRequestAttemptId=r",
    ),
    "ChangeMessageVisibilityBatch": (
        f'{{"QueueUrl":"{URL}","Entries":[{{"Id":"1","ReceiptHandle":"h+/=","VisibilityTimeout":45}}]}}',
        f"{URL_FORM}&ChangeMessageVisibilityBatchRequestEntry.1.Id=1"
        "&ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle=h%2B%2F%3D"
        "&ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout=45",
    ),
    "DeleteMessageBatch": (
        f'{{"QueueUrl":"{URL}","Entries":[{{"Id":"1","ReceiptHandle":"h"}}]}}',
        f"{URL_FORM}&DeleteMessageBatchRequestEntry.1.Id=1&DeleteMessageBatchRequestEntry.1.ReceiptHandle=h",
    ),
    "AddPermission": (
        f'{{"QueueUrl":"{URL}","Label":"l","AWSAccountIds":["111122223333"],"Actions":["SendMessage","ReceiveMessage"]}}',
        f"{URL_FORM}&Label=l&AWSAccountId.1=111122223333&ActionName.1=SendMessage&ActionName.2=ReceiveMessage",
    ),
    "TagQueue": (f'{{"QueueUrl":"{URL}","Tags":{{"a":"b"}}}}', f"{URL_FORM}&Tag.1.Key=a&Tag.1.Value=b"),
    "UntagQueue": (f'{{"QueueUrl":"{URL}","TagKeys":["a","b"]}}', f"{URL_FORM}&TagKey.1=a&TagKey.2=b"),
}


@pytest.mark.parametrize("operation", REQUESTS)
def test_both_protocols_say_the_same(operation: str) -> None:
    body, form = REQUESTS[operation]
    assert by_query(operation, form) == by_json(operation, body)
    given = set(msgspec.json.decode(body))
    decoded = by_json(operation, body)
    for field in msgspec.structs.fields(decoded):
        assert (getattr(decoded, field.name) is not None) == (field.encode_name in given), field.name


def test_a_batch_entry_is_read_with_its_attributes() -> None:
    entries = by_query("SendMessageBatch", REQUESTS["SendMessageBatch"][1]).entries
    assert entries == [
        SendMessageBatchRequestEntry(id="1", message_body="a"),
        SendMessageBatchRequestEntry(
            id="2",
            message_body="b",
            delay_seconds=9,
            message_attributes={"n": MessageAttributeValue(data_type="Number", string_value="1")},
        ),
    ]


REPLIES: dict[str, tuple[str, Any, str, str]] = {
    "an empty receive": ("ReceiveMessage", ReceiveMessageResult(), "{}", "<ReceiveMessageResult/>"),
    "a message": (
        "ReceiveMessage",
        ReceiveMessageResult(
            messages=[
                Message(
                    message_id="m",
                    receipt_handle="h",
                    md5_of_body="5",
                    body='<é> & "x"\r\n',
                    attributes={"SenderId": "000000000000", "SentTimestamp": "1"},
                    md5_of_message_attributes="6",
                    message_attributes={
                        "b": ReceivedAttributeValue(data_type="Binary", binary_value=b"\x01\x02"),
                        "s": ReceivedAttributeValue(data_type="String", string_value="v"),
                    },
                )
            ]
        ),
        '{"Messages":[{"MessageId":"m","ReceiptHandle":"h","MD5OfBody":"5","Body":"<é> & \\"x\\"\\r\\n",'
        '"Attributes":{"SenderId":"000000000000","SentTimestamp":"1"},"MD5OfMessageAttributes":"6","MessageAttributes":'
        '{"b":{"BinaryValue":"AQI=","DataType":"Binary"},"s":{"StringValue":"v","DataType":"String"}}}]}',
        "<ReceiveMessageResult><Message><MessageId>m</MessageId><ReceiptHandle>h</ReceiptHandle><MD5OfBody>5</MD5OfBody>"
        "<Body>&lt;é&gt; &amp; &quot;x&quot;&#xD;\n</Body><Attribute><Name>SenderId</Name><Value>000000000000</Value>"
        "</Attribute><Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute>"
        "<MD5OfMessageAttributes>6</MD5OfMessageAttributes><MessageAttribute><Name>b</Name><Value>"
        "<BinaryValue>AQI=</BinaryValue><DataType>Binary</DataType></Value></MessageAttribute><MessageAttribute>"
        "<Name>s</Name><Value><StringValue>v</StringValue><DataType>String</DataType></Value></MessageAttribute></Message>"
        "</ReceiveMessageResult>",
    ),
    "a sent message": (
        "SendMessage",
        SendMessageResult(md5_of_message_body="5", message_id="m", sequence_number="18849496460467696128"),
        '{"MD5OfMessageBody":"5","MessageId":"m","SequenceNumber":"18849496460467696128"}',
        "<SendMessageResult><MD5OfMessageBody>5</MD5OfMessageBody><MessageId>m</MessageId>"
        "<SequenceNumber>18849496460467696128</SequenceNumber></SendMessageResult>",
    ),
    "a batch of which one failed": (
        "SendMessageBatch",
        SendMessageBatchResult(
            successful=[SendMessageBatchResultEntry(id="1", message_id="m", md5_of_message_body="5")],
            failed=[
                BatchResultErrorEntry(id="2", sender_fault=True, code="InvalidParameterValue", message="too <long>")
            ],
        ),
        '{"Successful":[{"Id":"1","MessageId":"m","MD5OfMessageBody":"5"}],'
        '"Failed":[{"Id":"2","SenderFault":true,"Code":"InvalidParameterValue","Message":"too <long>"}]}',
        "<SendMessageBatchResult><SendMessageBatchResultEntry><Id>1</Id><MessageId>m</MessageId>"
        "<MD5OfMessageBody>5</MD5OfMessageBody></SendMessageBatchResultEntry><BatchResultErrorEntry><Id>2</Id>"
        "<SenderFault>true</SenderFault><Code>InvalidParameterValue</Code><Message>too &lt;long&gt;</Message>"
        "</BatchResultErrorEntry></SendMessageBatchResult>",
    ),
    "a deleted message": ("DeleteMessage", None, "{}", ""),
}


@pytest.mark.parametrize("case", REPLIES)
def test_a_reply_in_both_protocols(case: str) -> None:
    operation, reply, as_json, as_xml = REPLIES[case]
    assert json_reply(operation, reply) == as_json
    assert query_reply(operation, reply) == (
        f'<?xml version="1.0"?><{operation}Response xmlns="{XMLNS}">{as_xml}{METADATA}</{operation}Response>'
    )
