"""Deadlines: what happens when message time reaches an instant, in the order of those instants. Nothing polls."""

from collections.abc import Callable
from heapq import heappop, heappush


class Deadlines:
    """A heap of actions. An action decides itself whether it is still wanted."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.changed: Callable[[], None] = lambda: None  # called when the first deadline came nearer

    def add(self, at_ms: int, action: Callable[[], None]) -> None:
        """Run `action` when message time reaches at_ms."""
        self._count += 1
        heappush(self._heap, (at_ms, self._count, action))
        if self._heap[0][1] == self._count:
            self.changed()

    def next_ms(self) -> int | None:
        """When the first is due; None where there is none."""
        return self._heap[0][0] if self._heap else None

    def run_due(self, now_ms: int) -> None:
        """Run all that are due by now_ms, including those that they add."""
        while self._heap and self._heap[0][0] <= now_ms:
            _, _, action = heappop(self._heap)
            action()

    def clear(self) -> None:
        self._heap.clear()
