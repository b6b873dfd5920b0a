"""SNS's documents, byte for byte as AWS lays them out.

Source: SNS Developer Guide, "HTTP/HTTPS notification JSON format", "… subscription confirmation JSON format", "… unsubscribe
confirmation JSON format" (their examples); Lambda Developer Guide, "Using AWS Lambda with Amazon SNS".
"""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.content import Attribute
from broker.core.errors import InvalidMessageContents
from broker.services.sns.envelope import (
    Envelope,
    Notification,
    Signature,
    confirmation,
    lambda_event,
    timestamp_text,
)

TOPIC = "arn:aws:sns:us-west-2:123456789012:MyTopic"
SUBSCRIPTION = f"{TOPIC}:c9135db0-26c4-47ec-8998-413945fb5a96"
HOST = "https://sns.us-west-2.amazonaws.com"
UNSUBSCRIBE = f"{HOST}/?Action=Unsubscribe&SubscriptionArn={SUBSCRIPTION}"
CERTIFICATE = f"{HOST}/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
SIGNATURE = Signature("1", "EXAMPLEw6JRN==", CERTIFICATE)
NOTIFICATION = Notification(
    message_id="22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    topic_arn=TOPIC,
    subject="My First Message",
    message="Hello world!",
    timestamp="2012-05-02T00:54:06.655Z",
)


def document(notification: Notification, signature: Signature | None = SIGNATURE) -> str:
    return Envelope(notification, signature).document(UNSUBSCRIBE)


def parsed(notification: Notification, signature: Signature | None = SIGNATURE) -> dict[str, Any]:
    return dict(json.loads(document(notification, signature)))


def test_a_notification() -> None:
    assert (
        document(NOTIFICATION)
        == """{
  "Type" : "Notification",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "TopicArn" : "arn:aws:sns:us-west-2:123456789012:MyTopic",
  "Subject" : "My First Message",
  "Message" : "Hello world!",
  "Timestamp" : "2012-05-02T00:54:06.655Z",
  "SignatureVersion" : "1",
  "Signature" : "EXAMPLEw6JRN==",
  "SigningCertURL" : "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
  "UnsubscribeURL" : "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-west-2:123456789012:MyTopic:c9135db0-26c4-47ec-8998-413945fb5a96"
}"""
    )


def test_attributes_stand_a_line_each_at_the_end() -> None:
    attributes = (
        Attribute("city", "String", "Zürich".encode()),
        Attribute("count", "Number", b"12"),
        Attribute("blob", "Binary", b"\x00\xff\r\n"),
        Attribute("list", "String.Array", b'["a", 1]'),
    )
    text = document(replace(NOTIFICATION, attributes=attributes))
    end = text.index(',\n  "MessageAttributes"')
    assert text[:end] + "\n}" == document(NOTIFICATION)
    assert (
        text[end:]
        == """,
  "MessageAttributes" : {
    "city" : {"Type":"String","Value":"Zürich"},
    "count" : {"Type":"Number","Value":"12"},
    "blob" : {"Type":"Binary","Value":"AP8NCg=="},
    "list" : {"Type":"String.Array","Value":"[\\"a\\", 1]"}
  }
}"""
    )


def test_what_there_is_not_is_left_out() -> None:
    found = parsed(replace(NOTIFICATION, subject=None))
    assert not {"Subject", "SequenceNumber", "MessageAttributes"} & set(found)


def test_a_fifo_topics_has_a_sequence_number_and_no_signature() -> None:
    notification = replace(NOTIFICATION, sequence_number="10000000000000003000", subject=None)
    assert (
        document(notification, None)
        == """{
  "Type" : "Notification",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "SequenceNumber" : "10000000000000003000",
  "TopicArn" : "arn:aws:sns:us-west-2:123456789012:MyTopic",
  "Message" : "Hello world!",
  "Timestamp" : "2012-05-02T00:54:06.655Z",
  "UnsubscribeURL" : "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-west-2:123456789012:MyTopic:c9135db0-26c4-47ec-8998-413945fb5a96"
}"""
    )


@pytest.mark.parametrize(
    "message",
    [
        '{"default": "x"}',
        'quotes " and \\ backslashes \\n',
        "".join(map(chr, range(32))),
        "\x7f\x80\x9f\u2028\u2029\ufeff",
        "grüße \U0001f600 \U0010ffff",
        "</script>&amp;",
        "",
    ],
    ids=ascii,
)
def test_every_text_comes_back(message: str) -> None:
    found = parsed(replace(NOTIFICATION, message=message, subject=message))
    assert (found["Message"], found["Subject"]) == (message, message)


@settings(max_examples=50)
@given(
    message=st.text(),
    attributes=st.dictionaries(st.text(min_size=1), st.text() | st.binary(), max_size=3),
)
def test_every_document_is_json(message: str, attributes: dict[str, str | bytes]) -> None:
    given_attributes = tuple(
        Attribute(name, "Binary", value) if isinstance(value, bytes) else Attribute(name, "String", value.encode())
        for name, value in attributes.items()
    )
    found = parsed(replace(NOTIFICATION, message=message, attributes=given_attributes))
    assert found["Message"] == message
    assert set(found.get("MessageAttributes", {})) == set(attributes)
    assert list(found)[-2 if attributes else -1 :][0] == "UnsubscribeURL"


@pytest.mark.parametrize("attributes", [(), (Attribute("city", "String", "Zürich".encode()),)])
def test_a_queue_gets_the_same_with_its_md5(attributes: tuple[Attribute, ...]) -> None:
    envelope = Envelope(replace(NOTIFICATION, message="grüße", attributes=attributes), SIGNATURE)
    body = envelope.body(UNSUBSCRIBE)
    assert body.content.decode() == envelope.document(UNSUBSCRIBE)
    assert body.md5 == hashlib.md5(body.content).hexdigest()
    assert envelope.body(UNSUBSCRIBE + "2").md5 != body.md5


def test_a_character_that_no_queue_takes_is_named_as_when_it_is_sent() -> None:
    envelope = Envelope(replace(NOTIFICATION, message="\uffff"), SIGNATURE)
    assert json.loads(envelope.document(UNSUBSCRIBE))["Message"] == "\uffff"
    with pytest.raises(InvalidMessageContents):
        envelope.body(UNSUBSCRIBE)


DETAILS = {
    "message_id": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "token": "2336412f37",
    "topic_arn": TOPIC,
    "subscription_arn": SUBSCRIPTION,
    "subscribe_url": f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37",
    "timestamp": "2012-04-26T20:45:04.751Z",
}


def test_a_subscription_confirmation() -> None:
    assert (
        confirmation(kind="SubscriptionConfirmation", signature=SIGNATURE, **DETAILS)
        == """{
  "Type" : "SubscriptionConfirmation",
  "MessageId" : "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
  "Token" : "2336412f37",
  "TopicArn" : "arn:aws:sns:us-west-2:123456789012:MyTopic",
  "Message" : "You have chosen to subscribe to the topic arn:aws:sns:us-west-2:123456789012:MyTopic.\\nTo confirm the subscription, visit the SubscribeURL included in this message.",
  "SubscribeURL" : "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:123456789012:MyTopic&Token=2336412f37",
  "Timestamp" : "2012-04-26T20:45:04.751Z",
  "SignatureVersion" : "1",
  "Signature" : "EXAMPLEw6JRN==",
  "SigningCertURL" : "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
}"""  # noqa: E501 (a document)
    )


def test_an_unsubscribe_confirmation_has_its_own_text() -> None:
    text = confirmation(kind="UnsubscribeConfirmation", signature=SIGNATURE, **DETAILS)
    other = confirmation(kind="SubscriptionConfirmation", signature=SIGNATURE, **DETAILS)
    assert list(json.loads(text)) == list(json.loads(other))
    assert json.loads(text)["Type"] == "UnsubscribeConfirmation"
    assert json.loads(text)["Message"] == (
        f"You have chosen to deactivate subscription {SUBSCRIPTION}.\n"
        "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
    )


def test_a_functions_event_spells_url_its_own_way() -> None:
    notification = replace(NOTIFICATION, attributes=(Attribute("Test", "String", b"TestString"),))
    event = json.loads(lambda_event(notification, SUBSCRIPTION, UNSUBSCRIBE, SIGNATURE))
    assert event == {
        "Records": [
            {
                "EventVersion": "1.0",
                "EventSubscriptionArn": SUBSCRIPTION,
                "EventSource": "aws:sns",
                "Sns": {
                    "SignatureVersion": "1",
                    "Timestamp": "2012-05-02T00:54:06.655Z",
                    "Signature": "EXAMPLEw6JRN==",
                    "SigningCertUrl": CERTIFICATE,
                    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                    "Message": "Hello world!",
                    "MessageAttributes": {"Test": {"Type": "String", "Value": "TestString"}},
                    "Type": "Notification",
                    "UnsubscribeUrl": UNSUBSCRIBE,
                    "TopicArn": TOPIC,
                    "Subject": "My First Message",
                },
            }
        ]
    }


def test_a_functions_event_without_subject_and_attributes_has_them_empty() -> None:
    event = json.loads(lambda_event(replace(NOTIFICATION, subject=None), SUBSCRIPTION, UNSUBSCRIBE, SIGNATURE))
    (record,) = event["Records"]
    assert record["Sns"]["Subject"] is None
    assert record["Sns"]["MessageAttributes"] == {}


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (1_335_920_046_655, "2012-05-02T00:54:06.655Z"),
        (1_335_920_046_000, "2012-05-02T00:54:06.000Z"),
        (1_335_920_046_005, "2012-05-02T00:54:06.005Z"),
        (0, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_timestamps_are_in_utc_with_milliseconds(at_ms: int, text: str) -> None:
    assert timestamp_text(at_ms) == text
