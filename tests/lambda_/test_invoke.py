"""Invoke: answers, errors, logs, events and their retries. Source: Lambda API Reference and Developer Guide; C1."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MessageClock, RunningBroker
from tests.lambda_.api import Lambda, create, invoke, zipped
from tests.sns.conftest import MakeTopic
from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Queue, refused

FAILS = "def handler(event, context):\n    raise ValueError('no ' + str(event))\n"


def test_a_function_answers(functions: Lambda) -> None:
    create(functions)
    answer, reply = invoke(functions, event={"pigeons": 2})
    assert answer == {"pigeons": 2}
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in reply


def test_an_exception_is_told(functions: Lambda) -> None:
    create(functions, code=FAILS)
    answer, reply = invoke(functions, event=1)
    assert reply["FunctionError"] == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no 1")
    assert answer["stackTrace"]


def test_the_tail_of_the_log_comes_on_request(functions: Lambda) -> None:
    create(functions, code="def handler(event, context):\n    print('cooing')\n")
    _, reply = invoke(functions, LogType="Tail")
    log = base64.b64decode(reply["LogResult"]).decode()
    assert "START RequestId:" in log
    assert "cooing" in log
    assert "REPORT RequestId:" in log
    assert "LogResult" not in invoke(functions)[1]


def test_a_function_that_takes_too_long_is_ended(functions: Lambda) -> None:
    create(
        functions,
        code="import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n",
        Timeout=1,
    )
    answer, reply = invoke(functions, event=30)
    assert reply["FunctionError"] == "Unhandled"
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]
    assert invoke(functions, event=0)[0] == 0


def test_new_code_runs_from_the_next_invocation_on(functions: Lambda) -> None:
    create(functions, code="def handler(event, context):\n    return 1\n", Publish=True)
    assert invoke(functions)[0] == 1
    functions.update_function_code(
        FunctionName="echo", ZipFile=zipped({"app.py": "def handler(event, context):\n    return 2\n"})
    )
    assert invoke(functions)[0] == 2
    assert invoke(functions, Qualifier="1")[0] == 1


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"nonsense"])
def test_a_payload_is_json(functions: Lambda, payload: bytes) -> None:
    create(functions)
    with refused("InvalidRequestContentException"):
        functions.invoke(FunctionName="echo", Payload=payload)


def test_payloads_have_limits(functions: Lambda) -> None:
    create(functions)
    with refused("RequestTooLargeException", status=413):
        functions.invoke(FunctionName="echo", InvocationType="Event", Payload=b'"%b"' % (b"x" * 1_048_576))
    assert invoke(functions, event="x" * 5_000_000)[0] == "x" * 5_000_000


def test_a_dry_run_runs_nothing(functions: Lambda) -> None:
    create(functions, code=FAILS)
    assert invoke(functions, InvocationType="DryRun")[1]["StatusCode"] == 204


def test_a_function_that_is_switched_off_is_throttled(functions: Lambda) -> None:
    create(functions)
    functions.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
    with refused("TooManyRequestsException", text="Rate Exceeded.", status=429):
        invoke(functions)


def test_an_event_is_run_later_and_its_success_told(functions: Lambda, queue: Queue, clock: MessageClock) -> None:
    create(functions)
    destinations = {"OnSuccess": {"Destination": queue.arn}}
    functions.put_function_event_invoke_config(FunctionName="echo", DestinationConfig=destinations)
    assert invoke(functions, event={"n": 1}, InvocationType="Event")[1]["StatusCode"] == 202
    clock.advance(0)
    record = json.loads(queue.receive_one()["Body"])
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 1}, {"n": 1})
    assert record["requestContext"]["condition"] == "Success"


def test_a_failed_event_is_tried_twice_again(functions: Lambda, make_queue: MakeQueue, clock: MessageClock) -> None:
    dead, told = make_queue("dead"), make_queue("told")
    create(functions, code=FAILS, DeadLetterConfig={"TargetArn": dead.arn})
    functions.put_function_event_invoke_config(
        FunctionName="echo", DestinationConfig={"OnFailure": {"Destination": told.arn}}
    )
    invoke(functions, event=7, InvocationType="Event")
    clock.advance(60)
    clock.advance(119)
    assert dead.receive() == []
    clock.advance(1)
    message = dead.receive_one(MessageAttributeNames=["All"])
    assert message["Body"] == "7"
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no 7"
    record = json.loads(told.receive_one()["Body"])
    context = record["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetriesExhausted", 3)
    assert record["responseContext"]["functionError"] == "Unhandled"


def test_retries_are_configurable(functions: Lambda, queue: Queue, clock: MessageClock) -> None:
    create(functions, code=FAILS)
    functions.put_function_event_invoke_config(
        FunctionName="echo",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue.arn}},
    )
    invoke(functions, event=1, InvocationType="Event")
    clock.advance(0)
    assert json.loads(queue.receive_one()["Body"])["requestContext"]["approximateInvokeCount"] == 1


@pytest.mark.parametrize(
    "given",
    [
        {"MaximumRetryAttempts": 3},
        {"MaximumEventAgeInSeconds": 59},
        {"MaximumEventAgeInSeconds": 21_601},
        {"DestinationConfig": {"OnSuccess": {"Destination": "nonsense"}}},
        {},
    ],
)
def test_a_bad_event_configuration_is_refused(functions: Lambda, given: dict[str, Any]) -> None:
    create(functions)
    with refused("ValidationException", "InvalidParameterValueException"):
        functions.put_function_event_invoke_config(FunctionName="echo", **given)
    with refused("ResourceNotFoundException", status=404):
        functions.get_function_event_invoke_config(FunctionName="echo")


def test_a_topic_invokes_a_function_that_tells_a_queue(
    functions: Lambda, make_topic: MakeTopic, queue: Queue, clock: MessageClock
) -> None:
    arn = create(functions)["FunctionArn"]
    functions.put_function_event_invoke_config(
        FunctionName="echo", DestinationConfig={"OnSuccess": {"Destination": queue.arn}}
    )
    topic = make_topic()
    topic.subscribe("lambda", arn)
    message_id = topic.publish("fly", Subject="s")["MessageId"]
    clock.advance(0)
    record = json.loads(queue.receive_one()["Body"])
    (given,) = record["requestPayload"]["Records"]
    assert (given["EventSource"], given["Sns"]["Message"], given["Sns"]["MessageId"]) == ("aws:sns", "fly", message_id)


def test_a_destination_may_be_a_topic_or_a_function(
    functions: Lambda, make_topic: MakeTopic, queue: Queue, clock: MessageClock
) -> None:
    second = create(functions, "second")["FunctionArn"]
    create(functions, "first")
    topic = make_topic()
    topic.subscribe_queue(queue)
    for name, target in (("first", second), ("second", topic.arn)):
        functions.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": target}}
        )
    invoke(functions, "first", 5, InvocationType="Event")
    clock.advance(0)
    record = json.loads(json.loads(queue.receive_one()["Body"])["Message"])
    assert record["requestPayload"]["requestPayload"] == 5


def test_what_functions_print_can_be_read(functions: Lambda, broker: RunningBroker, account: str) -> None:
    create(functions, code="def handler(event, context):\n    print('coo', event)\n")
    _, reply = invoke(functions, event=1)
    invoke(functions, event=2)
    logs = broker.request_json("GET", f"/_pombo/lambda/echo/logs?Account={account}")
    lines = [event["Message"] for event in logs["events"]]
    assert [line for line in lines if line.startswith("coo")] == ["coo 1", "coo 2"]
    request_id = reply["ResponseMetadata"]["RequestId"]
    one = broker.request_json("GET", f"/_pombo/lambda/echo/logs?Account={account}&RequestId={request_id}")
    assert "coo 1" in [event["Message"] for event in one["events"]]
    assert "coo 2" not in [event["Message"] for event in one["events"]]
    assert broker.request("GET", "/_pombo/lambda/nobody/logs")[0] == 404


def test_a_directory_is_run_where_it_is(functions: Lambda, tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("def handler(event, context):\n    return 1\n")
    create(functions, Code={"S3Bucket": "hot-reload", "S3Key": str(tmp_path)})
    assert invoke(functions)[0] == 1
    file.write_text("def handler(event, context):\n    return 2\n")
    assert invoke(functions)[0] == 2


def test_layers_are_in_the_path(functions: Lambda) -> None:
    content = {"ZipFile": zipped({"python/pigeons.py": "COUNT = 2\n"})}
    layer = functions.publish_layer_version(LayerName="birds", Content=content)["LayerVersionArn"]
    create(functions, code="import pigeons\ndef handler(event, context):\n    return pigeons.COUNT\n", Layers=[layer])
    assert invoke(functions)[0] == 2


def test_a_node_function_answers(functions: Lambda) -> None:
    code = "export const handler = async (event) => ({ got: event.n + 1 });"
    create(functions, Runtime="nodejs20.x", Code={"ZipFile": zipped({"app.mjs": code})})
    assert invoke(functions, event={"n": 1})[0] == {"got": 2}
