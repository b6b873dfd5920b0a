"""Which queues were used lately: where memory is short, those that were not leave it."""

from collections import OrderedDict

from broker.core.errors import QueueDoesNotExist
from broker.core.ledger import Ledger
from broker.core.queue import Queue


class Usage:
    """The queues that have something in memory, as far as anyone has used them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._used: OrderedDict[Queue, None] = OrderedDict()  # the least recently used first

    def use(self, queue: Queue) -> None:
        """Somebody uses it now. Raises QueueDoesNotExist."""
        if queue.deleted:
            raise QueueDoesNotExist
        used = self._used
        if queue in used:
            used.move_to_end(queue)
        else:
            used[queue] = None

    def make_room(self, queue: Queue) -> None:
        """Above the budget, queues that were not used lately leave memory, but not this one; the store has their messages."""
        ledger = self._ledger
        while ledger.memory_bytes > ledger.memory_bytes_max and len(self._used) > 1:
            other = next(iter(self._used))
            if other is queue:
                self._used.move_to_end(queue)
                other = next(iter(self._used))
            del self._used[other]
            other.unload()

    def discard(self, queue: Queue) -> None:
        """The queue is gone."""
        self._used.pop(queue, None)

    def clear(self) -> None:
        """All are."""
        self._used.clear()
