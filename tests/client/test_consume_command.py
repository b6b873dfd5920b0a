"""`pombo consume` as a developer meets it: processes, lines on the terminal, signals, exit codes, files that change."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from client.cli import consume
from tests.client.consuming import clean_environment, consuming
from tests.conftest import RunningBroker, serve

PRINTS = """
def handler(event, context):
    for record in event["Records"]:
        print("first", record["body"])
"""
WAITS = """
import pathlib, time
def handler(event, context):
    print("begun")
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    print("done", event["Records"][0]["body"])
"""


class Account:
    """What a test sends and sees, under an account of its own."""

    def __init__(self, broker: RunningBroker, account: str) -> None:
        self.broker = broker
        self.id = account
        self.call("CreateQueue", QueueName="parcels")

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            self.broker.url,
            json.dumps(parameters).encode(),
            {
                "X-Amz-Target": f"AmazonSQS.{operation}",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": f"AWS4-HMAC-SHA256 Credential={self.id}/20260101/us-east-1/sqs/aws4_request",
            },
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return dict(json.load(reply))

    def send(self, body: str) -> None:
        self.call("SendMessage", QueueUrl=self.url, MessageBody=body)

    @property
    def url(self) -> str:
        return f"{self.broker.url}/{self.id}/parcels"

    def left(self) -> list[int]:
        """How many messages can be received, and how many are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.call("GetQueueAttributes", QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return [int(found[name]) for name in names]


@pytest.fixture
def account(broker: RunningBroker, new_account: Callable[[], str]) -> Account:
    return Account(broker, new_account())


def of(account: Account) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": account.broker.url,
        "AWS_ACCESS_KEY_ID": account.id,
        "AWS_SECRET_ACCESS_KEY": "any",
    }


def test_messages_are_handled_and_deleted(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    with consuming(tmp_path, "parcels", "app:handler", **of(account)) as consumer:
        assert consumer.says("Consuming") == f"Consuming {account.url} with app:handler; Ctrl-C stops.\n"
        account.send("two pigeons")
        consumer.says("first two pigeons")
        consumer.process.send_signal(signal.SIGINT)
        assert consumer.ends() == 0
        assert len(consumer.lines) == 2
    assert account.left() == [0, 0]


def test_one_message_at_a_time_a_failure_with_its_traceback_and_a_queue_by_its_arn(
    tmp_path: Path, account: Account
) -> None:
    (tmp_path / "app.py").write_text(
        "class Shop:\n"
        "    async def sell(self, message):\n"
        "        print('selling', message.body)\n"
        "        if message.json()['pigeons'] > 2: raise ValueError('sold out')\n"
        "shop = Shop()\n"
    )
    account.send('{"pigeons": 2}')
    arn = f"arn:aws:sqs:us-east-1:{account.id}:parcels"
    with consuming(tmp_path, arn, "app:shop.sell", "--messages", "--concurrency", "1", **of(account)) as consumer:
        consumer.says('selling {"pigeons": 2}')
        account.send('{"pigeons": 3}')
        consumer.says('selling {"pigeons": 3}')
        consumer.says("not processed: ")
        consumer.says("Traceback")
        consumer.says("ValueError: sold out")
        consumer.process.terminate()
        assert consumer.ends() == 0
    assert account.left() == [0, 1]


def test_a_handler_that_runs_may_finish_after_sigterm(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(WAITS)
    account.send("one swan")
    with consuming(tmp_path, account.url, "app:handler", **of(account)) as consumer:
        consumer.says("begun")
        consumer.process.terminate()
        (tmp_path / "go").touch()
        consumer.says("done one swan")
        assert consumer.ends() == 0
    assert account.left() == [0, 0]


def test_a_second_signal_cuts_a_handler_off_and_its_message_is_returned(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(WAITS)
    account.send("one swan")
    with consuming(tmp_path, account.url, "app:handler", **of(account)) as consumer:
        consumer.says("begun")
        consumer.process.terminate()
        consumer.process.send_signal(signal.SIGINT)
        assert consumer.ends() in {
            128 + signal.SIGTERM,
            128 + signal.SIGINT,
        }  # Python sees both in the order of numbers
    assert account.left() == [1, 0]


def test_a_second_signal_ends_also_what_blocks_the_event_loop(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(WAITS.replace("def handler", "async def handler"))
    account.send("one swan")
    with consuming(tmp_path, account.url, "app:handler", **of(account)) as consumer:
        consumer.says("begun")
        consumer.process.terminate()
        consumer.process.send_signal(signal.SIGINT)
        assert consumer.ends() > 128


def test_a_broker_that_is_not_up_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with consuming(tmp_path, "parcels", "app:handler", AWS_ENDPOINT_URL_SQS=url) as consumer:
        assert f"at {url}" in consumer.says("pombo: waiting for the endpoint: ")
        for broker in serve(port=port):
            Account(broker, "000000000000")
            consumer.says("Consuming")
            consumer.process.terminate()
            assert consumer.ends() == 0


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("app.handler", "handler is 'app.handler'; expected MODULE:HANDLER, here app:handler\n"),
        ("app", "handler is 'app'; expected MODULE:HANDLER, such as app:handler\n"),
        ("app:", "handler is 'app:'; expected MODULE:HANDLER, such as app:handler\n"),
        (
            "nowhere:handler",
            "handler is 'nowhere:handler'; expected a module nowhere that can be imported from {here}: ",
        ),
        (
            "app.deeper:handler",
            "handler is 'app.deeper:handler'; expected a module app.deeper that can be imported from ",
        ),
        ("app:other", "handler is 'app:other'; expected a function other in app ({here}/app.py): there is none\n"),
        ("app:number", "expected a function: number in app ({here}/app.py) is of type int\n"),
    ],
)
def test_a_name_that_leads_to_no_handler_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: str, said: str
) -> None:
    (tmp_path / "app.py").write_text("number = 1\n")
    ran = refused(tmp_path, monkeypatch, "parcels", handler)
    assert ran.exit_code == 2
    assert ran.stderr.startswith("pombo: ")
    assert said.format(here=tmp_path) in ran.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import missing_dependency\n", "ModuleNotFoundError: No module named 'missing_dependency'\n"),
        ("def handler(:\n", "SyntaxError: invalid syntax\n"),
        ("1 / 0\n", "ZeroDivisionError: division by zero\n"),
    ],
)
def test_a_module_that_cannot_be_imported_shows_its_own_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "app.py").write_text(text)
    ran = refused(tmp_path, monkeypatch, "parcels", "app:handler")
    assert ran.exit_code == 1
    assert ran.stderr.startswith("pombo: handler is 'app:handler'; importing app failed:\n")
    assert ran.stderr.endswith(said)
    assert f'File "{tmp_path}/app.py", line 1' in ran.stderr
    assert "loading.py" not in ran.stderr
    assert "importlib" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--endpoint-url", "localhost:4566"],
            "endpoint is 'localhost:4566'; expected http://HOST:PORT or https://HOST",
        ),
        (["--concurrency", "0"], "0 is not in the range 1<=x<=1000"),
        (["--batch-size", "11"], "11 is not in the range 1<=x<=10"),
        (["--messages", "--report-batch-item-failures"], "expected one of them"),
    ],
)
def test_a_bad_option_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    ran = refused(tmp_path, monkeypatch, "parcels", "app:handler", *arguments)
    assert ran.exit_code == 2
    assert said in ran.stderr


def test_a_queue_that_does_not_exist_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: RunningBroker
) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    ran = refused(tmp_path, monkeypatch, "nowhere", "app:handler", "--endpoint-url", broker.url)
    assert ran.exit_code == 1
    assert ran.stderr.startswith(f"pombo: cannot consume nowhere at {broker.url}: QueueDoesNotExist: ")


def test_a_missing_watchfiles_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    ran = refused(tmp_path, monkeypatch, "parcels", "app:handler", "--reload")
    assert ran.exit_code == 2
    assert ran.stderr == "pombo: --reload needs watchfiles, which is missing: pip install 'pombo[reload]'\n"


def test_the_command_is_listed_without_its_consumer_being_imported() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from broker.cli import main;"
        "said = CliRunner().invoke(main, ['--help']).output; assert 'consume' in said, said;"
        "assert not {'aiohttp', 'botocore', 'broker.app', 'client.client'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30, env=clean_environment())


def test_serve_looks_for_no_other_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    assert CliRunner().invoke(main, ["serve", "--help"]).exit_code == 0


def test_a_changed_file_is_taken(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    with consuming(tmp_path, "parcels", "app:handler", "--reload", **of(account)) as consumer:
        consumer.says("Consuming")
        account.send("two pigeons")
        consumer.says("first two pigeons")
        (tmp_path / "app.py").write_text("def handler(:\n")
        consumer.says("pombo: app.py changed; starting again")
        consumer.says("SyntaxError")
        consumer.says("pombo: ended with exit code 1; waiting for a change of code")
        (tmp_path / "app.py").write_text(PRINTS.replace("first", "third"))
        consumer.says("Consuming")
        account.send("one swan")
        consumer.says("third one swan")
        consumer.process.send_signal(signal.SIGINT)
        assert consumer.ends() == 0
    assert account.left() == [0, 0]


def test_ctrl_c_stops_parent_and_child_gracefully_and_once(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(WAITS)
    account.send("one swan")
    with consuming(tmp_path, "parcels", "app:handler", "--reload", **of(account)) as consumer:
        consumer.says("begun")
        os.killpg(consumer.process.pid, signal.SIGINT)  # as a terminal does
        (tmp_path / "go").touch()
        consumer.says("done one swan")
        assert consumer.ends() == 0
    assert account.left() == [0, 0]


def test_the_child_does_not_outlive_its_parent(tmp_path: Path, account: Account) -> None:
    (tmp_path / "app.py").write_text(PRINTS)
    with consuming(tmp_path, "parcels", "app:handler", "--reload", **of(account)) as consumer:
        consumer.says("Consuming")
        consumer.process.kill()
        consumer.ends()  # the end of its output, which only the child still held, is the end of the child


def refused(directory: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """How the command ends in this process."""
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(signal, "signal", lambda number, call: None)  # pytest's are kept
    try:
        return CliRunner().invoke(consume, arguments)
    finally:
        sys.modules.pop("app", None)
        importlib.invalidate_caches()
