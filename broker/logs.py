"""Logs on standard error: one line per record, as text or as a JSON object with the same fields.

A record about a request carries its id, and where it was refused the operation and the error. What a client sent may stand in a
message: it is never allowed to start a line of its own.
"""

import logging
import re
import sys
import time
from typing import Any, Final

import orjson

_FIELDS: Final = ("request_id", "operation", "error", "status")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class JsonFormatter(logging.Formatter):
    """One JSON object per line, its time in UTC."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _one_line(record.getMessage()),
        }
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = _one_line(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info).encode(errors="backslashreplace").decode()
        return orjson.dumps(line).decode()


class TextFormatter(logging.Formatter):
    """Time (local), level, message, the request's id where there is one; an exception on lines of its own below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        text = _one_line(super().formatMessage(record))
        request_id = getattr(record, "request_id", None)
        return f"{text} [{request_id}]" if request_id else text


def set_up(log_format: str) -> None:
    """Send all logs to standard error in this format, text or json: the broker's own from INFO on, the libraries' from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pombo").setLevel(logging.INFO)


def _one_line(text: str) -> str:
    """The text without line breaks, terminal escapes and halves of characters: each is written as its number."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
