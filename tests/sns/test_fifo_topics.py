"""FIFO topics: order, deduplication, sequence numbers, and what may be published to them. Source: SNS Developer Guide; B4."""

import json
from hashlib import sha256

import pytest

from tests.conftest import MessageClock
from tests.sns.conftest import MakeTopic
from tests.sns.inside import serve_inside
from tests.sns.topics import Topic, envelopes
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused


@pytest.fixture
def fifo_topic(make_topic: MakeTopic) -> Topic:
    return make_topic("orders", FifoTopic="true")


@pytest.fixture
def fifo(make_queue: MakeQueue) -> Queue:
    return make_queue("orders", FifoQueue="true")


def test_a_group_and_a_deduplication_id_are_required(fifo_topic: Topic) -> None:
    with refused(
        "InvalidParameter", text="Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    ):
        fifo_topic.publish()
    with refused(
        "InvalidParameter",
        text="Invalid parameter: The topic should either have ContentBasedDeduplication enabled or "
        "MessageDeduplicationId provided explicitly",
    ):
        fifo_topic.publish(MessageGroupId="g")


@pytest.mark.parametrize("bad", ["a b", "x" * 129, "ä"])
def test_ids_are_alphanumeric_and_punctuation(fifo_topic: Topic, bad: str) -> None:
    with refused("InvalidParameter"):
        fifo_topic.publish(MessageGroupId=bad, MessageDeduplicationId="d")
    with refused("InvalidParameter"):
        fifo_topic.publish(MessageGroupId="g", MessageDeduplicationId=bad)


def test_messages_keep_their_order_in_every_queue(fifo_topic: Topic, make_queue: MakeQueue) -> None:
    queues = [make_queue(FifoQueue="true") for _ in range(3)]
    for queue in queues:
        fifo_topic.subscribe_queue(queue)
    for number in range(12):
        fifo_topic.publish_in_group(f"g{number % 3}", f"{number:02}")
    got = [[e["Message"] for e in envelopes(queue)] for queue in queues]
    assert got[0] == got[1] == got[2]
    for group in range(3):
        in_group = [m for m in got[0] if int(m) % 3 == group]
        assert in_group == sorted(in_group)


def test_envelopes_carry_a_sequence_number_and_no_signature(fifo_topic: Topic, fifo: Queue) -> None:
    fifo_topic.subscribe_queue(fifo)
    numbers = [
        fifo_topic.publish(str(n), MessageGroupId="g", MessageDeduplicationId=str(n))["SequenceNumber"]
        for n in range(3)
    ]
    assert all(len(number) == 20 and number.isdigit() for number in numbers)
    assert numbers == sorted(set(numbers))
    got = envelopes(fifo)
    assert [e["SequenceNumber"] for e in got] == numbers
    assert not {"Signature", "SignatureVersion", "SigningCertURL"} & set(got[0])


def test_ids_reach_the_queue(fifo_topic: Topic, fifo: Queue) -> None:
    fifo_topic.subscribe_queue(fifo, RawMessageDelivery="true")
    fifo_topic.publish("m", MessageGroupId="g", MessageDeduplicationId="d")
    attributes = fifo.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]
    assert (attributes["MessageGroupId"], attributes["MessageDeduplicationId"]) == ("g", "d")


def test_a_duplicate_is_answered_like_its_original(fifo_topic: Topic, fifo: Queue, clock: MessageClock) -> None:
    fifo_topic.subscribe_queue(fifo)
    first = fifo_topic.publish("one", MessageGroupId="g", MessageDeduplicationId="d")
    clock.advance(299)
    again = fifo_topic.publish("two", MessageGroupId="h", MessageDeduplicationId="d")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert [e["Message"] for e in envelopes(fifo)] == ["one"]
    clock.advance(1)
    fifo_topic.publish("three", MessageGroupId="g", MessageDeduplicationId="d")
    assert [e["Message"] for e in envelopes(fifo)] == ["three"]


def test_duplicates_within_a_batch_count_too(fifo_topic: Topic, fifo: Queue) -> None:
    fifo_topic.subscribe_queue(fifo)
    reply = fifo_topic.sns.publish_batch(
        TopicArn=fifo_topic.arn,
        PublishBatchRequestEntries=[
            {"Id": i, "Message": i, "MessageGroupId": "g", "MessageDeduplicationId": "same"} for i in ("a", "b")
        ],
    )
    one, two = reply["Successful"]
    assert one["MessageId"] == two["MessageId"]
    assert [e["Message"] for e in envelopes(fifo)] == ["a"]


def test_the_window_may_be_each_groups_own(make_topic: MakeTopic, make_queue: MakeQueue) -> None:
    topic = make_topic(FifoTopic="true", FifoThroughputScope="MessageGroup")
    queue = make_queue(FifoQueue="true", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    topic.subscribe_queue(queue)
    for group in ("g", "h", "g"):
        topic.publish(group, MessageGroupId=group, MessageDeduplicationId="d")
    assert sorted(e["Message"] for e in envelopes(queue)) == ["g", "h"]


def test_content_based_deduplication_hashes_the_message(make_topic: MakeTopic, fifo: Queue) -> None:
    topic = make_topic(FifoTopic="true", ContentBasedDeduplication="true")
    topic.subscribe_queue(fifo, RawMessageDelivery="true")
    for _ in range(2):
        topic.publish("same", MessageGroupId="g")
    (message,) = fifo.receive(10, MessageSystemAttributeNames=["All"])
    assert message["Attributes"]["MessageDeduplicationId"] == sha256(b"same").hexdigest()


def test_true_may_be_written_with_a_capital(make_topic: MakeTopic, fifo: Queue) -> None:
    """As str(True) writes it."""
    topic = make_topic(FifoTopic="True", ContentBasedDeduplication="True")
    assert make_topic(topic.name, FifoTopic="true", ContentBasedDeduplication="true").arn == topic.arn
    topic.subscribe_queue(fifo)
    for _ in range(2):
        topic.publish("same", MessageGroupId="g")
    assert len(envelopes(fifo)) == 1
    topic.set("ContentBasedDeduplication", "False")
    assert topic.attributes()["ContentBasedDeduplication"] == "false"


def test_a_standard_queue_gets_them_too(fifo_topic: Topic, queue: Queue) -> None:
    fifo_topic.subscribe_queue(queue)
    fifo_topic.publish("m", MessageGroupId="g", MessageDeduplicationId="d")
    message = queue.receive_one(MessageSystemAttributeNames=["All"])
    assert json.loads(message["Body"])["Message"] == "m"
    assert "MessageDeduplicationId" not in message["Attributes"]


def test_dead_letters_keep_their_group(fifo_topic: Topic, make_queue: MakeQueue) -> None:
    gone, dead = make_queue(FifoQueue="true"), make_queue(FifoQueue="true")
    fifo_topic.subscribe_queue(gone, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn}))
    gone.sqs.delete_queue(QueueUrl=gone.url)
    fifo_topic.publish_in_group("g", "a", "b")
    received = dead.receive(10, MessageSystemAttributeNames=["All"])
    assert [json.loads(m["Body"])["Message"] for m in received] == ["a", "b"]
    assert {m["Attributes"]["MessageGroupId"] for m in received} == {"g"}


async def test_the_window_is_in_the_memory_budget_and_holds_when_it_leaves_memory() -> None:
    async with serve_inside() as inside:
        ledger = inside.broker.runtime.ledger
        ledger.memory_bytes_max = 50_000

        async def publish(arn: str, deduplication_id: str) -> object:
            reply = await inside.ask(
                "publish",
                TopicArn=arn,
                Message="m",
                MessageGroupId="g",
                MessageDeduplicationId=deduplication_id,
            )
            return reply["SequenceNumber"]

        arns = []
        for n in range(10):
            reply = await inside.ask("create_topic", Name=f"t{n}.fifo", Attributes={"FifoTopic": "true"})
            arns.append(str(reply["TopicArn"]))
        firsts = [await publish(arn, "first") for arn in arns]
        assert 0 < ledger.memory_bytes <= 50_000
        assert [await publish(arn, "first") for arn in arns] == firsts
        assert ledger.memory_bytes <= 50_000
        for arn in arns:
            await inside.ask("delete_topic", TopicArn=arn)
        assert ledger.memory_bytes == 0
