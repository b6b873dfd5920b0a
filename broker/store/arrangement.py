"""How a flush arranges the messages that arrive: which get rows of their own, and which make blocks."""

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from broker.store.batch import Batch
from broker.store.changes import LANE_READY, MessageRow
from broker.store.new_blocks import MESSAGE_BYTES_MAX, NewBlock, joined, packed

MESSAGES_MIN: Final = 8  # of a queue in one transaction; fewer get rows of their own

Arrangement = Callable[[Batch], tuple[list[MessageRow], list[NewBlock]]]

_by_id: Final = attrgetter("id")


def arranged(batch: Batch) -> tuple[list[MessageRow], list[NewBlock]]:
    """The messages of a batch that get rows of their own, and the blocks that the others make, those of a queue in order."""
    rows: list[MessageRow] = []
    waiting: dict[int, list[MessageRow]] = {}
    leases = batch.leases
    for row in batch.messages.values():
        message_id = row.id
        large = len(row.content) + len(row.body) > MESSAGE_BYTES_MAX
        if large or row.lane != LANE_READY or row.order != message_id or message_id in leases:
            rows.append(row)
        elif (some := waiting.get(row.queue)) is not None:
            some.append(row)
        else:
            waiting[row.queue] = [row]
    blocks: list[NewBlock] = []
    for queue, packed_before in batch.blocks.items():
        some = waiting.get(queue)
        if some is not None or sum([block.count for block in packed_before]) < MESSAGES_MIN:
            # Those of a queue must not overlap.
            waiting[queue] = (some or []) + [row for block in packed_before for row in block.rows()]
        else:
            blocks += joined(packed_before)
    for some in waiting.values():
        if len(some) < MESSAGES_MIN:
            rows += some
        else:
            some.sort(key=_by_id)
            blocks += packed(some)
    return rows, blocks
