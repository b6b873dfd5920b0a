"""The client and a broker: queues, messages, batches and topics, each as a user writes it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from client import errors
from client.client import Client
from client.errors import QueueDoesNotExist
from client.messages import Message, MessageAttribute, Outgoing
from tests.client.endpoint import Endpoint, answer
from tests.conftest import MessageClock, RunningBroker
from tests.sqs.attribute_md5 import attributes_md5, body_md5


@pytest.fixture
async def fifo(client: Client) -> str:
    """A FIFO queue."""
    return await client.create_queue("queue.fifo", {"FifoQueue": "true"})


async def receive_one(client: Client, url: str, **parameters: Any) -> Message:
    (message,) = await client.receive(url, **parameters)
    return message


# Queues


async def test_the_life_of_a_queue(client: Client, account: str) -> None:
    url = await client.create_queue("orders", {"VisibilityTimeout": "7"}, {"team": "a"})
    assert url.endswith(f"/{account}/orders")
    assert await client.create_queue("orders", {"VisibilityTimeout": "7"}) == url
    assert await client.queue_url("orders") == url
    assert (await client.call("sqs", "ListQueueTags", QueueUrl=url))["Tags"] == {"team": "a"}

    attributes = await client.queue_attributes(url)
    assert attributes["VisibilityTimeout"] == "7"
    assert await client.queue_url(attributes["QueueArn"]) == url
    await client.set_queue_attributes(url, {"VisibilityTimeout": "8"})
    assert await client.queue_attributes(url, "VisibilityTimeout") == {"VisibilityTimeout": "8"}

    await client.send(url, "hello")
    await client.purge_queue(url)
    assert await client.receive(url) == []
    await client.delete_queue(url)
    with pytest.raises(QueueDoesNotExist):
        await client.queue_url("orders")


async def test_a_url_is_its_own_url(client: Client) -> None:
    assert await client.queue_url("http://example.org/1/missing") == "http://example.org/1/missing"


async def test_queues_are_listed_by_prefix(client: Client) -> None:
    assert await client.list_queues() == []
    urls = [await client.create_queue(name) for name in ("a-1", "a-2", "b-1")]
    assert sorted(await client.list_queues()) == urls
    assert sorted(await client.list_queues("a-")) == urls[:2]


async def test_all_pages_of_a_list_are_read(endpoint: Endpoint) -> None:
    endpoint.says(
        answer(body=b'{"QueueUrls":["a","b"],"NextToken":"t"}'),
        answer(body=b'{"NextToken":"u"}'),
        answer(body=b'{"QueueUrls":["c"]}'),
    )
    async with Client(endpoint_url=endpoint.url) as client:
        assert await client.list_queues("q") == ["a", "b", "c"]
    asked = [json.loads(arrived.body) for arrived in endpoint.arrived]
    assert [request.get("NextToken") for request in asked] == [None, "t", "u"]
    assert {request["QueueNamePrefix"] for request in asked} == {"q"}


async def test_a_queue_of_a_redrive_policy(client: Client, url: str) -> None:
    dead_letters = await client.create_queue("dead")
    arn = (await client.queue_attributes(dead_letters, "QueueArn"))["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    await client.set_queue_attributes(url, {"RedrivePolicy": policy})
    assert "RedrivePolicy" in await client.queue_attributes(url)
    await client.set_queue_attributes(url, {"RedrivePolicy": ""})
    assert "RedrivePolicy" not in await client.queue_attributes(url)


# Messages


@pytest.mark.parametrize("body", ["hello", "ünïcode ☃ 🕊", '{"a": "\\n"}', "<a>&amp;</a>", " \t\n"])
async def test_a_message_is_sent_received_and_deleted(client: Client, url: str, clock: MessageClock, body: str) -> None:
    sent = await client.send(url, body)
    assert sent.md5_of_message_body == body_md5(body)
    assert sent.sequence_number is None
    message = await receive_one(client, url, visibility_timeout_s=5)
    assert (message.body, message.message_id, message.receive_count) == (body, sent.message_id, 1)
    assert int(message.attributes["SentTimestamp"]) > 0
    assert await client.receive(url) == []
    await client.delete(url, message.receipt_handle)
    clock.advance(6)
    assert await client.receive(url) == []


async def test_the_largest_message_is_sent_and_received(client: Client, url: str) -> None:
    """1 MiB since August 2025; its request is larger."""
    body = "x" * 1_048_576
    await client.send(url, body)
    assert (await receive_one(client, url)).body == body


async def test_attributes_of_all_types_arrive(client: Client, url: str) -> None:
    attributes = {
        "text": "ü & <b>",
        "bytes": b"\x00\xff\xfb",
        "int": -7,
        "float": 1.5,
        "price": MessageAttribute(data_type="Number.price", string_value="9.90"),
        "png": MessageAttribute(data_type="Binary.png", binary_value=b"\x89PNG"),
    }
    await client.send(url, "hello", attributes=attributes, trace_header="Root=1-5e3d83c1-e6a0db584850d61342823d4c")
    message = await receive_one(client, url)
    assert message.message_attributes == {name: MessageAttribute.of(value) for name, value in attributes.items()}
    assert message.md5_of_message_attributes == attributes_md5(
        {name: MessageAttribute.of(value).parameter() for name, value in attributes.items()}
    )
    assert message.attributes["AWSTraceHeader"] == "Root=1-5e3d83c1-e6a0db584850d61342823d4c"


async def test_only_the_attributes_that_are_asked_for_arrive(client: Client, url: str) -> None:
    await client.send(url, "hello", attributes={"a": "1", "b": "2"})
    message = await receive_one(
        client, url, system_attributes=["SenderId"], message_attributes=["b"], visibility_timeout_s=0
    )
    assert list(message.attributes) == ["SenderId"]
    assert list(message.message_attributes) == ["b"]
    message = await receive_one(client, url, system_attributes=(), message_attributes=())
    assert (message.attributes, message.message_attributes, message.receive_count) == ({}, {}, 0)


async def test_a_delayed_message_comes_later(client: Client, url: str, clock: MessageClock) -> None:
    await client.send(url, "later", delay_s=5)
    assert await client.receive(url) == []
    clock.advance(5)
    assert (await receive_one(client, url)).body == "later"


async def test_visibility_is_changed(client: Client, url: str, clock: MessageClock) -> None:
    await client.send(url, "hello")
    message = await receive_one(client, url, visibility_timeout_s=5)
    await client.change_visibility(url, message.receipt_handle, 60)
    clock.advance(30)
    assert await client.receive(url) == []
    await client.change_visibility(url, message.receipt_handle, 0)
    assert (await receive_one(client, url)).receive_count == 2


async def test_a_long_poll_returns_with_the_first_message(client: Client, url: str, broker: RunningBroker) -> None:
    poll = asyncio.create_task(client.receive(url, wait_time_s=20))
    await asyncio.to_thread(broker.settle)
    assert not poll.done()
    await client.send(url, "hello")
    assert [message.body for message in await poll] == ["hello"]


# Batches


async def test_a_batch_with_one_bad_entry(client: Client, url: str) -> None:
    result = await client.send_batch(
        url,
        [Outgoing(body="a", attributes={"n": 1}), Outgoing(body="b", delay_s=901), Outgoing(body="ü")],
    )
    assert [(sent.id, sent.md5_of_message_body) for sent in result.successful] == [
        ("0", body_md5("a")),
        ("2", body_md5("ü")),
    ]
    (failed,) = result.failed
    assert (failed.id, failed.sender_fault) == ("1", True)
    assert isinstance(failed.error, errors.InvalidParameterValue)
    received = await client.receive(url, 10)
    assert sorted(message.body for message in received) == ["a", "ü"]


async def test_batches_of_receipt_handles_with_one_bad_entry(client: Client, url: str) -> None:
    await client.send_batch(url, [Outgoing(body=body) for body in "abc"])
    handles = [message.receipt_handle for message in await client.receive(url, 10)]
    assert len(handles) == 3

    changed = await client.change_visibility_batch(url, [handles[0], "bad", handles[1]], 0)
    assert [done.id for done in changed.successful] == ["0", "2"]
    assert [(failed.id, type(failed.error)) for failed in changed.failed] == [("1", errors.ReceiptHandleIsInvalid)]

    again = [message.receipt_handle for message in await client.receive(url, 10)]
    assert len(again) == 2
    deleted = await client.delete_batch(url, [*again, "bad", handles[2]])
    assert [done.id for done in deleted.successful] == ["0", "1", "3"]
    assert [(failed.id, type(failed.error)) for failed in deleted.failed] == [("2", errors.ReceiptHandleIsInvalid)]
    counts = await client.queue_attributes(url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    assert set(counts.values()) == {"0"}


# FIFO


async def test_a_fifo_queue_keeps_order_and_drops_duplicates(client: Client, fifo: str) -> None:
    first = await client.send(fifo, "a", message_group_id="g", deduplication_id="1")
    again = await client.send(fifo, "a", message_group_id="g", deduplication_id="1")
    assert first.sequence_number == again.sequence_number
    batch = [Outgoing(body=body, message_group_id="g", deduplication_id=body) for body in "bcd"]
    result = await client.send_batch(fifo, batch)
    numbers = [sent.sequence_number or "" for sent in result.successful]
    assert [first.sequence_number, *numbers] == sorted([first.sequence_number or "", *numbers])
    received = await client.receive(fifo, 10)
    assert [message.body for message in received] == list("abcd")
    assert {message.group_id for message in received} == {"g"}


async def test_a_receive_is_repeated_by_its_attempt_id(client: Client, fifo: str) -> None:
    await client.send(fifo, "a", message_group_id="g", deduplication_id="1")
    first = await receive_one(client, fifo, attempt_id="attempt")
    again = await receive_one(client, fifo, attempt_id="attempt")
    assert first.message_id == again.message_id
    assert await client.receive(fifo) == []


# Topics


async def test_the_life_of_a_topic(client: Client, account: str, url: str) -> None:
    arn = await client.create_topic("news", {"DisplayName": "News & more"}, {"team": "a", "empty": ""})
    assert arn == f"arn:aws:sns:us-east-1:{account}:news"
    assert await client.create_topic("news") == arn
    assert await client.call("sns", "ListTopics") == {"Topics": [{"TopicArn": arn}]}
    tags = await client.call("sns", "ListTagsForResource", ResourceArn=arn)
    assert sorted((tag["Key"], tag["Value"]) for tag in tags["Tags"]) == [("empty", ""), ("team", "a")]
    attributes = (await client.call("sns", "GetTopicAttributes", TopicArn=arn))["Attributes"]
    assert attributes["DisplayName"] == "News & more"

    queue_arn = (await client.queue_attributes(url, "QueueArn"))["QueueArn"]
    subscription = await client.subscribe(arn, "sqs", queue_arn, {"RawMessageDelivery": "true"})
    assert subscription.startswith(arn + ":")
    (listed,) = (await client.call("sns", "ListSubscriptionsByTopic", TopicArn=arn))["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"]) == (subscription, queue_arn)

    attributes = {"n": 7, "b": b"\x00\xff", "s": "ü"}
    published = await client.publish(arn, "hello ☃ +&=%", attributes=attributes)
    message = await receive_one(client, url)
    assert message.body == "hello ☃ +&=%"
    assert message.message_attributes == {name: MessageAttribute.of(value) for name, value in attributes.items()}
    assert published.message_id
    assert published.sequence_number is None

    await client.unsubscribe(subscription)
    assert await client.call("sns", "ListSubscriptionsByTopic", TopicArn=arn) == {"Subscriptions": []}
    await client.delete_topic(arn)
    assert await client.call("sns", "ListTopics") == {"Topics": []}


async def test_a_subscription_that_waits_has_its_arn_too(client: Client) -> None:
    arn = await client.create_topic("news")
    assert (await client.subscribe(arn, "http", "http://127.0.0.1:9/")).startswith(arn + ":")


async def test_an_envelope_has_subject_and_text_of_its_protocol(client: Client, url: str) -> None:
    arn = await client.create_topic("news")
    queue_arn = (await client.queue_attributes(url, "QueueArn"))["QueueArn"]
    await client.subscribe(arn, "sqs", queue_arn)
    texts = json.dumps({"default": "all", "sqs": "queues"})
    published = await client.publish(arn, texts, subject="S", message_structure="json")
    envelope = (await receive_one(client, url)).json()
    assert (envelope["Subject"], envelope["Message"]) == ("S", "queues")
    assert envelope["MessageId"] == published.message_id


async def test_a_batch_is_published_with_one_bad_entry(client: Client, url: str) -> None:
    arn = await client.create_topic("news")
    queue_arn = (await client.queue_attributes(url, "QueueArn"))["QueueArn"]
    await client.subscribe(arn, "sqs", queue_arn, {"RawMessageDelivery": "true"})
    result = await client.publish_batch(
        arn, [Outgoing(body="a", attributes={"k": "v"}), Outgoing(body=""), Outgoing(body="c")]
    )
    assert [published.id for published in result.successful] == ["0", "2"]
    assert all(published.message_id for published in result.successful)
    (failed,) = result.failed
    assert (failed.id, failed.sender_fault, type(failed.error)) == ("1", True, errors.InvalidParameter)
    assert sorted(message.body for message in await client.receive(url, 10)) == ["a", "c"]


async def test_a_fifo_topic_numbers_what_is_published(client: Client) -> None:
    arn = await client.create_topic("news.fifo", {"FifoTopic": "true"})
    published = await client.publish(arn, "a", message_group_id="g", deduplication_id="1")
    batch = await client.publish_batch(arn, [Outgoing(body="b", message_group_id="g", deduplication_id="2")])
    assert batch.failed == []
    (later,) = batch.successful
    assert int(published.sequence_number or 0) < int(later.sequence_number or 0)


# Any operation, any account


async def test_any_operation_is_called_by_its_name(client: Client, url: str) -> None:
    answered = await client.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert answered == {"Attributes": {"DelaySeconds": "0"}}
    assert await client.call("sqs", "ListQueues", QueueNamePrefix=None) == {"QueueUrls": [url]}
    await client.call("sns", "SetSMSAttributes", attributes={"DefaultSMSType": "Promotional"})
    sms = await client.call("sns", "GetSMSAttributes", attributes=["DefaultSMSType"])
    assert sms == {"attributes": {"DefaultSMSType": "Promotional"}}


async def test_a_name_is_the_callers_unless_an_owner_is_named(
    client: Client, url: str, account: str, broker: RunningBroker, new_account: Callable[[], str]
) -> None:
    assert await client.queue_url("queue", account) == url
    async with Client(endpoint_url=broker.url, access_key=new_account(), secret_key="secret") as stranger:
        with pytest.raises(QueueDoesNotExist):
            await stranger.queue_url("queue")
        theirs = await stranger.create_queue("queue")
        assert await stranger.queue_url("queue") == theirs != url


async def test_the_account_and_the_region_are_those_of_the_signature(broker: RunningBroker, account: str) -> None:
    async with Client(endpoint_url=broker.url, region="eu-west-1", access_key=account, secret_key="secret") as client:
        assert client.region == "eu-west-1"
        assert await client.create_topic("news") == f"arn:aws:sns:eu-west-1:{account}:news"


async def test_many_calls_at_once(client: Client, url: str) -> None:
    sent = await asyncio.gather(*(client.send(url, str(number)) for number in range(50)))
    assert len({message.message_id for message in sent}) == 50
    found: set[str] = set()
    while received := await client.receive(url, 10):
        found |= {message.body for message in received}
        await client.delete_batch(url, [message.receipt_handle for message in received])
    assert found == {str(number) for number in range(50)}
