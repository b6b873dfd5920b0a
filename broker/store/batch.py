"""A batch: the Changes of one transaction, merged."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from broker.store.changes import LANE_READY, CounterRow, LeaseRow, MessageRow, MoveRow
from broker.store.counters import pack_counters
from broker.store.entries import Packed, pack_facts
from broker.store.new_blocks import MESSAGE_BYTES_MAX, BlockBuilder, NewBlock

SMALL_ROWS: Final = 2_048
SMALL_BYTES: Final = 512 * 1024


class Batch:
    """The Changes that one transaction will hold. Filled by the engine, read once by the store."""

    __slots__ = (
        "number",
        "message_time_ms",
        "messages",
        "left",
        "left_bytes",
        "_left_last",
        "blocks",
        "leases",
        "moves",
        "deleted",
        "counters",
        "deduplication",
        "forgotten",
        "resources",
        "dropped",
    )

    def __init__(self, number: int) -> None:
        self.number = number  # consecutive; the store keeps the last one committed
        self.message_time_ms = 0  # the newest message time seen; set when the batch is cut
        self.messages: dict[int, MessageRow] = {}
        # Queue -> messages that memory does not keep: no Change speaks of one before a read of the store has found it.
        self.left: dict[int, BlockBuilder] = {}
        self.left_bytes = 0
        self._left_last: bytes | None = None  # the body of the last of them
        self.blocks: dict[int, list[NewBlock]] = {}  # the same, packed
        self.leases: dict[int, LeaseRow] = {}
        self.moves: dict[int, MoveRow] = {}
        self.deleted: dict[int, int] = {}  # message ids that the store may hold -> the queue it has them for
        self.counters: dict[int, bytes] = {}  # queue -> packed
        self.deduplication: dict[int, Packed] = {}  # queue number -> accepted IDs
        self.forgotten: dict[int, int] = {}  # queue number -> deduplication entries up to this order have expired
        self.resources: dict[tuple[str, str], bytes | None] = {}  # (kind, key) -> record, None: deleted
        self.dropped: list[int] = []  # generations whose rows are to be cleared away

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        return bool(
            self.messages
            or self.left
            or self.blocks
            or self.leases
            or self.deleted
            or self.counters
            or self.resources
            or self.moves
            or self.deduplication
            or self.dropped
            or self.forgotten
            or self.message_time_ms
        )

    @property
    def arrivals(self) -> int:
        """How many messages arrive."""
        count = len(self.messages) + sum([builder.count for builder in self.left.values()])
        return count + sum([block.count for blocks in self.blocks.values() for block in blocks])

    @property
    def rows(self) -> int:
        """How many rows it changes, about."""
        return self.arrivals + len(self.leases) + len(self.deleted) + len(self.moves) + len(self.deduplication)

    @property
    def message_bytes(self) -> int:
        """Of the messages that arrive."""
        return self.left_bytes + sum([len(row.content) + len(row.body) for row in self.messages.values()])

    def is_small(self) -> bool:
        """Whether to write it down takes no more than some hundred microseconds."""
        return (
            self.rows <= SMALL_ROWS
            and self.message_bytes <= SMALL_BYTES
            and not self.resources  # records may be large, and are rare
        )

    def bodies_once(self) -> tuple[list[MessageRow], list[int], int]:
        """The messages that arrive, the places of those that stand without their body, and the bytes left out.

        It is the body of the one before, as with the copies that a topic's queues get.
        """
        rows: list[MessageRow] = []
        places: list[int] = []
        left_out = 0
        body: bytes | None = None
        for row in self.messages.values():
            if row.body is body:
                places.append(len(rows))
                left_out += len(row.body)
                row = MessageRow(
                    row.id, row.queue, row.lane, row.order, row.group, row.enqueued_at_ms, row.content, b""
                )
            else:
                body = row.body
            rows.append(row)
        return rows, places, left_out

    def add_message(self, row: MessageRow) -> None:
        """A message has arrived."""
        self.messages[row.id] = row

    def leave_message(
        self, message_id: int, queue: int, group: str | None, enqueued_at_ms: int, content: bytes, body: bytes
    ) -> None:
        """The same, to wait in the store alone, in LANE_READY. It has its place after all others of its queue.

        No lease, move or end of it is in this batch, nor in any that follows, before a read of the store has found it.
        """
        size = len(content) + len(body)
        # A body that several share is written once where they have rows.
        if size > MESSAGE_BYTES_MAX or body is self._left_last:
            self.messages[message_id] = MessageRow(
                message_id, queue, LANE_READY, message_id, group, enqueued_at_ms, content, body
            )
            return
        self._left_last = body
        self.left_bytes += size
        builder = self.left.get(queue)
        if builder is None:
            builder = self.left[queue] = BlockBuilder(queue)
        builder.add(message_id, group, enqueued_at_ms, content, body)

    def pack(self) -> None:
        """Make blocks of what is left to the store."""
        for queue, builder in self.left.items():
            self.blocks[queue] = builder.blocks()
        self.left = {}

    def set_lease(self, row: LeaseRow) -> None:
        """A message was delayed, received, moved, or its visibility changed."""
        self.leases[row.id] = row

    def move_message(self, row: MoveRow) -> None:
        """A message now belongs to another queue, and so does its lease."""
        lease = self.leases.get(row.id)
        if lease is not None and lease.queue != row.queue:
            self.leases[row.id] = replace(lease, queue=row.queue)
        arrived = self.messages.get(row.id)
        if arrived is None:
            earlier = self.moves.get(row.id)
            self.moves[row.id] = row if earlier is None else replace(row, source=earlier.source)
        else:
            self.messages[row.id] = replace(
                arrived, queue=row.queue, lane=row.lane, order=row.order, enqueued_at_ms=row.enqueued_at_ms
            )

    def delete_message(self, message_id: int, queue: int) -> None:
        """A message of this queue is gone: consumed or expired."""
        self.leases.pop(message_id, None)
        moved = self.moves.pop(message_id, None)
        if self.messages.pop(message_id, None) is None:
            self.deleted[message_id] = queue if moved is None else moved.source

    def set_counters(self, row: CounterRow) -> None:
        self.counters[row.queue] = pack_counters(row)

    def add_deduplication(self, queue: int, digest: bytes, order: int, sent_at_ms: int, message_id: str) -> None:
        """A deduplication ID was accepted, after all others of `queue` (a queue's number). See DeduplicationRow."""
        packed = self.deduplication.get(queue)
        if packed is None:
            packed = self.deduplication[queue] = bytearray(), bytearray()
        packed[0].extend(digest)
        packed[1].extend(pack_facts(order, sent_at_ms, message_id))

    def forget_deduplication(self, queue: int, up_to: int) -> None:
        """The entries of `queue` (a queue's number) up to this order have expired: none of them is looked up again."""
        self.forgotten[queue] = max(up_to, self.forgotten.get(queue, 0))

    def put_resource(self, kind: str, key: str, record: bytes) -> None:
        """Create or replace the record of a named thing (a queue, a move task, later a topic)."""
        self.resources[kind, key] = record

    def delete_resource(self, kind: str, key: str) -> None:
        self.resources[kind, key] = None

    def drop_generation(self, queue: int) -> None:
        """No row of this generation will be read again. Its counters go at once, its messages in slices after the commit."""
        self.counters.pop(queue, None)
        self.dropped.append(queue)

    def absorb(self, later: "Batch") -> None:
        """Become what this batch and the one that follows it come to together. `later` stays as it is; both are packed."""
        assert not later.left
        self.messages.update(later.messages)
        for row_queue, blocks in later.blocks.items():
            self.blocks.setdefault(row_queue, []).extend(blocks)
        self.left_bytes += later.left_bytes
        self.leases.update(later.leases)
        for row in later.moves.values():
            self.move_message(row)
        for message_id, queue in later.deleted.items():
            self.delete_message(message_id, queue)
        self.counters.update(later.counters)
        for queue in later.dropped:
            self.drop_generation(queue)
        for queue, (digests, facts) in later.deduplication.items():
            packed = self.deduplication.setdefault(queue, (bytearray(), bytearray()))
            packed[0].extend(digests)
            packed[1].extend(facts)
        for queue, up_to in later.forgotten.items():
            self.forget_deduplication(queue, up_to)
        self.resources.update(later.resources)
        self.number = later.number
        self.message_time_ms = max(self.message_time_ms, later.message_time_ms)


def merged(batches: Sequence[Batch]) -> Batch:
    """What consecutive batches come to: what was sent and deleted among them is not in it. They stay as they are."""
    if len(batches) == 1:
        return batches[0]
    whole = Batch(batches[0].number)
    for batch in batches:
        whole.absorb(batch)
    return whole
