"""A queue: the changes that a message can undergo in it.

Memory holds exact prefixes of it (window.py, timed.py): what is missing is asked for, never guessed. Which messages may be
received, and in which order, is the business of standard.py and fifo.py.
"""

from abc import abstractmethod
from typing import Final, NamedTuple

from broker.core import limits
from broker.core.absent import Absent, Read
from broker.core.content import Content, write_content
from broker.core.message import MESSAGE_MEMORY_BYTES, Admitted, Message, Sent, sequence_number
from broker.core.queue_state import QueueState
from broker.core.window import Group, Waiting
from broker.store.base import Page
from broker.store.changes import LANE_LATER, LANE_READY, LeaseRow, MessageRow, MoveRow

_LANES: Final = (LANE_READY, LANE_LATER)


class Selection(NamedTuple):
    """What a receive would hand out. Taken out of the waiting window: apply it, or put it back."""

    picked: list[Message]
    dead: list[Message]  # beyond maxReceiveCount
    expired: list[Message]


class Queue(QueueState):
    """See the module's text. Made by the engine alone."""

    waiting: Waiting
    _content_read: Read | None

    # What standard and FIFO queues do differently

    @abstractmethod
    def select(self, count: int, now_ms: int) -> Selection:
        """Up to `count` messages that a receive may hand out now, in order. Raises Absent."""

    @abstractmethod
    def find_received(self, message_id: int) -> Message | None:
        """A message that has been received and still exists in this queue. Raises Absent."""

    @abstractmethod
    def next_visible(self, now_ms: int) -> int | None:
        """The first instant after now_ms at which a receive may find more than now; None if there is none in sight."""

    @abstractmethod
    def take_out(self, message: Message) -> None:
        """Take a message out of whatever window holds it: its lease is about to change, or it goes."""

    @abstractmethod
    def take_selected(self, selection: Selection) -> None:
        """The selection is applied: no window holds its messages any more."""

    @abstractmethod
    def _accept(self, message: Message, room: bool) -> bool:
        """A message arrived that waits from now on; whether memory keeps it."""

    @abstractmethod
    def _place_lease(self, message: Message, now_ms: int) -> bool:
        """The message's visible_at_ms was set; whether memory keeps it."""

    @abstractmethod
    def _known(self, message_id: int) -> Message | None:
        """A leased message in memory."""

    @abstractmethod
    def _holds(self, message: Message) -> bool:
        """Whether a leased message is in memory (and its bytes are counted)."""

    @abstractmethod
    def _put_back(self, message: Message) -> None:
        """A selected message waits on, at its old place."""

    @abstractmethod
    def _enter(self, message: Message, now_ms: int) -> None:
        """A message was moved in: write its lease and place it."""

    # What happens to messages. All but `send` take one that no window holds: selected, or taken out.

    def send(self, admitted: Admitted, now_ms: int) -> tuple[Message, Sent]:
        """A message arrives. Its place is the next sequence number."""
        order = self.ledger.next_sequence()
        content = Content(
            self.ledger.chance.uuid(),
            now_ms,
            admitted.sender,
            admitted.body_md5,
            admitted.attributes,
            admitted.trace_header,
            admitted.deduplication_id,
        )
        stored = write_content(content)
        delay_ms = 0
        if not self.settings.fifo:
            delay_ms = self.settings.delay_ms if admitted.delay_ms is None else admitted.delay_ms
        message = Message(order, order, LANE_LATER if delay_ms else LANE_READY, admitted.group, now_ms)
        message.content = content
        message.body = admitted.body
        message.memory_bytes = MESSAGE_MEMORY_BYTES + 2 * len(stored) + len(admitted.body)
        batch = self.ledger.batch
        self._arrived(message, now_ms)
        if delay_ms or self._accept(message, self._has_room()):
            batch.add_message(
                MessageRow(order, self.generation, message.lane, order, message.group, now_ms, stored, admitted.body)
            )
            if delay_ms:
                self.set_lease(message, now_ms + delay_ms, now_ms)
            else:
                self._hold(message)
        else:
            batch.leave_message(order, self.generation, message.group, now_ms, stored, admitted.body)
        return message, Sent(content.message_id, sequence_number(order) if self.settings.fifo else None)

    def lease(self, message: Message, visibility_ms: int, now_ms: int) -> None:
        """A receive hands the message out."""
        self._uncount(message)
        message.receive_count += 1
        if message.first_received_at_ms == 0:
            message.first_received_at_ms = now_ms
        self._write_lease(message, now_ms + visibility_ms, now_ms)

    def set_lease(self, message: Message, visible_at_ms: int, now_ms: int) -> None:
        """Delay the message, or change when it becomes visible."""
        self._uncount(message)
        self._write_lease(message, visible_at_ms, now_ms)

    def consume(self, message: Message) -> None:
        """A consumer is done with the message."""
        self.discard(message)

    def discard(self, message: Message) -> None:
        """The message is gone."""
        self._leave(message)
        self.ledger.batch.delete_message(message.id, self.generation)

    def move(self, message: Message, target: "Queue", now_ms: int, *, source: str | None, keep_count: bool) -> None:
        """Hand the message over to another queue of the same type, at the end of its order.

        `source`: the ARN to remember as DeadLetterQueueSourceArn. A standard queue keeps the time that retention counts from,
        a FIFO queue starts it anew. Source: SQS Developer Guide, "Using dead-letter queues".
        """
        self._leave(message)
        target.take_over(message, self.generation, now_ms, source=source, keep_count=keep_count)

    def take_over(self, message: Message, left: int, now_ms: int, *, source: str | None, keep_count: bool) -> None:
        """The other half of `move`. `left`: the generation that it comes from."""
        if self.settings.fifo:
            message.order = self.ledger.next_sequence()
            message.lane = LANE_READY
            message.enqueued_at_ms = now_ms
        else:
            message.lane = LANE_LATER
        if not keep_count:
            message.receive_count = 0
            message.first_received_at_ms = 0
        message.source = source
        message.leased = True
        self.ledger.batch.move_message(
            MoveRow(message.id, self.generation, message.lane, message.order, message.enqueued_at_ms, left)
        )
        self._arrived(message, now_ms)
        self._enter(message, now_ms)

    def put_back(self, selection: Selection) -> None:
        """The call that selected these changes nothing."""
        chosen = selection.picked + selection.dead + selection.expired
        for message in sorted(chosen, key=lambda m: m.order, reverse=True):
            self._put_back(message)

    def runs_low(self) -> bool:
        """Whether to ask for the next page of waiting messages before it is missed. What is large is not read that far ahead."""
        waiting = self.waiting
        low = not waiting.scan_done and waiting.scan is None and waiting.count < limits.WAITING_LOW
        return low and self.ledger.memory_bytes * 2 < self.ledger.memory_bytes_max

    def group_runs_low(self, group: Group) -> bool:
        """The same for the next page of one message group."""
        if not group.more or group.read is not None:
            return False
        low = self.waiting.group_rows() // 2 if self._has_room() else limits.GROUP_MAX // 3
        return len(group.messages) < low

    def sort_out(self, message: Message, selection: Selection, now_ms: int) -> None:
        """Whether a candidate is handed out, moved to the dead-letter queue, or expired."""
        if message.enqueued_at_ms + self.settings.retention_ms <= now_ms:
            selection.expired.append(message)
        elif message.receive_count and self._exhausted(message):
            selection.dead.append(message)
        else:
            selection.picked.append(message)

    def forget_waiting(self, group: Group) -> None:
        """Leave a group's waiting messages to the store."""
        for message in self.waiting.shed(group, self.ledger.journal.newest):
            self._release(message)

    @property
    def dead_letter_target(self) -> "Queue | None":
        """Where messages go that were received too often; None also where that queue is gone: they stay then."""
        redrive = self.settings.redrive
        target = None if redrive is None else self.siblings.get(redrive.dead_letter_queue)
        assert target is None or isinstance(target, Queue)
        return target

    def _exhausted(self, message: Message) -> bool:
        redrive = self.settings.redrive
        if redrive is None or message.receive_count < redrive.max_receive_count:
            return False
        target = self.dead_letter_target
        if target is None or target is self or target.settings.fifo != self.settings.fifo:
            return False
        return message.source is None or not self._in_circle()

    def _in_circle(self) -> bool:
        """Whether dead letters come back here in the end: in such a circle of queues a message moves once, then it stays."""
        passed: set[Queue] = set()
        queue = self.dead_letter_target
        while queue is not None and queue is not self and queue not in passed:
            passed.add(queue)
            queue = queue.dead_letter_target
        return queue is self

    # Retention

    def expire_slice(self, now_ms: int) -> bool:
        """Look at the oldest messages and drop those beyond retention; whether to go on at once. Raises Absent."""
        if self.messages == 0:
            self._swept = None
            return False
        swept = self._swept or {}
        if len(swept) < len(_LANES):
            raise Absent(*(self._oldest_read(lane, now_ms) for lane in _LANES if lane not in swept))
        times = [oldest for oldest, _ in swept.values() if oldest is not None]
        more = any(more for _, more in swept.values())
        self._swept = None
        if not more:
            self.oldest_ms = min(times, default=now_ms)
        return more

    def _oldest_read(self, lane: int, now_ms: int) -> Read:
        expired_ms = now_ms - self.settings.retention_ms
        generation = self.generation

        def arrive(read: Read, page: Page) -> None:
            times: list[int] = []
            changed = dict(read.overlay)  # what was moved in meanwhile may be older than all that was read
            for row in page.rows:
                message = changed.pop(row.id, None)
                if row.id in read.overlay and message is None:
                    continue
                if row.enqueued_at_ms > expired_ms:
                    times.append(row.enqueued_at_ms)
                    break
                message = self._known(row.id) or message or Message.restore(row)
                self.take_out(message)
                self.discard(message)
            self.waiting.touched_batch = self.ledger.journal.newest
            more = not times and page.more
            times += [m.enqueued_at_ms for m in changed.values() if m is not None and m.lane == lane]
            if self._swept is None:
                self._swept = {}
            self._swept[lane] = (min(times, default=None), more)

        return self.read(lambda store: store.oldest(generation, lane, limit=limits.SLICE_ROWS), arrive)

    def content_read(self, messages: list[Message]) -> Read:
        """Bring back what was sent, for messages that let go of it. One read of this kind is under way at a time."""
        if self._content_read is not None:
            return self._content_read
        wanted = {m.id: m for m in messages}
        ids = tuple(sorted(wanted))

        def arrive(_read: Read, page: Page) -> None:
            self._content_read = None
            for row in page.rows:
                message = wanted[row.id]
                assert row.content is not None and row.body is not None
                held = self._holds(message)
                if held:
                    self._release(message)
                message.fill(row.content, row.body)
                if held:
                    self._hold(message)

        self._content_read = self.read(lambda store: store.messages(ids, content=True), arrive)
        return self._content_read

    # Below: shared by the two kinds of queue

    def _arrived(self, message: Message, now_ms: int) -> None:
        if self.messages == 0:
            self.oldest_ms = message.enqueued_at_ms
        elif message.enqueued_at_ms < self.oldest_ms:
            self.oldest_ms = message.enqueued_at_ms
        if self._swept is not None and message.lane in self._swept:
            oldest_ms, more = self._swept[message.lane]
            at_ms = message.enqueued_at_ms
            self._swept[message.lane] = (at_ms if oldest_ms is None else min(oldest_ms, at_ms), more)
        self.messages += 1
        if message.group is not None:
            self.grouped = True
        self.touch()

    def _leave(self, message: Message) -> None:
        """The message is no longer this queue's."""
        self._uncount(message)
        self.messages -= 1
        self._note(message.id, None)
        self.touch()

    def _write_lease(self, message: Message, visible_at_ms: int, now_ms: int) -> None:
        message.leased = True
        message.visible_at_ms = visible_at_ms
        if visible_at_ms > self.settled_at_ms:
            self._count(message, 1)
        self._record_lease(message)
        if self._place_lease(message, now_ms):
            self._hold(message)

    def _record_lease(self, message: Message) -> None:
        self.ledger.batch.set_lease(
            LeaseRow(
                message.id,
                self.generation,
                message.visible_at_ms,
                message.receive_count,
                message.first_received_at_ms,
                message.source,
            )
        )
        self._note(message.id, message)
        self.touch()
