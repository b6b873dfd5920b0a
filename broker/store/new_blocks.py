"""Blocks in the making: messages of one queue, as they arrived one after the other, packed.

What the database gets is what is packed here, once: when a batch is committed, of what memory does not keep; when it is flushed,
of what waits still. Small ones that follow each other become one. See blocks.py for what is done with them.
"""

import struct
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from typing import Final

from broker.store.changes import LANE_READY, MessageRow

MESSAGES_MAX: Final = 64
BYTES_MAX: Final = 64 * 1024
MESSAGE_BYTES_MAX: Final = 8 * 1024  # larger messages gain nothing
HEAD: Final = struct.Struct("<qqII")  # id, enqueued_at_ms, bytes of content, bytes of body
HEAD_BYTES: Final = HEAD.size

# The groups in a block, each at its place: None for messages without one, GONE for one of which nothing waits in it any more.
GroupNames = list[str | int | None]
GONE: Final = 0

# Where contents begin in a segment of the commit log; how many bytes they have, and how many the bodies that follow them.
Extent = tuple[int, int, int]
# The same in memory: what holds them, where in it contents begin, and how many bytes they and the bodies behind them have.
Place = tuple[bytes | bytearray, int, int, int]


class NewBlock:
    """The messages of a block. They do not change."""

    __slots__ = (
        "id",
        "queue",
        "last",
        "count",
        "heads",
        "names",
        "members",
        "content_bytes",
        "body_bytes",
        "segment",
        "extents",
        "_contents",
        "_bodies",
        "_placed",
    )

    def __init__(
        self,
        queue: int,
        heads: bytes,
        names: list[str | None] | None,
        members: bytes,
        contents: list[bytes],
        bodies: list[bytes],
    ) -> None:
        self.queue = queue
        self.count = len(heads) // HEAD_BYTES
        self.id: int = HEAD.unpack_from(heads, 0)[0]
        self.last: int = HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)[0]
        self.heads = heads
        self.names = names  # the groups in it; None: nothing in it has one, and there are no members
        self.members = members  # for each message a byte, its group's place among the names
        self.content_bytes = sum(map(len, contents))
        self.body_bytes = sum(map(len, bodies))
        # Where these are in the commit log, once they are there to stay: the number of a segment, and parts of it.
        self.segment: int | None = None
        self.extents: list[Extent] = []
        self._contents = contents  # one after the other, in pieces; none, once they have a place
        self._bodies = bodies
        self._placed: list[Place] = []

    @property
    def size(self) -> int:
        """How many bytes contents and bodies have."""
        return self.content_bytes + self.body_bytes

    @property
    def pieces(self) -> list[bytes]:
        """Contents, one after the other, and then bodies."""
        return list(self.sent) if self._placed else self._contents + self._bodies

    @property
    def places(self) -> list[Place]:
        """Where contents and bodies are, of some of the messages, and of those that follow."""
        return self._placed

    def place(self, places: list[Place]) -> None:
        """They are there, and need not be here, too."""
        self._placed = places
        self._contents = []
        self._bodies = []

    def take_over(self, blocks: "list[NewBlock]") -> None:
        """Its contents and bodies are those of other blocks, one after the other."""
        self.content_bytes = sum([block.content_bytes for block in blocks])
        self.body_bytes = sum([block.body_bytes for block in blocks])
        if all(block.places for block in blocks):
            self.place([place for block in blocks for place in block.places])
        else:
            sent = [block.sent for block in blocks]
            self._contents, self._bodies = [contents for contents, _ in sent], [bodies for _, bodies in sent]

    @property
    def sent(self) -> tuple[bytes, bytes]:
        """All contents, one after the other, and all bodies."""
        return sent_in(self._placed) if self._placed else (b"".join(self._contents), b"".join(self._bodies))

    def rows(self) -> list[MessageRow]:
        """Its messages."""
        return rows_at(range(self.count), self.queue, self.heads, self.names, self.members, *self.sent)


@cache
def heads_of(count: int) -> struct.Struct:
    """Those of so many messages, one after the other."""
    return struct.Struct("<" + "qqII" * count)


def sent_in(places: Iterable[Place]) -> tuple[bytes, bytes]:
    """All contents that are there, one after the other, and all bodies."""
    contents: list[memoryview] = []
    bodies: list[memoryview] = []
    for holder, at, content_bytes, body_bytes in places:
        whole, bodies_at = memoryview(holder), at + content_bytes
        contents.append(whole[at:bodies_at])
        bodies.append(whole[bodies_at : bodies_at + body_bytes])
    return b"".join(contents), b"".join(bodies)


def rows_at(
    places: Iterable[int],
    queue: int,
    heads: bytes,
    names: Sequence[str | int | None] | None,
    members: bytes,
    contents: bytes,
    bodies: bytes,
) -> list[MessageRow]:
    """The messages of a block at these places, as they arrived."""
    states = list(HEAD.iter_unpack(heads))
    content_ends = list(accumulate([state[2] for state in states]))
    body_ends = list(accumulate([state[3] for state in states]))
    rows: list[MessageRow] = []
    for place in places:
        message_id, enqueued_at_ms, content_bytes, body_bytes = states[place]
        content = contents[content_ends[place] - content_bytes : content_ends[place]]
        body = bodies[body_ends[place] - body_bytes : body_ends[place]]
        group = None if names is None else name_of(names[members[place]])
        rows.append(MessageRow(message_id, queue, LANE_READY, message_id, group, enqueued_at_ms, content, body))
    return rows


def name_of(name: str | int | None) -> str | None:
    """The group that a name in a block stands for, of which something waits there. ValueError: nothing does."""
    if isinstance(name, int):
        raise ValueError("the database is damaged: a block has messages of a group that it says has none there")
    return name


class BlockBuilder:
    """Messages of one queue, in order, of which blocks are to be made."""

    __slots__ = ("_queue", "_ids", "_times", "_groups", "_grouped", "_contents", "_bodies")

    def __init__(self, queue: int) -> None:
        self._queue: Final = queue
        self._ids: Final[list[int]] = []
        self._times: Final[list[int]] = []
        self._groups: Final[list[str | None]] = []
        self._grouped = False  # whether any has a group
        self._contents: Final[list[bytes]] = []
        self._bodies: Final[list[bytes]] = []

    def add(self, message_id: int, group: str | None, enqueued_at_ms: int, content: bytes, body: bytes) -> None:
        """The next message."""
        self._ids.append(message_id)
        self._times.append(enqueued_at_ms)
        self._groups.append(group)
        self._grouped = self._grouped or group is not None
        self._contents.append(content)
        self._bodies.append(body)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._ids)

    def blocks(self) -> list[NewBlock]:
        """All of them as blocks."""
        contents, bodies = self._contents, self._bodies
        blocks: list[NewBlock] = []
        begin = size = 0
        for at in range(len(contents)):
            message_bytes = len(contents[at]) + len(bodies[at])
            if at > begin and (at - begin == MESSAGES_MAX or size + message_bytes > BYTES_MAX):
                blocks.append(self._block(begin, at))
                begin, size = at, 0
            size += message_bytes
        if contents:
            blocks.append(self._block(begin, len(contents)))
        return blocks

    def _block(self, begin: int, end: int) -> NewBlock:
        contents, bodies = self._contents[begin:end], self._bodies[begin:end]
        states = self._ids[begin:end], self._times[begin:end], map(len, contents), map(len, bodies)
        heads = b"".join(map(HEAD.pack, *states))
        groups = self._groups[begin:end]
        if not self._grouped or groups.count(None) == len(groups):
            return NewBlock(self._queue, heads, None, b"", contents, bodies)
        place_of = {name: place for place, name in enumerate(dict.fromkeys(groups))}
        members = bytes(map(place_of.__getitem__, groups))
        return NewBlock(self._queue, heads, list(place_of), members, contents, bodies)


def packed(rows: Sequence[MessageRow]) -> list[NewBlock]:
    """Messages of one queue, in order and at least one, as blocks."""
    builder = BlockBuilder(rows[0].queue)
    for row in rows:
        builder.add(row.id, row.group, row.enqueued_at_ms, row.content, row.body)
    return builder.blocks()


def joined(blocks: Sequence[NewBlock]) -> list[NewBlock]:
    """The same messages in fewer blocks, where some that follow each other fit into one."""
    fewer: list[NewBlock] = []
    some: list[NewBlock] = []
    count = size = 0
    for block in blocks:
        full = count + block.count > MESSAGES_MAX or size + block.size > BYTES_MAX
        if some and (full or block.segment != some[0].segment):
            fewer.append(_joined(some))
            some, count, size = [], 0, 0
        some.append(block)
        count += block.count
        size += block.size
    if some:
        fewer.append(_joined(some))
    return fewer


def _joined(blocks: list[NewBlock]) -> NewBlock:
    if len(blocks) == 1:
        return blocks[0]
    names: list[str | None] | None = None
    members = b""
    if any(block.names is not None for block in blocks):
        place_of: dict[str | None, int] = {}
        parts: list[bytes] = []
        for block in blocks:
            if block.names is None:
                parts.append(bytes([place_of.setdefault(None, len(place_of))]) * block.count)
            else:
                places = bytes([place_of.setdefault(name, len(place_of)) for name in block.names])
                parts.append(block.members.translate(places.ljust(256, b"\0")))
        names, members = list(place_of), b"".join(parts)
    heads = b"".join([block.heads for block in blocks])
    whole = NewBlock(blocks[0].queue, heads, names, members, [], [])
    whole.take_over(blocks)
    whole.segment = blocks[0].segment
    whole.extents = [extent for block in blocks for extent in block.extents]
    return whole
