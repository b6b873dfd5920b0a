"""SNS's Query protocol, byte by byte; links that are followed unsigned; and whatever else may be sent.

Source: the sample responses of the SNS API Reference and AWS's service model of 2010-03-31 (wrappers, list members, operations
without a result, statuses of errors); B of the semantics.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.sns.endpoint import Endpoint
from tests.sns.topics import Topic, subscription_attributes
from tests.sqs.queues import Queue
from tests.sqs.wire_clients import RawConnection, credential, raw_request

NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"
FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SubscribeHook = Callable[..., str]


@dataclass(frozen=True)
class Wire:
    """The Query protocol of SNS, without an SDK."""

    broker: RunningBroker
    account: str

    def send(self, body: bytes, **headers: str) -> tuple[int, str]:
        """Status and text of the reply to a form."""
        given = {"Content-Type": FORM_TYPE, "Authorization": credential(self.account).replace("/sqs/", "/sns/")}
        status, reply_headers, answer = self.broker.request("POST", "/", body, given | headers)
        assert reply_headers["content-type"].partition(";")[0] == "text/xml"
        assert re.fullmatch(UUID, reply_headers["x-amzn-requestid"])
        return status, answer.decode()

    def call(self, action: str, **parameters: str) -> tuple[int, str]:
        """Keyword names may hold `__` for a dot."""
        form = {name.replace("__", "."): value for name, value in parameters.items()}
        return self.send(urlencode({"Action": action, "Version": "2010-03-31", **form}).encode())


@pytest.fixture
def wire(broker: RunningBroker, account: str) -> Wire:
    return Wire(broker, account)


def reply(action: str, result: str | None) -> str:
    """A reply's pattern. `result`: the content of its result element, itself a pattern; None: there is no such element."""
    element = "" if result is None else f"<{action}Result>{result}</{action}Result>"
    return (
        f'<\\?xml version="1\\.0"\\?><{action}Response xmlns="{re.escape(NAMESPACE)}">{element}'
        f"<ResponseMetadata><RequestId>{UUID}</RequestId></ResponseMetadata></{action}Response>"
    )


def fault(code: str, message: str) -> str:
    return (
        f'<\\?xml version="1\\.0"\\?><ErrorResponse xmlns="{re.escape(NAMESPACE)}"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{re.escape(message)}</Message></Error><RequestId>{UUID}</RequestId></ErrorResponse>"
    )


def matches(answer: tuple[int, str], pattern: str, status: int = 200) -> None:
    assert re.fullmatch(pattern, answer[1], re.DOTALL), answer[1]
    assert answer[0] == status


# Replies


def test_a_topic_is_created(wire: Wire) -> None:
    arn = f"arn:aws:sns:us-east-1:{wire.account}:news"
    matches(
        wire.call(
            "CreateTopic",
            Name="news",
            Attributes__entry__1__key="DisplayName",
            Attributes__entry__1__value="The news",
            Tags__member__1__Key="team",
            Tags__member__1__Value="blue",
        ),
        reply("CreateTopic", f"<TopicArn>{arn}</TopicArn>"),
    )


def test_lists_have_members(wire: Wire, topic: Topic, queue: Queue) -> None:
    matches(
        wire.call("ListTopics"),
        reply("ListTopics", f"<Topics><member><TopicArn>{topic.arn}</TopicArn></member></Topics>"),
    )
    arn = topic.subscribe_queue(queue)
    matches(
        wire.call("ListSubscriptionsByTopic", TopicArn=topic.arn),
        reply(
            "ListSubscriptionsByTopic",
            f"<Subscriptions><member><SubscriptionArn>{arn}</SubscriptionArn><Owner>{wire.account}</Owner>"
            f"<Protocol>sqs</Protocol><Endpoint>{queue.arn}</Endpoint><TopicArn>{topic.arn}</TopicArn></member>"
            "</Subscriptions>",
        ),
    )


def test_empty_lists_are_there(wire: Wire, topic: Topic) -> None:
    matches(wire.call("ListSubscriptions"), reply("ListSubscriptions", "<Subscriptions></Subscriptions>"))
    matches(
        wire.call("ListSubscriptionsByTopic", TopicArn=topic.arn),
        reply("ListSubscriptionsByTopic", "<Subscriptions></Subscriptions>"),
    )


def test_maps_have_entries(wire: Wire, topic: Topic) -> None:
    _, answer = wire.call("GetTopicAttributes", TopicArn=topic.arn)
    assert re.fullmatch(
        reply(
            "GetTopicAttributes",
            r"<Attributes>(<entry><key>\w+</key><value>[^<]*</value></entry>)+</Attributes>",
        ),
        answer,
    )
    assert f"<entry><key>TopicArn</key><value>{topic.arn}</value></entry>" in answer
    assert "<entry><key>DisplayName</key><value></value></entry>" in answer
    assert "<value>{&quot;http&quot;:{&quot;defaultHealthyRetryPolicy&quot;:" in answer


def test_a_publish(wire: Wire, topic: Topic) -> None:
    matches(
        wire.call("Publish", TopicArn=topic.arn, Message="hello"),
        reply("Publish", f"<MessageId>{UUID}</MessageId>"),
    )


def test_a_publish_to_a_fifo_topic(wire: Wire) -> None:
    _, created = wire.call(
        "CreateTopic", Name="t.fifo", Attributes__entry__1__key="FifoTopic", Attributes__entry__1__value="true"
    )
    (arn,) = re.findall("<TopicArn>(.*)</TopicArn>", created)
    matches(
        wire.call("Publish", TopicArn=arn, Message="hello", MessageGroupId="g", MessageDeduplicationId="d"),
        reply("Publish", rf"<MessageId>{UUID}</MessageId><SequenceNumber>\d{{20}}</SequenceNumber>"),
    )


def test_a_batch(wire: Wire, topic: Topic) -> None:
    entry = "PublishBatchRequestEntries__member__"
    matches(
        wire.call(
            "PublishBatch",
            TopicArn=topic.arn,
            **{
                f"{entry}1__Id": "a",
                f"{entry}1__Message": "hello",
                f"{entry}2__Id": "b",
                f"{entry}2__Message": "hello",
                f"{entry}2__MessageAttributes__entry__1__Name": "n",
                f"{entry}2__MessageAttributes__entry__1__Value__DataType": "Number",
                f"{entry}2__MessageAttributes__entry__1__Value__StringValue": "<many>",
            },
        ),
        reply(
            "PublishBatch",
            f"<Successful><member><Id>a</Id><MessageId>{UUID}</MessageId></member></Successful>"
            "<Failed><member><Id>b</Id><Code>ParameterValueInvalid</Code><Message>[^<]+</Message>"
            "<SenderFault>true</SenderFault></member></Failed>",
        ),
    )


def test_operations_without_a_result_have_no_result_element(wire: Wire, topic: Topic, queue: Queue) -> None:
    arn = topic.subscribe_queue(queue)
    for action, parameters in {
        "SetTopicAttributes": {"TopicArn": topic.arn, "AttributeName": "DisplayName", "AttributeValue": "x"},
        "SetSubscriptionAttributes": {
            "SubscriptionArn": arn,
            "AttributeName": "RawMessageDelivery",
            "AttributeValue": "true",
        },
        "Unsubscribe": {"SubscriptionArn": arn},
        "DeleteTopic": {"TopicArn": topic.arn},
    }.items():
        matches(wire.call(action, **parameters), reply(action, None))


def test_a_pending_subscription(wire: Wire, topic: Topic, hook: Endpoint) -> None:
    parameters = {"TopicArn": topic.arn, "Protocol": "http", "Endpoint": hook.url}
    pending = "<SubscriptionArn>pending confirmation</SubscriptionArn>"
    matches(wire.call("Subscribe", **parameters), reply("Subscribe", pending))
    matches(
        wire.call("Subscribe", ReturnSubscriptionArn="true", **parameters),
        reply("Subscribe", f"<SubscriptionArn>{topic.arn}:{UUID}</SubscriptionArn>"),
    )
    _, listed = wire.call("ListSubscriptions")
    assert "<SubscriptionArn>PendingConfirmation</SubscriptionArn>" in listed


def test_texts_are_escaped(wire: Wire, topic: Topic) -> None:
    topic.set("DisplayName", "<a & \"b\" 'c' ü>")
    _, answer = wire.call("GetTopicAttributes", TopicArn=topic.arn)
    assert "<value>&lt;a &amp; &quot;b&quot; 'c' ü&gt;</value>" in answer


def test_a_request_by_get(wire: Wire, topic: Topic) -> None:
    query = urlencode({"Action": "GetTopicAttributes", "Version": "2010-03-31", "TopicArn": topic.arn})
    headers = {"Authorization": credential(wire.account)}
    status, _, body = wire.broker.request("GET", f"/?{query}", headers=headers)
    assert status == 200
    assert b"<GetTopicAttributesResult>" in body


def test_a_request_without_a_version(wire: Wire, topic: Topic) -> None:
    status, answer = wire.send(f"Action=Publish&TopicArn={topic.arn}&Message=x".encode())
    matches((status, answer), reply("Publish", f"<MessageId>{UUID}</MessageId>"))


# Errors


def test_an_error_has_no_detail(wire: Wire) -> None:
    arn = f"arn:aws:sns:us-east-1:{wire.account}:nowhere"
    for action in ("GetTopicAttributes", "ListSubscriptionsByTopic"):
        matches(wire.call(action, TopicArn=arn), fault("NotFound", "Topic does not exist"), 404)
    matches(wire.call("Publish", TopicArn=arn, Message="x"), fault("NotFound", "Topic does not exist"), 404)


def test_a_subscription_that_does_not_exist(wire: Wire, topic: Topic) -> None:
    arn = f"{topic.arn}:6c2a3b6c-1f0c-4e4c-9d4b-000000000000"
    matches(
        wire.call("GetSubscriptionAttributes", SubscriptionArn=arn),
        fault("NotFound", "Subscription does not exist"),
        404,
    )
    matches(wire.call("Unsubscribe", SubscriptionArn=arn), reply("Unsubscribe", None))


def test_statuses_that_are_not_400(
    wire: Wire, topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook, clock: MessageClock
) -> None:
    topic.subscribe("http", hook.url)
    clock.advance(0)
    topic.sns.confirm_subscription(TopicArn=topic.arn, Token=hook.token(), AuthenticateOnUnsubscribe="true")
    (one,) = topic.subscriptions()
    status, _, body = wire.broker.request("GET", f"/?Action=Unsubscribe&SubscriptionArn={one['SubscriptionArn']}")
    matches((status, body.decode()), fault("AuthorizationError", "Not authorized to unsubscribe"), 403)


REFUSED = {
    "no action of SNS": (
        {"Action": "SendPigeon"},
        "InvalidAction",
        "The action SendPigeon is not valid for this endpoint.",
    ),
    "an action of SQS": (
        {"Action": "SendMessage", "MessageBody": "x"},
        "InvalidAction",
        "The action SendMessage is not valid for this endpoint.",
    ),
    "no action": ({}, "MissingAction", "The request must contain the parameter Action."),
    "no name": (
        {"Action": "CreateTopic"},
        "InvalidParameter",
        "Invalid parameter: Name Reason: no value for required parameter",
    ),
    "no topic": (
        {"Action": "GetTopicAttributes"},
        "InvalidParameter",
        "Invalid parameter: TopicArn Reason: no value for required parameter",
    ),
    "no attribute name": (
        {"Action": "SetTopicAttributes", "TopicArn": "{topic}"},
        "InvalidParameter",
        "Invalid parameter: AttributeName Reason: no value for required parameter",
    ),
    "no message": (
        {"Action": "Publish", "TopicArn": "{topic}"},
        "InvalidParameter",
        "Invalid parameter: Message Reason: no value for required parameter",
    ),
    "an empty message": (
        {"Action": "Publish", "TopicArn": "{topic}", "Message": ""},
        "InvalidParameter",
        "Invalid parameter: Empty message",
    ),
    "no target": (
        {"Action": "Publish", "Message": "x"},
        "InvalidParameter",
        "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
    ),
    "no ARN": (
        {"Action": "Publish", "TopicArn": "news", "Message": "x"},
        "InvalidParameter",
        "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1",
    ),
    "a word for a boolean": (
        {
            "Action": "Subscribe",
            "TopicArn": "{topic}",
            "Protocol": "sms",
            "Endpoint": "+41791234567",
            "ReturnSubscriptionArn": "maybe",
        },
        "InvalidParameter",
        "Invalid parameter: ReturnSubscriptionArn Reason: maybe is not true or false",
    ),
    "no data type": (
        {"Action": "Publish", "TopicArn": "{topic}", "Message": "x", "MessageAttributes.entry.1.Name": "a"},
        "InvalidParameter",
        None,
    ),
    "bad base64": (
        {
            "Action": "Publish",
            "TopicArn": "{topic}",
            "Message": "x",
            "MessageAttributes.entry.1.Name": "a",
            "MessageAttributes.entry.1.Value.DataType": "Binary",
            "MessageAttributes.entry.1.Value.BinaryValue": "%%%",
        },
        None,
        None,
    ),
    "a token that is none": (
        {"Action": "ListTopics", "NextToken": "\x00\xff"},
        "InvalidParameter",
        "Invalid parameter: NextToken",
    ),
    "no entries": (
        {"Action": "PublishBatch", "TopicArn": "{topic}"},
        "EmptyBatchRequest",
        None,
    ),
    "control characters": (
        {"Action": "GetTopicAttributes", "TopicArn": "arn:aws:sns:us-east-1:\x00\x1b:x"},
        None,
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(wire: Wire, topic: Topic, case: tuple[dict[str, str], str | None, str | None]) -> None:
    form, code, message = case
    filled = {name: value.replace("{topic}", topic.arn) for name, value in form.items()}
    status, answer = wire.send(urlencode({"Version": "2010-03-31", **filled}).encode())
    assert 400 <= status < 500
    found = re.fullmatch(
        fault("CODE", "MESSAGE").replace("CODE", r"(\w+)").replace("MESSAGE", r"([^<]*)"), answer, re.DOTALL
    )
    assert found, answer
    assert found[1] == (code or found[1])
    assert found[2].startswith(message or "")


def test_a_target_header_asks_for_a_protocol_that_sns_has_not(wire: Wire) -> None:
    headers = {"X-Amz-Target": "AmazonSNS.ListTopics", "Content-Type": "application/x-amz-json-1.0"}
    status, _, body = wire.broker.request("POST", "/", b"{}", headers)
    assert status == 400
    assert b"UnknownOperationException" in body


# Links


def test_a_confirmation_link_needs_no_signature(
    broker: RunningBroker, topic: Topic, hook: Endpoint, clock: MessageClock
) -> None:
    arn = topic.subscribe("http", hook.url)
    clock.advance(0)
    for _ in range(2):  # once more does no harm
        path = f"/?Action=ConfirmSubscription&TopicArn={topic.arn}&Token={hook.token()}"
        status, headers, body = broker.request("GET", path)
        assert headers["content-type"] == "text/xml"
        matches(
            (status, body.decode()),
            reply("ConfirmSubscription", f"<SubscriptionArn>{re.escape(arn)}</SubscriptionArn>"),
        )
    assert subscription_attributes(topic.sns, arn)["ConfirmationWasAuthenticated"] == "false"


def test_an_unsubscribe_link_needs_no_signature(
    broker: RunningBroker, topic: Topic, hook: Endpoint, subscribe_hook: SubscribeHook
) -> None:
    arn = subscribe_hook(topic)
    for _ in range(2):
        status, _, body = broker.request("GET", f"/?Action=Unsubscribe&SubscriptionArn={quote(arn)}")
        matches((status, body.decode()), reply("Unsubscribe", None))
    assert topic.subscriptions() == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("TopicArn={topic}&Token=", "Token"),
        ("TopicArn={topic}&Token=0123", "Token"),
        ("TopicArn={topic}", "Token Reason: no value for required parameter"),
        ("TopicArn=x&Token=0", "TopicArn Reason: An ARN must have at least 6 elements, not 1"),
        ("Token=0", "TopicArn Reason: no value for required parameter"),
    ],
)
def test_a_link_that_is_cut_off(broker: RunningBroker, topic: Topic, query: str, message: str) -> None:
    path = f"/?Action=ConfirmSubscription&{query.replace('{topic}', topic.arn)}"
    status, _, body = broker.request("GET", path)
    matches((status, body.decode()), fault("InvalidParameter", f"Invalid parameter: {message}"), 400)


# Whatever else is sent


RAW = {
    "invalid utf-8": b"Action=Publish&Version=2010-03-31&TopicArn={topic}&Message=%FF%FE",
    "an overlong escape": b"Action=Publish&Version=2010-03-31&TopicArn={topic}&Message=%C0%AF",
    "half a surrogate pair": b"Action=Publish&Version=2010-03-31&TopicArn={topic}&Message=%ED%A0%80",
    "no form at all": b"\x00\x01\x02",
    "only separators": b"&&&===&&&",
    "deep names": b"Action=Publish&Version=2010-03-31&TopicArn={topic}&" + b"a." * 50_000 + b"=1",
    "json": b'{"Action":"Publish"}',
    "nothing": b"",
    "100,000 parameters": b"Action=ListTopics&Version=2010-03-31&" + b"&".join(b"x%d=1" % n for n in range(100_000)),
}


@pytest.mark.parametrize("body", RAW.values(), ids=RAW.keys())
def test_forms_that_are_none(wire: Wire, topic: Topic, queue: Queue, body: bytes) -> None:
    topic.subscribe_queue(queue)
    began_s = time.monotonic()
    status, answer = wire.send(body.replace(b"{topic}", quote(topic.arn).encode()))
    assert time.monotonic() - began_s < 2, "the broker stood still"
    assert 400 <= status < 500
    assert re.search(r"<Code>\w+</Code>", answer)
    assert queue.receive() == []


@pytest.mark.parametrize(
    ("action", "name", "value"),
    [
        ("CreateTopic", "Attributes.entry.{n}.key", "Attributes.entry.{n}.value"),
        ("CreateTopic", "Tags.member.{n}.Key", "Tags.member.{n}.Value"),
        ("PublishBatch", "PublishBatchRequestEntries.member.{n}.Id", "PublishBatchRequestEntries.member.{n}.Message"),
        ("Publish", "MessageAttributes.entry.{n}.Name", "MessageAttributes.entry.{n}.Value.StringValue"),
    ],
)
def test_thousands_of_elements(wire: Wire, topic: Topic, action: str, name: str, value: str) -> None:
    form = {"Action": action, "Version": "2010-03-31", "Name": "many", "TopicArn": topic.arn, "Message": "x"}
    for n in range(1, 4_500):
        form |= {name.replace("{n}", str(n)): f"k{n}", value.replace("{n}", str(n)): "x"}
    began_s = time.monotonic()
    status, answer = wire.send(urlencode(form).encode())
    assert time.monotonic() - began_s < 2, "the broker stood still"
    assert 400 <= status < 500, answer[:500]
    assert len(answer) < 10_000


def test_a_huge_attribute(wire: Wire, topic: Topic) -> None:
    for name, value in (
        ("DisplayName", "x" * 1_000_000),
        ("Policy", '{"Statement":[{}],"x":"' + "x" * 1_000_000 + '"}'),
        ("Policy", "[" * 1_000_000),
        ("DeliveryPolicy", '{"http":' * 100_000),
    ):
        began_s = time.monotonic()
        status, answer = wire.call("SetTopicAttributes", TopicArn=topic.arn, AttributeName=name, AttributeValue=value)
        assert time.monotonic() - began_s < 2, "the broker stood still"
        assert (status, "<Code>InvalidParameter</Code>" in answer) == (400, True)
        assert len(answer) < 10_000


def test_an_oversized_body(wire: Wire, topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    headers = [("Content-Type", FORM_TYPE), ("Content-Length", str(1 << 40))]
    with RawConnection(wire.broker.address) as connection:
        connection.send(raw_request("POST", "/", headers))
        answer = connection.answer()
    assert answer.status == 413
    assert b"<Code>RequestEntityTooLarge</Code>" in answer.body
    assert queue.receive() == []


def test_the_longest_message_is_let_in_and_a_longer_one_is_refused(wire: Wire, topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue, RawMessageDelivery="true")
    longest = "ü" * 131_072
    assert wire.call("Publish", TopicArn=topic.arn, Message=longest)[0] == 200
    matches(
        wire.call("Publish", TopicArn=topic.arn, Message=longest + "x"),
        fault("InvalidParameter", "Invalid parameter: Message too long"),
        400,
    )
    assert queue.receive_bodies() == [longest]
