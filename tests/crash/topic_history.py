"""What publishers were told, and whether every subscription of a broker that was killed and started again bears it out. Pure.

Messages are unique and stand for their publishes. A place is a queue or an HTTP endpoint that is subscribed. A publish is in all
places that want it or in none: exactly once in a queue, at least once at an endpoint. One that was asked for and never answered
may have happened or not, as a whole.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """A publish. `number` counts up within its group, in the order of publishing; `group` None: a standard topic."""

    places: frozenset[str]  # those whose subscriptions want it
    group: str | None = None
    number: int = 0


@dataclass(frozen=True)
class Answer:
    """What a publisher was told. `sequence`: FIFO topics only."""

    message_id: str
    sequence: str | None = None


@dataclass(frozen=True)
class Copy:
    """A message as a queue showed it. `published_as`: what its envelope says of the publish; None: it came raw."""

    queue: str
    message: str
    id: str  # the queue's own message id
    sequence: str = ""  # the queue's own sequence number; "" in a standard queue
    published_as: Answer | None = None


@dataclass
class TopicHistory:
    """Records publishes, deliveries and deletions; `violations` collects every broken promise as a sentence."""

    asked: dict[str, Published] = field(default_factory=dict)  # in this round, in the order of asking
    answers: dict[str, Answer] = field(default_factory=dict)
    copies: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # (queue, message): the queue's message ids
    deleted: set[tuple[str, str]] = field(default_factory=set)
    unanswered_deletes: Counter[tuple[str, str]] = field(default_factory=Counter)
    delivered: set[tuple[str, str]] = field(default_factory=set)  # (endpoint, message)
    settled: dict[str, bool] = field(default_factory=dict)  # of earlier rounds: whether it had happened
    last_sequence: str = ""  # the highest that an earlier round was answered
    violations: list[str] = field(default_factory=list)
    acknowledged: int = 0

    @property
    def unanswered(self) -> list[str]:
        """The publishes that may have happened or not, in the order of asking."""
        return [message for message in self.asked if message not in self.answers]

    def publish_asked(self, message: str, published: Published) -> None:
        self.asked[message] = published

    def publish_answered(self, message: str, answer: Answer) -> None:
        """A publish was acknowledged. A repeated deduplication ID must be answered like the first time."""
        self.acknowledged += 1
        before = self.answers.setdefault(message, answer)
        if before != answer:
            self.violations.append(f"{message}: a repeated deduplication ID was answered with another message")
        if answer.sequence is not None and answer.sequence <= self.last_sequence:
            self.violations.append(f"{message}: its sequence number is not above those from before the restart")

    def received(self, copy: Copy, deleted_before: set[tuple[str, str]] | frozenset[tuple[str, str]]) -> None:
        """A queue showed a message. `deleted_before`: what had been deleted, acknowledged, when it was asked."""
        self.acknowledged += 1
        place = copy.queue, copy.message
        self.copies.setdefault(place, set()).add(copy.id)
        if place in deleted_before:
            self.violations.append(f"{copy.message}: received from {copy.queue} after its deletion was acknowledged")

    def delete_asked(self, queue: str, message: str) -> None:
        self.unanswered_deletes[queue, message] += 1

    def delete_answered(self, queue: str, message: str) -> None:
        self.acknowledged += 1
        self.unanswered_deletes[queue, message] -= 1
        self.deleted.add((queue, message))

    def endpoint_got(self, endpoint: str, message: str) -> None:
        """An endpoint was sent a message, and has taken it."""
        self.delivered.add((endpoint, message))
        if self.settled.get(message) is False:
            self.violations.append(f"{message}: sent to {endpoint} though its publish had not happened")

    def check(self, found: list[Copy], endpoints: frozenset[str]) -> None:
        """After a restart, the clock was moved past every retry, and every queue drained. `found`: in the order of receiving."""
        self._check_found(found)
        for message, published in self.asked.items():
            self._check_places(message, published, endpoints)
        self._check_order(found)

    def _check_found(self, found: list[Copy]) -> None:
        seen: set[tuple[str, str]] = set()
        for copy in found:
            place = copy.queue, copy.message
            published = self.asked.get(copy.message)
            if published is None:
                self.violations.append(f"{copy.message}: in {copy.queue}, and never published since it was last empty")
                continue
            if copy.queue not in published.places:
                self.violations.append(f"{copy.message}: in {copy.queue}, which did not want it")
            if place in self.deleted:
                self.violations.append(f"{copy.message}: back in {copy.queue} after its deletion was acknowledged")
            answer = self.answers.get(copy.message)
            if copy.published_as is not None and answer is not None and copy.published_as != answer:
                self.violations.append(f"{copy.message}: in {copy.queue} with another id than was acknowledged")
            seen.add(place)
            self.copies.setdefault(place, set()).add(copy.id)
        for place in self.copies:
            if place not in seen and place not in self.deleted and self.unanswered_deletes[place] <= 0:
                self.violations.append(f"{place[1]}: lost from {place[0]}, which had shown it")

    def _check_places(self, message: str, published: Published, endpoints: frozenset[str]) -> None:
        has = {place: len(self.copies.get((place, message), ())) for place in sorted(published.places - endpoints)}
        has |= {place: int((place, message) in self.delivered) for place in sorted(published.places & endpoints)}
        for place, count in has.items():
            if count > 1:
                self.violations.append(f"{message}: {count} times in {place}")
        missing = [place for place, count in has.items() if count == 0]
        if missing and message in self.answers:
            self.violations.append(f"{message}: acknowledged, and not in {', '.join(missing)}")
        elif missing and len(missing) < len(has):
            self.violations.append(f"{message}: never acknowledged, and in some places but not in {', '.join(missing)}")

    def _check_order(self, found: list[Copy]) -> None:
        """Within a group, receives follow publishes; the queues of a FIFO topic agree on one order of everything."""
        last: dict[tuple[str, str], int] = defaultdict(int)
        orders: dict[str, list[Copy]] = defaultdict(list)
        for copy in found:
            published = self.asked.get(copy.message)
            if published is None or published.group is None:
                continue
            if published.number < last[copy.queue, published.group]:
                self.violations.append(f"{copy.message}: out of order in group {published.group} of {copy.queue}")
            last[copy.queue, published.group] = max(last[copy.queue, published.group], published.number)
            orders[copy.queue].append(copy)
        queues = sorted(orders)
        in_order = [[c.message for c in sorted(orders[queue], key=lambda c: c.sequence)] for queue in queues]
        for queue, order in zip(queues[1:], in_order[1:], strict=True):
            if order != in_order[0]:
                self.violations.append(f"{queue}: has another order than {queues[0]}")

    def begin_round(self) -> None:
        """The drain deleted what it found: the next round starts with empty queues, and remembers what had happened."""
        happened = {message for _, message in self.copies} | self.answers.keys()
        self.settled |= {message: message in happened for message in self.asked}
        sequences = [answer.sequence for answer in self.answers.values() if answer.sequence is not None]
        self.last_sequence = max([self.last_sequence, *sequences])
        for forgotten in (self.asked, self.answers, self.copies, self.deleted, self.unanswered_deletes, self.delivered):
            forgotten.clear()
