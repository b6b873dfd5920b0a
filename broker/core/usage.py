"""Which queues and topics were used lately: where memory is short, those that were not leave it."""

from collections import OrderedDict
from typing import Protocol

from broker.core.errors import QueueDoesNotExist
from broker.core.ledger import Ledger
from broker.core.queue import Queue


class Holder(Protocol):
    """What takes memory of the budget: a queue, or the deduplication window of a topic."""

    def unload(self) -> None:
        """Forget what memory holds, and give its bytes back; the store has it."""
        ...


class Usage:
    """Those that have something in memory, as far as anyone has used them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._used: OrderedDict[Holder, None] = OrderedDict()  # the least recently used first

    def use(self, queue: Queue) -> None:
        """Somebody uses it now. Raises QueueDoesNotExist."""
        if queue.deleted:
            raise QueueDoesNotExist
        self.keep(queue)

    def keep(self, holder: Holder) -> None:
        """It is used now, and the last to leave memory."""
        used = self._used
        if holder in used:
            used.move_to_end(holder)
        else:
            used[holder] = None

    def make_room(self, holder: Holder) -> None:
        """Above the budget, those that were not used lately leave memory, but not this one."""
        ledger = self._ledger
        while ledger.memory_bytes > ledger.memory_bytes_max and len(self._used) > 1:
            other = next(iter(self._used))
            if other is holder:
                self._used.move_to_end(holder)
                other = next(iter(self._used))
            del self._used[other]
            other.unload()

    def discard(self, holder: Holder) -> None:
        """It is gone, and holds nothing."""
        self._used.pop(holder, None)

    def clear(self) -> None:
        """All are."""
        self._used.clear()
