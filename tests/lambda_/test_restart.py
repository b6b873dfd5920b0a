"""Functions, mappings and waiting events outlive the broker; their processes do not. Each broker here is a process of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config as ClientConfig

from tests.lambda_.api import ROLE, zipped
from tests.lambda_.conftest import MARK, marked

_session = botocore.session.Session()
FAILS = "def handler(event, context):\n    raise ValueError('no')\n"


@dataclass
class Life:
    """One run of a broker on a data directory."""

    process: subprocess.Popen[str]
    url: str

    def client(self, service: str) -> Any:
        return _session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id="000000000000",
            aws_secret_access_key="secret",
            config=ClientConfig(retries={"total_max_attempts": 1}, read_timeout=30),
        )

    def advance(self, seconds: int) -> None:
        body = json.dumps({"advance_s": seconds}).encode()
        request = urllib.request.Request(f"{self.url}/_pombo/clock", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            assert reply.status == 200

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        status = self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


Begin = Callable[[], Life]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a broker on the test's data directory, with a clock that the test moves."""
    lives: list[Life] = []

    def start() -> Life:
        command = [sys.executable, "-m", "broker.cli", "serve", "--port", "0", "--clock", "manual"]
        command += ["--data", str(tmp_path / "data")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.endswith("Ready.\n"), line
        lives.append(Life(process, line.split(" on ")[1].split(",")[0]))
        return lives[-1]

    yield start
    for life in lives:
        if life.process.poll() is None:
            life.end(signal.SIGKILL)


def create(life: Life, name: str, code: str, **parameters: Any) -> None:
    life.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped({"app.py": code})},
        **parameters,
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_functions_versions_and_mappings_are_there_again(begin: Begin, end: int) -> None:
    life = begin()
    create(life, "f", "def handler(event, context):\n    return 'one'\n", Publish=True)
    functions, sqs = life.client("lambda"), life.client("sqs")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = functions.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)["UUID"]
    life.end(end)
    life = begin()
    functions, sqs = life.client("lambda"), life.client("sqs")
    assert json.loads(functions.invoke(FunctionName="f", Qualifier="live")["Payload"].read()) == "one"
    assert functions.get_event_source_mapping(UUID=mapping)["State"] == "Enabled"
    sqs.send_message(QueueUrl="q", MessageBody="processed after the restart")
    for _ in range(2_000):  # each question is a round trip
        counts = sqs.get_queue_attributes(QueueUrl="q", AttributeNames=["All"])["Attributes"]
        left = int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])
        if left == 0:
            return
    raise AssertionError("the message was not processed")


def test_a_waiting_event_is_run_after_the_restart(begin: Begin) -> None:
    life = begin()
    create(life, "f", "def handler(event, context):\n    return event\n")
    functions, sqs = life.client("lambda"), life.client("sqs")
    sqs.create_queue(QueueName="told")
    functions.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:000000000000:told"}}
    )
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)  # it must wait
    assert functions.invoke(FunctionName="f", InvocationType="Event", Payload=b"1")["StatusCode"] == 202
    life.end(signal.SIGKILL)
    life = begin()
    functions, sqs = life.client("lambda"), life.client("sqs")
    functions.delete_function_concurrency(FunctionName="f")
    life.advance(600)  # past the lease that the broker held when it was killed
    message = sqs.receive_message(QueueUrl="told", WaitTimeSeconds=20)["Messages"][0]
    assert json.loads(message["Body"])["requestPayload"] == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_no_process_outlives_the_broker(begin: Begin, end: int) -> None:
    mark = os.urandom(8).hex()
    life = begin()
    code = "import subprocess\ndef handler(event, context):\n    subprocess.Popen(['sleep', '600'])\n    return 1\n"
    create(life, "f", code, Environment={"Variables": {MARK: mark}}, Timeout=30)
    life.client("lambda").invoke(FunctionName="f")
    for _ in range(100_000):  # a process that is being made shows no environment for a moment
        if len(marked(mark)) >= 2:
            break
    assert len(marked(mark)) >= 2
    life.end(end)
    for _ in range(100_000):  # each question reads the process table
        if not marked(mark):
            return
    raise AssertionError(f"left over: {marked(mark)}")
