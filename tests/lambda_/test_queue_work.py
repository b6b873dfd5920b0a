"""What a queue's functions are for: a thousand messages done, the bad ones in the dead-letter queue, groups side by side, chains.

Source: Lambda Developer Guide, Using Lambda with Amazon SQS; SQS Developer Guide, dead-letter queues, FIFO delivery.
"""

import json
from collections import defaultdict
from typing import Any

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.lambda_.api import ROLE, Lambda, create, zipped
from tests.sns.conftest import MakeTopic
from tests.sqs.conftest import MakeQueue

MESSAGES = 1_000
BAD_EVERY = 100
RECEIVES = 3

PYTHON_WORK = """
def handler(event, context):
    failed = []
    for record in event["Records"]:
        number = int(record["body"])
        print("trying", number, "receive", record["attributes"]["ApproximateReceiveCount"])
        if number % 100 == 0:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""
NODE_WORK = """
exports.handler = async (event) => {
  const batchItemFailures = [];
  for (const record of event.Records) {
    const number = Number(record.body);
    console.log("trying", number, "receive", record.attributes.ApproximateReceiveCount);
    if (number % 100 === 0) batchItemFailures.push({ itemIdentifier: record.messageId });
  }
  return { batchItemFailures };
};
"""
# The batch processor as its documentation shows it.
POWERTOOLS_WORK = """
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

processor = BatchProcessor(event_type=EventType.SQS)

def record_handler(record: SQSRecord):
    if record.json_body["number"] % 2:
        raise ValueError(record.body)

def handler(event, context: LambdaContext):
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
"""
GROUP_WORK = """
import time

def handler(event, context):
    for record in event["Records"]:
        print("begin", record["attributes"]["MessageGroupId"], record["body"])
        time.sleep(0.002)
        print("end", record["attributes"]["MessageGroupId"], record["body"])
"""


def printed(broker: RunningBroker, account: str, function: str) -> list[str]:
    """The function's own lines, oldest first."""
    path = f"/_pombo/lambda/{function}/logs?Account={account}&Limit=10000"
    lines = [str(event["Message"]) for event in broker.request_json("GET", path)["events"]]
    return [line for line in lines if line.split(" ")[0].split("\t")[0] not in {"START", "END", "REPORT", "INIT_START"}]


@pytest.mark.parametrize(
    ("runtime", "file", "code"), [("python3.11", "app.py", PYTHON_WORK), ("nodejs20.x", "app.js", NODE_WORK)]
)
def test_a_thousand_messages_are_processed_and_the_bad_ones_end_in_the_dead_letter_queue(
    broker: RunningBroker,
    account: str,
    functions: Lambda,
    make_queue: MakeQueue,
    clock: MessageClock,
    runtime: str,
    file: str,
    code: str,
) -> None:
    dead, queue = make_queue("dead"), make_queue("work", VisibilityTimeout="60")
    queue.redrive_to(dead, RECEIVES)
    functions.create_function(
        FunctionName="work",
        Runtime=runtime,
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped({file: code})},
        Timeout=30,
    )
    functions.create_event_source_mapping(
        FunctionName="work", EventSourceArn=queue.arn, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    queue.send_many([str(number) for number in range(MESSAGES)])
    clock.advance(0)
    bad = [str(number) for number in range(0, MESSAGES, BAD_EVERY)]
    assert queue.counts() == (0, len(bad), 0), "all but the bad ones are processed and deleted"
    for _ in range(RECEIVES):
        clock.advance(60)
    assert queue.counts() == (0, 0, 0)
    assert sorted(message["Body"] for message in dead.receive_all()) == sorted(bad)
    attempts = defaultdict(list)
    for line in printed(broker, account, "work"):
        _, number, _, receive = line.rsplit(maxsplit=3)
        attempts[number].append(int(receive))
    assert len(attempts) == MESSAGES
    for number, receives in attempts.items():
        assert receives == (list(range(1, RECEIVES + 1)) if number in bad else [1]), number


def test_fifty_groups_are_processed_each_in_order_and_beside_each_other(
    broker: RunningBroker, account: str, functions: Lambda, make_queue: MakeQueue, clock: MessageClock
) -> None:
    queue = make_queue("work", FifoQueue="true")
    create(functions, "work", GROUP_WORK, Timeout=20)
    for number in range(6):
        for at in range(0, 50, 10):
            entries = [
                {
                    "Id": str(g),
                    "MessageBody": str(number),
                    "MessageGroupId": f"g{g}",
                    "MessageDeduplicationId": f"{g}-{number}",
                }
                for g in range(at, at + 10)
            ]
            assert "Failed" not in queue.send_batch(*entries)
    functions.create_event_source_mapping(FunctionName="work", EventSourceArn=queue.arn, BatchSize=10)
    clock.advance(0)
    assert queue.counts() == (0, 0, 0)
    order: dict[str, list[tuple[str, int]]] = defaultdict(list)
    at_work: set[str] = set()
    most = 0
    for line in printed(broker, account, "work"):
        what, group, number_text = line.split()
        order[group].append((what, int(number_text)))
        (at_work.add if what == "begin" else at_work.discard)(group)
        most = max(most, len(at_work))
    assert len(order) == 50
    for group, steps in order.items():
        assert steps == [(what, number) for number in range(6) for what in ("begin", "end")], group
    assert most > 1, "groups are processed in parallel"


def test_the_batch_processor_of_powertools_runs_unmodified(
    functions: Lambda, make_queue: MakeQueue, clock: MessageClock
) -> None:
    dead, queue = make_queue("dead"), make_queue("work", VisibilityTimeout="60")
    queue.redrive_to(dead, 1)
    create(functions, "work", POWERTOOLS_WORK, Timeout=30)
    functions.create_event_source_mapping(
        FunctionName="work", EventSourceArn=queue.arn, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    queue.send_many([json.dumps({"number": number}) for number in range(10)])
    clock.advance(0)
    clock.advance(60)
    assert sorted(json.loads(message["Body"])["number"] for message in dead.receive_all()) == [1, 3, 5, 7, 9]
    assert queue.counts() == (0, 0, 0)


def test_a_topic_invokes_a_function_whose_answer_goes_to_a_queue(
    functions: Lambda, make_queue: MakeQueue, make_topic: MakeTopic, clock: MessageClock
) -> None:
    queue = make_queue("told")
    code = "def handler(event, context):\n    return event['Records'][0]['Sns']['Message'].upper()\n"
    function: dict[str, Any] = create(functions, "shout", code)
    functions.put_function_event_invoke_config(
        FunctionName="shout", DestinationConfig={"OnSuccess": {"Destination": queue.arn}}
    )
    topic = make_topic("news")
    topic.subscribe("lambda", function["FunctionArn"])
    topic.publish("hello")
    clock.advance(0)
    told = json.loads(queue.receive_one()["Body"])
    assert (told["responsePayload"], told["requestContext"]["condition"]) == ("HELLO", "Success")
