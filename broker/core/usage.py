"""Which queues and topics were used lately: where memory is short, those that were not leave it."""

from collections import OrderedDict
from typing import Final, Protocol

from broker.core.errors import QueueDoesNotExist
from broker.core.ledger import Ledger
from broker.core.queue import Queue

_AT_ONCE_MAX: Final = 1_000  # in one call; many have nothing in memory
_BYTES_AT_ONCE_MAX: Final = 16 * 1_048_576  # in one call: a hundred thousand leases take 20 ms


class Holder(Protocol):
    """What has a share of the memory budget (`Ledger.memory_bytes`): a queue, or the deduplication of a topic."""

    def unload(self) -> None:
        """Leave everything to the store, and give the bytes back."""
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
        """Above the budget, those that were not used lately leave memory, but not this one.

        What would take long is left to the calls that follow.
        """
        ledger = self._ledger
        if ledger.memory_bytes <= ledger.memory_bytes_max:
            return
        left = _AT_ONCE_MAX
        enough_bytes = max(ledger.memory_bytes_max, ledger.memory_bytes - _BYTES_AT_ONCE_MAX)
        while ledger.memory_bytes > enough_bytes and len(self._used) > 1 and left:
            left -= 1
            other = next(iter(self._used))
            if other is holder:
                self._used.move_to_end(holder)
                other = next(iter(self._used))
            del self._used[other]
            other.unload()

    def discard(self, holder: Holder) -> None:
        """It is gone. Its owner has unloaded it."""
        self._used.pop(holder, None)

    def clear(self) -> None:
        """All are."""
        self._used.clear()
