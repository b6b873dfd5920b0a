"""When messages arrived at a FIFO queue with a delay: how many of them the delay still hides.

A FIFO queue's delay counts from arrival and changes with the attribute, so nothing of it is written to the messages. Arrivals
are kept as runs of equal times; beyond ten thousand runs, neighbours are counted together.
"""

from collections import deque
from typing import Final

RUNS_MAX: Final = 10_000


class Arrivals:
    """The arrivals after `complete_since_ms`; None: nothing is known yet."""

    def __init__(self, complete_since_ms: int | None) -> None:
        self._complete_since_ms = complete_since_ms
        self._runs: deque[tuple[int, int]] = deque()  # (enqueued_at_ms, how many), ascending
        self._total = 0
        self._log: list[tuple[int, int]] | None = None

    def add(self, batch_number: int, at_ms: int) -> None:
        """A message arrived, in this batch."""
        if self._log is not None:
            self._log.append((batch_number, at_ms))
        if self._complete_since_ms is not None:
            self._append(at_ms)

    def after(self, since_ms: int) -> int | None:
        """How many arrived after since_ms, and forget the others; None where that must be read from the store."""
        if self._complete_since_ms is None or since_ms < self._complete_since_ms:
            return None
        while self._runs and self._runs[0][0] <= since_ms:
            self._total -= self._runs.popleft()[1]
        self._complete_since_ms = since_ms
        return self._total

    def start_log(self) -> list[tuple[int, int]]:
        """From now on, note (batch, enqueued_at_ms) of what arrives while the store is asked."""
        self._log = []
        return self._log

    def restore(self, since_ms: int, runs: list[tuple[int, int]], later: list[int]) -> None:
        """What the store knows to have arrived after since_ms (in RUNS_MAX runs at most), and what arrived after it answered."""
        self._runs = deque(runs)
        self._total = sum(count for _, count in runs)
        self._complete_since_ms = since_ms
        self._log = None
        for at_ms in later:
            self._append(at_ms)

    def _append(self, at_ms: int) -> None:
        self._total += 1
        if self._runs and self._runs[-1][0] >= at_ms:
            self._runs[-1] = (self._runs[-1][0], self._runs[-1][1] + 1)
            return
        self._runs.append((at_ms, 1))
        if len(self._runs) > RUNS_MAX:
            self._halve()

    def _halve(self) -> None:
        """Count neighbours together, at the time of the later one."""
        runs = list(self._runs)
        self._runs.clear()
        for i in range(0, len(runs) - 1, 2):
            self._runs.append((runs[i + 1][0], runs[i][1] + runs[i + 1][1]))
        if len(runs) % 2:
            self._runs.append(runs[-1])
