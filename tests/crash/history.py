"""What clients were told, and whether a broker that was killed and started again still says so. Pure: no I/O, no clock.

Bodies are unique and stand for their messages. What was asked and never answered may have happened or not.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class Sent:
    """A message whose send was acknowledged."""

    queue: str
    message_id: str
    group: str | None
    number: int  # counts up within its group, in the order of sending


@dataclass(frozen=True)
class Found:
    """A message that a drain received after a restart, in the order of receiving."""

    queue: str
    counted_in: str  # the queue that held it when the counts were asked for
    body: str
    message_id: str
    receive_count: int


@dataclass
class History:
    """Records operations; `violations` collects every broken promise as a sentence."""

    sent: dict[str, Sent] = field(default_factory=dict)
    unanswered_sends: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    unanswered_deletes: Counter[str] = field(default_factory=Counter)  # several clients may delete one message
    receive_counts: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    acknowledged: int = 0

    def send_answered(self, body: str, sent: Sent) -> None:
        """A send was acknowledged. A retry of one must be answered like the first time."""
        self.acknowledged += 1
        self.unanswered_sends.discard(body)
        before = self.sent.get(body)
        if before is not None and before.message_id != sent.message_id:
            self.violations.append(f"{body}: a repeated deduplication ID made another message")
        self.sent[body] = sent

    def received(self, body: str, receive_count: int, deleted_before: frozenset[str] | set[str]) -> None:
        """A receive was answered. `deleted_before`: what had been deleted, acknowledged, when it was asked for."""
        self.acknowledged += 1
        if body in deleted_before:
            self.violations.append(f"{body}: received after its deletion was acknowledged")
        if receive_count <= self.receive_counts.get(body, 0):
            self.violations.append(f"{body}: its receive count fell to {receive_count}")
        self.receive_counts[body] = receive_count

    def delete_asked(self, body: str) -> None:
        self.unanswered_deletes[body] += 1

    def delete_refused(self, body: str) -> None:
        """This one did nothing; another client's may still be on its way."""
        self.unanswered_deletes[body] -= 1

    def delete_answered(self, body: str) -> None:
        self.acknowledged += 1
        self.unanswered_deletes[body] -= 1
        self.deleted.add(body)

    def check(self, found: list[Found], counts: dict[str, int]) -> None:
        """After a restart, everything was made visible and drained. `counts`: what each queue said that it held."""
        self._check_each(found)
        bodies = {f.body for f in found}
        for body, sent in self.sent.items():
            if body not in bodies and body not in self.deleted and self.unanswered_deletes[body] <= 0:
                self.violations.append(f"{body}: lost; it had been acknowledged in {sent.queue}")
        self._check_order(found)
        for queue, count in counts.items():
            held = sum(f.counted_in == queue for f in found)
            if held != count:
                self.violations.append(f"{queue}: said that it held {count} messages and had {held}")

    def _check_each(self, found: list[Found]) -> None:
        seen: dict[str, str] = {}
        for f in found:
            if f.body in seen:
                self.violations.append(f"{f.body}: there twice, as {seen[f.body]} and {f.message_id}")
            seen[f.body] = f.message_id
            moved_away = f.body in self.sent and f.queue != self.sent[f.body].queue
            if f.body in self.deleted and not moved_away:
                # Deleting from its first queue a message that was moved to the dead-letter queue does nothing, on AWS too.
                self.violations.append(f"{f.body}: back after its deletion was acknowledged")
            if f.body not in self.sent and f.body not in self.unanswered_sends:
                self.violations.append(f"{f.body}: never sent")
            if f.receive_count <= self.receive_counts.get(f.body, 0):
                self.violations.append(f"{f.body}: its receive count fell to {f.receive_count}")
            if f.body in self.sent and self.sent[f.body].message_id != f.message_id:
                self.violations.append(f"{f.body}: has another message id than was acknowledged")

    def _check_order(self, found: list[Found]) -> None:
        last: dict[tuple[str, str], int] = defaultdict(int)
        for f in found:
            sent = self.sent.get(f.body)
            if sent is None or sent.group is None or f.queue != sent.queue:
                continue  # what went to the dead-letter queue is in the order in which it went there
            if sent.number < last[f.queue, sent.group]:
                self.violations.append(f"{f.body}: out of order in group {sent.group}")
            last[f.queue, sent.group] = max(last[f.queue, sent.group], sent.number)

    def begin_round(self, found: list[Found]) -> None:
        """The drain deleted what it found: the next round starts with empty queues, and remembers what was deleted."""
        for f in found:
            self.deleted.add(f.body)
        for body in list(self.sent):
            if self.unanswered_deletes[body] > 0:
                self.deleted.add(body)
        self.unanswered_deletes.clear()
        # A send that was never answered and not found has not happened, and never will.
        self.unanswered_sends.clear()
        self.sent = {b: s for b, s in self.sent.items() if b not in self.deleted}
