"""Standard queues: messages in the order in which they became available, as near as AWS's best effort, and delays.

What is available is a merge of two prefixes: the waiting window (by order) and the head of the timed window (by the instant at
which a delay or a visibility timeout ended). With message groups the queue is a fair queue: fair.py chooses.
"""

from broker.core import limits
from broker.core.absent import Absent, Read
from broker.core.fair import Fairness, select_fairly
from broker.core.message import Message
from broker.core.queue import Selection
from broker.core.standard_reads import StandardReads
from broker.core.timed import Timed
from broker.core.window import Waiting
from broker.errors import ServiceUnavailable
from broker.store.base import Page

_FOREVER = 1 << 61
_SETTLED_ENOUGH_MS = 1_000  # how old counts may be that had to be read from the store
_GONE_MAX = 1_000


class StandardQueue(StandardReads):
    """See the module's text."""

    fairness: Fairness | None

    def reset_windows(self, *, empty: bool) -> None:
        self._release_all()
        self.waiting = Waiting(empty, self.scan_from - 1, self.ledger.journal.newest)
        self.timed = Timed(empty)
        # Leased messages beyond the timed window that were leased or looked up lately
        self.found: dict[int, Message] = {}
        self.fairness = None  # made when a group is first counted or asked for
        self._unshared = empty  # no group had a share of what was in flight; else the store has to be asked
        self._newest_order = self.scan_from - 1
        self._timed_read: Read | None = None
        self._fairness_read: Read | None = None
        self._count_read: Read | None = None
        self._content_read = None
        self.gone: set[int] | None = None  # looked for and not there; message ids are never used again
        # While counts are read: (batch, group, received, visible_at_ms, +1 or -1) of every change
        self._recounts: list[tuple[int, str | None, bool, int, int]] | None = None

    # Selecting

    def select(self, count: int, now_ms: int) -> Selection:
        selection = Selection([], [], [])
        try:
            if self.grouped:
                self.settle(now_ms)
                selection = select_fairly(self, self.known_fairness(), count, now_ms)
            else:
                self._select_in_order(selection, count, now_ms)
        except ServiceUnavailable:
            self.forget_windows()  # the store has what was taken out of them already
            raise
        self._read_ahead(now_ms)
        return selection

    def _read_ahead(self, now_ms: int) -> None:
        """Ask for pages before they are missed. A lease beyond the timed window would have to be looked up to be deleted."""
        if self.runs_low():
            self.ledger.prefetch(self.scan_read())
        if not self.timed.done and len(self.timed) < limits.TIMED_MAX and self._timed_read is None:
            self.ledger.prefetch(self.timed_read(now_ms))

    def _select_in_order(self, selection: Selection, count: int, now_ms: int) -> None:
        group = self.waiting.ungrouped
        timed = self.timed.visible(now_ms) if self.timed.is_due(now_ms) else None
        head = None if timed is None else next(timed, None)
        work = 0
        while len(selection.picked) < count and work < limits.DEAD_LETTERS_PER_CALL + count:
            work += 1
            fresh = group.messages[0] if group is not None and group.messages else None
            if fresh is not None and (
                head is None or (fresh.enqueued_at_ms, fresh.id) <= (head.visible_at_ms, head.id)
            ):
                self.sort_out(self.take_waiting(fresh), selection, now_ms)
            elif timed is not None and head is not None:
                self.sort_out(head, selection, now_ms)
                head = next(timed, None)
            else:
                break
        if not (selection.picked or selection.dead or selection.expired):
            self.ask_for_more(now_ms)

    def _put_back(self, message: Message) -> None:
        if not message.leased:
            self.waiting.put_back(message)
            self._hold(message)

    # Counting

    def settle(self, now_ms: int) -> None:
        if now_ms <= self.settled_at_ms:
            return
        if self.timed.reaches(now_ms):
            for message in self.timed.between(self.settled_at_ms, now_ms):
                self._count(message, -1)
            self.settled_at_ms = now_ms
        elif self.in_flight == 0 and self.delayed == 0:
            self.settled_at_ms = now_ms
        elif not (self._counted_by_reading and now_ms - self.settled_at_ms < _SETTLED_ENOUGH_MS):
            raise Absent(self._settling_read(now_ms))

    _counted_by_reading = False

    def _settling_read(self, now_ms: int) -> Read:
        if self._count_read is None:
            after_ms = self.settled_at_ms

            def arrive(read: Read, result: tuple[int, list[tuple[str | None, int, int]]]) -> None:
                self._count_read = None
                rows = self._recounted(result, after_ms, now_ms)
                if self.settled_at_ms != after_ms:
                    return
                self.settled_at_ms = now_ms
                self._counted_by_reading = True
                for group, received, delayed in rows:
                    self.in_flight -= received
                    self.delayed -= delayed
                    if group is not None and (fairness := self._shares()) is not None:
                        fairness.count(group, -received)

            generation, by_group = self.generation, self.grouped
            self._count_read = self.read(
                lambda store: store.count_timed(generation, after_ms, now_ms, by_group=by_group), arrive
            )
        return self._count_read

    def known_fairness(self) -> Fairness:
        """The groups' shares of the messages in flight. Raises Absent after a restart."""
        fairness = self._shares()
        if fairness is None:
            raise Absent(self._fairness_reading())
        return fairness

    def _shares(self) -> Fairness | None:
        """The same; None: only the store knows."""
        if self.fairness is None and self._unshared:
            self.fairness = Fairness()
        return self.fairness

    def _fairness_reading(self) -> Read:
        if self._fairness_read is None:
            after_ms = self.settled_at_ms

            def arrive(read: Read, result: tuple[int, list[tuple[str | None, int, int]]]) -> None:
                self._fairness_read = None
                rows = self._recounted(result, after_ms, _FOREVER)
                if self.settled_at_ms == after_ms:
                    self.fairness = Fairness()
                    for group, received, _ in rows:
                        if group is not None:
                            self.fairness.count(group, received)

            generation = self.generation
            self._fairness_read = self.read(
                lambda store: store.count_timed(generation, after_ms, _FOREVER, by_group=True), arrive
            )
        return self._fairness_read

    def _recounted(
        self, result: tuple[int, list[tuple[str | None, int, int]]], after_ms: int, until_ms: int
    ) -> list[tuple[str | None, int, int]]:
        """What was read, with the changes made since."""
        batch_number, rows = result
        later = [
            (group, change if received else 0, 0 if received else change)
            for batch, group, received, visible_at_ms, change in self._recounts or ()
            if batch > batch_number and after_ms < visible_at_ms <= until_ms
        ]
        if self._count_read is None and self._fairness_read is None:
            self._recounts = None
        return rows + later

    def _count(self, message: Message, change: int) -> None:
        if message.receive_count:
            self.in_flight += change
            if message.group is not None and (fairness := self._shares()) is not None:
                fairness.count(message.group, change)
        else:
            self.delayed += change

    def _uncount(self, message: Message) -> None:
        if message.leased:
            self._recount(message, -1)
            if message.visible_at_ms > self.settled_at_ms:
                self._count(message, -1)

    def _recount(self, message: Message, change: int) -> None:
        if self._count_read is not None or self._fairness_read is not None:
            if self._recounts is None:
                self._recounts = []
            self._recounts.append(
                (
                    self.ledger.batch.number,
                    message.group,
                    message.receive_count > 0,
                    message.visible_at_ms,
                    change,
                )
            )

    # Placing

    def _accept(self, message: Message, room: bool) -> bool:
        number, room = self.ledger.batch.number, room and self.waiting.count < limits.WAITING_MAX
        try:
            kept = self.waiting.arrive(message, number, room)
        except ServiceUnavailable:
            # What waits before it is damaged. That is for those to hear who want to receive it.
            self.forget_windows()
            kept = self.waiting.arrive(message, number, room)
        self._hold_grown()
        self._newest_order = message.order
        return kept

    def _place_lease(self, message: Message, now_ms: int) -> bool:
        self._recount(message, 1)
        hidden = message.visible_at_ms > now_ms
        if not self._has_room() or (hidden and self.ledger.memory_bytes * 2 > self.ledger.memory_bytes_max):
            message.empty()
        if self.settings.internal:
            room = limits.TIMED_MAX  # a retry that is far away is like a delay
        else:
            room = limits.TIMED_MAX + (limits.IN_FLIGHT_MAX if message.receive_count else self.in_flight)
        if self.timed.place(message, room):
            return True
        if message.receive_count == 0:
            return False
        self._keep_found(message)  # whoever received it will soon delete it
        return True

    def _keep_found(self, message: Message) -> None:
        if len(self.found) >= limits.IN_FLIGHT_MAX:
            self._release(self.found.pop(next(iter(self.found))))
        self.found[message.id] = message

    def _drop_found(self, message_id: int) -> bool:
        message = self.found.pop(message_id, None)
        if message is not None:
            self._release(message)
        return message is not None

    def take_out(self, message: Message) -> None:
        if self.timed.take_out(message):
            self._release(message)
        elif not self._drop_found(message.id) and not message.leased:
            try:
                removed = self.waiting.remove(message.id, message.group)
            except ServiceUnavailable:  # likewise
                self.forget_windows()
            else:
                self._hold_grown()
                if removed is not None:
                    self._release(removed)

    def take_selected(self, selection: Selection) -> None:
        for chosen in (selection.picked, selection.dead, selection.expired):
            for message in chosen:
                if message.leased and self.timed.take_out(message):
                    self._release(message)

    def _known(self, message_id: int) -> Message | None:
        return self.timed.find(message_id) or self.found.get(message_id)

    def _holds(self, message: Message) -> bool:
        return self._known(message.id) is message

    def _enter(self, message: Message, now_ms: int) -> None:
        if self.gone is not None:
            self.gone.discard(message.id)
        self._write_lease(message, now_ms, now_ms)

    def consume(self, message: Message) -> None:
        if self.grouped and message.receive_count and (fairness := self._shares()) is not None:
            fairness.processed(message, self.ledger.now_ms())
        super().consume(message)

    def _first_waiting(self) -> int:
        if self.grouped:
            empty = self.waiting.scan_done and not self.waiting.groups and self.waiting.ungrouped is None
            return self._newest_order + 1 if empty else self.scan_from
        group = self.waiting.ungrouped
        if group is not None and group.messages:
            return group.messages[0].order
        return self._newest_order + 1 if self.waiting.scan_done else self.waiting.scan_edge + 1

    # Reading

    def find_received(self, message_id: int) -> Message | None:
        message = self._known(message_id)
        if message is not None:
            return message
        if self.timed.done or (self.gone is not None and message_id in self.gone):
            return None
        raise Absent(
            self.read(
                lambda store: store.messages((message_id,), content=False),
                lambda read, page: self._looked_up(read, page, message_id),
            )
        )

    def _looked_up(self, read: Read, page: Page, message_id: int) -> None:
        if message_id in read.overlay:
            message = read.overlay[message_id]
        else:
            row = next((r for r in page.rows if r.queue == self.generation and r.leased), None)
            message = None if row is None else Message.restore(row)
        if message is None:
            if self.gone is None or len(self.gone) >= _GONE_MAX:
                self.gone = set()
            self.gone.add(message_id)
        elif self._known(message_id) is None:
            self._keep_found(message)
            self._hold(message)

    def next_visible(self, now_ms: int) -> int | None:
        return self.timed.next_after(now_ms)
