"""Filters over the order in which deduplication IDs were accepted: none knows a new ID, and those that know one say where to look.

A *layer* is a filter over a stretch of that order that is short enough for all of it to be passed over. A busy queue begins
hundreds of layers within five minutes; so those of its busy times have *groups*, one filter in front of many layers, and a new ID
is looked for in few places, however many were accepted.
"""

from collections.abc import Sequence
from typing import Final

from rbloom import Bloom

from broker.core.limits import DEDUPLICATION_MS

Span = tuple[int, int]  # the first order and the last

_LAYER_MIN: Final = 512
_LAYER_MAX: Final = 32_768  # entries; a look-up passes over all of a layer's, in C: 3 ms
_LAYER_MS: Final = 60_000  # a layer leaves the window as a whole
_LAYER_ERRORS: Final = 1e-5  # 24 bits an entry
_GROUP_LAYERS: Final = 16
_GROUP_ERRORS: Final = 1e-3  # 14 bits an entry; an error costs a look at the group's layers
_FILTER_BYTES: Final = 300  # beside its bits


class _Group:
    """A filter over the entries of several large layers."""

    __slots__ = ("bits", "room", "layers", "memory_bytes")

    def __init__(self) -> None:
        self.room = _GROUP_LAYERS * _LAYER_MAX
        self.bits = Bloom(self.room, _GROUP_ERRORS)
        self.layers: list[_Layer] = []
        self.memory_bytes = self.bits.size_in_bits // 8 + _FILTER_BYTES


class _Layer:
    """A filter over the entries from `first` to `last` in the order of acceptance."""

    __slots__ = ("bits", "capacity", "room", "first", "last", "begun_ms", "newest_ms", "group", "memory_bytes")

    def __init__(self, capacity: int, first: int, last: int, begun_ms: int, newest_ms: int) -> None:
        self.bits = Bloom(capacity, _LAYER_ERRORS)
        self.capacity = capacity
        self.room = capacity
        self.first = first
        self.last = last
        self.begun_ms = begun_ms
        self.newest_ms = newest_ms
        self.group: _Group | None = None
        self.memory_bytes = self.bits.size_in_bits // 8 + _FILTER_BYTES


class Acceptance:
    """The filters of one queue or topic. `memory_bytes` is what they take."""

    def __init__(self) -> None:
        self.memory_bytes = 0
        self._layers: list[_Layer] = []  # the oldest first; the last one is being filled
        self._loose: list[_Layer] = []  # those of them without a group
        self._groups: list[_Group] = []

    @property
    def first(self) -> int | None:
        """The order of the oldest entry that is known."""
        return self._layers[0].first if self._layers else None

    @property
    def last(self) -> int:
        """The order of the newest entry that is known; 0: there is none."""
        return self._layers[-1].last if self._layers else 0

    def spans(self, digest: bytes) -> list[Span]:
        """Where an ID may have been accepted; nothing: it is new."""
        found: list[Span] = []
        for group in self._groups:
            if digest in group.bits:
                found += [(layer.first, layer.last) for layer in group.layers if digest in layer.bits]
        for layer in self._loose:
            if digest in layer.bits:
                found.append((layer.first, layer.last))
        return found

    def add(self, digest: bytes, order: int, at_ms: int) -> bool:
        """An ID was accepted, after all others; whether a layer was begun for it, which is when some may have expired."""
        layer = self._layers[-1] if self._layers else None
        begins = layer is None or not layer.room or at_ms - layer.begun_ms >= _LAYER_MS
        if layer is None or begins:
            layer = self._begin(layer, order, at_ms)
        layer.room -= 1
        layer.last = order
        layer.newest_ms = at_ms
        layer.bits.add(digest)
        if layer.group is not None:
            layer.group.bits.add(digest)
        return begins

    def _begin(self, before: _Layer | None, order: int, at_ms: int) -> _Layer:
        """A layer of a size that suits the pace."""
        capacity = _LAYER_MIN
        if before is not None and before.room == 0:
            capacity = min(2 * before.capacity, _LAYER_MAX)
        elif before is not None:
            capacity = max(before.capacity // 2, _LAYER_MIN)
        layer = _Layer(capacity, order, order, at_ms, at_ms)
        self._place(layer, self._groups[-1] if self._groups else None)
        self._layers.append(layer)
        return layer

    def _place(self, layer: _Layer, group: _Group | None) -> None:
        """Put a large layer into a group: this one, where it has room."""
        self.memory_bytes += layer.memory_bytes
        if layer.capacity < _LAYER_MAX:
            self._loose.append(layer)
            return
        if group is None or group.room < layer.capacity:
            group = _Group()
            self._groups.append(group)
            self.memory_bytes += group.memory_bytes
        group.room -= layer.capacity
        group.layers.append(layer)
        layer.group = group

    def expire(self, now_ms: int) -> bool:
        """Let go of the layers that have left the window; whether there were any."""
        layers = self._layers
        gone = 0
        while gone < len(layers) and now_ms - layers[gone].newest_ms >= DEDUPLICATION_MS:
            self._let_go(layers[gone])
            gone += 1
        del layers[:gone]
        return gone > 0

    def _let_go(self, layer: _Layer) -> None:
        self.memory_bytes -= layer.memory_bytes
        group = layer.group
        if group is None:
            self._loose.remove(layer)
            return
        group.layers.remove(layer)
        if not group.layers:
            self._groups.remove(group)
            self.memory_bytes -= group.memory_bytes

    def take_in(self, first: int, last: int, newest_ms: int, digests: Sequence[bytes]) -> None:
        """Entries that precede all others."""
        count = len(digests)
        oldest = self._layers[0] if self._layers else None
        if oldest is None or oldest.room < count:
            # The first of them may be all there are. Whatever comes next, more will.
            capacity = max(count, _LAYER_MIN if oldest is None else _LAYER_MAX)
            before = None if oldest is None else oldest.group
            oldest = _Layer(capacity, first, last, newest_ms, newest_ms)
            self._place(oldest, before)
            self._layers.insert(0, oldest)
        oldest.first = first
        oldest.begun_ms = 0  # complete: what is added goes into another one
        oldest.room -= count
        oldest.bits.update(digests)
        if oldest.group is not None:
            oldest.group.bits.update(digests)

    def clear(self) -> None:
        """Know nothing any more."""
        self._layers.clear()
        self._loose.clear()
        self._groups.clear()
        self.memory_bytes = 0
