"""What functions print: a bounded ring of log lines per function. The oldest leave when there are too many."""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

_EVENTS_MAX: Final = 10_000
_BYTES_MAX: Final = 4 * 1024 * 1024
_OVERHEAD: Final = 150  # bytes that an event takes beside its line


class LogEvent(NamedTuple):
    """One line. `number` rises by one from line to line of a function; `request_id` is empty outside invocations."""

    number: int
    at_ms: int
    request_id: str
    stream: str
    line: str


class LogRing:
    """The newest log lines of a function, at most `events_max` and about `bytes_max` bytes."""

    def __init__(self, events_max: int = _EVENTS_MAX, bytes_max: int = _BYTES_MAX) -> None:
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._events: deque[LogEvent] = deque()
        self._bytes = 0
        self._next = 1

    def append(self, at_ms: int, request_id: str, stream: str, line: str) -> None:
        """Add a line. `at_ms` is process time's wall clock, in milliseconds since the epoch."""
        self._events.append(LogEvent(self._next, at_ms, request_id, stream, line))
        self._next += 1
        self._bytes += len(line) + _OVERHEAD
        while len(self._events) > self._events_max or (self._bytes > self._bytes_max and len(self._events) > 1):
            self._bytes -= len(self._events.popleft().line) + _OVERHEAD

    def read(self, after: int = 0, request_id: str | None = None, limit: int | None = None) -> list[LogEvent]:
        """The lines with numbers above `after`, oldest first; of one request where it is given; of those the newest `limit`."""
        found: list[LogEvent] = []
        for event in self._newest_first():
            if event.number <= after or (limit is not None and len(found) >= limit):
                break
            if request_id is None or event.request_id == request_id:
                found.append(event)
        found.reverse()
        return found

    def _newest_first(self) -> Iterator[LogEvent]:
        return reversed(self._events)

    def __len__(self) -> int:
        return len(self._events)
