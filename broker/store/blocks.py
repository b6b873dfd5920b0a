"""Blocks: waiting messages of one queue that the database keeps many to a row.

A row for each message costs the database a dozen touches of its trees on the way in and out, and a deep queue has every message
make that way. So messages to which nothing has happened but their arrival are written in blocks: heads apart from contents and
bodies, each as one value. What a batch then leases or moves is taken out of its block and gets rows of its own; what it deletes
is only marked. A block goes as a whole when its last message was taken, or when few are left, which get rows then.

A block says which message groups wait in it, and a byte of each message which is its own, so that reads pass over blocks without
what they look for.
"""

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, partial
from itertools import accumulate, compress
from operator import attrgetter, not_, or_
from typing import Final

import msgspec

from broker.store.base import StoredMessage
from broker.store.batch import Batch
from broker.store.changes import LANE_READY, MessageRow

MESSAGES_MIN: Final = 8  # of a queue in one transaction; fewer get rows of their own
MESSAGES_MAX: Final = 64
BYTES_MAX: Final = 64 * 1024
BLOCKS_PER_PAGE: Final = 32  # of a read, at most: more than a page of messages in full blocks
MESSAGE_BYTES_MAX: Final = 8 * 1024  # larger ones gain nothing
_HEAD: Final = struct.Struct("<qqII")  # id, enqueued_at_ms, bytes of content, bytes of body
HEAD_BYTES: Final = _HEAD.size

Head = tuple[int, int, int, int]
BlockRow = tuple[int, int, int, int, bytearray, bytes, str, bytes]
ContentRow = tuple[int, bytes, bytes]
Waiting = tuple[list[StoredMessage], int]
Arrangement = Callable[[Batch], tuple[list[MessageRow], list[list[MessageRow]]]]

# The groups in a block, each at its place: None for messages without one, GONE for one of which nothing waits in it any more.
GroupNames = list[str | int | None]
GONE: Final = 0

_by_id: Final = attrgetter("id")
# A StoredMessage of all its fields in one tuple or list: the class itself takes three times as long.
stored: Final = partial(tuple.__new__, StoredMessage)


def arranged(batch: Batch) -> tuple[list[MessageRow], list[list[MessageRow]]]:
    """The messages of a batch that get rows of their own, and those that make a block together, in order."""
    rows: list[MessageRow] = []
    waiting: dict[int, list[MessageRow]] = {}
    leases = batch.leases
    for row in batch.messages.values():
        message_id = row.id
        if row.lane != LANE_READY or row.order != message_id or message_id in leases:
            rows.append(row)
        elif (some := waiting.get(row.queue)) is not None:
            some.append(row)
        else:
            waiting[row.queue] = [row]
    blocks: list[list[MessageRow]] = []
    for some in waiting.values():
        small = [row for row in some if len(row.content) + len(row.body) <= MESSAGE_BYTES_MAX]
        if len(small) < MESSAGES_MIN:
            rows += some
            continue
        if len(small) < len(some):
            rows += [row for row in some if len(row.content) + len(row.body) > MESSAGE_BYTES_MAX]
        small.sort(key=_by_id)
        blocks += _cut(small)
    return rows, blocks


def _cut(messages: list[MessageRow]) -> list[list[MessageRow]]:
    blocks: list[list[MessageRow]] = []
    block: list[MessageRow] = []
    size = 0
    for row in messages:
        row_bytes = len(row.content) + len(row.body)
        if len(block) == MESSAGES_MAX or size + row_bytes > BYTES_MAX:
            blocks.append(block)
            block, size = [], 0
        block.append(row)
        size += row_bytes
    blocks.append(block)
    return blocks


def written(block: Sequence[MessageRow], stretch: int) -> tuple[BlockRow, ContentRow, list[str]]:
    """A block's two rows, and the groups that its messages belong to."""
    first, last, count = block[0], block[-1], len(block)
    contents = [row.content for row in block]
    bodies = [row.body for row in block]
    times = [row.enqueued_at_ms for row in block]
    groups = [row.group for row in block]
    heads = b"".join(map(_HEAD.pack, map(_by_id, block), times, map(len, contents), map(len, bodies)))
    names = list(dict.fromkeys(groups))
    said, members = "", b""  # where none has a group
    if names != [None]:
        place_of = {name: place for place, name in enumerate(names)}
        said, members = msgspec.json.encode(names).decode(), bytes(map(place_of.__getitem__, groups))
    row = first.id, first.queue, last.id, stretch, bytearray(count), heads, said, members
    content = first.id, b"".join(contents), b"".join(bodies)
    return row, content, [name for name in names if name is not None]


def last_id(heads: bytes) -> int:
    """That of the block's last message."""
    message_id: int = _HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)[0]
    return message_id


def place_beyond(heads: bytes, after: int) -> int:
    """The place of the first message beyond an id; how many there are where none is."""
    return bisect_right(_heads(len(heads) // HEAD_BYTES).unpack(heads)[::4], after)


def sent_bytes(heads: bytes) -> int:
    """How many bytes the contents and bodies of its messages have."""
    state = _heads(len(heads) // HEAD_BYTES).unpack(heads)
    size: int = sum(state[2::4]) + sum(state[3::4])
    return size


def check_block(block_id: int, heads: bytes, taken: bytes, names: GroupNames | None, members: bytes) -> None:
    """ValueError where these, which were read in one with those of other blocks, are not all of this one."""
    count = len(taken)
    whole = count > 0 and len(heads) == count * HEAD_BYTES and _HEAD.unpack_from(heads, 0)[0] == block_id
    if whole and names is not None:
        whole = len(members) == count and max(members) < len(names)
    if not whole:
        raise ValueError(f"the database is damaged: block {block_id} is not whole")


class Block:
    """A block as the database has it, without contents and bodies."""

    __slots__ = ("id", "queue", "stretch", "taken", "heads", "names", "members")

    def __init__(
        self,
        block_id: int,
        queue: int,
        stretch: int,
        taken: bytes,
        heads: bytes,
        names: GroupNames | None,
        members: bytes,
    ) -> None:
        self.id = block_id
        self.queue = queue
        self.stretch = stretch
        self.taken = bytearray(taken)
        self.heads: list[Head] = list(_HEAD.iter_unpack(heads))
        self.names = names  # None: nothing in it has a group, and there are no members
        self.members = members

    def take(self, wanted: list[int]) -> list[int]:
        """Mark those of these messages that are still in it; their places."""
        place_of = {head[0]: place for place, head in enumerate(self.heads)}
        taken = self.taken
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
        content_ends = list(accumulate([head[2] for head in self.heads]))
        body_ends = list(accumulate([head[3] for head in self.heads]))
        rows: list[MessageRow] = []
        for place in places:
            message_id, enqueued_at_ms, content_bytes, body_bytes = self.heads[place]
            content = contents[content_ends[place] - content_bytes : content_ends[place]]
            body = bodies[body_ends[place] - body_bytes : body_ends[place]]
            group = None if self.names is None else name_of(self.names[self.members[place]])
            rows.append(
                MessageRow(message_id, self.queue, LANE_READY, message_id, group, enqueued_at_ms, content, body)
            )
        return rows


def name_of(name: str | int | None) -> str | None:
    """The group that a name in a block stands for, of which something waits there. ValueError: nothing does."""
    if isinstance(name, int):
        raise ValueError("the database is damaged: a block has messages of a group that it says has none there")
    return name


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
    """A block's messages, for pages. It holds for good: what happens to a block is said by `taken` alone."""

    __slots__ = ("_ids", "_times", "_contents", "_content_ends", "_bodies", "_body_ends")

    def __init__(
        self, heads: bytes, contents: bytes | None, content_at: int, bodies: bytes | None, body_at: int
    ) -> None:
        """`contents`, `bodies`: None where a page has none; those of the block begin at `content_at` and `body_at`."""
        state = _heads(len(heads) // HEAD_BYTES).unpack(heads)
        self._ids = state[::4]
        self._times = state[1::4]
        self._contents = contents
        self._content_ends = list(accumulate(state[2::4], initial=content_at))
        self._bodies = bodies
        self._body_ends = list(accumulate(state[3::4], initial=body_at))

    @property
    def ends(self) -> tuple[int, int]:
        """Where its contents and bodies end."""
        return self._content_ends[-1], self._body_ends[-1]

    def let_go(self) -> None:
        """Keep no more than its own of contents and bodies that it was given with those of others."""
        content_at, body_at = self._content_ends[0], self._body_ends[0]
        if self._contents is not None and self._bodies is not None:
            self._contents = self._contents[content_at : self._content_ends[-1]]
            self._bodies = self._bodies[body_at : self._body_ends[-1]]
        self._content_ends = [end - content_at for end in self._content_ends]
        self._body_ends = [end - body_at for end in self._body_ends]

    def waiting(self, queue: int, after: int, taken: bytes, names: GroupNames | None, members: bytes) -> Waiting:
        """What was not taken out of it, beyond an id, and how many bytes that is."""
        ids, times, contents, bodies = self._ids, self._times, self._contents, self._bodies
        content_ends, body_ends = self._content_ends, self._body_ends
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


def opened(all_heads: Iterable[bytes], contents: bytes | None, bodies: bytes | None) -> list[Opened]:
    """Blocks whose contents and bodies were read in one. ValueError: they are not as long as the heads say."""
    blocks: list[Opened] = []
    content_at = body_at = 0
    for heads in all_heads:
        block = Opened(heads, contents, content_at, bodies, body_at)
        content_at, body_at = block.ends
        blocks.append(block)
    if contents is not None and bodies is not None and (content_at, body_at) != (len(contents), len(bodies)):
        raise ValueError("the database is damaged: the contents of blocks are not as long as their heads say")
    return blocks


@cache
def _heads(count: int) -> struct.Struct:
    """Those of so many messages, one after the other."""
    return struct.Struct("<" + "qqII" * count)


def arrivals(heads: bytes, taken: bytes, since_ms: int) -> tuple[Counter[int], bool]:
    """How many of a block's messages were enqueued when, later than that; and whether its first was not.

    Time grows with order.
    """
    first: Head = _HEAD.unpack_from(heads, 0)
    last: Head = _HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)
    if first[1] == last[1] and first[1] > since_ms:
        return Counter({first[1]: taken.count(0)}), False
    times = Counter(compress([head[1] for head in _HEAD.iter_unpack(heads)], map(not_, taken)))
    return Counter({at_ms: count for at_ms, count in times.items() if at_ms > since_ms}), first[1] <= since_ms
