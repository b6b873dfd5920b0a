"""Event source mappings of queues: rules, batches, failures, filters. Source: Lambda Developer Guide; AWS_SEMANTICS C2.

`clock.advance(0)` answers when everything that is under way has been done: what was sent has been processed.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import MessageClock
from tests.lambda_.api import Lambda, create
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused

FORWARD = """
import json, os, urllib.request
from urllib.parse import urlencode

def handler(event, context):
    # What was received is told to the queue "seen", through the broker itself.
    body = json.dumps({"QueueUrl": os.environ["SEEN"], "MessageBody": json.dumps(event)}).encode()
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body, {
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage",
        "Authorization": "AWS4-HMAC-SHA256 Credential=" + os.environ["AWS_ACCESS_KEY_ID"] + "/20260101/us-east-1/sqs/aws4_request"})
    urllib.request.urlopen(request).read()
    answer = os.environ.get("ANSWER")
    if answer == "raise":
        raise ValueError("no")
    return json.loads(answer) if answer else None
"""
DELETES_ITSELF = """
import json, os, urllib.request

def handler(event, context):
    for record in event["Records"][:2]:
        body = json.dumps({"QueueUrl": os.environ["QUEUE"], "ReceiptHandle": record["receiptHandle"]}).encode()
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body, {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.DeleteMessage",
            "Authorization": "AWS4-HMAC-SHA256 Credential=" + os.environ["AWS_ACCESS_KEY_ID"]
                + "/20260101/us-east-1/sqs/aws4_request"})
        urllib.request.urlopen(request).read()
"""

Forwarding = Callable[..., Queue]


@pytest.fixture
def forwarding(functions: Lambda, make_queue: MakeQueue) -> Forwarding:
    """Makes the function "forward", and the queue that its events are told to."""

    def make(answer: str = "", **parameters: Any) -> Queue:
        seen = make_queue("seen")
        variables = {"SEEN": seen.url, "ANSWER": answer}
        create(functions, "forward", FORWARD, Environment={"Variables": variables}, Timeout=20, **parameters)
        return seen

    return make


def map_queue(functions: Lambda, queue: Queue, **parameters: Any) -> dict[str, Any]:
    return dict(functions.create_event_source_mapping(FunctionName="forward", EventSourceArn=queue.arn, **parameters))


def events(seen: Queue) -> list[dict[str, Any]]:
    """What the function was given."""
    found = []
    while some := seen.receive(10):
        for message in some:
            seen.delete(message)
            found.append(json.loads(message["Body"]))
    return found


def bodies(seen: Queue) -> list[str]:
    return [record["body"] for event in events(seen) for record in event["Records"]]


def test_a_mapping_is_described(functions: Lambda, queue: Queue, forwarding: Forwarding, account: str) -> None:
    forwarding()
    reply = map_queue(functions, queue)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (reply["State"], reply["BatchSize"], reply["MaximumBatchingWindowInSeconds"]) == ("Creating", 10, 0)
    assert reply["StateTransitionReason"] == "USER_INITIATED"
    assert reply["EventSourceArn"] == queue.arn
    assert reply["FunctionArn"] == f"arn:aws:lambda:us-east-1:{account}:function:forward"
    found = functions.get_event_source_mapping(UUID=reply["UUID"])
    assert found["State"] == "Enabled"
    (listed,) = functions.list_event_source_mappings(EventSourceArn=queue.arn)["EventSourceMappings"]
    assert listed["UUID"] == reply["UUID"]
    assert functions.delete_event_source_mapping(UUID=reply["UUID"])["State"] == "Deleting"
    with refused("ResourceNotFoundException", status=404):
        functions.get_event_source_mapping(UUID=reply["UUID"])


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
        ),
        ({"BatchSize": 0}, None),
        ({"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1}, None),
        ({"MaximumBatchingWindowInSeconds": 301}, None),
        ({"FilterCriteria": {"Filters": [{"Pattern": "no json"}]}}, "Invalid filter pattern definition."),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body": 1}'}]}}, "Invalid filter pattern definition."),
        ({"ScalingConfig": {"MaximumConcurrency": 1}}, None),
        ({"FunctionResponseTypes": ["Nonsense"]}, None),
        ({"FunctionName": "nobody"}, "Function does not exist"),
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:nowhere"}, None),
        ({"EventSourceArn": "nonsense"}, None),
    ],
)
def test_a_bad_parameter_is_refused(
    functions: Lambda, queue: Queue, forwarding: Forwarding, parameters: dict[str, Any], text: str | None
) -> None:
    forwarding()
    with refused("InvalidParameterValueException", "ValidationException", text=text):
        functions.create_event_source_mapping(**{"FunctionName": "forward", "EventSourceArn": queue.arn, **parameters})
    assert functions.list_event_source_mappings()["EventSourceMappings"] == []


def test_a_function_may_not_run_longer_than_messages_are_hidden(
    functions: Lambda, make_queue: MakeQueue, forwarding: Forwarding
) -> None:
    forwarding()
    with refused(
        "InvalidParameterValueException",
        text="Queue visibility timeout: 19 seconds is less than Function timeout: 20 seconds",
    ):
        map_queue(functions, make_queue(VisibilityTimeout="19"))


def test_a_queue_is_mapped_to_a_function_once(functions: Lambda, queue: Queue, forwarding: Forwarding) -> None:
    forwarding()
    uuid = map_queue(functions, queue)["UUID"]
    with refused(
        "ResourceConflictException",
        text=f'An event source mapping with SQS arn (" {queue.arn} ") and function (" forward ") already exists. Please '
        f"update or delete the existing mapping with UUID {uuid}",
        status=409,
    ):
        map_queue(functions, queue)


def test_messages_are_processed_and_deleted(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    queue.send_many([str(number) for number in range(25)])
    map_queue(functions, queue)
    clock.advance(0)
    assert sorted(bodies(seen), key=int) == [str(number) for number in range(25)]
    assert queue.counts() == (0, 0, 0)


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_a_function_may_delete_messages_itself(
    functions: Lambda, make_queue: MakeQueue, clock: MessageClock, fifo: bool
) -> None:
    queue = make_queue(**({"FifoQueue": "true"} if fifo else {}))
    for number in range(5):
        queue.send(str(number), **({"MessageGroupId": "g", "MessageDeduplicationId": str(number)} if fifo else {}))
    create(functions, "forward", DELETES_ITSELF, Environment={"Variables": {"QUEUE": queue.url}}, Timeout=20)
    map_queue(functions, queue)
    clock.advance(0)
    assert queue.counts() == (0, 0, 0)


def test_a_record_has_all_that_a_message_has(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    map_queue(functions, queue)
    sent = queue.send("hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "bird"}})
    clock.advance(0)
    ((record,),) = (event["Records"] for event in events(seen))
    attributes = record.pop("attributes")
    assert (attributes["ApproximateReceiveCount"], bool(attributes["SenderId"])) == ("1", True)
    assert attributes["SentTimestamp"].isdigit()
    assert attributes["ApproximateFirstReceiveTimestamp"].isdigit()
    assert record.pop("receiptHandle")
    assert record == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "md5OfBody": sent["MD5OfMessageBody"],
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "messageAttributes": {
            "kind": {"stringValue": "bird", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": "us-east-1",
    }


def test_a_batch_waits_for_its_window(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    map_queue(functions, queue, BatchSize=100, MaximumBatchingWindowInSeconds=10)
    queue.send_many([str(number) for number in range(30)])
    clock.advance(9)
    assert events(seen) == []
    clock.advance(1)
    (event,) = events(seen)
    assert len(event["Records"]) == 30


def test_a_failed_batch_comes_again_after_the_visibility_timeout(
    functions: Lambda, make_queue: MakeQueue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding("raise")
    dead, queue = make_queue("dead"), make_queue("work", VisibilityTimeout="60")
    queue.redrive_to(dead, 2)
    map_queue(functions, queue)
    queue.send("bad")
    clock.advance(0)
    assert [r["attributes"]["ApproximateReceiveCount"] for e in events(seen) for r in e["Records"]] == ["1"]
    clock.advance(59)
    assert events(seen) == []
    clock.advance(1)
    assert [r["attributes"]["ApproximateReceiveCount"] for e in events(seen) for r in e["Records"]] == ["2"]
    clock.advance(60)
    assert dead.receive_bodies() == ["bad"]
    assert queue.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("null", 0),
        ("{}", 0),
        ('{"batchItemFailures": []}', 0),
        ('{"batchItemFailures": null}', 0),
        ('{"batchItemFailures": [{"itemIdentifier": ""}]}', 3),
        ('{"batchItemFailures": [{}]}', 3),
        ('{"batchItemFailures": [{"itemIdentifier": "unknown"}]}', 3),
        ('"text"', 3),
        ("raise", 3),
    ],
)
def test_what_a_function_says_of_its_batch(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock, answer: str, left: int
) -> None:
    forwarding(answer)
    queue.send_many(["a", "b", "c"])
    map_queue(functions, queue, FunctionResponseTypes=["ReportBatchItemFailures"])
    clock.advance(0)
    assert sum(queue.counts()) == left


def test_without_reporting_an_answer_means_nothing(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock
) -> None:
    forwarding('{"batchItemFailures": [{"itemIdentifier": "unknown"}]}')
    queue.send("a")
    map_queue(functions, queue)
    clock.advance(0)
    assert queue.counts() == (0, 0, 0)


def test_filters_let_some_through_and_delete_the_others(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    patterns = [
        {"Pattern": '{"body": {"kind": ["bird"]}}'},
        {"Pattern": '{"body": {"weight": [{"numeric": [">", 10]}]}}'},
    ]
    map_queue(functions, queue, FilterCriteria={"Filters": patterns})
    wanted = ['{"kind":"bird"}', '{"weight":11}']
    queue.send_many([*wanted, '{"kind":"fish"}', "bird", '{"weight":10}'])
    clock.advance(0)
    assert sorted(bodies(seen)) == sorted(wanted)
    assert queue.counts() == (0, 0, 0)


def test_a_disabled_mapping_takes_nothing(
    functions: Lambda, queue: Queue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    uuid = map_queue(functions, queue, Enabled=False)["UUID"]
    queue.send("a")
    clock.advance(0)
    assert events(seen) == []
    assert functions.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    clock.advance(0)
    assert bodies(seen) == ["a"]


def test_a_fifo_group_is_processed_in_its_order(
    functions: Lambda, make_queue: MakeQueue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    queue = make_queue("work", FifoQueue="true")
    map_queue(functions, queue, BatchSize=3)
    for number in range(5):
        for group in ("g", "h"):
            queue.send_in_group(group, f"{group}{number}")
    clock.advance(0)
    got = bodies(seen)
    for group in ("g", "h"):
        assert [b for b in got if b.startswith(group)] == [f"{group}{n}" for n in range(5)]


def test_a_mapping_goes_on_with_a_queue_made_anew(
    functions: Lambda, make_queue: MakeQueue, forwarding: Forwarding, clock: MessageClock
) -> None:
    seen = forwarding()
    queue = make_queue("work")
    map_queue(functions, queue)
    queue.sqs.delete_queue(QueueUrl=queue.url)
    clock.advance(0)
    make_queue("work").send("again")
    clock.advance(0)
    assert bodies(seen) == ["again"]
