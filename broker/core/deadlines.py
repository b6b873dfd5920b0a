"""Deadlines: what happens when message time reaches an instant, in the order of those instants. Nothing polls."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

_CANCELLED_MIN: Final = 64  # fewer are not worth clearing away


class Deadline:
    """An action and its instant, as long as neither has it been done nor is it given up."""

    __slots__ = ("at_ms", "action")

    def __init__(self, at_ms: int, action: Callable[[], None]) -> None:
        self.at_ms = at_ms
        self.action: Callable[[], None] | None = action


class Deadlines:
    """A heap of deadlines. A cancelled one lets go of its action at once, and of its place before such places are the most."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Deadline]] = []
        self._count = 0
        self._cancelled = 0  # at most so many of the heap
        self.changed: Callable[[], None] = lambda: None  # called when the first deadline came nearer

    def add(self, at_ms: int, action: Callable[[], None]) -> Deadline:
        """Run `action` when message time reaches at_ms."""
        self._count += 1
        deadline = Deadline(at_ms, action)
        heappush(self._heap, (at_ms, self._count, deadline))
        if self._heap[0][2] is deadline:
            self.changed()
        return deadline

    def cancel(self, deadline: Deadline | None) -> None:
        """It is not wanted any more; nothing happens if it has been run or cancelled, or is none."""
        if deadline is None or deadline.action is None:
            return
        deadline.action = None
        self._cancelled += 1
        if self._cancelled >= _CANCELLED_MIN and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapify(self._heap)
            self._cancelled = 0

    def next_ms(self) -> int | None:
        """When the first is due; None where there is none."""
        while self._heap and self._heap[0][2].action is None:
            heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def run_due(self, now_ms: int) -> None:
        """Run all that are due by now_ms, including those that they add."""
        while (next_ms := self.next_ms()) is not None and next_ms <= now_ms:
            deadline = heappop(self._heap)[2]
            action, deadline.action = deadline.action, None
            assert action is not None
            action()

    def clear(self) -> None:
        """Give all of them up."""
        for _, _, deadline in self._heap:
            deadline.action = None
        self._heap.clear()
        self._cancelled = 0
