"""Replies of the console: JSON, and errors that name the field, the value and what was expected."""

from typing import Any

import orjson

from broker.wire.http import HttpResponse

JSON = {"Content-Type": "application/json"}


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def reply(content: Any, status: int = 200) -> HttpResponse:
    """Any JSON value."""
    return HttpResponse(status, orjson.dumps(content), dict(JSON))


def refusal(refused: Refused) -> HttpResponse:
    return reply({"error": refused.message}, refused.status)


def number(parameters: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number from a query string. Raises Refused."""
    text = parameters.get(name)
    if text is None:
        return default
    if len(text) < 20 and text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise Refused(400, f"{name} is {text!r}; expected a number from {low} to {high}")


def switch(parameters: dict[str, str], name: str, default: bool) -> bool:
    """true or false from a query string. Raises Refused."""
    text = parameters.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0"):
        raise Refused(400, f"{name} is {parameters[name]!r}; expected true or false")
    return text in ("true", "1")
