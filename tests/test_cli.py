"""The command line as a user meets it: processes, signals, exit codes, and lines on the terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore.session
import pytest

from broker import __version__

POMBO = [sys.executable, "-m", "broker.cli"]


@contextmanager
def serving(data: Path | str, *flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker's process and its address, once it has said that it is ready."""
    process = subprocess.Popen(
        [*POMBO, "serve", "--port", "0", "--data", str(data), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line.endswith("Ready.\n"), process.stderr.read()
        yield process, line.split(" on ")[1].split(",")[0]
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
        process.stderr.close()


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """The one line that a command which cannot work leaves on standard error."""
    ran = subprocess.run([*POMBO, *arguments], capture_output=True, text=True, timeout=30, check=False, cwd=cwd)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def call(url: str, operation: str, **parameters: object) -> dict[str, object]:
    request = urllib.request.Request(
        url,
        json.dumps(parameters).encode(),
        {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return dict(json.load(reply))


def test_sigterm_answers_long_polls_and_exits_with_0(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as (process, url):
        call(url, "CreateQueue", QueueName="q")
        session = botocore.session.get_session()
        assert session is not None
        poll = subprocess.Popen([sys.executable, "-c", _POLL, url], stdout=subprocess.PIPE, text=True)
        assert poll.stdout is not None
        assert poll.stdout.readline() == "polling\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert poll.communicate(timeout=10)[0] == "200 {}\n"


_POLL = """
import http.client, json, sys
from urllib.parse import urlsplit
connection = http.client.HTTPConnection(urlsplit(sys.argv[1]).netloc)
body = json.dumps({"QueueUrl": "q", "WaitTimeSeconds": 20})
connection.request("POST", "/", body, {"X-Amz-Target": "AmazonSQS.ReceiveMessage"})
first = http.client.HTTPConnection(urlsplit(sys.argv[1]).netloc)
for _ in range(3):
    first.request("GET", "/health")
    first.getresponse().read()
print("polling", flush=True)
reply = connection.getresponse()
print(reply.status, reply.read().decode())
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as (process, url):
        call(url, "CreateQueue", QueueName="q")
        call(url, "SendMessage", QueueUrl="q", MessageBody="still here")
        process.kill()
    with serving(tmp_path / "data") as (_, url):
        (message,) = call(url, "ReceiveMessage", QueueUrl="q")["Messages"]  # type: ignore[misc]
        assert message["Body"] == "still here"


def test_a_second_broker_on_the_same_data_refuses_to_start(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as (process, _):
        said = refused("serve", "--port", "0", "--data", str(tmp_path / "data"))
        assert "in use" in said
        assert str(process.pid) in said


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    with serving(":memory:") as (_, url):
        port = url.rpartition(":")[2]
        said = refused("serve", "--data", ":memory:", "--port", port)
        assert "address already in use" in said
        assert f"127.0.0.1:{port}" in said


def test_a_host_that_does_not_exist_is_said_so() -> None:
    said = refused("serve", "--data", ":memory:", "--port", "0", "--host", "nowhere.invalid")
    assert said.startswith("pombo: cannot serve on nowhere.invalid:0: ")


def test_data_that_is_no_directory_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused("serve", "--port", "0", "--data", str(tmp_path / "file"))


def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as (process, _):
        process.send_signal(signal.SIGTERM)
        process.wait(5)
    (database,) = (tmp_path / "data").glob("*.db*")
    database.write_bytes(b"not a database" * 100)
    assert "left as it is" in refused("serve", "--port", "0", "--data", str(tmp_path / "data"))
    assert database.read_bytes() == b"not a database" * 100


def test_a_bad_flag_is_refused_by_name(tmp_path: Path) -> None:
    assert "--synchronous is 'never'; expected one of full, normal, off" in refused(
        "serve", "--synchronous", "never", cwd=tmp_path
    )


def test_declared_queues_exist_when_the_broker_is_ready(tmp_path: Path) -> None:
    config = tmp_path / "pombo.toml"
    config.write_text('[queues.orders]\ndead_letter_queue = "failed"\n[queues.failed]\n')
    for _ in range(2):
        with serving(tmp_path / "data", "--config", str(config)) as (process, url):
            assert len(call(url, "ListQueues")["QueueUrls"]) == 2  # type: ignore[arg-type]
            attributes = call(url, "GetQueueAttributes", QueueUrl="orders", AttributeNames=["RedrivePolicy"])
            assert "failed" in str(attributes)
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[queues.orders]\nattributes = { VisibilityTimeout = 50000 }\n", "other.toml: queues.orders: Invalid value"),
        (
            '[queues.a]\ndead_letter_queue = "b"\n[queues.b]\ndead_letter_queue = "a"\n',
            "other.toml: queues.a.dead_letter_queue: ",
        ),
        ('[queues."a b"]\n', "other.toml: queues.a b: "),
    ],
)
def test_a_queue_that_cannot_be_declared_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "other.toml"
    config.write_text(text)
    assert said in refused("serve", "--port", "0", "--data", ":memory:", "--config", str(config))


def test_a_live_database_can_be_copied_and_served(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with serving(tmp_path / "data") as (_, url):
        call(url, "CreateQueue", QueueName="q")
        call(url, "SendMessage", QueueUrl="q", MessageBody="copied")
        (database,) = (tmp_path / "data").glob("*.db")
        copy.mkdir()
        command = [*POMBO, "backup", str(copy / database.name), "--data", str(tmp_path / "data")]
        assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
        assert "exists" in refused("backup", str(copy / database.name), "--data", str(tmp_path / "data"))
    with serving(copy) as (_, url):
        assert "copied" in str(call(url, "ReceiveMessage", QueueUrl="q"))


def test_backup_finds_the_data_as_serve_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path / "elsewhere"):
        pass
    monkeypatch.setenv("POMBO_DATA", str(tmp_path / "elsewhere"))
    command = [*POMBO, "backup", str(tmp_path / "copy.db")]
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    assert (tmp_path / "copy.db").exists()


def test_what_is_in_memory_or_missing_cannot_be_copied(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert "expected a directory" in refused("backup", str(copy), "--data", ":memory:")
    assert "holds no database" in refused("backup", str(copy), "--data", str(tmp_path / "nothing"))
    assert not copy.exists()


def test_the_ready_line_names_address_data_and_time(tmp_path: Path) -> None:
    command = [*POMBO, "serve", "--port", "0", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert re.fullmatch(
            rf"Pombo {re.escape(__version__)} on http://127\.0\.0\.1:\d+, data: {re.escape(str(tmp_path))}/data "
            r"\(synchronous=full\), started in \d+\.\d\d s\. Ready\.\n",
            process.stdout.readline(),
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_the_version_is_said() -> None:
    said = subprocess.run([*POMBO, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert re.fullmatch(rf"pombo, version {re.escape(__version__)} \((compiled|interpreted)\)\n", said.stdout)


def test_json_logs_hold_the_request_id_and_the_reason_of_a_refusal(tmp_path: Path) -> None:
    with serving(":memory:", "--log-format", "json") as (process, url):
        with pytest.raises(urllib.error.HTTPError) as missing:
            call(url, "SendMessage", QueueUrl="missing", MessageBody="x")
        missing.value.close()
        foreign_host = urllib.request.Request(f"{url}/_pombo/clock", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as foreign:
            urllib.request.urlopen(foreign_host, timeout=10)
        foreign.value.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr]
    assert [line["request_id"] for line in lines] == [
        error.value.headers["x-amzn-RequestId"] for error in (missing, foreign)
    ]
    assert lines[0]["error"] == "QueueDoesNotExist"
    assert lines[0]["operation"] == "AmazonSQS.SendMessage"
    assert lines[1]["status"] == 403
    assert lines[1]["message"].startswith("GET /_pombo/clock refused: Host is 'evil.example'; expected")
