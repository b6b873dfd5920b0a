"""How many full cycles (send + lease + delete of a message) a second the store makes durable, alone and beside a busy loop.

    python -m benchmarks.store [--batches 300] [--each 100] [--bytes 1024] [--backlog 0] [--data DIRECTORY] [--synchronous full]

Every commit holds `--each` of each: it sends new messages, leases those of the commit before, and deletes those leased then.
Beside a "busy loop" another thread answers bytes on a socket pair with some 60 microseconds of Python for each, as the event
loop does under load; "Python without pause" never lets go of the GIL by itself. What the store then loses is what it needs the
GIL for. `--backlog` puts that many messages into the queue first.
"""

import argparse
import resource
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from broker.clock import process_time_s
from broker.store.batch import Batch
from broker.store.changes import LANE_READY, CounterRow, LeaseRow, MessageRow
from broker.store.sqlite import SqliteStore

QUEUE = 1
NOW_MS = 1_700_000_000_000
CONTENT = b"c" * 150
PYTHON_BETWEEN_CALLS = 2000  # about 60 microseconds of it


class Load:
    """Fills batches and commits them, one after the other."""

    def __init__(self, store: SqliteStore, each: int, body: bytes) -> None:
        self.store = store
        self.each = each
        self.body = body
        self.number = store.open().batch_number
        self.ids = range(0)
        self.sent: list[int] = []
        self.leased: list[int] = []

    def _next_ids(self, count: int) -> list[int]:
        if len(self.ids) < count:
            self.ids = self.store.grant_sequences(100_000)
        taken, self.ids = self.ids[:count], self.ids[count:]
        return list(taken)

    def backlog(self, count: int) -> None:
        for _ in range(0, count, 1000):
            batch = self._batch()
            self._send(batch, self._next_ids(1000))
            self.store.commit(batch)

    def _batch(self) -> Batch:
        self.number += 1
        return Batch(self.number)

    def _send(self, batch: Batch, ids: list[int]) -> None:
        for message in ids:
            batch.add_message(MessageRow(message, QUEUE, LANE_READY, message, None, NOW_MS, CONTENT, self.body))

    def cycle(self) -> None:
        batch = self._batch()
        for message in self.leased:
            batch.delete_message(message, QUEUE)
        for message in self.sent:
            batch.set_lease(LeaseRow(message, QUEUE, NOW_MS + 30_000 + self.number, 1, NOW_MS, None))
        self.leased, self.sent = self.sent, self._next_ids(self.each)
        self._send(batch, self.sent)
        batch.set_counters(CounterRow(QUEUE, 2 * self.each, self.each, 0, NOW_MS, self.sent[0], NOW_MS, False))
        self.store.commit(batch)


def measure(load: Load, batches: int) -> tuple[float, float, float]:
    """(thousand cycles a second, milliseconds of the median commit, of the slowest in a hundred)."""
    taken_s = []
    for _ in range(batches):
        before_s = process_time_s()
        load.cycle()
        taken_s.append(process_time_s() - before_s)
    total_s = sum(taken_s)
    taken_s.sort()
    return batches * load.each / total_s / 1e3, taken_s[batches // 2] * 1e3, taken_s[batches * 99 // 100] * 1e3


def busy_loop(stop: threading.Event) -> None:
    near, far = socket.socketpair()
    with near, far:
        while not stop.is_set():
            near.send(b"x")
            sum(range(PYTHON_BETWEEN_CALLS))
            far.recv(1)


def pure_python(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(PYTHON_BETWEEN_CALLS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--bytes", type=int, default=1024)
    parser.add_argument("--backlog", type=int, default=0)
    parser.add_argument("--data", default=None)
    parser.add_argument("--synchronous", default="full")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = SqliteStore(given.data or str(Path(scratch, "data")), synchronous=given.synchronous)
        load = Load(store, given.each, b"x" * given.bytes)
        load.backlog(given.backlog)
        measure(load, 20)
        show("alone", measure(load, given.batches))
        show("beside a busy loop", measure_beside(busy_loop, load, given.batches))
        show("beside Python without pause", measure_beside(pure_python, load, max(20, given.batches // 10)))
        before_s = process_time_s()
        store.close()
        print(f"close {process_time_s() - before_s:.3f} s, resident at most {_resident_mb():.0f} MB")


def measure_beside(work: Callable[[threading.Event], None], load: Load, batches: int) -> tuple[float, float, float]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        return measure(load, batches)
    finally:
        stop.set()
        thread.join()


def show(name: str, figures: tuple[float, float, float]) -> None:
    print(
        f"{name:28} {figures[0]:6.1f} thousand cycles/s; a commit {figures[1]:.1f} ms, 1 in 100 over {figures[2]:.1f} ms"
    )


def _resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
