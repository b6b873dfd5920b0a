"""Which queues and topics were used lately: where memory is short, those that were not leave it."""

from heapq import heapify, heappop, heappush
from typing import Final

from broker.core.errors import QueueDoesNotExist
from broker.core.ledger import Holder, Ledger, Listing
from broker.core.queue import Queue

_UNLOADED_MAX: Final = 1_000  # in one call; many have nothing in memory
_LOOKED_AT_MAX: Final = 5_000  # in one call: 5 ms
_GONE_MAX: Final = 1_000  # entries of those that are gone, beside as many as there are listed
_BYTES_AT_ONCE_MAX: Final = 16 * 1_048_576  # in one call: a hundred thousand leases take 20 ms


class Usage:
    """Those that have something in memory, as far as anyone has used them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._uses = 0
        # A use is a number, written down at its holder. Where memory is short, the heap is looked through: what was used since it
        # was entered moves to where it belongs now.
        self._heap: list[tuple[int, Listing]] = []
        self._listed = 0

    def use(self, queue: Queue) -> None:
        """Somebody uses it now. Raises QueueDoesNotExist.

        Says what `keep` says: compiled code looks a queue's attributes up by their places, and a protocol's by their names.
        """
        if queue.deleted:
            raise QueueDoesNotExist
        self._uses += 1
        queue.used_at = self._uses
        if queue.listing is None:
            self._list(queue)

    def keep(self, holder: Holder) -> None:
        """It is used now, and the last to leave memory."""
        self._uses += 1
        holder.used_at = self._uses
        if holder.listing is None:
            self._list(holder)

    def _list(self, holder: Holder) -> None:
        self._listed += 1
        holder.listing = listing = Listing(holder)
        heappush(self._heap, (holder.used_at, listing))
        if len(self._heap) > 2 * self._listed + _GONE_MAX:
            self._heap = [entry for entry in self._heap if entry[1].holder is not None]
            heapify(self._heap)

    def make_room(self, holder: Holder) -> None:
        """Above the budget, those that were not used lately leave memory, but not this one.

        What would take long is left to the calls that follow.
        """
        ledger = self._ledger
        if ledger.memory_bytes <= ledger.memory_bytes_max:
            return
        unloaded = looked_at = 0
        enough_bytes = max(ledger.memory_bytes_max, ledger.memory_bytes - _BYTES_AT_ONCE_MAX)
        while ledger.memory_bytes > enough_bytes and self._listed > 1:
            if unloaded == _UNLOADED_MAX or looked_at == _LOOKED_AT_MAX:
                return
            looked_at += 1
            entered_at, listing = heappop(self._heap)
            other = listing.holder
            if other is None:
                continue
            if other is holder and other.used_at == entered_at:
                self._uses += 1
                other.used_at = self._uses
            if other.used_at == entered_at:
                unloaded += 1
                self.discard(other)
                other.unload()
            else:
                heappush(self._heap, (other.used_at, listing))

    def discard(self, holder: Holder) -> None:
        """It is gone. Its owner has unloaded it."""
        if holder.listing is not None:
            holder.listing.holder = None
            holder.listing = None
            self._listed -= 1

    def clear(self) -> None:
        """All are."""
        for _, listing in self._heap:
            if listing.holder is not None:
                listing.holder.listing = None
        self._heap.clear()
        self._listed = 0
