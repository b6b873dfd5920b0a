"""Dead letters: when a message moves, what it carries, and who may use a queue as its dead-letter queue.

Source: SQS Developer Guide, Dead-letter queues; API Reference, SetQueueAttributes and ListDeadLetterSourceQueues; A3.
"""

import json

import pytest

from tests.conftest import MessageClock
from tests.sqs.attribute_md5 import string
from tests.sqs.conftest import MakeClient, MakeQueue
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, redrive_policy, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


@pytest.fixture
def dead(make_queue: MakeQueue) -> Queue:
    return make_queue("dead-letters")


def receive_and_give_back(queue: Queue, times: int) -> None:
    for _ in range(times):
        assert len(queue.receive(10, VisibilityTimeout=0)) > 0


def test_a_message_moves_at_the_receive_that_would_exceed_the_count(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 2)
    queue.send("a")
    receive_and_give_back(queue, 2)
    assert queue.counts() == (1, 0, 0)
    assert dead.counts() == (0, 0, 0)
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)
    assert dead.receive_bodies() == ["a"]


def test_the_end_of_a_visibility_timeout_moves_nothing(queue: Queue, dead: Queue, clock: MessageClock) -> None:
    queue.redrive_to(dead, 1)
    queue.send("a")
    queue.receive_one()
    clock.advance(3_600)
    assert queue.counts() == (1, 0, 0)
    assert dead.counts() == (0, 0, 0)
    assert queue.receive() == []
    assert dead.counts() == (1, 0, 0)


def test_a_message_that_is_deleted_in_time_does_not_move(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    queue.send("a")
    queue.delete(queue.receive_one(VisibilityTimeout=0))
    assert queue.receive() == []
    assert dead.counts() == (0, 0, 0)


def test_a_moved_message_carries_what_it_was_sent_with(queue: Queue, dead: Queue, clock: MessageClock) -> None:
    queue.redrive_to(dead, 1)
    attributes = {"a": string("x")}
    sent = queue.send("body", MessageAttributes=attributes)
    clock.advance(5)
    first = queue.receive_one(VisibilityTimeout=0, MessageSystemAttributeNames=["All"])["Attributes"]
    queue.receive()
    clock.advance(5)
    moved = dead.receive_one(MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"])
    assert moved["MessageId"] == sent["MessageId"]
    assert moved["Body"] == "body"
    assert moved["MessageAttributes"] == attributes
    assert moved["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert moved["Attributes"]["SentTimestamp"] == first["SentTimestamp"]
    assert moved["Attributes"]["SenderId"] == first["SenderId"]
    assert moved["Attributes"]["ApproximateReceiveCount"] == "2"
    assert moved["Attributes"]["DeadLetterQueueSourceArn"] == queue.arn


def test_a_message_that_was_sent_to_the_dead_letter_queue_has_no_source(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    dead.send()
    assert "DeadLetterQueueSourceArn" not in dead.receive_one(MessageSystemAttributeNames=["All"])["Attributes"]


def test_one_receive_moves_the_dead_and_returns_the_living(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    queue.send_many(["dead 1", "dead 2", "dead 3"])
    queue.receive(3, VisibilityTimeout=0)
    queue.send_many(["alive 1", "alive 2"])
    assert queue.receive_bodies(10) == ["alive 1", "alive 2"]
    assert sorted(dead.receive_bodies(10)) == ["dead 1", "dead 2", "dead 3"]


def test_a_handle_of_the_source_is_none_of_the_dead_letter_queue(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    queue.send("a")
    message = queue.receive_one(VisibilityTimeout=0)
    queue.receive()
    with refused("ReceiptHandleIsInvalid", "InvalidParameterValue"):
        dead.delete(message)
    assert dead.counts() == (1, 0, 0)


def test_a_policy_set_later_counts_receives_that_were_before(queue: Queue, dead: Queue) -> None:
    queue.send("a")
    receive_and_give_back(queue, 3)
    queue.redrive_to(dead, 2)
    assert queue.receive() == []
    assert dead.receive_bodies() == ["a"]


def test_without_its_policy_the_queue_keeps_its_messages(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    queue.send("a")
    receive_and_give_back(queue, 1)
    queue.set(RedrivePolicy="")
    receive_and_give_back(queue, 3)
    assert dead.counts() == (0, 0, 0)


def test_when_the_dead_letter_queue_is_gone_the_message_stays(sqs: Sqs, queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    queue.send("a")
    receive_and_give_back(queue, 1)
    sqs.delete_queue(QueueUrl=dead.url)
    queue.receive(VisibilityTimeout=0)
    assert sum(queue.counts()) == 1


def test_a_message_moves_once_per_receive_even_around_a_circle(queue: Queue, dead: Queue) -> None:
    queue.redrive_to(dead, 1)
    dead.redrive_to(queue, 1)
    queue.send("a")
    receive_and_give_back(queue, 1)
    assert queue.receive() == []
    assert sum(queue.counts()) + sum(dead.counts()) == 1


def test_a_fifo_dead_letter_keeps_group_and_deduplication_id(make_queue: MakeQueue) -> None:
    queue, dead = make_queue("source", FifoQueue="true"), make_queue("dead", FifoQueue="true")
    queue.redrive_to(dead, 1)
    sent = queue.send("a", MessageGroupId="g", MessageDeduplicationId="id")
    queue.receive_one(VisibilityTimeout=0)
    assert queue.receive() == []
    moved = dead.receive_one(MessageSystemAttributeNames=["All"])
    assert moved["MessageId"] == sent["MessageId"]
    assert moved["Attributes"]["MessageGroupId"] == "g"
    assert moved["Attributes"]["MessageDeduplicationId"] == "id"
    assert moved["Attributes"]["ApproximateReceiveCount"] == "2"
    assert moved["Attributes"]["DeadLetterQueueSourceArn"] == queue.arn


def test_a_fifo_dead_letter_frees_the_messages_behind_it(make_queue: MakeQueue) -> None:
    queue, dead = make_queue("source", FifoQueue="true"), make_queue("dead", FifoQueue="true")
    queue.redrive_to(dead, 1)
    queue.send_in_group("g", "poison", "next")
    queue.receive_one(VisibilityTimeout=0)
    assert queue.receive_bodies(10) == ["next"]
    assert dead.receive_bodies(10) == ["poison"]


# RedriveAllowPolicy


def allow(permission: str, *sources: str) -> str:
    policy: dict[str, object] = {"redrivePermission": permission}
    if sources:
        policy["sourceQueueArns"] = list(sources)
    return json.dumps(policy)


def test_allow_all_is_the_default_and_may_be_said(queue: Queue, dead: Queue) -> None:
    dead.set(RedriveAllowPolicy=allow("allowAll"))
    queue.redrive_to(dead, 3)
    assert json.loads(dead.attributes("RedriveAllowPolicy")["RedriveAllowPolicy"]) == {"redrivePermission": "allowAll"}


def test_deny_all_refuses_every_source(sqs: Sqs, queue: Queue, dead: Queue) -> None:
    dead.set(RedriveAllowPolicy=allow("denyAll"))
    with refused("InvalidParameterValue"):
        queue.redrive_to(dead, 3)
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName="new", Attributes={"RedrivePolicy": redrive_policy(dead.arn, 3)})
    assert "RedrivePolicy" not in queue.attributes("All")


def test_by_queue_allows_the_named_sources_only(queue: Queue, dead: Queue, make_queue: MakeQueue) -> None:
    dead.set(RedriveAllowPolicy=allow("byQueue", queue.arn))
    queue.redrive_to(dead, 3)
    with refused("InvalidParameterValue"):
        make_queue("stranger").redrive_to(dead, 3)


def test_an_empty_allow_policy_removes_it(queue: Queue, dead: Queue) -> None:
    dead.set(RedriveAllowPolicy=allow("denyAll"))
    dead.set(RedriveAllowPolicy="")
    assert "RedriveAllowPolicy" not in dead.attributes("All")
    queue.redrive_to(dead, 3)


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        "{}",
        allow("sometimes"),
        allow("byQueue"),
        allow("allowAll", "arn:aws:sqs:us-east-1:111111111111:a"),
        allow("denyAll", "arn:aws:sqs:us-east-1:111111111111:a"),
        allow("byQueue", *[f"arn:aws:sqs:us-east-1:111111111111:queue-{number}" for number in range(11)]),
    ],
)
def test_an_allow_policy_must_make_sense(dead: Queue, policy: str) -> None:
    with refused("InvalidParameterValue"):
        dead.set(RedriveAllowPolicy=policy)
    assert "RedriveAllowPolicy" not in dead.attributes("All")


# The source and the dead-letter queue belong together


def test_the_dead_letter_queue_is_of_the_same_account_and_region(
    queue: Queue, client_of: MakeClient, new_account
) -> None:
    for stranger in (client_of(account=new_account()), client_of(region="eu-west-1")):
        far = Queue(stranger, stranger.create_queue(QueueName="dead-letters")["QueueUrl"])
        with refused("InvalidParameterValue"):
            queue.redrive_to(far, 3)


# ListDeadLetterSourceQueues


def sources(dead: Queue) -> list[str]:
    return list(dead.sqs.list_dead_letter_source_queues(QueueUrl=dead.url)["queueUrls"])


def test_the_sources_of_a_dead_letter_queue_are_listed(make_queue: MakeQueue, dead: Queue) -> None:
    made = [make_queue(f"source-{number}") for number in range(3)]
    make_queue("no-source")
    for queue in made:
        queue.redrive_to(dead, 3)
    assert sorted(sources(dead)) == sorted(queue.url for queue in made)
    made[0].set(RedrivePolicy="")
    dead.sqs.delete_queue(QueueUrl=made[1].url)
    assert sources(dead) == [made[2].url]


def test_a_queue_without_sources_lists_none(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("ListDeadLetterSourceQueues", {"QueueUrl": queue.url})
    assert answer.status == 200
    assert answer.json == {"queueUrls": []}


def test_sources_come_in_pages(make_queue: MakeQueue, dead: Queue, sqs: Sqs) -> None:
    made = set()
    for number in range(7):
        queue = make_queue(f"source-{number}")
        queue.redrive_to(dead, 3)
        made.add(queue.url)
    found: list[str] = []
    sizes = []
    token: dict[str, str] = {}
    while True:
        page = sqs.list_dead_letter_source_queues(QueueUrl=dead.url, MaxResults=3, **token)
        found += page["queueUrls"]
        sizes.append(len(page["queueUrls"]))
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert set(found) == made
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize("count", [0, 1001])
def test_a_page_has_1_to_1000_sources(sqs: Sqs, dead: Queue, count: int) -> None:
    with refused("InvalidParameterValue"):
        sqs.list_dead_letter_source_queues(QueueUrl=dead.url, MaxResults=count)


def test_sources_of_an_unknown_queue_are_refused(sqs: Sqs, dead: Queue) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.list_dead_letter_source_queues(QueueUrl=dead.url + "x")


def test_sources_through_the_query_protocol(queue: Queue, dead: Queue, sqs_query: QueryClient) -> None:
    queue.redrive_to(dead, 3)
    answer = sqs_query.call("ListDeadLetterSourceQueues", QueueUrl=dead.url)
    assert answer.texts("ListDeadLetterSourceQueuesResult/QueueUrl") == [queue.url]
