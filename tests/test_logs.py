"""Log lines: the same fields as text and as JSON, one line each, whatever a client puts into them."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from broker import logs


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "pombo.wire", "levelname": "INFO", "msg": message, "args": arguments, **fields}
    )
    made.created, made.msecs = 1_700_000_000.5, 500.0
    return made


def test_a_json_line_has_its_fields_and_its_time_in_utc() -> None:
    refused = record(
        "%s refused", "SendMessage", request_id="r-1", operation="SendMessage", error="Throttled", status=400
    )
    assert json.loads(logs.JsonFormatter().format(refused)) == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "info",
        "logger": "pombo.wire",
        "message": "SendMessage refused",
        "request_id": "r-1",
        "operation": "SendMessage",
        "error": "Throttled",
        "status": 400,
    }


def test_a_text_line_ends_in_the_request_id() -> None:
    assert logs.TextFormatter().format(record("refused", request_id="r-1")).endswith(" INFO refused [r-1]")
    assert logs.TextFormatter().format(record("started")).endswith(" INFO started")


@pytest.mark.parametrize("formatter", [logs.TextFormatter(), logs.JsonFormatter()], ids=["text", "json"])
@pytest.mark.parametrize("forged", ["\n2026 INFO forged", "\r", "\x1b[2J", "\x85", "\u2028", "\ud800", "\x00"])
def test_what_a_client_sent_starts_no_line_and_moves_no_cursor(formatter: logging.Formatter, forged: str) -> None:
    line = formatter.format(record("queue %s is missing", forged, operation=forged))
    assert line.isprintable()
    line.encode()


@pytest.mark.parametrize("formatter", [logs.TextFormatter(), logs.JsonFormatter()], ids=["text", "json"])
def test_an_exception_is_told(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("what went wrong \ud800")
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    assert "ValueError: what went wrong" in formatter.format(failed)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("pombo").level
    yield root
    root.handlers[:], level, pombos = before
    root.setLevel(level)
    logging.getLogger("pombo").setLevel(pombos)


def test_everything_goes_to_standard_error_in_one_format(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("json")
    logging.getLogger("pombo.wire").info("ours")
    logging.getLogger("asyncio").warning("a library's")
    logging.getLogger("asyncio").info("not news")
    said = capsys.readouterr()
    assert said.out == ""
    assert [json.loads(line)["message"] for line in said.err.splitlines()] == ["ours", "a library's"]
