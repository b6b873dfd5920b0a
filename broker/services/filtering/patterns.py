"""Filter patterns of event source mappings: the same language, over a record whose body may be JSON.

A pattern for a JSON body lets no other body pass, and the other way round, as on AWS. Source: Lambda Developer Guide, "Event
filtering" and "Properly filtering Amazon SQS messages".
"""

from functools import lru_cache
from typing import Any, Final

import orjson

from broker.services.filtering.input import FilterInput
from broker.services.filtering.policy import FilterPolicy, compile_filter
from broker.services.filtering.refused import PolicyRefused

_REMEMBERED: Final = 1_024


class BadPattern(Exception):
    """The pattern is not one of the language."""


class Pattern:
    """A compiled pattern. `json_body`: what it asks of the body is asked of the body's JSON."""

    __slots__ = ("_policy", "_json_body", "_asks_body")

    def __init__(self, text: str) -> None:
        try:
            document = orjson.loads(text)
            self._policy: FilterPolicy | None = compile_filter(text, "MessageBody", limited=False)
        except (orjson.JSONDecodeError, PolicyRefused) as error:
            raise BadPattern(str(error)) from None
        if not isinstance(document, dict):
            raise BadPattern("not an object")
        self._asks_body = "body" in document
        self._json_body = isinstance(document.get("body"), dict)

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record passes."""
        if self._policy is None:
            return True
        if self._asks_body:
            parsed = _parsed(record["body"])
            if isinstance(parsed, dict) is not self._json_body:
                return False
            if self._json_body:
                record = {**record, "body": parsed}
        return self._policy.matches(FilterInput((), orjson.dumps(record).decode()))


def check_pattern(text: str) -> None:
    """Raises BadPattern."""
    _compiled(text)


def matches_pattern(text: str, record: dict[str, Any]) -> bool:
    """Whether a record passes a pattern that was checked."""
    return _compiled(text).matches(record)


@lru_cache(maxsize=_REMEMBERED)
def _compiled(text: str) -> Pattern:
    return Pattern(text)


def _parsed(body: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
