"""Receives of a FIFO queue that may be repeated: those with a ReceiveRequestAttemptId, while each message is as they left it.

As soon as one of an attempt's messages is deleted, changed or visible again, the attempt is over; so there are never more of
them than messages in flight. Source: SQS API Reference, ReceiveMessage.
"""

from typing import NamedTuple

from broker.core.limits import RECEIVE_ATTEMPT_MS
from broker.core.message import Message


class Attempt(NamedTuple):
    """What a receive handed out, and when."""

    at_ms: int
    messages: tuple[Message, ...]


class Attempts:
    """The attempts of one queue."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}
        self._by_message: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def remember(self, attempt_id: str, attempt: Attempt) -> None:
        """A receive with this ReceiveRequestAttemptId handed these out. It replaces an older one of that id."""
        self._forget(attempt_id)
        self._attempts[attempt_id] = attempt
        for message in attempt.messages:
            self._by_message[message.id] = attempt_id

    def touched(self, message_id: int) -> None:
        """The message is no longer as its receive left it."""
        if self._by_message:
            self._forget(self._by_message.get(message_id))

    def find(self, attempt_id: str, now_ms: int) -> Attempt | None:
        """The attempt that a receive with this id repeats now."""
        attempt = self._attempts.get(attempt_id)
        return attempt if attempt is not None and now_ms - attempt.at_ms < RECEIVE_ATTEMPT_MS else None

    def _forget(self, attempt_id: str | None) -> None:
        attempt = None if attempt_id is None else self._attempts.pop(attempt_id, None)
        if attempt is not None:
            for message in attempt.messages:
                del self._by_message[message.id]
