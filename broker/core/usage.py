"""Which queues and topics were used lately: where memory is short, those that were not leave it."""

from heapq import heapify, heappop, heappush
from typing import Final, Protocol

from broker.core.errors import QueueDoesNotExist
from broker.core.ledger import Ledger
from broker.core.queue import Queue

_AT_ONCE_MAX: Final = 1_000  # in one call; many have nothing in memory
_GONE_MAX: Final = 1_000  # entries of those that are gone, beside as many as there are listed
_BYTES_AT_ONCE_MAX: Final = 16 * 1_048_576  # in one call: a hundred thousand leases take 20 ms


class Holder(Protocol):
    """What has a share of the memory budget (`Ledger.memory_bytes`): a queue, or the deduplication of a topic.

    Both numbers are Usage's own, 0 to begin with.
    """

    used_at: int  # which use of anything was its last
    listed_at: int  # and which one it is listed by; 0: it is not

    def unload(self) -> None:
        """Leave everything to the store, and give the bytes back."""
        ...


class Usage:
    """Those that have something in memory, as far as anyone has used them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._uses = 0
        # A use is a number, written down at its holder. The heap is looked at only where memory is short: entries that a later use
        # has left behind move then, those of holders that are gone are dropped.
        self._heap: list[tuple[int, Holder]] = []
        self._listed = 0

    def use(self, queue: Queue) -> None:
        """Somebody uses it now. Raises QueueDoesNotExist."""
        if queue.deleted:
            raise QueueDoesNotExist
        self._uses += 1
        queue.used_at = self._uses
        if not queue.listed_at:
            self._list(queue)

    def keep(self, holder: Holder) -> None:
        """It is used now, and the last to leave memory."""
        self._uses += 1
        holder.used_at = self._uses
        if not holder.listed_at:
            self._list(holder)

    def _list(self, holder: Holder) -> None:
        self._listed += 1
        self._enter(holder)
        if len(self._heap) > 2 * self._listed + _GONE_MAX:
            self._heap = [(used_at, other) for used_at, other in self._heap if other.listed_at == used_at]
            heapify(self._heap)

    def _enter(self, holder: Holder) -> None:
        holder.listed_at = holder.used_at
        heappush(self._heap, (holder.used_at, holder))

    def make_room(self, holder: Holder) -> None:
        """Above the budget, those that were not used lately leave memory, but not this one.

        What would take long is left to the calls that follow.
        """
        ledger = self._ledger
        if ledger.memory_bytes <= ledger.memory_bytes_max:
            return
        left = _AT_ONCE_MAX
        enough_bytes = max(ledger.memory_bytes_max, ledger.memory_bytes - _BYTES_AT_ONCE_MAX)
        while ledger.memory_bytes > enough_bytes and self._listed > 1 and left:
            left -= 1
            listed_at, other = heappop(self._heap)
            if other.listed_at != listed_at:
                continue
            if other is holder and other.used_at == listed_at:
                self._uses += 1
                other.used_at = self._uses
            if other.used_at != listed_at:
                self._enter(other)
                continue
            self.discard(other)
            other.unload()

    def discard(self, holder: Holder) -> None:
        """It is gone. Its owner has unloaded it."""
        if holder.listed_at:
            holder.listed_at = 0
            self._listed -= 1

    def clear(self) -> None:
        """All are."""
        for _, holder in self._heap:
            holder.listed_at = 0
        self._heap.clear()
        self._listed = 0
