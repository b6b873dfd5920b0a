"""DeleteQueue, and the 60 seconds in which its name stays blocked. Source: SQS API Reference, DeleteQueue."""

from tests.conftest import MessageClock
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import QueryClient


def test_a_deleted_queue_is_gone_from_every_call(sqs: Sqs, queue: Queue) -> None:
    queue.send()
    handle = queue.receive_one()["ReceiptHandle"]
    sqs.delete_queue(QueueUrl=queue.url)
    for call in (
        lambda: sqs.get_queue_url(QueueName=queue.name),
        lambda: queue.attributes("All"),
        lambda: queue.set(DelaySeconds="1"),
        queue.send,
        lambda: queue.send_batch({"Id": "a", "MessageBody": "a"}),
        queue.receive,
        lambda: queue.delete(handle),
        lambda: queue.change_visibility(handle, 1),
        lambda: sqs.purge_queue(QueueUrl=queue.url),
        lambda: sqs.list_queue_tags(QueueUrl=queue.url),
        lambda: sqs.list_dead_letter_source_queues(QueueUrl=queue.url),
    ):
        with refused(NO_SUCH_QUEUE):
            call()
    assert "QueueUrls" not in sqs.list_queues()


def test_an_unknown_queue_cannot_be_deleted(sqs: Sqs, queue: Queue, sqs_query: QueryClient) -> None:
    with refused(NO_SUCH_QUEUE):
        sqs.delete_queue(QueueUrl=queue.url + "x")
    answer = sqs_query.call("DeleteQueue", QueueUrl=queue.url + "x")
    assert answer.status == 400
    assert answer.text("Error/Code") == NO_SUCH_QUEUE


def test_the_query_protocol_deletes(sqs: Sqs, queue: Queue, sqs_query: QueryClient) -> None:
    assert sqs_query.call("DeleteQueue", QueueUrl=queue.url).status == 200
    assert "QueueUrls" not in sqs.list_queues()


def test_a_queue_made_again_is_new(sqs: Sqs, queue: Queue) -> None:
    queue.send("old")
    queue.send("old and in flight")
    old = queue.receive_one()
    queue.set(VisibilityTimeout="77")
    sqs.tag_queue(QueueUrl=queue.url, Tags={"old": "tag"})
    sqs.delete_queue(QueueUrl=queue.url)
    assert sqs.create_queue(QueueName=queue.name)["QueueUrl"] == queue.url
    assert queue.counts() == (0, 0, 0)
    assert queue.receive() == []
    assert queue.attributes("VisibilityTimeout") == {"VisibilityTimeout": "30"}
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=queue.url)
    with refused("ReceiptHandleIsInvalid", "InvalidParameterValue"):
        queue.delete(old)


def test_deleting_one_queue_leaves_the_others(sqs: Sqs, queue: Queue) -> None:
    other = Queue(sqs, sqs.create_queue(QueueName=queue.name + "-2")["QueueUrl"])
    other.send("kept")
    sqs.delete_queue(QueueUrl=queue.url)
    assert other.receive_bodies() == ["kept"]


def test_with_cooldowns_a_name_is_blocked_for_60_seconds(sqs_with_cooldowns: Sqs, cooldown_clock: MessageClock) -> None:
    sqs = sqs_with_cooldowns
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    text = "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    with refused("AWS.SimpleQueueService.QueueDeletedRecently", text=text) as caught:
        sqs.create_queue(QueueName="orders")
    assert isinstance(caught.value, sqs.exceptions.QueueDeletedRecently)
    cooldown_clock.advance(59)
    with refused("AWS.SimpleQueueService.QueueDeletedRecently"):
        sqs.create_queue(QueueName="orders")
    cooldown_clock.advance(1)
    assert sqs.create_queue(QueueName="orders")["QueueUrl"] == url


def test_with_cooldowns_other_names_are_free(sqs_with_cooldowns: Sqs) -> None:
    sqs = sqs_with_cooldowns
    sqs.delete_queue(QueueUrl=sqs.create_queue(QueueName="orders")["QueueUrl"])
    sqs.create_queue(QueueName="orders-2")


def test_without_cooldowns_a_name_is_free_at_once(sqs: Sqs) -> None:
    for _ in range(3):
        sqs.delete_queue(QueueUrl=sqs.create_queue(QueueName="orders")["QueueUrl"])
