"""A message: what was sent (`Content`), where it stands (`Message`), and what a receive hands out (`Delivery`)."""

from typing import Final, NamedTuple

import msgspec

from broker.store.base import StoredMessage

MESSAGE_MEMORY_BYTES: Final = 600  # of a message without its content, with its places in lists and indexes (measured)
SEQUENCE_BASE: Final = 18_849_496_460_467_696_128  # AWS's sequence numbers have 20 digits; so have ours


class Attribute(NamedTuple):
    """A message attribute. `value` is the UTF-8 text, or the bytes of a Binary type (a data type that starts with Binary)."""

    name: str
    data_type: str  # String, Number or Binary, with an optional .label
    value: bytes


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that was sent but the body. Written once; opaque to the store."""

    message_id: str
    sent_at_ms: int
    sender: str
    body_md5: str
    attributes: tuple[Attribute, ...] = ()
    trace_header: str | None = None
    deduplication_id: str | None = None


_content_encoder = msgspec.msgpack.Encoder()
_content_decoder = msgspec.msgpack.Decoder(Content)


def write_content(content: Content) -> bytes:
    """The stored form of a content."""
    return _content_encoder.encode(content)


def read_content(stored: bytes) -> Content:
    return _content_decoder.decode(stored)


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A message that passed every check of its queue (`core.admission.admit`) and may be sent."""

    body: bytes  # UTF-8
    body_md5: str
    attributes: tuple[Attribute, ...]
    delay_ms: int | None  # None: the queue's
    group: str | None
    deduplication_id: str | None  # given, or the SHA-256 of the body where the queue deduplicates by content
    sender: str
    trace_header: str | None


class Sent(msgspec.Struct, frozen=True, gc=False):
    """What a sender is told. For a duplicate, the original's."""

    message_id: str
    sequence_number: str | None  # FIFO queues only


class Message(msgspec.Struct, eq=False, gc=False):
    """A message in memory. `content` and `body` may be dropped and read again; the rest is its state."""

    id: int
    order: int
    lane: int
    group: str | None
    enqueued_at_ms: int
    leased: bool = False
    visible_at_ms: int = 0
    receive_count: int = 0
    first_received_at_ms: int = 0
    source: str | None = None
    content: Content | None = None
    body: bytes | None = None
    memory_bytes: int = 0

    @classmethod
    def restore(cls, row: StoredMessage) -> "Message":
        """The message that the store read."""
        message = cls(
            row.id,
            row.order,
            row.lane,
            row.group,
            row.enqueued_at_ms,
            row.leased,
            row.visible_at_ms,
            row.receive_count,
            row.first_received_at_ms,
            row.source,
        )
        if row.content is not None and row.body is not None:
            message.fill(row.content, row.body)
        else:
            message.memory_bytes = MESSAGE_MEMORY_BYTES
        return message

    def fill(self, content: bytes, body: bytes) -> None:
        """Bring back what was sent."""
        self.content = read_content(content)
        self.body = body
        self.memory_bytes = MESSAGE_MEMORY_BYTES + 2 * len(content) + len(body)

    def empty(self) -> None:
        """Let go of what was sent; the store has it."""
        self.content = None
        self.body = None
        self.memory_bytes = MESSAGE_MEMORY_BYTES

    def __repr__(self) -> str:
        return f"<Message {self.id} count={self.receive_count} visible_at={self.visible_at_ms}>"


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One received message."""

    receipt_handle: str
    content: Content
    body: bytes
    receive_count: int
    first_received_at_ms: int
    group: str | None
    sequence_number: str | None
    source: str | None  # ARN of the queue that it was moved from as a dead letter


def sequence_number(order: int) -> str:
    """The 20-digit SequenceNumber of a place in a FIFO queue; grows with the place."""
    return str(SEQUENCE_BASE + order)
