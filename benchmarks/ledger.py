"""What a load has sent, received and deleted: so that it knows what may be asked for, and what was lost, altered or came twice.

While the clock runs it only counts and keeps replies; what they hold is looked at afterwards, by `check`.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.sqs_requests import NUMBERED, Requests, body_of


@dataclass
class Checked:
    """The end of an account. All zeros but `sent` and `received` is how it should be."""

    sent: int = 0
    received: int = 0
    lost: int = 0  # sent, acknowledged, and never received
    doubled: int = 0  # received more than once
    altered: int = 0  # a body or an MD5 is another
    refused: int = 0  # entries of a batch that failed

    def as_dict(self) -> dict[str, int]:
        """For the report."""
        return asdict(self)


class Ledger:
    """One load's account over all its queues. `copies` is how many messages each send becomes (a topic's queues)."""

    def __init__(self, wire: Requests, queues: Sequence[str], size: int, *, copies: int = 1) -> None:
        self.wire = wire
        self.queues = queues
        self.size = size
        self.copies = copies
        self.next_number = 0
        self.sent = 0
        self.received = 0
        self.deleted = 0
        self.unclaimed = [0] * len(queues)  # acknowledged messages that no receive under way was sent for
        self.ready: deque[tuple[int, int]] = deque()  # (queue, how many): what receives may be sent for
        self.held: deque[tuple[int, list[str]]] = deque()  # received, to be deleted
        self._sends: list[tuple[int, int, bytes]] = []
        self._published: list[int] = []
        self._receives: list[bytes] = []
        self._deletes: list[bytes] = []

    def numbers(self, batch: int) -> int:
        """The first of `batch` new message numbers."""
        self.next_number += batch
        return self.next_number - batch

    def acknowledged(self, queue: int, first: int, batch: int, reply: bytes) -> None:
        """A send was answered."""
        self.sent += batch
        self.add(queue, batch)
        self._sends.append((first, batch, reply))

    def published(self, number: int) -> None:
        """A publish was answered: a copy is in every queue."""
        self.sent += 1
        self._published.append(number)
        for queue in range(len(self.queues)):
            self.add(queue, 1)

    def add(self, queue: int, count: int) -> None:
        """There are so many more in a queue."""
        self.unclaimed[queue] += count
        self.ready.append((queue, count))

    def claim(self, queue: int, count: int) -> None:
        """A receive for up to `count` was sent."""
        self.unclaimed[queue] -= count

    def came(self, queue: int, claimed: int, reply: bytes) -> list[str]:
        """A receive was answered: the receipt handles."""
        handles = self.wire.handles(reply)
        self.received += len(handles)
        missing = claimed - len(handles)
        self.unclaimed[queue] += missing
        if missing > 0 and self.unclaimed[queue] > 0:
            self.ready.append((queue, min(missing, self.unclaimed[queue])))
        if handles:
            self._receives.append(reply)
        return handles

    def gone(self, count: int, reply: bytes) -> None:
        """A delete was answered."""
        self.deleted += count
        if count > 1:
            self._deletes.append(reply)

    def outstanding(self) -> int:
        """Messages that are sent and not yet received."""
        return self.sent * self.copies - self.received

    def check(self, *, foreign: bool = False) -> Checked:
        """Compare all replies with what was sent. `foreign`: the queue held other messages too, so that numbers say nothing."""
        found = Checked(self.sent, self.received)
        digests: dict[int, str] = {}
        for first, batch, reply in self._sends:
            failed = self.wire.failures(reply) if batch > 1 else 0
            answered = self.wire.digests(reply)
            found.refused += failed
            if failed or len(answered) != batch:
                found.altered += not failed
                continue
            for number, digest in enumerate(answered, first):
                digests[number] = hashlib.md5(body_of(number, self.size), usedforsecurity=False).hexdigest()
                found.altered += digest != digests[number]
        found.refused += sum(self.wire.failures(reply) for reply in self._deletes)
        if foreign:
            return found
        times: Counter[int] = Counter()
        expected = [*digests, *self._published]
        for reply in self._receives:
            for body, digest in self.wire.messages(reply):
                number, wrong = self._number_of(body, digest)
                found.altered += wrong
                times[number] += 1
        found.lost = sum(max(0, self.copies - times[number]) for number in expected)
        found.doubled = sum(max(0, count - self.copies) for count in times.values())
        return found

    def _number_of(self, body: bytes, digest: str) -> tuple[int, bool]:
        """The number in a body, and whether the body is another than was sent. A topic's envelope has a number somewhere."""
        wrong = hashlib.md5(body, usedforsecurity=False).hexdigest() != digest
        numbered = NUMBERED.search(body)
        if numbered is None:
            return -1, True
        number = int(numbered[1])
        return number, wrong or body_of(number, self.size) not in body


def merged(accounts: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The sum of several accounts."""
    total: Counter[str] = Counter()
    for account in accounts:
        total.update({key: int(value) for key, value in account.items()})
    return dict(total)
