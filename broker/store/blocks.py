"""Blocks: waiting messages of one queue that the database keeps many to a row.

A row for each message costs the database a dozen touches of its trees on the way in and out, and a deep queue has every message
make that way. So messages to which nothing has happened but their arrival are written in blocks: heads apart from contents and
bodies, each as one value. What a batch then leases or moves is taken out of its block and gets rows of its own; what it deletes
is only marked. A block goes as a whole when its last message was taken, or when few are left, which get rows then.
"""

import struct
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import Final

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
BlockRow = tuple[int, int, int, int, bytearray, bytes]
ContentRow = tuple[int, bytes, bytes]
Arrangement = Callable[[Batch], tuple[list[MessageRow], list[list[MessageRow]]]]

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
        if row.group is not None or row.lane != LANE_READY or row.order != message_id or message_id in leases:
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


def written(block: Sequence[MessageRow], stretch: int) -> tuple[BlockRow, ContentRow]:
    """A block's two rows."""
    first, last, count = block[0], block[-1], len(block)
    contents = [row.content for row in block]
    bodies = [row.body for row in block]
    times = [row.enqueued_at_ms for row in block]
    heads = b"".join(map(_HEAD.pack, map(_by_id, block), times, map(len, contents), map(len, bodies)))
    row = first.id, first.queue, last.id, stretch, bytearray(count), heads
    return row, (first.id, b"".join(contents), b"".join(bodies))


def last_id(heads: bytes) -> int:
    """That of the block's last message."""
    message_id: int = _HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)[0]
    return message_id


class Block:
    """A block as the database has it, without contents and bodies."""

    __slots__ = ("id", "queue", "stretch", "taken", "heads")

    def __init__(self, block_id: int, queue: int, stretch: int, taken: bytes, heads: bytes) -> None:
        self.id = block_id
        self.queue = queue
        self.stretch = stretch
        self.taken = bytearray(taken)
        self.heads: list[Head] = list(_HEAD.iter_unpack(heads))

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

    def rows(self, places: list[int], contents: bytes, bodies: bytes) -> list[MessageRow]:
        """The messages at these places, as they arrived."""
        content_ends = list(accumulate([head[2] for head in self.heads]))
        body_ends = list(accumulate([head[3] for head in self.heads]))
        rows: list[MessageRow] = []
        for place in places:
            message_id, enqueued_at_ms, content_bytes, body_bytes = self.heads[place]
            content = contents[content_ends[place] - content_bytes : content_ends[place]]
            body = bodies[body_ends[place] - body_bytes : body_ends[place]]
            rows.append(MessageRow(message_id, self.queue, LANE_READY, message_id, None, enqueued_at_ms, content, body))
        return rows


def waiting(
    queue: int, after: int, heads: bytes, contents: bytes | None, bodies: bytes | None, taken: bytes
) -> tuple[list[StoredMessage], int]:
    """What was not taken out of a block, beyond an id, and how many bytes that is. Without contents where a page has none."""
    rows: list[StoredMessage] = []
    content: bytes | None = None
    body: bytes | None = None
    content_at = body_at = size = 0
    for was_taken, (message_id, enqueued_at_ms, content_bytes, body_bytes) in zip(
        taken, _HEAD.iter_unpack(heads), strict=True
    ):
        content_end, body_end = content_at + content_bytes, body_at + body_bytes
        if not was_taken and message_id > after:
            if contents is not None and bodies is not None:
                content, body = contents[content_at:content_end], bodies[body_at:body_end]
                size += content_bytes + body_bytes
            state = message_id, queue, LANE_READY, message_id, None, enqueued_at_ms, False, 0, 0, 0, None, content, body
            rows.append(stored(state))
        content_at, body_at = content_end, body_end
    return rows, size
