"""Blocks: waiting messages of one queue that the database keeps many to a row.

A row for each message costs the database a dozen touches of its trees on the way in and out, and a deep queue has every message
make that way. So messages to which nothing has happened but their arrival are written in blocks: heads apart from contents and
bodies, each as one value. What a batch then leases or moves is taken out of its block and gets rows of its own; what it deletes
is only marked. A block goes as a whole when its last message was taken, or when few are left, which get rows then.

A block says which message groups wait in it, and a byte of each message which is its own, so that reads pass over blocks without
what they look for.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection
from functools import partial
from itertools import accumulate, compress
from operator import not_, or_
from typing import Final

import msgspec

from broker.store.base import StoredMessage
from broker.store.changes import LANE_READY, MessageRow
from broker.store.new_blocks import GONE, HEAD, HEAD_BYTES, Extent, GroupNames, heads_of, name_of, rows_at

BLOCKS_PER_PAGE: Final = 32  # of a read, at most: more than a page of messages in full blocks

Head = tuple[int, int, int, int]
Waiting = tuple[list[StoredMessage], int]

# A StoredMessage of all its fields in one tuple or list: the class itself takes three times as long.
stored: Final = partial(tuple.__new__, StoredMessage)


def last_id(heads: bytes) -> int:
    """That of the block's last message."""
    message_id: int = HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)[0]
    return message_id


def place_beyond(heads: bytes, after: int) -> int:
    """The place of the first message beyond an id; how many there are where none is."""
    return bisect_right(heads_of(len(heads) // HEAD_BYTES).unpack(heads)[::4], after)


def sent_bytes(heads: bytes) -> tuple[int, int]:
    """How many bytes the contents of its messages have, and their bodies."""
    state = heads_of(len(heads) // HEAD_BYTES).unpack(heads)
    return sum(state[2::4]), sum(state[3::4])


def check_block(block_id: int, heads: bytes, taken: bytes, names: GroupNames | None, members: bytes) -> None:
    """ValueError where these, which were read in one with those of other blocks, are not all of this one."""
    count = len(taken)
    whole = count > 0 and len(heads) == count * HEAD_BYTES and HEAD.unpack_from(heads, 0)[0] == block_id
    if whole and names is not None:
        whole = len(members) == count and max(members) < len(names)
    if not whole:
        raise ValueError(f"the database is damaged: block {block_id} is not whole")


class Block:
    """A block as the database has it, without contents and bodies."""

    __slots__ = ("id", "queue", "stretch", "taken", "ids", "names", "members", "segment", "extents", "_heads")

    def __init__(
        self,
        block_id: int,
        queue: int,
        stretch: int,
        taken: bytes,
        heads: bytes,
        names: GroupNames | None,
        members: bytes,
        segment: int | None,
        extents: list[Extent],
    ) -> None:
        self.id = block_id
        self.queue = queue
        self.stretch = stretch
        self.taken = bytearray(taken)
        self.ids: tuple[int, ...] = heads_of(len(taken)).unpack(heads)[::4]
        self.names = names  # None: nothing in it has a group, and there are no members
        self.members = members
        self.segment = segment  # where what was sent is; None: in the database
        self.extents = extents
        self._heads = heads

    def take(self, wanted: list[int]) -> list[int]:
        """Mark those of these messages, which are in order, that are still in it; their places."""
        taken = self.taken
        if len(wanted) == self.waiting and wanted == list(compress(self.ids, map(not_, taken))):
            return self.take_all()
        place_of = {message_id: place for place, message_id in enumerate(self.ids)}
        found: list[int] = []
        for message_id in wanted:
            place = place_of.get(message_id, -1)
            if place >= 0 and not taken[place]:
                taken[place] = 1
                found.append(place)
        return found

    def take_all(self) -> list[int]:
        """Mark all that is still in it; their places."""
        found = [place for place in range(len(self.taken)) if not self.taken[place]]
        self.taken = bytearray(b"\1" * len(self.taken))
        return found

    @property
    def waiting(self) -> int:
        """How many messages are in it."""
        return self.taken.count(0)

    def names_left(self) -> str | None:
        """The groups of what is in it, as JSON; None where they are those that were known."""
        if self.names is None:
            return None
        left = set(compress(self.members, map(not_, self.taken)))
        names = [name if place in left else GONE for place, name in enumerate(self.names)]
        return None if names == self.names else msgspec.json.encode(names).decode()

    def rows(self, places: list[int], contents: bytes, bodies: bytes) -> list[MessageRow]:
        """The messages at these places, as they arrived."""
        return rows_at(places, self.queue, self._heads, self.names, self.members, contents, bodies)


def without(taken: bytes, names: GroupNames, members: bytes, skipped: Collection[str]) -> bytes:
    """`taken`, with messages of the skipped groups as if they were."""
    passed = bytearray(256)
    for place, name in enumerate(names):
        if name in skipped:
            passed[place] = 1
    return bytes(map(or_, taken, members.translate(passed)))


def only(taken: bytes, names: GroupNames, members: bytes, group: str) -> bytes:
    """`taken`, with messages of all other groups as if they were."""
    passed = bytearray(b"\1") * 256
    passed[names.index(group)] = 0
    return bytes(map(or_, taken, members.translate(passed)))


class Opened:
    """A block's messages, for pages of rows. It holds for good: what happens to a block is said by `taken` alone."""

    __slots__ = ("_ids", "_times", "_content_bytes", "_body_bytes", "_contents", "_content_at", "_bodies", "_body_at")

    def __init__(
        self, heads: bytes, contents: bytes | None, content_at: int, bodies: bytes | None, body_at: int
    ) -> None:
        """`contents`, `bodies`: None where a page has none; those of the block begin at `content_at` and `body_at`."""
        state = heads_of(len(heads) // HEAD_BYTES).unpack(heads)
        self._ids: tuple[int, ...] = state[::4]
        self._times: tuple[int, ...] = state[1::4]
        self._content_bytes: tuple[int, ...] = state[2::4]
        self._body_bytes: tuple[int, ...] = state[3::4]
        self._contents = contents
        self._content_at = content_at
        self._bodies = bodies
        self._body_at = body_at

    def let_go(self) -> None:
        """Keep no more than its own of contents and bodies that it was given with those of others."""
        content_end, body_end = self._content_at + sum(self._content_bytes), self._body_at + sum(self._body_bytes)
        if self._contents is not None and self._bodies is not None:
            self._contents = self._contents[self._content_at : content_end]
            self._bodies = self._bodies[self._body_at : body_end]
        self._content_at = self._body_at = 0

    def waiting(self, queue: int, after: int, taken: bytes, names: GroupNames | None, members: bytes) -> Waiting:
        """What was not taken out of it, beyond an id, and how many bytes that is."""
        ids, times, contents, bodies = self._ids, self._times, self._contents, self._bodies
        content_ends = list(accumulate(self._content_bytes, initial=self._content_at))
        body_ends = list(accumulate(self._body_bytes, initial=self._body_at))
        rows: list[StoredMessage] = []
        group: str | None = None
        content: bytes | None = None
        body: bytes | None = None
        size = 0
        place = taken.find(0, bisect_right(ids, after))
        while place >= 0:
            message_id, enqueued_at_ms = ids[place], times[place]
            if contents is not None and bodies is not None:
                content = contents[content_ends[place] : content_ends[place + 1]]
                body = bodies[body_ends[place] : body_ends[place + 1]]
                size += len(content) + len(body)
            if names is not None:
                group = name_of(names[members[place]])
            row = message_id, queue, LANE_READY, message_id, group, enqueued_at_ms, False, 0, 0, 0, None, content, body
            rows.append(stored(row))
            place = taken.find(0, place + 1)
        return rows, size


def arrivals(heads: bytes, taken: bytes, since_ms: int) -> tuple[Counter[int], bool]:
    """How many of a block's messages were enqueued when, later than that; and whether its first was not.

    Time grows with order.
    """
    first: Head = HEAD.unpack_from(heads, 0)
    last: Head = HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)
    if first[1] == last[1] and first[1] > since_ms:
        return Counter({first[1]: taken.count(0)}), False
    times = Counter(compress([head[1] for head in HEAD.iter_unpack(heads)], map(not_, taken)))
    return Counter({at_ms: count for at_ms, count in times.items() if at_ms > since_ms}), first[1] <= since_ms
