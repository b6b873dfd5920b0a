"""The timed window: a queue's leased messages in the order in which they become visible.

Memory holds an exact prefix of that order: every leased message whose key (visible_at_ms, id) is at most `edge`; what lies
beyond is in the store alone. `done` says that nothing lies beyond. The head may be past: those messages are available.

Most messages are deleted long before their timeout ends. So a message is put in order only when somebody asks for an instant that
may reach it; until then it lies among the `_unsorted`, and costs neither an insertion nor a search.
"""

from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedList

from broker.core.message import Message

Key = tuple[int, int]
_BEFORE_ALL: Final[Key] = (-1, 0)
_LAST: Final = 1 << 61


class Timed:
    """See the module's text. A new queue's window is `done`; an unloaded one starts before everything."""

    __slots__ = ("_sorted", "_sorted_from_ms", "_ordered", "_unsorted", "_unsorted_from_ms", "_count", "edge", "done")

    def __init__(self, done: bool) -> None:
        self._sorted: SortedList[Key] | None = None  # made when first needed: most queues never need it
        self._sorted_from_ms = _LAST  # none of them becomes visible earlier
        self._ordered: dict[int, Message] = {}  # those whose keys are sorted, by their ids
        self._unsorted: dict[int, Message] = {}  # the others
        self._unsorted_from_ms = _LAST  # nor do these
        self._count = 0
        self.edge: Key = _BEFORE_ALL
        self.done = done

    def __len__(self) -> int:
        return self._count

    def find(self, message_id: int) -> Message | None:
        """The message, if it is here."""
        return self._unsorted.get(message_id) or self._ordered.get(message_id)

    def place(self, message: Message, room: int) -> bool:
        """Take a message in if its key belongs to the prefix; `room`: how many may be held before the window closes."""
        visible_at_ms = message.visible_at_ms
        if self.done and self._count >= room:
            self.done = False
            self.edge = self._in_order(_LAST)[-1]
        if not self.done and (visible_at_ms, message.id) > self.edge:
            return False
        self._unsorted[message.id] = message
        self._unsorted_from_ms = min(self._unsorted_from_ms, visible_at_ms)
        self._count += 1
        return True

    def take_out(self, message: Message) -> bool:
        """Forget a message (before its key changes); whether it was here."""
        if self._unsorted.pop(message.id, None) is None:
            if self._ordered.pop(message.id, None) is None:
                return False
            self._keys().remove((message.visible_at_ms, message.id))
        self._count -= 1
        return True

    def _in_order(self, until_ms: int) -> "SortedList[Key]":
        """The keys in order, complete up to an instant."""
        keys = self._keys()
        if self._unsorted_from_ms <= until_ms:
            keys.update([(m.visible_at_ms, m.id) for m in self._unsorted.values()])
            self._ordered.update(self._unsorted)
            self._unsorted.clear()
            self._sorted_from_ms = min(self._sorted_from_ms, self._unsorted_from_ms)
            self._unsorted_from_ms = _LAST
        return keys

    def _keys(self) -> "SortedList[Key]":
        if self._sorted is None:
            self._sorted = SortedList()
        return self._sorted

    def is_due(self, now_ms: int) -> bool:
        """Whether a message here may be visible by now_ms. Looks at none: where one has left, it may say so in vain."""
        return self._sorted_from_ms <= now_ms or self._unsorted_from_ms <= now_ms

    def reaches(self, now_ms: int) -> bool:
        """Whether every message that is visible by now_ms is in memory."""
        return self.done or self.edge >= (now_ms, _LAST)

    def extend(self, messages: list[Message], edge: Key | None) -> None:
        """A page arrived: these lie beyond the edge, which moves on to `edge` (None: nothing lies beyond any more)."""
        for message in messages:
            self._keys().add((message.visible_at_ms, message.id))
            self._sorted_from_ms = min(self._sorted_from_ms, message.visible_at_ms)
            self._ordered[message.id] = message
        self._count += len(messages)
        if edge is None:
            self.done = True
        else:
            self.edge = edge

    def first_visible(self, now_ms: int) -> Message | None:
        """The head, if it is available."""
        if not self.is_due(now_ms):
            return None
        keys = self._in_order(now_ms)
        self._sorted_from_ms = keys[0][0] if keys else _LAST
        return self._ordered[keys[0][1]] if self._sorted_from_ms <= now_ms else None

    def visible(self, now_ms: int) -> Iterator[Message]:
        """The available head, in order. The window must not change while this is read."""
        if self.first_visible(now_ms) is None:
            return
        for visible_at_ms, message_id in self._in_order(now_ms):
            if visible_at_ms > now_ms:
                return
            yield self._ordered[message_id]

    def between(self, after_ms: int, until_ms: int) -> Iterator[Message]:
        """Those with after_ms < visible_at_ms <= until_ms."""
        for _, message_id in self._in_order(until_ms).irange((after_ms, _LAST), (until_ms, _LAST)):
            yield self._ordered[message_id]

    def next_after(self, now_ms: int) -> int | None:
        """The first instant after now_ms at which a message becomes visible, as far as this window can tell.

        Where the window ends before that, its edge is the instant at which more must be read.
        """
        if self._count:
            keys = self._in_order(_LAST)
            at = keys.bisect_right((now_ms, _LAST))
            if at < len(keys):
                return int(keys[at][0])
        return None if self.done else max(self.edge[0], now_ms) + 1
