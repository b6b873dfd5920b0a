"""Message move tasks bring dead letters back. Source: SQS API Reference, StartMessageMoveTask and its siblings; A3, E27."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import MessageClock
from tests.sqs.conftest import Eventually, MakeQueue
from tests.sqs.queues import Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


@pytest.fixture
def dead(make_queue: MakeQueue) -> Queue:
    return make_queue("dead-letters")


@pytest.fixture
def source(make_queue: MakeQueue, dead: Queue) -> Queue:
    """A queue whose messages die at their second receive."""
    queue = make_queue("source")
    queue.redrive_to(dead, 1)
    return queue


def kill(queue: Queue, *bodies: str) -> None:
    """Send messages and let them become dead letters."""
    queue.send_many(bodies)
    received = 0
    while received < len(bodies):
        received += len(queue.receive(10, VisibilityTimeout=0))
    assert queue.receive_all() == []


def tasks(dead: Queue, count: int = 10) -> list[dict[str, Any]]:
    reply = dead.sqs.list_message_move_tasks(SourceArn=dead.arn, MaxResults=count)
    return list(reply.get("Results", []))


def status(dead: Queue) -> str:
    return str(tasks(dead)[0]["Status"])


def test_without_a_destination_each_message_returns_to_its_own_source(
    make_queue: MakeQueue, dead: Queue, source: Queue, eventually: Eventually
) -> None:
    other = make_queue("other-source")
    other.redrive_to(dead, 1)
    kill(source, "a", "b")
    kill(other, "c")
    assert dead.counts() == (3, 0, 0)
    dead.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    assert dead.counts() == (0, 0, 0)
    assert sorted(source.receive_bodies(10)) == ["a", "b"]
    assert other.receive_bodies(10) == ["c"]


def test_with_a_destination_all_go_there(
    make_queue: MakeQueue, dead: Queue, source: Queue, eventually: Eventually
) -> None:
    kill(source, "a", "b")
    there = make_queue("there")
    dead.sqs.start_message_move_task(SourceArn=dead.arn, DestinationArn=there.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    assert sorted(there.receive_bodies(10)) == ["a", "b"]
    assert source.counts() == (0, 0, 0)


def test_a_moved_message_is_as_it_was_and_its_receives_count_anew(
    dead: Queue, source: Queue, eventually: Eventually
) -> None:
    kill(source, "a")
    before = dead.receive_one(VisibilityTimeout=0)
    dead.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    after = source.receive_one(MessageSystemAttributeNames=["All"])
    assert after["Body"] == before["Body"]
    assert after["Attributes"]["ApproximateReceiveCount"] == "1"


def test_a_finished_task_is_listed(dead: Queue, source: Queue, eventually: Eventually, clock: MessageClock) -> None:
    kill(source, "a", "b", "c")
    dead.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    (task,) = tasks(dead)
    assert task["SourceArn"] == dead.arn
    assert task["ApproximateNumberOfMessagesMoved"] == 3
    assert task["ApproximateNumberOfMessagesToMove"] == 3
    assert isinstance(task["StartedTimestamp"], int)
    assert len(str(task["StartedTimestamp"])) == 13
    assert "TaskHandle" not in task
    assert "DestinationArn" not in task
    assert "FailureReason" not in task
    assert "MaxNumberOfMessagesPerSecond" not in task


def test_an_empty_queues_task_completes(dead: Queue, source: Queue, eventually: Eventually) -> None:
    dead.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    assert tasks(dead)[0]["ApproximateNumberOfMessagesMoved"] == 0


def test_the_rate_follows_the_clock(dead: Queue, source: Queue, clock: MessageClock, eventually: Eventually) -> None:
    kill(source, *[str(number) for number in range(10)])
    dead.sqs.start_message_move_task(SourceArn=dead.arn, MaxNumberOfMessagesPerSecond=2)
    moved = []
    for _ in range(3):
        clock.advance(1)
        moved.append(source.counts()[0])
    assert all(later - earlier == 2 for earlier, later in pairwise(moved)), moved
    assert status(dead) == "RUNNING"
    assert tasks(dead)[0]["MaxNumberOfMessagesPerSecond"] == 2
    clock.advance(10)
    eventually(lambda: status(dead) == "COMPLETED")
    assert source.counts() == (10, 0, 0)
    assert dead.counts() == (0, 0, 0)


@pytest.fixture
def running(dead: Queue, source: Queue) -> str:
    """The handle of a task that has ten messages to move, one a second."""
    kill(source, *[str(number) for number in range(10)])
    return str(dead.sqs.start_message_move_task(SourceArn=dead.arn, MaxNumberOfMessagesPerSecond=1)["TaskHandle"])


def test_a_running_task_shows_its_handle(dead: Queue, running: str) -> None:
    (task,) = tasks(dead)
    assert task["Status"] == "RUNNING"
    assert task["TaskHandle"] == running
    assert task["ApproximateNumberOfMessagesToMove"] == 10


def test_a_handle_is_base64_of_task_and_source(dead: Queue, running: str) -> None:
    content = json.loads(base64.b64decode(running))
    assert set(content) == {"taskId", "sourceArn"}
    assert content["sourceArn"] == dead.arn


def test_one_task_per_source_queue(dead: Queue, running: str) -> None:
    text = "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
    with refused("AWS.SimpleQueueService.UnsupportedOperation", "InvalidParameterValue", text=text):
        dead.sqs.start_message_move_task(SourceArn=dead.arn)
    assert len(tasks(dead)) == 1


def test_a_cancelled_task_moves_no_more(
    dead: Queue, source: Queue, running: str, clock: MessageClock, eventually: Eventually
) -> None:
    clock.advance(3)
    reply = dead.sqs.cancel_message_move_task(TaskHandle=running)
    eventually(lambda: status(dead) == "CANCELLED")
    moved = source.counts()[0]
    assert 0 < moved < 10
    assert reply["ApproximateNumberOfMessagesMoved"] == moved
    clock.advance(60)
    assert source.counts() == (moved, 0, 0)
    assert dead.counts() == (10 - moved, 0, 0)
    assert "TaskHandle" not in tasks(dead)[0]
    dead.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    assert source.counts() == (10, 0, 0)


def test_a_finished_task_cannot_be_cancelled(dead: Queue, source: Queue, eventually: Eventually) -> None:
    handle = dead.sqs.start_message_move_task(SourceArn=dead.arn)["TaskHandle"]
    eventually(lambda: status(dead) == "COMPLETED")
    with refused("AWS.SimpleQueueService.UnsupportedOperation", "InvalidParameterValue"):
        dead.sqs.cancel_message_move_task(TaskHandle=handle)


def test_an_unknown_task_is_not_found(dead: Queue, source: Queue) -> None:
    unknown = {"taskId": "11111111-1111-4111-8111-111111111111", "sourceArn": dead.arn}
    handle = base64.b64encode(json.dumps(unknown).encode()).decode()
    with refused("ResourceNotFoundException", status=404) as caught:
        dead.sqs.cancel_message_move_task(TaskHandle=handle)
    assert isinstance(caught.value, dead.sqs.exceptions.ResourceNotFoundException)


@pytest.mark.parametrize(
    "handle", ["nonsense", "", base64.b64encode(b"{}").decode(), base64.b64encode(b"[1]").decode()]
)
def test_a_malformed_task_handle_is_refused(sqs: Sqs, handle: str) -> None:
    with refused("InvalidParameterValue", "MissingParameter"):
        sqs.cancel_message_move_task(TaskHandle=handle)


def test_tasks_are_listed_newest_first_and_one_unless_more_are_asked_for(
    dead: Queue, source: Queue, clock: MessageClock, eventually: Eventually
) -> None:
    started = []
    for number in range(3):
        kill(source, f"{number}")
        dead.sqs.start_message_move_task(SourceArn=dead.arn)
        eventually(lambda: status(dead) == "COMPLETED")
        source.delete(source.receive_one())
        started.append(tasks(dead)[0]["StartedTimestamp"])
        clock.advance(10)
    assert [task["StartedTimestamp"] for task in tasks(dead)] == started[::-1]
    reply = dead.sqs.list_message_move_tasks(SourceArn=dead.arn)
    assert [task["StartedTimestamp"] for task in reply["Results"]] == started[:1:-1]


@pytest.mark.parametrize("count", [0, 11])
def test_one_to_ten_tasks_are_listed(sqs: Sqs, dead: Queue, source: Queue, count: int) -> None:
    with refused("InvalidParameterValue"):
        sqs.list_message_move_tasks(SourceArn=dead.arn, MaxResults=count)


def test_a_queue_without_tasks_lists_none(dead: Queue, source: Queue) -> None:
    assert tasks(dead) == []


def test_the_source_must_be_a_dead_letter_queue(queue: Queue) -> None:
    with refused("InvalidParameterValue", text="Source queue must be configured as a Dead Letter Queue."):
        queue.sqs.start_message_move_task(SourceArn=queue.arn)


def test_an_unknown_source_is_not_found(dead: Queue) -> None:
    for call in (dead.sqs.start_message_move_task, dead.sqs.list_message_move_tasks):
        with refused("ResourceNotFoundException", status=404):
            call(SourceArn=dead.arn + "-missing")


def test_an_unknown_destination_is_not_found(dead: Queue, source: Queue) -> None:
    with refused("ResourceNotFoundException", status=404):
        dead.sqs.start_message_move_task(SourceArn=dead.arn, DestinationArn=dead.arn + "-missing")


@pytest.mark.parametrize("arn", ["nonsense", "", "arn:aws:sns:us-east-1:111111111111:topic"])
def test_what_is_no_queues_arn_is_refused(sqs: Sqs, arn: str) -> None:
    with pytest.raises(ClientError) as caught:
        sqs.start_message_move_task(SourceArn=arn)
    code = caught.value.response["Error"]["Code"]
    assert code in ("InvalidParameterValue", "MissingParameter", "ResourceNotFoundException")


@pytest.mark.parametrize("rate", [0, -1, 501])
def test_a_rate_is_1_to_500_a_second(dead: Queue, source: Queue, rate: int) -> None:
    with refused("InvalidParameterValue"):
        dead.sqs.start_message_move_task(SourceArn=dead.arn, MaxNumberOfMessagesPerSecond=rate)


def test_messages_of_a_fifo_queue_return_in_order(make_queue: MakeQueue, eventually: Eventually) -> None:
    dead, queue = make_queue("dead", FifoQueue="true"), make_queue("source", FifoQueue="true")
    queue.redrive_to(dead, 1)
    queue.send_in_group("g", "a", "b", "c")
    queue.receive(3, VisibilityTimeout=0)
    assert queue.receive() == []
    dead.sqs.start_message_move_task(SourceArn=dead.arn)
    eventually(lambda: status(dead) == "COMPLETED")
    assert queue.receive_bodies(10) == ["a", "b", "c"]


def test_the_json_of_a_task_list(dead: Queue, source: Queue, sqs_json: JsonClient) -> None:
    answer = sqs_json.call("ListMessageMoveTasks", {"SourceArn": dead.arn})
    assert answer.status == 200
    assert answer.json in ({}, {"Results": []})


def test_tasks_through_the_query_protocol(
    dead: Queue, source: Queue, sqs_query: QueryClient, eventually: Eventually
) -> None:
    kill(source, "a")
    answer = sqs_query.call("StartMessageMoveTask", SourceArn=dead.arn)
    assert answer.status == 200
    assert answer.text("StartMessageMoveTaskResult/TaskHandle")
    eventually(lambda: status(dead) == "COMPLETED")
    answer = sqs_query.call("ListMessageMoveTasks", SourceArn=dead.arn)
    path = "ListMessageMoveTasksResult/ListMessageMoveTasksResultEntry"
    assert answer.text(f"{path}/Status") == "COMPLETED"
    assert answer.text(f"{path}/SourceArn") == dead.arn
    missing = sqs_query.call("StartMessageMoveTask", SourceArn=dead.arn + "x")
    assert (missing.status, missing.text("Error/Code")) == (404, "ResourceNotFoundException")
