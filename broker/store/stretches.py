"""Stretches: consecutive messages of a queue that lie together in the indexes of message groups.

An index by group alone has a deep queue's groups a page each: a message sent or deleted then costs a page of the log, where a
shallow queue's groups share a few pages. So the index is by stretch, then by group. Numbers of stretches grow with the order
of a queue's LANE_READY, and a reader of one group steps from stretch to stretch, one look-up each.

The rule: all that one batch gives to a queue is of one stretch, and a later batch never goes back. What is remembered here may be
lost at any time, with a restart or a batch that fails; a stretch is then merely shorter.
"""

from typing import Final

MESSAGES_PER_STRETCH: Final = 4096  # about twenty pages of the index
# A block is as much of a stretch as so many messages: who looks for a group passes over some hundred of them.
BLOCK_SIZE: Final = 16
_QUEUES_MAX: Final = 10_000


class Stretches:
    """The writer's: which stretch of a queue is being filled."""

    def __init__(self) -> None:
        self._filling: dict[
            int, list[int]
        ] = {}  # queue -> [its number, how much is in it, the newest batch that added some]
        self._batch = 0

    def place(self, queue: int, batch_number: int, size: int = 1) -> int:
        """The stretch of a message that this batch adds to the queue; of a block, whose size is BLOCK_SIZE."""
        if batch_number != self._batch:
            self._batch = batch_number
            if len(self._filling) >= _QUEUES_MAX:
                self._filling.clear()
        filling = self._filling.get(queue)
        if filling is None or (filling[1] >= MESSAGES_PER_STRETCH and filling[2] != batch_number):
            filling = self._filling[queue] = [batch_number, 0, batch_number]
        filling[1] += size
        filling[2] = batch_number
        return filling[0]
