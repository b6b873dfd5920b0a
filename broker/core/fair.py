"""Fair queues: on a standard queue with message groups, quiet groups are served before noisy ones.

A group is noisy while it has more than a tenth of the messages in flight and at least thirty of them, or more than a tenth of
the consumers' recent processing time (from a message's first receive to its deletion). A message without a group is a tenant
of its own. Source: SQS Developer Guide, "Amazon SQS fair queues" (how it works).
"""

from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Final

from broker.core import limits
from broker.core.absent import Absent
from broker.core.message import Message
from broker.core.queue import Selection
from broker.core.standard_reads import StandardReads
from broker.core.window import Group

_RECENT_MS: Final = 60_000  # processing time is summed over this window and the one before
_RECENT_MAX: Final = 2_000  # groups whose processing time is known; beyond that, the half with the least is forgotten
_READS_MAX: Final = 10  # of groups, for one receive
_LOOK_PAST_MAX: Final = 1_000  # noisy messages passed over in the timed window in one call


class Fairness:
    """The groups' shares of one queue's consumers."""

    def __init__(self) -> None:
        self._in_flight: dict[str, int] = {}
        self._since_ms = 0
        self._recent: dict[str, int] = {}  # group -> milliseconds
        self._before: dict[str, int] = {}
        self._recent_total = 0
        self._before_total = 0

    def count(self, group: str, change: int) -> None:
        """That many more (fewer) messages of the group are in flight."""
        number = self._in_flight.get(group, 0) + change
        if number:
            self._in_flight[group] = number
        else:
            self._in_flight.pop(group, None)

    def processed(self, message: Message, now_ms: int) -> None:
        """A consumer is done with a message that it received for the first time at first_received_at_ms."""
        self._turn(now_ms)
        spent_ms = now_ms - message.first_received_at_ms
        if message.group is None:
            self._recent_total += spent_ms
            return
        self._recent[message.group] = self._recent.get(message.group, 0) + spent_ms
        self._recent_total += spent_ms
        if len(self._recent) > _RECENT_MAX:
            self._forget_quietest()

    def noisy(self, group: str | None, queue_in_flight: int, now_ms: int) -> bool:
        """Whether the group has more than its share, where so many messages of the queue are in flight."""
        if group is None:
            return False
        in_flight = self._in_flight.get(group, 0)
        if in_flight >= limits.FAIR_IN_FLIGHT_MIN and in_flight > limits.FAIR_SHARE * queue_in_flight:
            return True
        self._turn(now_ms)
        time_ms = self._recent.get(group, 0) + self._before.get(group, 0)
        return time_ms > limits.FAIR_SHARE * (self._recent_total + self._before_total)

    def _forget_quietest(self) -> None:
        """None of these is near its share: there can be ten groups of a tenth, not a thousand. The totals stay true."""
        most = sorted(self._recent.items(), key=itemgetter(1), reverse=True)
        self._recent = dict(most[: _RECENT_MAX // 2])

    def _turn(self, now_ms: int) -> None:
        passed = now_ms - self._since_ms
        if passed < _RECENT_MS:
            return
        self._before, self._before_total = (self._recent, self._recent_total) if passed < 2 * _RECENT_MS else ({}, 0)
        self._recent, self._recent_total = {}, 0
        self._since_ms = now_ms


def select_fairly(queue: StandardReads, fairness: Fairness, count: int, now_ms: int) -> Selection:
    """Up to `count` messages: of quiet groups while there are any, then of noisy ones; the oldest first. Raises Absent."""
    choice = _Choice(queue, fairness, now_ms)
    selection = Selection([], [], [])
    try:
        work = 0
        while len(selection.picked) < count and work < limits.DEAD_LETTERS_PER_CALL + count:
            message = choice.next_quiet()
            if message is None:
                if not selection.picked:
                    choice.look_further()
                message = choice.next_noisy()
            if message is None:
                break
            queue.sort_out(message, selection, now_ms)
            work += 1
        if not (selection.picked or selection.dead or selection.expired):
            choice.look_everywhere()
    except Absent:
        queue.put_back(selection)
        raise
    finally:
        choice.close()
    return selection


class _Choice:
    """One call's way through the groups."""

    def __init__(self, queue: StandardReads, fairness: Fairness, now_ms: int) -> None:
        self._queue = queue
        self._fairness = fairness
        self._now_ms = now_ms
        self._aside: list[Group] = []  # noisy groups, oldest head first
        self._passed: list[Message] = []  # available messages of noisy groups in the timed window
        self._timed = queue.timed.visible(now_ms)
        self._timed_head: Message | None = None
        self._advance()

    def next_quiet(self) -> Message | None:
        """The oldest available message of a quiet group in memory, taken."""
        group = self._quiet_group()
        head = group.messages[0] if group is not None else None
        while self._timed_head is not None and self._noisy(self._timed_head.group):
            if len(self._passed) >= _LOOK_PAST_MAX:
                break
            self._passed.append(self._timed_head)
            self._advance()
        timed = self._timed_head
        if timed is not None and self._noisy(timed.group):
            timed = None
        if head is not None and (timed is None or (head.enqueued_at_ms, head.id) <= (timed.visible_at_ms, timed.id)):
            return self._take(head)
        if group is not None:
            self._queue.waiting.announce(group)
        if timed is not None:
            self._advance()
        return timed

    def next_noisy(self) -> Message | None:
        """The oldest available message of a noisy group in memory, taken."""
        head = self._aside[0].messages[0] if self._aside else None
        timed = self._passed[0] if self._passed else None
        if head is not None and (timed is None or (head.enqueued_at_ms, head.id) <= (timed.visible_at_ms, timed.id)):
            group = self._aside[0]
            self._queue.take_waiting(head)
            if not group.messages:
                self._aside.pop(0)
            self._refill(group)
            return head
        return self._passed.pop(0) if self._passed else None

    def look_further(self) -> None:
        """Memory holds nothing of a quiet group. Raises Absent where the store may."""
        queue, waiting = self._queue, self._queue.waiting
        reads = [queue.group_read(group) for group in islice(self._unread(quiet=True), _READS_MAX)]
        if not waiting.scan_done:
            if waiting.count >= limits.WAITING_MAX:
                for group in self._aside:
                    queue.forget_waiting(group)
                self._aside = [group for group in self._aside if group.messages]  # those that are being read
            reads.append(queue.scan_read())
        if reads:
            raise Absent(*reads)

    def look_everywhere(self) -> None:
        """Memory holds nothing at all. Raises Absent where the store may."""
        reads = [self._queue.group_read(group) for group in islice(self._unread(quiet=False), _READS_MAX)]
        if reads:
            raise Absent(*reads)
        self._queue.ask_for_more(self._now_ms)

    def _unread(self, *, quiet: bool) -> Iterator[Group]:
        """Groups with nothing in memory and perhaps something in the store; all, or those that are quiet. One by one."""
        for group in self._queue.waiting.groups.values():
            if group.more and not group.messages and not (quiet and self._noisy(group.name)):
                yield group

    def close(self) -> None:
        """Groups that keep messages are ready again."""
        for group in self._aside:
            self._queue.waiting.announce(group)

    def _quiet_group(self) -> Group | None:
        waiting = self._queue.waiting
        ungrouped = waiting.ungrouped
        named = waiting.pop_ready()
        while named is not None and self._noisy(named.name):
            if named not in self._aside:
                self._aside.append(named)
            named = waiting.pop_ready()
        if ungrouped is None or not ungrouped.messages:
            return named
        if named is None:
            return ungrouped
        if named.messages[0].order < ungrouped.messages[0].order:
            return named
        waiting.announce(named)
        return ungrouped

    def _take(self, head: Message) -> Message:
        group = self._queue.waiting.group(head.group)
        self._queue.take_waiting(head)
        if group.messages:
            self._queue.waiting.announce(group)
        self._refill(group)
        return head

    def _refill(self, group: Group) -> None:
        """A message was taken from the group: ask for more before it runs out."""
        if self._queue.group_runs_low(group):
            self._queue.ledger.prefetch(self._queue.group_read(group))
        elif not group.messages:
            self._queue.waiting.forget_if_empty(group)

    def _noisy(self, group: str | None) -> bool:
        return self._fairness.noisy(group, self._queue.in_flight, self._now_ms)

    def _advance(self) -> None:
        self._timed_head = next(self._timed, None)
