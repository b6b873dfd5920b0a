"""Records of the commit log: a batch as it is written there, and what is read again.

A record is a checksum, the batch's number, a length, and the batch. The checksum begins with the store's secret, so a record
is never taken for one of another store. Reading stops at the first record that is not whole; a number that does not follow is a
remnant. What is read is therefore exactly what was written, in order, up to some point that no acknowledgement lies behind.
"""

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow, LeaseRow, MessageRow, MoveRow
from broker.store.counters import Written, packed_counters
from broker.store.directory import SEGMENT_NAMES
from broker.store.entries import Packed
from broker.store.new_blocks import NewBlock

_CHECKSUM: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<QI")  # number, bytes of the batch
_BEFORE_BATCH: Final = _CHECKSUM.size + _HEAD.size


class _Block(msgspec.Struct, array_like=True):
    """A block of a batch. See new_blocks.py."""

    queue: int
    heads: bytes
    names: list[str | None] | None
    members: bytes
    content_bytes: int
    body_bytes: int


class _Record(msgspec.Struct, array_like=True):
    """A batch as it is written. See changes.py for what the parts are."""

    message_time_ms: int
    messages: list[MessageRow]
    leases: list[LeaseRow]
    moves: list[MoveRow]
    deleted: dict[int, int] | list[int]  # without their queues: before schema step 6
    counters: Written
    deduplication: dict[int, Packed] | list[DeduplicationRow]  # one by one: before schema step 5
    forgotten: dict[int, int]
    resources: list[tuple[tuple[str, str], bytes | None]]
    dropped: list[int]
    # The messages, by their places, whose body is that of the one before; none before schema step 7.
    repeated: list[int] = []
    # None of both before schema step 9. What was sent in blocks is in one, contents and bodies of each in turn, and at the end, so
    # that it is put there without another copy.
    blocks: list[_Block] = []
    sent: bytes = b""


_NOTHING_SENT: Final = 2  # bytes, of an empty `sent`
_SENT: Final = struct.Struct(">BI")  # MessagePack's "bin 32", bytes
_BIN_32: Final = 0xC6

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


def seed_of(secret: bytes) -> int:
    """What a store's checksums begin with."""
    return zlib.crc32(secret)


def record_of(batch: Batch, seed: int) -> tuple[bytearray, int, int]:
    """A batch's record, how many bytes of bodies are not in it, and where in it is what was sent in blocks.

    From then on, blocks have that there.
    """
    batch.pack()
    messages, repeated, left_out = batch.bodies_once()
    blocks: list[_Block] = []
    sent: list[bytes] = []
    sent_bytes = 0
    for some in batch.blocks.values():
        for block in some:
            sizes = block.content_bytes, block.body_bytes
            blocks.append(_Block(block.queue, block.heads, block.names, block.members, *sizes))
            sent += block.pieces
            sent_bytes += block.size
    payload = _encode(
        _Record(
            batch.message_time_ms,
            messages,
            list(batch.leases.values()),
            list(batch.moves.values()),
            batch.deleted,
            batch.counters,
            batch.deduplication,
            batch.forgotten,
            list(batch.resources.items()),
            batch.dropped,
            repeated,
            blocks,
        )
    )
    sent_at = _BEFORE_BATCH + len(payload) - _NOTHING_SENT + _SENT.size
    parts = [payload]
    if sent_bytes:
        parts = [payload[:-_NOTHING_SENT], _SENT.pack(_BIN_32, sent_bytes), *sent]
    head = _HEAD.pack(batch.number, sum([len(part) for part in parts]))
    record = bytearray().join((bytes(_CHECKSUM.size), head, *parts))
    with memoryview(record) as whole:
        _CHECKSUM.pack_into(record, 0, zlib.crc32(whole[_CHECKSUM.size :], seed))
    at = sent_at
    for some in batch.blocks.values():
        for block in some:
            block.place([(record, at, block.content_bytes, block.body_bytes)])
            at += block.size
    return record, left_out, sent_at


class Commits:
    """What a directory's log holds."""

    def __init__(self, found: dict[int, bytes]) -> None:
        self._found = found

    def after(self, number: int) -> list[Batch]:
        """The batches that follow one, in order, up to the first that is missing."""
        batches = []
        while (payload := self._found.get(number + 1)) is not None:
            number += 1
            batches.append(_batch(number, payload))
        return batches

    def beyond(self, number: int) -> int | None:
        """The first batch that is there although one between it and batch `number` is missing."""
        while number + 1 in self._found:
            number += 1
        return min((found for found in self._found if found > number), default=None)


def read_commits(directory: str, secret: bytes) -> Commits:
    """What is in a directory's log, where there is one. Another process may be writing it. Raises OSError."""
    found: dict[int, bytes] = {}
    for name in SEGMENT_NAMES:
        with contextlib.suppress(FileNotFoundError), open(os.path.join(directory, name), "rb") as file:
            found.update(_records(file.read(), seed_of(secret)))
    return Commits(found)


def open_segments(directory: str, secret: bytes) -> dict[int, tuple[int, str]]:
    """The files of a directory's log that have records, by the number of the first: (descriptor, path). Raises OSError."""
    found: dict[int, tuple[int, str]] = {}
    for name in SEGMENT_NAMES:
        path = os.path.join(directory, name)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        before = os.pread(file, _BEFORE_BATCH, 0)
        size = _HEAD.unpack_from(before, _CHECKSUM.size)[1] if len(before) == _BEFORE_BATCH else 0
        first = next(_records(before + os.pread(file, size, _BEFORE_BATCH), seed_of(secret)), None)
        if first is None:
            os.close(file)
        else:
            found[first[0]] = file, path
    return found


def _records(segment: bytes, seed: int) -> Iterator[tuple[int, bytes]]:
    """(number, batch) of each whole record from the beginning."""
    at, previous = 0, 0
    while at + _BEFORE_BATCH <= len(segment):
        (checksum,) = _CHECKSUM.unpack_from(segment, at)
        number, size = _HEAD.unpack_from(segment, at + _CHECKSUM.size)
        head = segment[at + _CHECKSUM.size : at + _BEFORE_BATCH]
        payload = segment[at + _BEFORE_BATCH : at + _BEFORE_BATCH + size]
        follows = not previous or number == previous + 1
        if not follows or len(payload) < size or zlib.crc32(payload, zlib.crc32(head, seed)) != checksum:
            return
        yield number, payload
        at, previous = at + _BEFORE_BATCH + size, number


def _batch(number: int, payload: bytes) -> Batch:
    record = _decode(payload)
    batch = Batch(number)
    batch.message_time_ms = record.message_time_ms
    for place in record.repeated:
        record.messages[place] = replace(record.messages[place], body=record.messages[place - 1].body)
    batch.messages = {row.id: row for row in record.messages}
    # One by one: with what a flush may have brought into the database since, later batches can say more of them.
    batch.messages.update((row.id, row) for block in _blocks(record) for row in block.rows())
    batch.leases = {row.id: row for row in record.leases}
    batch.moves = {row.id: row for row in record.moves}
    batch.deleted = record.deleted if isinstance(record.deleted, dict) else dict.fromkeys(record.deleted, 0)
    batch.counters = packed_counters(record.counters)
    if isinstance(record.deduplication, dict):
        batch.deduplication = record.deduplication
    else:
        for row in record.deduplication:
            batch.add_deduplication(row.queue, row.digest, row.order, row.sent_at_ms, row.message_id)
    batch.forgotten = record.forgotten
    batch.resources = dict(record.resources)
    batch.dropped = record.dropped
    return batch


def _blocks(record: _Record) -> Iterator[NewBlock]:
    at = 0
    for block in record.blocks:
        bodies_at, end = at + block.content_bytes, at + block.content_bytes + block.body_bytes
        contents, bodies = [record.sent[at:bodies_at]], [record.sent[bodies_at:end]]
        yield NewBlock(block.queue, block.heads, block.names, block.members, contents, bodies)
        at = end
