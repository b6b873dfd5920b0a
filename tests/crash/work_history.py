"""What producers were told whose queues have a function, and what the function has done since, over restarts. Pure.

Bodies are unique and stand for their messages. A message leaves its queue only after the function has processed it. It may be
processed again, each time with a higher receive count; within a group, the first times follow the order of sending. A send that
was never answered may have happened or not; once its queue has shown it, it has.
"""

from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Task:
    """A message that was sent. `number` counts up within its group, in the order of sending; `group` None: a standard queue."""

    queue: str
    group: str | None = None
    number: int = 0


@dataclass(frozen=True)
class Processed:
    """What the function writes down as it processes a message."""

    body: str
    message_id: str
    receive_count: int


@dataclass
class WorkHistory:
    """Records sends, what was processed and what queues hold; `violations` collects every broken promise as a sentence."""

    asked: dict[str, Task] = field(default_factory=dict)  # in this round
    answers: dict[str, str] = field(default_factory=dict)  # body: message id
    shown: set[str] = field(default_factory=set)  # by a queue after a restart
    processed: dict[str, Processed] = field(default_factory=dict)  # the last time of each, in the order of the first
    missing: set[str] = field(default_factory=set)  # what a violation was found for already
    over: set[str] = field(default_factory=set)  # earlier rounds' messages
    violations: list[str] = field(default_factory=list)
    acknowledged: int = 0
    times_processed: int = 0
    times_again: int = 0  # of them: the broker was killed before the message was deleted
    processes: int = 0  # of the function's: they were there when a broker was killed

    def send_asked(self, body: str, task: Task) -> None:
        self.asked[body] = task

    def send_answered(self, body: str, message_id: str) -> None:
        self.acknowledged += 1
        self.answers[body] = message_id

    def function_processed(self, done: Processed) -> None:
        """The function has written a line; in the order of the lines."""
        self.times_processed += 1
        if done.body not in self.asked:
            why = "again after it had left its queue" if done.body in self.over else "and never sent"
            self.violations.append(f"{done.body}: processed, {why}")
            return
        before = self.processed.get(done.body)
        if before is not None and done.receive_count <= before.receive_count:
            self.violations.append(f"{done.body}: its receive count fell to {done.receive_count}")
        self.times_again += before is not None
        self.processed[done.body] = done

    def outlived(self, processes: list[int]) -> None:
        """Of the function's processes, these were there although their broker was dead."""
        if processes:
            self.violations.append(f"processes outlived their broker: {processes}")

    def restarted(self, held: Set[str]) -> None:
        """`held`: what the queues show after a restart. What had been processed by then is known already."""
        self.shown |= held & self.asked.keys()
        for body in self._happened():
            if body not in held and body not in self.processed:
                self._miss(body, f"deleted from {self.asked[body].queue} and not processed")

    def check(self, held: Set[str]) -> None:
        """After the clock was moved past every timeout and the function had time for everything. `held`: what is left."""
        for body in held:
            if body not in self.asked:
                self.violations.append(f"{body}: in a queue, and not sent in this round")
            elif body in self.processed:
                self.violations.append(f"{body}: processed, and still in {self.asked[body].queue}")
            else:
                self._miss(body, f"left in {self.asked[body].queue}")
        for body in self._happened():
            if body not in self.processed:
                self._miss(body, f"lost; neither processed nor in {self.asked[body].queue}")
        for body, done in self.processed.items():
            if self.answers.get(body, done.message_id) != done.message_id:
                self.violations.append(f"{body}: processed with another message id than was acknowledged")
        self._check_order()

    def begin_round(self) -> None:
        """Every queue is empty: what comes again from here on should not be there."""
        self.over |= self.asked.keys()
        for forgotten in (self.asked, self.answers, self.shown, self.processed, self.missing):
            forgotten.clear()

    def _happened(self) -> list[str]:
        """In the order of asking."""
        return [body for body in self.asked if body in self.answers or body in self.shown]

    def _miss(self, body: str, what: str) -> None:
        if body not in self.missing:
            self.missing.add(body)
            self.violations.append(f"{body}: {what}")

    def _check_order(self) -> None:
        last: dict[tuple[str, str], int] = defaultdict(lambda: -1)
        for body in self.processed:
            task = self.asked[body]
            if task.group is None:
                continue
            if task.number < last[task.queue, task.group]:
                self.violations.append(f"{body}: processed out of order in group {task.group}")
            last[task.queue, task.group] = max(last[task.queue, task.group], task.number)
