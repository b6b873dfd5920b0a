"""PurgeQueue. Source: SQS API Reference, PurgeQueue."""

from tests.conftest import MessageClock
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


def test_visible_delayed_and_in_flight_messages_are_gone(sqs: Sqs, queue: Queue, clock: MessageClock) -> None:
    queue.send("in flight")
    queue.receive_one()
    queue.send("visible")
    queue.send("delayed", DelaySeconds=10)
    assert queue.counts() == (1, 1, 1)
    sqs.purge_queue(QueueUrl=queue.url)
    assert queue.counts() == (0, 0, 0)
    assert queue.receive() == []
    clock.advance(3_600)
    assert queue.receive() == []


def test_messages_sent_after_the_purge_stay(sqs: Sqs, queue: Queue) -> None:
    queue.send_many([str(number) for number in range(30)])
    sqs.purge_queue(QueueUrl=queue.url)
    queue.send("later")
    assert queue.counts() == (1, 0, 0)
    assert queue.receive_bodies() == ["later"]


def test_deleting_a_purged_message_succeeds(sqs: Sqs, queue: Queue) -> None:
    queue.send()
    message = queue.receive_one()
    sqs.purge_queue(QueueUrl=queue.url)
    queue.delete(message)


def test_the_queue_keeps_its_attributes_and_tags(sqs: Sqs, queue: Queue) -> None:
    queue.set(VisibilityTimeout="77")
    sqs.tag_queue(QueueUrl=queue.url, Tags={"a": "1"})
    sqs.purge_queue(QueueUrl=queue.url)
    assert queue.attributes("VisibilityTimeout") == {"VisibilityTimeout": "77"}
    assert sqs.list_queue_tags(QueueUrl=queue.url)["Tags"] == {"a": "1"}


def test_a_purge_unlocks_the_groups_of_a_fifo_queue(sqs: Sqs, fifo: Queue) -> None:
    fifo.send_in_group("g", "a", "b")
    fifo.receive_one()
    sqs.purge_queue(QueueUrl=fifo.url)
    fifo.send_in_group("g", "c")
    assert fifo.receive_bodies() == ["c"]


def test_an_unknown_queue_is_refused(sqs: Sqs, queue: Queue, sqs_query: QueryClient) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.purge_queue(QueueUrl=queue.url + "x")
    assert sqs_query.call("PurgeQueue", QueueUrl=queue.url).status == 200


def test_without_cooldowns_a_queue_may_be_purged_again_at_once(sqs: Sqs, queue: Queue) -> None:
    for _ in range(3):
        queue.send()
        sqs.purge_queue(QueueUrl=queue.url)
    assert queue.counts() == (0, 0, 0)


def test_with_cooldowns_a_second_purge_within_60_seconds_is_forbidden(
    sqs_with_cooldowns: Sqs, cooldown_clock: MessageClock
) -> None:
    sqs = sqs_with_cooldowns
    queue = Queue(sqs, sqs.create_queue(QueueName="orders")["QueueUrl"])
    sqs.purge_queue(QueueUrl=queue.url)
    queue.send("kept")
    text = "Only one PurgeQueue operation on orders is allowed every 60 seconds."
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress", text=text, status=403) as caught:
        sqs.purge_queue(QueueUrl=queue.url)
    assert isinstance(caught.value, sqs.exceptions.PurgeQueueInProgress)
    assert queue.counts() == (1, 0, 0)
    cooldown_clock.advance(59)
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress", status=403):
        sqs.purge_queue(QueueUrl=queue.url)
    cooldown_clock.advance(1)
    sqs.purge_queue(QueueUrl=queue.url)
    assert queue.counts() == (0, 0, 0)


def test_the_reply_is_empty(queue: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("PurgeQueue", {"QueueUrl": queue.url})
    assert answer.status == 200
    assert answer.body in (b"", b"{}")
