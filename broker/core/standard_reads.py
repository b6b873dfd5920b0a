"""The pages of a standard queue: which rows are asked for, and how they join the windows."""

from abc import abstractmethod

from broker.core import limits
from broker.core.absent import Absent, Read
from broker.core.message import Message
from broker.core.queue import Queue
from broker.core.timed import Timed
from broker.core.window import Group
from broker.store.base import Page


class StandardReads(Queue):
    """The reading half of StandardQueue. One read of each kind is under way at a time."""

    timed: Timed
    _timed_read: Read | None

    @abstractmethod
    def _drop_found(self, message_id: int) -> bool:
        """Forget a message that was kept beside the timed window; whether there was one."""

    def ask_for_more(self, now_ms: int) -> None:
        """Nothing was found in memory. Raises Absent where the store may hold available messages."""
        reads = []
        if not self.waiting.scan_done:
            reads.append(self.scan_read())
        if not self.timed.reaches(now_ms):
            reads.append(self.timed_read(now_ms))
        if reads:
            raise Absent(*reads)

    def take_waiting(self, message: Message) -> Message:
        """Take the head of a group out of the waiting window."""
        taken = self.waiting.take_head(self.waiting.group(message.group))
        assert taken is message
        self._hold_grown()
        self._release(message)
        return message

    def _hold_grown(self) -> None:
        """Columns may have become messages."""
        if self.waiting.grown_bytes:
            self._hold_bytes(self.waiting.grown_bytes)
            self.waiting.grown_bytes = 0

    def scan_read(self) -> Read:
        """The next page of the waiting window."""
        if self.waiting.scan is None:
            generation, after, skipped = self.generation, self.waiting.scan_edge, self.waiting.skippable()
            rows = self.waiting.page_rows
            needs_batch = self.waiting.scan_needs(self.ledger.journal.newest)

            def arrive(read: Read, page: Page) -> None:
                if page.columns:
                    self._hold_bytes(self.waiting.scanned_columns(page, read.overlay))
                    return
                newest, room = self.ledger.journal.newest, self._has_room()
                for message in self.waiting.scanned(page, {}, read.overlay, newest, room):
                    self._hold(message)

            self.waiting.scan = self.read(
                lambda store: store.scan(
                    generation,
                    after,
                    skip_groups=skipped,
                    unleased=True,
                    limit=rows,
                    bytes_max=limits.PAGE_BYTES,
                    contains=needs_batch,
                    columns=True,
                ),
                arrive,
                needs_batch,
            )
        return self.waiting.scan

    def group_read(self, group: Group) -> Read:
        """The next page of one message group."""
        if group.read is None:
            generation, name, after, rows = self.generation, group.name, group.loaded_to, self.waiting.group_rows()
            needs_batch = self.waiting.group_needs(group)
            assert name is not None

            def arrive(read: Read, page: Page) -> None:
                for message in self.waiting.group_read(group, page, {}, read.overlay):
                    self._hold(message)

            group.read = self.read(
                lambda store: store.group(
                    generation,
                    name,
                    after,
                    unleased=True,
                    limit=rows,
                    bytes_max=limits.PAGE_BYTES,
                    contains=needs_batch,
                ),
                arrive,
                needs_batch,
            )
        return group.read

    def timed_read(self, now_ms: int) -> Read:
        """The next page of the timed window."""
        if self._timed_read is None:
            generation, after = self.generation, self.timed.edge
            self._timed_read = self.read(
                lambda store: store.timed(
                    generation, after, content_until_ms=now_ms, limit=limits.PAGE_ROWS, bytes_max=limits.PAGE_BYTES
                ),
                self._timed_arrived,
            )
        return self._timed_read

    def _timed_arrived(self, read: Read, page: Page) -> None:
        self._timed_read = None
        before = self.timed.edge
        edge = (page.rows[-1].visible_at_ms, page.rows[-1].id) if page.more else None
        messages = [Message.restore(row) for row in page.rows if row.id not in read.overlay]
        for message in read.overlay.values():
            if message is not None and self.timed.find(message.id) is None:
                key = (message.visible_at_ms, message.id)
                if key > before and (edge is None or key <= edge):
                    messages.append(message)
        for message in messages:
            self._drop_found(message.id)
            self._hold(message)
        self.timed.extend(messages, edge)

    def content_read(self, messages: list[Message]) -> Read:
        # A page of the timed window from the first of them on, with content: whoever asks next will want the next ones.
        if self._content_read is None:
            visible_at_ms, message_id = min((m.visible_at_ms, m.id) for m in messages)
            generation, now_ms = self.generation, self.ledger.now_ms()

            def arrive(_read: Read, page: Page) -> None:
                self._content_read = None
                for row in page.rows:
                    message = self.timed.find(row.id)
                    if (
                        message is not None
                        and message.body is None
                        and row.content is not None
                        and row.body is not None
                    ):
                        self._release(message)
                        message.fill(row.content, row.body)
                        self._hold(message)

            self._content_read = self.read(
                lambda store: store.timed(
                    generation,
                    (visible_at_ms, message_id - 1),
                    content_until_ms=now_ms,
                    limit=limits.PAGE_ROWS,
                    bytes_max=limits.PAGE_BYTES,
                ),
                arrive,
            )
        return self._content_read
