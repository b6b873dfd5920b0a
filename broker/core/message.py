"""A message where it stands (`Message`), one that may be sent (`Admitted`), what a sender is told (`Sent`) and a receiver gets
(`Delivery`).
"""

from typing import Final

from broker.core.content import Attribute, Content, read_content, read_contents
from broker.store.base import StoredMessage
from broker.store.changes import LANE_READY
from broker.store.columns import Columns

MESSAGE_MEMORY_BYTES: Final = 600  # of a message without its content, with its places in lists and indexes (measured)
# AWS's sequence numbers have 20 digits; so have ours. In two parts, since compiled code never lets go of an integer of more than 62
# bits that was made a text (docs/adr/0014-compiled-modules.md).
_FIRST_DIGITS: Final = "18"
_OTHER_DIGITS: Final = 849_496_460_467_696_128


class Admitted:
    """A message that passed every check of its queue (`core.admission.admit`) and may be sent."""

    __slots__ = ("attributes", "body", "body_md5", "deduplication_id", "delay_ms", "group", "sender", "trace_header")

    def __init__(
        self,
        body: bytes,
        body_md5: str,
        attributes: tuple[Attribute, ...],
        delay_ms: int | None,
        group: str | None,
        deduplication_id: str | None,
        sender: str,
        trace_header: str | None,
    ) -> None:
        self.body: Final = body  # UTF-8
        self.body_md5: Final = body_md5
        self.attributes: Final = attributes
        self.delay_ms: Final = delay_ms  # None: the queue's
        self.group: Final = group
        # Given, or the body's SHA-256 where the queue deduplicates by content.
        self.deduplication_id: Final = deduplication_id
        self.sender: Final = sender
        self.trace_header: Final = trace_header


class Sent:
    """What a sender is told. For a duplicate, the original's."""

    __slots__ = ("message_id", "sequence_number")

    def __init__(self, message_id: str, sequence_number: str | None) -> None:
        self.message_id: Final = message_id
        self.sequence_number: Final = sequence_number  # FIFO queues only


class Message:
    """A message in memory. `content` and `body` may be dropped and read again; the rest is its state."""

    __slots__ = (
        "body",
        "content",
        "enqueued_at_ms",
        "first_received_at_ms",
        "group",
        "id",
        "lane",
        "leased",
        "memory_bytes",
        "order",
        "receive_count",
        "source",
        "visible_at_ms",
    )

    def __init__(self, id: int, order: int, lane: int, group: str | None, enqueued_at_ms: int) -> None:
        self.id: Final = id
        self.order = order
        self.lane = lane
        self.group: Final = group
        self.enqueued_at_ms = enqueued_at_ms
        self.leased = False
        self.visible_at_ms = 0
        self.receive_count = 0
        self.first_received_at_ms = 0
        self.source: str | None = None
        self.content: Content | None = None
        self.body: bytes | None = None
        self.memory_bytes = 0

    @staticmethod
    def restore(row: StoredMessage) -> "Message":
        """The message that the store read."""
        message = Message(row.id, row.order, row.lane, row.group, row.enqueued_at_ms)
        message.leased = row.leased
        message.visible_at_ms = row.visible_at_ms
        message.receive_count = row.receive_count
        message.first_received_at_ms = row.first_received_at_ms
        message.source = row.source
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


def restore_columns(columns: Columns) -> list[Message]:
    """The messages that the store read as columns. Raises ServiceUnavailable where they are damaged."""
    messages: list[Message] = []
    ids, enqueued_at_ms, content_bytes, body_bytes = columns.states()
    contents = read_contents(columns.count, columns.contents, columns.content_at, columns.content_bytes)
    bodies, body_at = columns.bodies, columns.body_at
    for place, message_id in enumerate(ids):
        message = Message(message_id, message_id, LANE_READY, None, enqueued_at_ms[place])
        size = body_bytes[place]
        message.content = contents[place]
        message.body = bodies[body_at : body_at + size]
        message.memory_bytes = MESSAGE_MEMORY_BYTES + 2 * content_bytes[place] + size
        body_at += size
        messages.append(message)
    return messages


def memory_bytes_of(columns: Columns) -> int:
    """What these messages come to in memory, once they are restored."""
    return columns.count * MESSAGE_MEMORY_BYTES + 2 * columns.content_bytes + columns.body_bytes


class Delivery:
    """One received message."""

    __slots__ = (
        "body",
        "content",
        "first_received_at_ms",
        "group",
        "receipt_handle",
        "receive_count",
        "sequence_number",
        "source",
    )

    def __init__(
        self,
        receipt_handle: str,
        content: Content,
        body: bytes,
        receive_count: int,
        first_received_at_ms: int,
        group: str | None,
        sequence_number: str | None,
        source: str | None,
    ) -> None:
        self.receipt_handle: Final = receipt_handle
        self.content: Final = content
        self.body: Final = body
        self.receive_count: Final = receive_count
        self.first_received_at_ms: Final = first_received_at_ms
        self.group: Final = group
        self.sequence_number: Final = sequence_number
        self.source: Final = source  # ARN of the queue that it was moved from as a dead letter


def sequence_number(order: int) -> str:
    """The 20-digit SequenceNumber of a place in a FIFO queue; grows with the place."""
    return _FIRST_DIGITS + str(_OTHER_DIGITS + order)
