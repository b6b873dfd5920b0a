"""Deduplication entries, packed: those of one queue that were accepted in one transaction, in their order.

Memory, the commit log and the database hold the same bytes, so an entry is put together once and taken apart only when its ID is
sent again. Digests are apart from the facts: who looks for an ID passes over the digests alone.
"""

import struct
from collections.abc import Iterator
from typing import Final

from broker.store.changes import DeduplicationRow

DIGEST_BYTES: Final = 16
ROW_ENTRIES: Final = 1_024  # of the database, at most
_MESSAGE_ID_BYTES: Final = 36
_FACTS: Final = struct.Struct("<qq36s")  # order, sent_at_ms, message ID
_FACTS_BYTES: Final = _FACTS.size

Packed = tuple[bytearray, bytearray]  # digests, facts
Row = tuple[int, int, int, int, bytes, bytes]  # queue, first and last order, newest sent_at_ms, digests, facts


def pack_facts(order: int, sent_at_ms: int, message_id: str) -> bytes:
    """What is remembered of an accepted ID beside its digest."""
    text = message_id.encode()
    assert len(text) <= _MESSAGE_ID_BYTES, "a message ID has 36 characters"
    return _FACTS.pack(order, sent_at_ms, text)


def count(packed: Packed) -> int:
    """How many entries there are."""
    return len(packed[0]) // DIGEST_BYTES


def rows_of(queue: int, packed: Packed) -> Iterator[Row]:
    """The rows of the database that hold them."""
    digests, facts = bytes(packed[0]), bytes(packed[1])
    total = count(packed)
    for begin in range(0, total, ROW_ENTRIES):
        end = min(begin + ROW_ENTRIES, total)
        first = _FACTS.unpack_from(facts, begin * _FACTS_BYTES)
        last = _FACTS.unpack_from(facts, (end - 1) * _FACTS_BYTES)
        some_digests = digests[begin * DIGEST_BYTES : end * DIGEST_BYTES]
        yield queue, first[0], last[0], last[1], some_digests, facts[begin * _FACTS_BYTES : end * _FACTS_BYTES]


def entry_at(queue: int, digests: bytes, facts: bytes, place: int) -> DeduplicationRow:
    """One of the entries, counted from 0."""
    order, sent_at_ms, text = _FACTS.unpack_from(facts, place * _FACTS_BYTES)
    digest = digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]
    return DeduplicationRow(queue, order, digest, sent_at_ms, text.rstrip(b"\0").decode())


def places_of(digests: bytes, wanted: bytes) -> Iterator[int]:
    """Where a digest is among others."""
    at = digests.find(wanted)
    while at >= 0:
        place, beside = divmod(at, DIGEST_BYTES)
        if not beside:
            yield place
        at = digests.find(wanted, at + 1)
