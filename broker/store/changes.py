"""Changes: what the engine tells the store, row by row; merged into batches (batch.py).

Every change holds absolute values, names one queue or one resource, and is idempotent: applying a batch twice in a row leaves the
same rows. Within a batch the last word on a row wins, so a batch is a set of final states rather than a log, and a message that is
sent and deleted within one batch costs the disk nothing.

A *queue* here is a number, the queue's current generation. Purging gives a queue a new generation and drops the old one, which
the store then clears away in slices: nothing that refers to a dropped generation is ever read again.
"""

from typing import Final

import msgspec

# Became available when it arrived. Within a lane, order and enqueue time grow together, and what a later batch adds to a queue's
# LANE_READY has a larger order than all before.
LANE_READY: Final = 0
LANE_LATER: Final = 1  # arrived delayed, or was moved in from another queue


class MessageRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message as it arrived. Immutable but for `queue`, `lane`, `order` and `enqueued_at_ms`, which a move replaces."""

    id: int  # global sequence number, never reused; grows with arrival
    queue: int
    lane: int
    order: (
        int  # position in the queue: the id, or a later number of the same sequence where a FIFO queue got it by a move
    )
    group: str | None
    enqueued_at_ms: int  # what retention counts from
    content: bytes  # opaque to the store: everything of a message but its body
    body: bytes


class LeaseRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The timed state of a message: it exists once a message was delayed, received or moved. `visible_at_ms` may be past."""

    id: int
    queue: int
    visible_at_ms: int
    receive_count: int
    first_received_at_ms: int  # 0: never received
    source: str | None  # ARN of the queue whose redrive policy moved it here


class MoveRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message's new place. Its body and content stay as they are."""

    id: int
    queue: int
    lane: int
    order: int
    enqueued_at_ms: int
    source: int = (
        0  # the queue that it leaves; 0 in a batch of schema step 5 and before: there its place does not depend on it
    )


class CounterRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What recovery must know of a queue without reading its messages."""

    queue: int
    messages: int  # all that exist: visible, in flight and delayed
    in_flight: int  # received, visible_at_ms > settled_at_ms
    delayed: int  # in a lease row, never received, visible_at_ms > settled_at_ms
    settled_at_ms: int  # the message time that in_flight and delayed are true for
    scan_from: int  # no unleased message of LANE_READY has a smaller order
    oldest_ms: int  # no message was enqueued earlier; meaningless when there are none
    grouped: bool  # some message has carried a message group ID


class DeduplicationRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An accepted deduplication ID. `queue` is the queue's number, not a generation: a purge does not forget."""

    queue: int
    order: int  # the sequence number that a duplicate is answered with; grows with time
    digest: bytes  # 16 bytes
    sent_at_ms: int
    message_id: str
