"""Counters, packed: what a batch says of a queue, once put together and taken apart by a start alone.

Memory, the commit log and the database hold the same bytes. Within a flush thousands of queues may change: each is one object
then, where a row of numbers would be six.
"""

from typing import Final

import msgspec

from broker.store.changes import CounterRow

Written = dict[int, bytes] | list[CounterRow]  # in a log: by queue; row by row before schema step 7

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(CounterRow).decode


def pack_counters(row: CounterRow) -> bytes:
    """The stored form of a queue's counters."""
    return _encode(row)


def packed_counters(written: Written) -> dict[int, bytes]:
    """What a log holds, by queue."""
    return written if isinstance(written, dict) else {row.queue: pack_counters(row) for row in written}


def unpack_counters(packed: bytes) -> CounterRow:
    """What was packed."""
    return _decode(packed)
