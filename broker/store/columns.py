"""Messages of a block on their way to memory, which are not taken apart before somebody wants them."""

from itertools import accumulate, compress
from typing import Final

from broker.store.new_blocks import HEAD, HEAD_BYTES, heads_of

States = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class Columns:
    """Messages that follow each other in a queue, and to which nothing has happened but their arrival: at least one.

    They have no message group, their order is their id, and none is leased. It takes much less to read them than as many rows.
    """

    __slots__ = (
        "queue",
        "heads",
        "contents",
        "content_at",
        "content_bytes",
        "bodies",
        "body_at",
        "body_bytes",
        "count",
        "first",
        "last",
        "last_enqueued_at_ms",
    )

    def __init__(
        self,
        queue: int,
        heads: bytes,
        contents: bytes,
        content_at: int,
        content_bytes: int,
        bodies: bytes,
        body_at: int,
        body_bytes: int,
    ) -> None:
        """`heads` as in new_blocks.py; so many bytes of `contents` and `bodies`, from there on, are theirs, as the heads say."""
        self.queue: Final = queue
        self.heads: Final = heads
        self.contents: Final = contents  # one after the other
        self.content_at: Final = content_at
        self.content_bytes: Final = content_bytes
        self.bodies: Final = bodies  # likewise
        self.body_at: Final = body_at
        self.body_bytes: Final = body_bytes
        self.count: Final = len(heads) // HEAD_BYTES
        self.first: Final[int] = HEAD.unpack_from(heads, 0)[0]
        last: tuple[int, int, int, int] = HEAD.unpack_from(heads, len(heads) - HEAD_BYTES)
        self.last: Final = last[0]
        self.last_enqueued_at_ms: Final = last[1]

    @property
    def size(self) -> int:
        """How many bytes of memory they take, about."""
        return len(self.heads) + self.content_bytes + self.body_bytes

    def states(self) -> States:
        """Of all messages: ids, when they were enqueued (ms), how many bytes their contents have, and their bodies."""
        states = heads_of(self.count).unpack(self.heads)
        return states[::4], states[1::4], states[2::4], states[3::4]

    def some(self, wanted: list[bool]) -> "Columns | None":
        """Those that are wanted, if any is."""
        _, _, content_bytes, body_bytes = self.states()
        heads = b"".join(compress(_pieces(self.heads, 0, (HEAD_BYTES,) * self.count), wanted))
        if not heads:
            return None
        contents = b"".join(compress(_pieces(self.contents, self.content_at, content_bytes), wanted))
        bodies = b"".join(compress(_pieces(self.bodies, self.body_at, body_bytes), wanted))
        return Columns(self.queue, heads, contents, 0, len(contents), bodies, 0, len(bodies))


def _pieces(whole: bytes, at: int, sizes: tuple[int, ...]) -> list[bytes]:
    """What has these sizes, one after the other, from there on."""
    return [whole[begin : begin + size] for begin, size in zip(accumulate(sizes, initial=at), sizes, strict=False)]
