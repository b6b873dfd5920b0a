"""What SNS would send to phones, devices, streams, functions and mailboxes is captured, and read at /_pombo/sns/deliveries.

Source: SNS Developer Guide, on each protocol's message format; SNS API Reference, Publish (MessageStructure, PhoneNumber).
"""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.sns.conftest import Deliveries, MakeSns
from tests.sns.platforms import create_application
from tests.sns.topics import Sns, Topic, string, subscription_attributes
from tests.sqs.queues import Queue, refused
from tests.sqs.wire_clients import credential

PHONE = "+41791234567"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:consumer"
STREAM = "arn:aws:firehose:us-east-1:123456789012:deliverystream/events"
ROLE = "arn:aws:iam::123456789012:role/firehose"
BY_PROTOCOL = json.dumps(
    {
        "default": "for all",
        "sms": "for phones",
        "email": "for mailboxes",
        "lambda": "for functions",
        "firehose": "for streams",
        "GCM": '{"notification":{"body":"for devices"}}',
    }
)


def published_to_all(topic: Topic) -> dict[str, Any]:
    return topic.publish(BY_PROTOCOL, MessageStructure="json")


# Phones


def test_an_sms_to_a_number(sns: Sns, deliveries: Deliveries) -> None:
    attributes = {"AWS.SNS.SMS.SenderID": string("Pombo"), "AWS.SNS.SMS.SMSType": string("Transactional")}
    message_id = sns.publish(PhoneNumber=PHONE, Message="your code is 1234 ü", MessageAttributes=attributes)[
        "MessageId"
    ]
    (found,) = deliveries()
    assert found.pop("Id") > 0
    assert found.pop("Timestamp") > 1_500_000_000_000
    assert found == {
        "Status": "captured",
        "Protocol": "sms",
        "Destination": PHONE,
        "MessageId": message_id,
        "Payload": "your code is 1234 ü",
        "MessageAttributes": {
            "AWS.SNS.SMS.SenderID": {"Type": "String", "Value": "Pombo"},
            "AWS.SNS.SMS.SMSType": {"Type": "String", "Value": "Transactional"},
        },
    }


def test_an_sms_to_a_number_takes_its_text_out_of_a_structure(sns: Sns, deliveries: Deliveries) -> None:
    sns.publish(PhoneNumber=PHONE, Message=BY_PROTOCOL, MessageStructure="json")
    sns.publish(PhoneNumber=PHONE, Message='{"default":"for all"}', MessageStructure="json")
    assert [one["Payload"] for one in deliveries()] == ["for phones", "for all"]


@pytest.mark.parametrize("number", ["1234", "+0791234567", "+41 79 x", "+" + "1" * 16, "+41791234567\n"])
def test_what_is_no_number_gets_no_sms(sns: Sns, deliveries: Deliveries, number: str) -> None:
    with refused("InvalidParameter"):
        sns.publish(PhoneNumber=number, Message="x")
    assert deliveries() == []


def test_an_sms_has_at_most_1600_characters(sns: Sns, deliveries: Deliveries) -> None:
    sns.publish(PhoneNumber=PHONE, Message="ü" * 1_600)
    with refused("InvalidParameter"):
        sns.publish(PhoneNumber=PHONE, Message="ü" * 1_601)
    assert len(deliveries()) == 1


def test_an_sms_to_a_subscribed_phone(topic: Topic, deliveries: Deliveries) -> None:
    arn = topic.subscribe("sms", PHONE)
    assert subscription_attributes(topic.sns, arn)["PendingConfirmation"] == "false"
    message_id = published_to_all(topic)["MessageId"]
    (found,) = deliveries()
    assert (found["Protocol"], found["Destination"], found["Payload"]) == ("sms", PHONE, "for phones")
    assert (found["MessageId"], found["TopicArn"], found["SubscriptionArn"]) == (message_id, topic.arn, arn)


# Functions


def test_a_function_gets_an_event(topic: Topic, queue: Queue, deliveries: Deliveries) -> None:
    arn = topic.subscribe("lambda", FUNCTION)
    topic.subscribe_queue(queue)
    message_id = topic.publish("hello", Subject="s", MessageAttributes={"city": string("Zürich")})["MessageId"]
    (found,) = deliveries()
    assert (found["Protocol"], found["Destination"], found["SubscriptionArn"]) == ("lambda", FUNCTION, arn)
    (record,) = json.loads(found["Payload"])["Records"]
    event = record.pop("Sns")
    assert record == {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": arn}
    envelope = json.loads(queue.receive_one()["Body"])
    assert (event["MessageId"], event["Message"], event["Subject"]) == (message_id, "hello", "s")
    assert event["MessageAttributes"] == {"city": {"Type": "String", "Value": "Zürich"}}
    for name in ("Type", "TopicArn", "Timestamp", "SignatureVersion", "Signature"):
        assert event[name] == envelope[name]
    assert event["SigningCertUrl"] == envelope["SigningCertURL"]
    assert event["UnsubscribeUrl"].endswith(f"/?Action=Unsubscribe&SubscriptionArn={arn}")
    assert not {"SigningCertURL", "UnsubscribeURL"} & set(event)


def test_a_functions_event_has_the_functions_text(topic: Topic, deliveries: Deliveries) -> None:
    topic.subscribe("lambda", FUNCTION)
    published_to_all(topic)
    (found,) = deliveries()
    assert json.loads(found["Payload"])["Records"][0]["Sns"]["Message"] == "for functions"


# Streams


def test_a_stream_gets_the_envelope_or_the_message(topic: Topic, deliveries: Deliveries) -> None:
    topic.subscribe("firehose", STREAM, SubscriptionRoleArn=ROLE)
    topic.subscribe("firehose", STREAM + "-raw", SubscriptionRoleArn=ROLE, RawMessageDelivery="true")
    message_id = published_to_all(topic)["MessageId"]
    payloads = {one["Destination"]: one["Payload"] for one in deliveries()}
    assert payloads[STREAM + "-raw"] == "for streams"
    envelope = json.loads(payloads[STREAM])
    assert (envelope["Type"], envelope["MessageId"], envelope["Message"]) == (
        "Notification",
        message_id,
        "for streams",
    )
    assert envelope["Signature"]


def test_a_stream_needs_a_role(topic: Topic) -> None:
    with refused("InvalidParameter"):
        topic.subscribe("firehose", STREAM)


# Devices


def test_a_device_gets_its_platforms_payload(topic: Topic, deliveries: Deliveries) -> None:
    device = create_application(topic.sns).create_endpoint()
    topic.subscribe("application", device)
    published_to_all(topic)
    topic.publish("plain")
    first, second = deliveries()
    assert (first["Protocol"], first["Destination"]) == ("application", device)
    assert json.loads(first["Payload"]) == {"notification": {"body": "for devices"}}
    assert second["Payload"] == "plain"


# Mailboxes, without a mail server


def test_a_mailbox_is_asked_to_confirm_by_a_link(topic: Topic, deliveries: Deliveries) -> None:
    arn = topic.subscribe("email", "pigeon@example.com")
    (found,) = deliveries()
    assert (found["Protocol"], found["Destination"]) == ("email", "pigeon@example.com")
    assert found["Subject"] == "AWS Notification - Subscription Confirmation"
    assert topic.arn in found["Payload"]
    (link,) = re.findall(r"http://\S+", found["Payload"])
    (token,) = re.findall(r"[?&]Token=([0-9a-f]+)", link)
    assert subscription_attributes(topic.sns, arn)["PendingConfirmation"] == "true"
    with urlopen(link) as reply:  # unsigned, as a browser opens it
        assert f"<SubscriptionArn>{arn}</SubscriptionArn>" in reply.read().decode()
    assert subscription_attributes(topic.sns, arn)["PendingConfirmation"] == "false"
    assert topic.sns.confirm_subscription(TopicArn=topic.arn, Token=token)["SubscriptionArn"] == arn


def test_a_confirmed_mailbox_gets_the_message_and_a_way_out(topic: Topic, deliveries: Deliveries) -> None:
    topic.subscribe("email", "pigeon@example.com")
    (letter,) = deliveries()
    published_to_all(topic)
    assert len(deliveries()) == 1, "it has not confirmed"
    with urlopen(re.findall(r"http://\S+", letter["Payload"])[0]):
        pass
    topic.publish(BY_PROTOCOL, MessageStructure="json", Subject="greeting")
    _, found = deliveries()
    assert found["Subject"] == "greeting"
    assert found["Payload"].startswith("for mailboxes\n")
    with urlopen(re.findall(r"http://\S+", found["Payload"])[0]):
        pass
    assert topic.subscriptions() == []


def test_a_mailbox_for_json_gets_documents(topic: Topic, deliveries: Deliveries) -> None:
    arn = topic.subscribe("email-json", "pigeon@example.com")
    document = json.loads(deliveries()[0]["Payload"])
    assert document["Type"] == "SubscriptionConfirmation"
    assert document["SubscribeURL"].endswith(f"&Token={document['Token']}")
    reply = topic.sns.confirm_subscription(TopicArn=topic.arn, Token=document["Token"])
    assert reply["SubscriptionArn"] == arn
    message_id = topic.publish("hello")["MessageId"]
    _, found = deliveries()
    envelope = json.loads(found["Payload"])
    assert (envelope["Type"], envelope["MessageId"], envelope["Message"]) == ("Notification", message_id, "hello")


# Reading them


def test_filters_decide_what_is_captured(topic: Topic, deliveries: Deliveries) -> None:
    topic.subscribe("sms", PHONE, FilterPolicy='{"urgent":["yes"]}')
    topic.publish("no")
    topic.publish("yes", MessageAttributes={"urgent": string("yes")})
    assert [one["Payload"] for one in deliveries()] == ["yes"]


def test_deliveries_are_read_in_pages(sns: Sns, broker: RunningBroker, account: str) -> None:
    for number in range(5):
        sns.publish(PhoneNumber=PHONE, Message=str(number))
    seen, after = [], 0
    sizes = []
    while after is not None:
        page = broker.request_json(
            "GET", f"/_pombo/sns/deliveries?Account={account}&Region=us-east-1&Limit=2&After={after}"
        )
        seen += [one["Payload"] for one in page["deliveries"]]
        sizes.append(len(page["deliveries"]))
        assert page["next"] is None or page["next"] == page["deliveries"][-1]["Id"]
        after = page["next"]
    assert seen == ["0", "1", "2", "3", "4"]
    assert sizes == [2, 2, 1]


def test_accounts_and_regions_have_their_own(
    sns_of: MakeSns, new_account: Callable[[], str], deliveries: Deliveries
) -> None:
    other = new_account()
    sns_of().publish(PhoneNumber=PHONE, Message="here")
    sns_of(region="eu-west-1").publish(PhoneNumber=PHONE, Message="elsewhere")
    sns_of(other).publish(PhoneNumber=PHONE, Message="theirs")
    assert [one["Payload"] for one in deliveries()] == ["here"]
    assert [one["Payload"] for one in deliveries(Region="eu-west-1")] == ["elsewhere"]
    assert [one["Payload"] for one in deliveries(Account=other)] == ["theirs"]
    assert deliveries(Region="ap-south-1") == []


def test_a_signed_request_reads_its_own(sns: Sns, broker: RunningBroker, account: str) -> None:
    sns.publish(PhoneNumber=PHONE, Message="mine")
    headers = {"Authorization": credential(account)}
    status, _, body = broker.request("GET", "/_pombo/sns/deliveries", headers=headers)
    assert status == 200
    assert [one["Payload"] for one in json.loads(body)["deliveries"]] == ["mine"]


def test_what_a_topic_of_another_region_sends_is_found_there(sns_of: MakeSns, deliveries: Deliveries) -> None:
    sns = sns_of(region="eu-west-1")
    topic = Topic(sns, sns.create_topic(Name="abroad")["TopicArn"])
    topic.subscribe("sms", PHONE)
    topic.publish("hello")
    assert deliveries() == []
    assert [one["Payload"] for one in deliveries(Region="eu-west-1")] == ["hello"]


def test_deliveries_are_kept_for_four_days(sns: Sns, deliveries: Deliveries, clock: MessageClock) -> None:
    sns.publish(PhoneNumber=PHONE, Message="x")
    clock.advance(4 * 86_400 - 1)
    assert len(deliveries()) == 1
    clock.advance(2)
    assert deliveries() == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Limit=0", "Limit is '0'; expected a number from 1 to 1000"),
        ("Limit=1001", "Limit is '1001'; expected a number from 1 to 1000"),
        ("Limit=many", "Limit is 'many'; expected a number from 1 to 1000"),
        ("After=-1", "After is '-1'; expected a number from 0"),
    ],
)
def test_a_bad_parameter_is_named(broker: RunningBroker, query: str, said: str) -> None:
    status, _, body = broker.request("GET", f"/_pombo/sns/deliveries?{query}")
    assert status == 400
    assert said in json.loads(body)["error"]


def test_deliveries_cannot_be_written(broker: RunningBroker) -> None:
    status, _, body = broker.request("POST", "/_pombo/sns/deliveries")
    assert (status, "expected GET" in json.loads(body)["error"]) == (405, True)
