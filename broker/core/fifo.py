"""FIFO queues: strict order within each message group, one consumer of a group at a time.

A group is locked while any of its messages is in flight; messages behind an invisible one stay hidden with it. Every message in
flight is in memory (AWS allows 120,000), so before the first receive after a restart they are read; the rest waits by group.
The queue's delay is not written to messages: it counts from their arrival and changes with the attribute, as on AWS.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

from broker.core import limits
from broker.core.absent import Absent, Read
from broker.core.arrivals import Arrivals
from broker.core.attempts import Attempts
from broker.core.deduplication import Deduplication, digest_of
from broker.core.fifo_reads import FifoReads
from broker.core.message import Admitted, Message
from broker.core.queue import Selection
from broker.core.queue_state import Counts
from broker.core.timed import Timed
from broker.core.window import Group, Waiting
from broker.store.base import Page

_READS_MAX: Final = 10  # of groups, for one receive


class FifoQueue(FifoReads):
    """See the module's text."""

    deduplication: Deduplication

    def reset_windows(self, *, empty: bool) -> None:
        self._release_all()
        self.waiting = Waiting(empty, 0, self.ledger.journal.newest)
        self.timed = Timed(True)  # messages in flight
        self.leased: dict[int, Message] = {}  # in flight, or waiting again
        self.looked_up: dict[int, Message | None] = {}
        self.hungry: set[str] = set()  # unlocked groups with nothing in memory and perhaps something in the store
        self.sleeping: list[tuple[int, str]] = []  # heap: (when the head's delay ends, group)
        self.attempts = Attempts()
        self.active = empty  # whether all messages in flight are in memory
        self._activation: Read | None = None
        self._activation_stage = 0 if self.in_flight or self.delayed else 1
        self._activated_to = 0
        self.arrivals = Arrivals(None if not empty else 0)
        self._arrivals_read: Read | None = None
        self._content_read = None
        self.expect_early(not empty)

    def unload(self) -> None:
        super().unload()
        self.deduplication.unload()

    # Activation: every message in flight is brought into memory

    def digests(self, messages: Sequence[Admitted], now_ms: int) -> list[bytes]:
        """What messages that arrive are remembered by. Raises Absent where only the store knows whether they are."""
        by_group = self.settings.deduplicate_by_group
        digests = [digest_of(m.group if by_group else None, m.deduplication_id or "") for m in messages]
        self.deduplication.require(digests, now_ms)
        return digests

    def activate(self) -> None:
        """Raises Absent until the messages in flight are in memory. Only arrivals are possible before that."""
        if self.active:
            return
        if self._activation is None:
            self._activation = self._settling_read() if self._activation_stage == 0 else self._in_flight_read()
        raise Absent(self._activation)

    def _settling_read(self) -> Read:
        generation, after_ms, until_ms = self.generation, self.settled_at_ms, self.ledger.now_ms()

        def arrive(_read: Read, result: tuple[int, list[tuple[str | None, int, int]]]) -> None:
            for _group, received, delayed in result[1]:
                self.in_flight -= received
                self.delayed -= delayed
            self.settled_at_ms = until_ms
            self._activation = None
            self._activation_stage = 1

        return self.read(lambda store: store.count_timed(generation, after_ms, until_ms, by_group=False), arrive)

    def _in_flight_read(self) -> Read:
        generation, after, now_ms = self.generation, self._activated_to, self.settled_at_ms

        def arrive(_read: Read, page: Page) -> None:
            self._activation = None
            for row in page.rows:
                message = Message.restore(row)
                self.waiting.group(message.group).in_flight += 1
                self.leased[message.id] = message
                self.timed.place(message, limits.IN_FLIGHT_MAX * 2)
                self._hold(message)
                self._activated_to = row.id
            self.active = not page.more

        return self.read(
            lambda store: store.in_flight(generation, after, now_ms=now_ms, limit=limits.PAGE_ROWS), arrive
        )

    # Selecting

    def select(self, count: int, now_ms: int) -> Selection:
        self.settle(now_ms)
        self._wake(now_ms)
        selection = Selection([], [], [])
        count = min(count, limits.IN_FLIGHT_MAX - self.in_flight)
        while len(selection.picked) < count and not self._worked_enough(selection):
            group = self.waiting.pop_ready()
            if group is None:
                break
            if not group.in_flight:
                self._take_from(group, selection, count, now_ms)
        if count > 0 and not (selection.picked or selection.dead or selection.expired):
            self._ask_for_more(now_ms)
        if self.runs_low():
            self.ledger.prefetch(self.scan_read())
        return selection

    def _worked_enough(self, selection: Selection) -> bool:
        return len(selection.dead) + len(selection.expired) >= limits.DEAD_LETTERS_PER_CALL

    def _take_from(self, group: Group, selection: Selection, count: int, now_ms: int) -> None:
        """As many messages of one group as may be had, in order. What is picked locks the group: it is announced when that ends."""
        before = len(selection.picked)
        while group.messages and len(selection.picked) < count and not self._worked_enough(selection):
            ready_at_ms = self._ready_at(group.messages[0])
            if ready_at_ms > now_ms:
                heappush(self.sleeping, (ready_at_ms, group.name or ""))
                return
            message = self.waiting.take_head(group)
            self._release(message)
            self.sort_out(message, selection, now_ms)
        if len(selection.picked) == before:
            self._unlocked(group)
        if self.group_runs_low(group):
            self.ledger.prefetch(self.group_read(group))

    def _ask_for_more(self, now_ms: int) -> None:
        """Memory holds nothing that may be received. Raises Absent where the store may."""
        reads = self._reads_for_hungry()
        if self.waiting.scan_done:
            pass
        elif self.waiting.scan is None and self._beyond_ready_at() > now_ms:
            # What lies beyond the scan is delayed too, but for what was moved in or received before. (A scan that is under way
            # is waited for: until it is here, a group's page cannot tell that nothing lies beyond.)
            if self._early and not reads:
                reads.append(self.early_read())
        else:
            if self.waiting.count >= limits.WAITING_MAX:
                for group in list(self.waiting.groups.values()):
                    if group.in_flight:
                        self.forget_waiting(group)
            reads.append(self.scan_read())
        if reads:
            raise Absent(*reads)

    def _reads_for_hungry(self) -> list[Read]:
        """Those of some groups. Looks at few more: what is not hungry any more is looked at once."""
        reads: list[Read] = []
        sated: list[str] = []
        for name in self.hungry:
            group = self.waiting.groups.get(name)
            if group is None or group.in_flight or group.messages or not group.more:
                sated.append(name)
                if group is not None:
                    self.waiting.announce(group)
            else:
                reads.append(self.group_read(group))
                if len(reads) == _READS_MAX:
                    break
        self.hungry.difference_update(sated)
        return reads

    def _beyond_ready_at(self) -> int:
        """When the delay ends of the first message beyond the scan: the rest arrived later."""
        return self.waiting.beyond_ms + self.settings.delay_ms if self.settings.delay_ms else 0

    def _ready_at(self, message: Message) -> int:
        return 0 if message.leased else message.enqueued_at_ms + self.settings.delay_ms

    def _wake(self, now_ms: int) -> None:
        while self.sleeping and self.sleeping[0][0] <= now_ms:
            _, name = heappop(self.sleeping)
            group = self.waiting.groups.get(name)
            if group is not None:
                self.waiting.announce(group)

    def delay_changed(self) -> None:
        """The queue's delay applies to the messages that are there: look at every head again."""
        self.arrivals = Arrivals(None)
        self._arrivals_read = None
        self.expect_early(True)
        self.sleeping.clear()
        for group in self.waiting.groups.values():
            self.waiting.announce(group)

    def _put_back(self, message: Message) -> None:
        self.waiting.put_back(message)
        self._hold(message)
        self.hungry.discard(message.group or "")

    # Visibility timeouts that end, and counts

    def settle(self, now_ms: int) -> None:
        self.activate()
        while (message := self.timed.first_visible(now_ms)) is not None:
            if message.visible_at_ms > self.settled_at_ms:
                self._count(message, -1)
            self.timed.take_out(message)
            self._release(message)
            self.attempts.touched(message.id)
            if self.waiting.holds(message):
                self.waiting.put_back(message)
                self._hold(message)
            else:
                self._touch_beyond(message, self.ledger.journal.newest)
                del self.leased[message.id]
            self._unlock(self.waiting.group(message.group))
        self.settled_at_ms = max(self.settled_at_ms, now_ms)

    def _unlock(self, group: Group) -> None:
        group.in_flight -= 1
        assert group.in_flight >= 0
        if not group.in_flight:
            self._unlocked(group)

    def _unlocked(self, group: Group) -> None:
        """The group's next message may be received, if there is one."""
        if group.messages:
            self.waiting.announce(group)
        elif group.more:
            self.hungry.add(group.name or "")
        else:
            self.waiting.forget_if_empty(group)

    def expire_slice(self, now_ms: int) -> bool:
        self.activate()
        return super().expire_slice(now_ms)

    # Counts

    def counts(self, now_ms: int) -> Counts:
        self.settle(now_ms)
        delayed = self._still_delayed(now_ms)
        return Counts(self.messages - self.in_flight - delayed, self.in_flight, delayed)

    def _still_delayed(self, now_ms: int) -> int:
        delay_ms = min(self.settings.delay_ms, self.settings.retention_ms)
        known = self.arrivals.after(now_ms - delay_ms) if delay_ms else 0
        if known is None:
            raise Absent(self.arrivals_read(now_ms - delay_ms))
        return known

    # Placing

    def _accept(self, message: Message, room: bool) -> bool:
        if self.settings.delay_ms:
            self.arrivals.add(self.ledger.batch.number, message.enqueued_at_ms)
        return self.waiting.arrive(message, self.ledger.batch.number, room and self.waiting.count < limits.WAITING_MAX)

    def _place_lease(self, message: Message, now_ms: int) -> bool:
        if self.ledger.memory_bytes * 2 > self.ledger.memory_bytes_max:
            message.empty()
        self.waiting.group(message.group).in_flight += 1
        self.leased[message.id] = message
        return self.timed.place(message, limits.IN_FLIGHT_MAX * 2)

    def take_out(self, message: Message) -> None:
        self._touch_beyond(message, self.ledger.batch.number)
        self.looked_up.pop(message.id, None)
        self.attempts.touched(message.id)
        known = self.leased.pop(message.id, None)
        if self.timed.take_out(message):
            self._release(message)
            self._unlock(self.waiting.group(message.group))
        elif known is not None or not message.leased:
            removed = self.waiting.remove(message.id, message.group)
            if removed is not None:
                self._release(removed)
                group = self.waiting.find(message.group)
                if group is not None and group.more and not group.messages:
                    self.hungry.add(group.name or "")

    def _touch_beyond(self, message: Message, batch_number: int) -> None:
        """What this batch says of the message must be known to a page that may bring it into memory once more."""
        if not self.waiting.holds(message):
            self.waiting.touched_batch = batch_number

    def take_selected(self, selection: Selection) -> None:
        for chosen in (selection.picked, selection.dead, selection.expired):
            for message in chosen:
                self.leased.pop(message.id, None)

    def forget_waiting(self, group: Group) -> None:
        for message in self.waiting.shed(group, self.ledger.journal.newest):
            self._release(message)
            self.leased.pop(message.id, None)

    def _known(self, message_id: int) -> Message | None:
        return self.leased.get(message_id)

    def _holds(self, message: Message) -> bool:
        return self.leased.get(message.id) is message

    def _enter(self, message: Message, now_ms: int) -> None:
        # Visible from the start, and never counted as in flight.
        self.looked_up.pop(message.id, None)
        message.visible_at_ms = min(now_ms, self.settled_at_ms)
        self._record_lease(message)
        if self._accept_moved(message):
            self._hold(message)

    def _accept_moved(self, message: Message) -> bool:
        room = self._has_room() and self.waiting.count < limits.WAITING_MAX
        kept = self.waiting.arrive(message, self.ledger.batch.number, room)
        if kept:
            self.leased[message.id] = message
        else:
            self.expect_early(True)
        return kept

    def _first_waiting(self) -> int:
        return 0

    # Reading

    def find_received(self, message_id: int) -> Message | None:
        self.activate()
        message = self.leased.get(message_id)
        if message is not None or self.messages == 0:
            return message
        if message_id in self.looked_up:
            return self.looked_up.pop(message_id)

        def arrive(read: Read, page: Page) -> None:
            row = next((r for r in page.rows if r.queue == self.generation and r.leased), None)
            self.looked_up[message_id] = None if row is None else Message.restore(row)
            if message_id in read.overlay:
                self.looked_up[message_id] = read.overlay[message_id]

        raise Absent(self.read(lambda store: store.messages((message_id,), content=False), arrive))

    def next_visible(self, now_ms: int) -> int | None:
        first_ms = self.timed.next_after(-1)
        times = [] if first_ms is None else [first_ms]
        if self.sleeping:
            times.append(self.sleeping[0][0])
        if not self.waiting.scan_done and (ready_at_ms := self._beyond_ready_at()) > now_ms:
            times.append(ready_at_ms)
        return max(min(times), now_ms + 1) if times else None
