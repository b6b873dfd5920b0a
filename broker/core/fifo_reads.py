"""The pages of a FIFO queue: which rows are asked for, and how they join the waiting window."""

from typing import Final

from broker.core import limits
from broker.core.absent import Read
from broker.core.arrivals import RUNS_MAX, Arrivals
from broker.core.message import Message
from broker.core.queue import Queue
from broker.core.window import Group
from broker.store.base import Page

_FIRST: Final = (-1, 0)


class FifoReads(Queue):
    """The reading half of FifoQueue. One read of each kind is under way at a time."""

    leased: dict[int, Message]
    hungry: set[str]
    arrivals: Arrivals
    _arrivals_read: Read | None

    def scan_read(self) -> Read:
        """The next page of the waiting window."""
        if self.waiting.scan is None:
            generation, after, skipped = self.generation, self.waiting.scan_edge, self.waiting.skippable()
            rows = self.waiting.page_rows
            needs_batch = self.waiting.scan_needs(self.ledger.journal.newest)

            def arrive(read: Read, page: Page) -> None:
                newest, room = self.ledger.journal.newest, self._has_room()
                self.take_in(self.waiting.scanned(page, self.leased, read.overlay, newest, room))
                self.hungry.update(skipped)

            self.waiting.scan = self.read(
                lambda store: store.scan(
                    generation,
                    after,
                    skip_groups=skipped,
                    unleased=False,
                    limit=rows,
                    bytes_max=limits.PAGE_BYTES,
                    contains=needs_batch,
                ),
                arrive,
                needs_batch,
            )
        return self.waiting.scan

    def group_read(self, group: Group) -> Read:
        """The next page of one message group."""
        if group.read is None:
            generation, name, after = self.generation, group.name or "", group.loaded_to
            rows = self.waiting.group_rows()
            needs_batch = self.waiting.group_needs(group)

            def arrive(read: Read, page: Page) -> None:
                self.take_in(self.waiting.group_read(group, page, self.leased, read.overlay))
                self.waiting.forget_if_empty(group)

            group.read = self.read(
                lambda store: store.group(
                    generation,
                    name,
                    after,
                    unleased=False,
                    limit=rows,
                    bytes_max=limits.PAGE_BYTES,
                    contains=needs_batch,
                ),
                arrive,
                needs_batch,
            )
        return group.read

    def take_in(self, messages: list[Message]) -> None:
        """These are in the waiting window now."""
        for message in messages:
            self._hold(message)
            if message.leased:
                self.leased[message.id] = message

    def expect_early(self, expected: bool) -> None:
        """Whether the store alone may hold messages that are visible at once though those before them are delayed."""
        self._early = expected
        self._early_to = _FIRST  # those up to here are known
        self._early_read: Read | None = None

    def early_read(self) -> Read:
        """The next visible messages that have a lease: of the groups of those that memory lacks, the next is to be read."""
        if self._early_read is None:
            generation, after, now_ms = self.generation, self._early_to, self.settled_at_ms

            def arrive(read: Read, page: Page) -> None:
                rows = [row for row in page.rows if row.visible_at_ms <= now_ms]
                if self._early_read is read:
                    self.expect_early(len(rows) == len(page.rows) and page.more)
                    self._early_to = (rows[-1].visible_at_ms, rows[-1].id) if rows else after
                for row in rows:
                    if row.id not in self.leased and read.overlay.get(row.id, row) is not None:
                        self._read_on(self.waiting.group(row.group), page.batch_number)

            self._early_read = self.read(
                lambda store: store.timed(
                    generation, after, content_until_ms=-1, limit=limits.PAGE_ROWS, bytes_max=limits.PAGE_BYTES
                ),
                arrive,
            )
        return self._early_read

    def _read_on(self, group: Group, batch_number: int) -> None:
        """The store may hold messages of the group beyond those in memory."""
        if not group.more:
            group.leave_rest(self.ledger.journal.newest)
            group.alone_batch = max(group.alone_batch, batch_number)
        if not group.messages and not group.in_flight:
            self.hungry.add(group.name or "")

    def arrivals_read(self, since_ms: int) -> Read:
        """What arrived after since_ms."""
        if self._arrivals_read is None:
            generation, arrivals = self.generation, self.arrivals
            log = arrivals.start_log()

            def arrive(_read: Read, result: tuple[int, list[tuple[int, int]]]) -> None:
                if self.arrivals is not arrivals:
                    return  # the delay was changed meanwhile
                self._arrivals_read = None
                batch_number, runs = result
                arrivals.restore(since_ms, runs, [at_ms for batch, at_ms in log if batch > batch_number])

            self._arrivals_read = self.read(
                lambda store: store.newest_arrivals(generation, since_ms, runs_max=RUNS_MAX), arrive
            )
        return self._arrivals_read
