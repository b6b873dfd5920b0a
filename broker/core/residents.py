"""Who gives way when the memory budget is used up: what was not used lately.

Everything that has a share of the budget (`Ledger.memory_bytes`) leaves its memory to the store when it is told to; the store
has it all. This module knows nothing of what it is.
"""

from collections import OrderedDict
from typing import Final, Protocol

from broker.core.ledger import Ledger

_AT_ONCE_MAX: Final = 1_000  # in one call; many have nothing in memory
_BYTES_AT_ONCE_MAX: Final = 16 * 1_048_576  # in one call: a hundred thousand leases take 20 ms


class Holder(Protocol):
    """A queue, or the deduplication of a topic."""

    def unload(self) -> None:
        """Forget what memory holds, and give its bytes back."""
        ...


class Residents:
    """Those that may have something in memory, the least recently used first."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._used: OrderedDict[Holder, None] = OrderedDict()

    def use(self, holder: Holder) -> None:
        """It is about to take memory. Whoever makes it do so calls `make_room` afterwards."""
        self._used[holder] = None
        self._used.move_to_end(holder)

    def leave(self, holder: Holder) -> None:
        """It is gone. Its owner has unloaded it."""
        self._used.pop(holder, None)

    def clear(self) -> None:
        """All memory was dropped."""
        self._used.clear()

    def make_room(self, holder: Holder) -> None:
        """Above the budget, others leave memory until this one fits. What would take long is left to the calls that follow."""
        ledger, left = self._ledger, _AT_ONCE_MAX
        enough_bytes = max(ledger.memory_bytes_max, ledger.memory_bytes - _BYTES_AT_ONCE_MAX)
        while ledger.memory_bytes > enough_bytes and len(self._used) > 1 and left:
            left -= 1
            other = next(iter(self._used))
            if other is holder:
                self._used.move_to_end(holder)
                other = next(iter(self._used))
            del self._used[other]
            other.unload()
