"""The waiting window: the messages of a queue that have not been received yet, by group and in order.

Memory holds an exact prefix of the queue's order, up to `scan_edge`, but for the messages of groups that are marked `more`:
of those it holds an exact prefix of the group, up to `loaded_to`. So a group with a million messages takes its share of the
places, and the scan looks past it for others. `scan_done` says that nothing lies beyond but in groups marked `more`.

Messages without a message group are one group, named None, that is never marked `more`. Those that a page brought as columns stay
so until it is their turn, behind the others of the group.
"""

from collections import deque
from heapq import heappop, heappush

from broker.core import limits
from broker.core.absent import Read
from broker.core.message import Message, memory_bytes_of, restore_columns
from broker.store.base import Page
from broker.store.columns import Columns


class Group:
    """One message group's waiting messages in memory, in order."""

    __slots__ = ("name", "messages", "loaded_to", "more", "alone_batch", "touched_batch", "in_flight", "read")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.messages: deque[Message] = deque()
        self.loaded_to = 0  # every message of the group up to this order has been in memory
        self.more = False  # the store may hold messages beyond loaded_to
        self.alone_batch = 0  # the newest batch that gave the store a message of this group which memory did not keep
        # No later batch holds a Change of what lies beyond loaded_to, but for arrivals and what Waiting's says.
        self.touched_batch = 0
        self.in_flight = 0  # FIFO: messages received and not yet visible again; the group is locked while there are any
        self.read: Read | None = None

    def leave_rest(self, batch_number: int) -> None:
        """The store holds messages beyond loaded_to, as of this batch, and memory does not."""
        if not self.more:
            self.more = True
            self.touched_batch = batch_number

    def put_back(self, message: Message) -> None:
        """A message is waiting again: it takes its old place in the order."""
        if not self.messages or message.order < self.messages[0].order:
            self.messages.appendleft(message)
            return
        at = 0
        for waiting in self.messages:
            if waiting.order > message.order:
                break
            at += 1
        self.messages.insert(at, message)


class Waiting:
    """See the module's text."""

    __slots__ = (
        "groups",
        "ungrouped",
        "count",
        "scan_edge",
        "scan_done",
        "more",
        "touched_batch",
        "page_rows",
        "beyond_ms",
        "alone_batch",
        "scan",
        "grown_bytes",
        "_columns",
        "_restored_bytes",
        "_ready",
    )

    def __init__(self, done: bool, scan_edge: int, batch_number: int) -> None:
        self.groups: dict[str, Group] = {}  # those that have a name
        self.ungrouped: Group | None = None
        self.count = 0
        self.scan_edge = scan_edge
        self.scan_done = done
        self.more = False  # the store holds messages beyond scan_edge, which no later arrival can precede
        # No later batch holds a Change of what lies beyond scan_edge, but for arrivals.
        self.touched_batch = batch_number
        self.page_rows = limits.PAGE_ROWS  # how many to ask for next: not many more than fit into the bytes of a page
        self.beyond_ms = 0  # nothing beyond scan_edge was enqueued earlier
        self.alone_batch = 0
        self.scan: Read | None = None
        self.grown_bytes = 0  # that columns take more since they became messages, and nobody has counted yet
        # None: there are none, as where no message of the ungrouped is in memory.
        self._columns: deque[Columns] | None = None
        self._restored_bytes = 0  # of columns that became messages, in a buffer that others keep
        self._ready: list[tuple[int, str]] = []  # heap: (order of the head, group); entries may be out of date

    def find(self, name: str | None) -> Group | None:
        """A group of which something is in memory, or to be remembered."""
        return self.ungrouped if name is None else self.groups.get(name)

    def group(self, name: str | None) -> Group:
        """The same, made where nothing was."""
        group = self.find(name)
        if group is None:
            group = Group(name)
            if name is None:
                self.ungrouped = group
            else:
                self.groups[name] = group
        return group

    def arrive(self, message: Message, batch_number: int, room: bool) -> bool:
        """A message was sent, in this batch. Whether it was kept: the store has it anyway. `room`: memory has some."""
        group = self.find(message.group)
        if group is not None and (group.more or self._has_share(group, room)):
            if not group.more:
                # What came before is here or in flight, and belongs here when it waits again.
                group.leave_rest(batch_number)
                group.loaded_to = max(group.loaded_to, message.order - 1 if self.scan_done else self.scan_edge)
            group.alone_batch = self.alone_batch = batch_number
            return False
        if self.scan_done and not room:
            self.scan_done = False
            self.scan_edge = message.order - 1
            self.beyond_ms = message.enqueued_at_ms
        if not self.scan_done:
            self.alone_batch = batch_number
            return False
        group = group or self.group(message.group)
        self._append(group, message)
        group.loaded_to = message.order
        return True

    def scan_needs(self, newest: int) -> int:
        """The batch that the next page must contain. In a deep queue, what was committed lately is none of its business.

        What lies beyond the window can only have arrived, or set `touched_batch`; a group that was read further says how far. And
        where more was there, nothing that arrived since lies before it.
        """
        return self.touched_batch if self.more else newest

    def group_needs(self, group: Group) -> int:
        """The batch that the group's next page must contain."""
        return max(group.touched_batch, self.touched_batch)

    def scanned(
        self,
        page: Page,
        known: dict[int, Message],
        overlay: dict[int, Message | None],
        newest: int,
        room: bool,
    ) -> list[Message]:
        """The page beyond scan_edge arrived; it passed over groups that are marked `more`. Which messages it brought into memory.

        `known`: leased messages in memory, which a page of a FIFO queue holds too. `overlay`: the read's. `newest`: the batch
        that holds the last Change. `room`: memory has some.
        """
        self.scan = None
        taken: list[Message] = []
        for row in page.rows:
            group = self.group(row.group)
            if row.order <= group.loaded_to or group.more or row.id in known or overlay.get(row.id, row) is None:
                continue
            if self._has_share(group, room):
                group.leave_rest(newest)
                group.loaded_to = row.order - 1
                group.alone_batch = page.batch_number
                continue
            taken.append(self._append(group, overlay.get(row.id) or Message.restore(row)))
            group.loaded_to = row.order
        if page.rows:
            self.scan_edge = page.rows[-1].order
            self.beyond_ms = page.rows[-1].enqueued_at_ms
        self._read_to(page, len(page.rows))
        return taken

    def scanned_columns(self, page: Page, overlay: dict[int, Message | None]) -> int:
        """The same of a page of columns: how many bytes of memory it takes. What changed meanwhile makes messages of its column."""
        self.scan = None
        group = self.group(None)
        changed = max(overlay) if overlay else 0
        count, taken_bytes = 0, 0
        for columns in page.columns:
            first = columns.first
            if first > group.loaded_to and (changed < first or overlay.keys().isdisjoint(columns.states()[0])):
                if self._columns is None:
                    self._columns = deque()
                self._columns.append(columns)
                self.count += columns.count
                taken_bytes += columns.size
            else:
                for read in restore_columns(columns):
                    message = overlay.get(read.id, read)
                    if message is not None and read.order > group.loaded_to:
                        taken_bytes += self._append(group, message).memory_bytes
            group.loaded_to = max(group.loaded_to, columns.last)
            count += columns.count
        if self._columns is not None and not group.messages:
            self._restore_next(group, self._columns)
        self.scan_edge = page.columns[-1].last
        self.beyond_ms = page.columns[-1].last_enqueued_at_ms
        self._read_to(page, count)
        return taken_bytes

    def group_read(
        self, group: Group, page: Page, known: dict[int, Message], overlay: dict[int, Message | None]
    ) -> list[Message]:
        """A group's page arrived; the rest as above."""
        group.read = None
        taken: list[Message] = []
        for row in page.rows:
            if row.order > group.loaded_to:
                group.loaded_to = row.order
                if row.id not in known and overlay.get(row.id, row) is not None:
                    taken.append(self._append(group, overlay.get(row.id) or Message.restore(row)))
        if not page.more:
            if page.batch_number >= group.alone_batch and self.scan is None:
                group.more = False
            # Nothing follows there: the next page is to be of a later batch.
            group.touched_batch = max(group.touched_batch, group.alone_batch)
        return taken

    def group_rows(self) -> int:
        """How many messages of one group are read at once: few groups share the page of a queue."""
        groups = len(self.groups) + (self.ungrouped is not None)
        return max(limits.GROUP_MAX, limits.PAGE_ROWS // max(1, groups))

    def _has_share(self, group: Group, room: bool) -> bool:
        """Whether memory keeps no more of a named group.

        Few groups share the window while memory has room, so that pages of the queue feed them all.
        """
        count = len(group.messages)
        if group.name is None or count < limits.GROUP_MAX:
            return False
        return not room or count >= limits.WAITING_MAX // max(1, len(self.groups))

    def skippable(self) -> tuple[str, ...]:
        """The groups that a scan may pass over: they are read on their own."""
        return tuple(name for name, group in self.groups.items() if group.more)

    def holds(self, message: Message) -> bool:
        """Whether a message of this place in the order belongs into memory, being part of the prefixes kept there."""
        group = self.find(message.group)
        if group is not None and message.order <= group.loaded_to:
            return True
        if group is not None and group.more:
            return False
        return self.scan_done or message.order <= self.scan_edge

    def shed(self, group: Group, newest: int) -> list[Message]:
        """Leave a group's waiting messages to the store, to make room for others; which they were. `newest`: as above."""
        if not group.messages or group.read is not None:
            return []
        dropped = list(group.messages)
        group.more = True
        self.touched_batch = newest  # what was taken from among them is still in the batches before
        group.loaded_to = dropped[0].order - 1
        group.messages.clear()
        self.count -= len(dropped)
        return dropped

    def take_head(self, group: Group) -> Message:
        """Remove and answer the first message of a group."""
        if self._columns is not None and group.name is None and len(group.messages) == 1:
            self._restore_next(group, self._columns)  # before anything has changed: what was read may be damaged
        message = group.messages.popleft()
        self.count -= 1
        return message

    def put_back(self, message: Message) -> None:
        """A message is waiting (again): after a call that changed nothing, or as a FIFO message whose timeout ended."""
        group = self.group(message.group)
        if self._columns is not None and message.order > self._columns[0].first:
            self._restore_all(group)
        group.put_back(message)
        self.count += 1
        if group.messages[0] is message:
            self.announce(group)

    def remove(self, message_id: int, group_name: str | None) -> Message | None:
        """Remove a waiting message wherever it stands in its group (expired ones stand at its head)."""
        group = self.find(group_name)
        if group is None:
            return None
        if self._columns is not None and (message_id >= self._columns[0].first or len(group.messages) == 1):
            self._restore_all(group)
        for message in group.messages:
            if message.id == message_id:
                group.messages.remove(message)
                self.count -= 1
                self.announce(group)
                self.forget_if_empty(group)
                return message
        return None

    def forget_if_empty(self, group: Group) -> None:
        """A group with nothing in it, and about which nothing need be remembered, takes no memory."""
        if group.messages or group.in_flight or group.more or group.read is not None:
            return
        if self.scan_done or group.loaded_to <= self.scan_edge:
            if group.name is None:
                self.ungrouped = None
            else:
                self.groups.pop(group.name, None)

    def announce(self, group: Group) -> None:
        """A named group's head has changed, or the group was unlocked: enter it among the ready ones, unless it is locked."""
        if group.messages and group.name is not None and not group.in_flight:
            heappush(self._ready, (group.messages[0].order, group.name))

    def pop_ready(self) -> Group | None:
        """Take the named group with the oldest head off the ready ones. It must be announced again if it keeps messages."""
        while self._ready:
            order, name = heappop(self._ready)
            group = self.groups.get(name)
            if group is not None and group.messages and group.messages[0].order == order:
                return group
        return None

    def _read_to(self, page: Page, count: int) -> None:
        """The end of a page of so many messages is the scan's edge now."""
        if page.more:
            self.page_rows = min(limits.PAGE_ROWS, 2 * count)
        self.more = page.more
        if not page.more and page.batch_number >= self.alone_batch:
            self.scan_done = True

    def _restore_next(self, group: Group, waiting: deque[Columns]) -> None:
        """Those columns whose turn it is become messages."""
        columns = waiting[0]
        group.messages.extend(restore_columns(columns))
        waiting.popleft()
        self.grown_bytes += memory_bytes_of(columns)
        self._restored_bytes += columns.size
        if not waiting or waiting[0].contents is not columns.contents:
            self.grown_bytes -= self._restored_bytes
            self._restored_bytes = 0
        if not waiting:
            self._columns = None

    def _restore_all(self, group: Group) -> None:
        """All become messages of their group: what is to be put among them, or behind them, is none of a column."""
        while self._columns is not None and group.name is None:
            self._restore_next(group, self._columns)

    def _append(self, group: Group, message: Message) -> Message:
        if self._columns is not None:
            self._restore_all(group)
        group.messages.append(message)
        self.count += 1
        if len(group.messages) == 1:
            self.announce(group)
        return message
