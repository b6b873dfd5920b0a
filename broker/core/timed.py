"""The timed window: a queue's leased messages in the order in which they become visible.

Memory holds an exact prefix of that order: every leased message whose key (visible_at_ms, id) is at most `edge`; what lies
beyond is in the store alone. `done` says that nothing lies beyond. The head may be past: those messages are available.
"""

from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedList

from broker.core.message import Message

Key = tuple[int, int]
_BEFORE_ALL: Final[Key] = (-1, 0)
_LAST: Final = 1 << 62


class Timed:
    """See the module's text. A new queue's window is `done`; an unloaded one starts before everything."""

    __slots__ = ("keys", "by_id", "edge", "done")

    def __init__(self, done: bool) -> None:
        self.keys: SortedList[Key] = SortedList()
        self.by_id: dict[int, Message] = {}
        self.edge: Key = _BEFORE_ALL
        self.done = done

    def __len__(self) -> int:
        return len(self.keys)

    def place(self, message: Message, room: int) -> bool:
        """Take a message in if its key belongs to the prefix; `room`: how many may be held before the window closes."""
        key = (message.visible_at_ms, message.id)
        if self.done and len(self.keys) >= room:
            self.done = False
            self.edge = self.keys[-1]
        if not self.done and key > self.edge:
            return False
        self.keys.add(key)
        self.by_id[message.id] = message
        return True

    def take_out(self, message: Message) -> bool:
        """Forget a message (before its key changes); whether it was here."""
        if self.by_id.pop(message.id, None) is None:
            return False
        self.keys.remove((message.visible_at_ms, message.id))
        return True

    def reaches(self, now_ms: int) -> bool:
        """Whether every message that is visible by now_ms is in memory."""
        return self.done or self.edge >= (now_ms, _LAST)

    def extend(self, messages: list[Message], edge: Key | None) -> None:
        """A page arrived: these lie beyond the edge, which moves on to `edge` (None: nothing lies beyond any more)."""
        for message in messages:
            self.keys.add((message.visible_at_ms, message.id))
            self.by_id[message.id] = message
        if edge is None:
            self.done = True
        else:
            self.edge = edge

    def visible(self, now_ms: int) -> Iterator[Message]:
        """The available head, in order. The window must not change while this is read."""
        for visible_at_ms, message_id in self.keys:
            if visible_at_ms > now_ms:
                return
            yield self.by_id[message_id]

    def between(self, after_ms: int, until_ms: int) -> Iterator[Message]:
        """Those with after_ms < visible_at_ms <= until_ms."""
        for _, message_id in self.keys.irange((after_ms, _LAST), (until_ms, _LAST)):
            yield self.by_id[message_id]

    def next_after(self, now_ms: int) -> int | None:
        """The first instant after now_ms at which a message becomes visible, as far as this window can tell.

        Where the window ends before that, its edge is the instant at which more must be read.
        """
        at = self.keys.bisect_right((now_ms, _LAST))
        if at < len(self.keys):
            return int(self.keys[at][0])
        return None if self.done else max(self.edge[0], now_ms) + 1
