"""Packed deduplication entries: what was put in is found again, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.store.batch import Batch
from broker.store.changes import DeduplicationRow
from broker.store.entries import DIGEST_BYTES, ROW_ENTRIES, count, entry_at, places_of, rows_of

DIGESTS = st.sampled_from([b"\x00" * 16, b"\x01" * 16, b"\x00" * 15 + b"\x01", b"\x01" + b"\x00" * 15])
ENTRIES = st.lists(st.tuples(DIGESTS, st.integers(0, 1 << 60), st.text("0123456789abcdef-", max_size=36)), max_size=20)


@given(ENTRIES)
def test_entries_are_read_as_they_were(entries: list[tuple[bytes, int, str]]) -> None:
    given = [DeduplicationRow(7, order, digest, at_ms, text) for order, (digest, at_ms, text) in enumerate(entries)]
    batch = Batch(1)
    for row in given:
        batch.add_deduplication(7, row.digest, row.order, row.sent_at_ms, row.message_id)
    assert sum(map(count, batch.deduplication.values())) == len(given)
    for packed in batch.deduplication.values():
        digests, facts = map(bytes, packed)
        assert [entry_at(7, digests, facts, place) for place in range(count(packed))] == given


@given(st.lists(DIGESTS, max_size=20), DIGESTS)
def test_a_digest_is_found_where_it_begins_at_a_place(digests: list[bytes], wanted: bytes) -> None:
    """Not where the end of one and the beginning of the next make it up."""
    expected = [place for place, digest in enumerate(digests) if digest == wanted]
    assert list(places_of(b"".join(digests), wanted)) == expected


@pytest.mark.parametrize("total", [1, ROW_ENTRIES, ROW_ENTRIES + 1, 3 * ROW_ENTRIES - 1])
def test_rows_hold_so_many_and_say_what_they_hold(total: int) -> None:
    batch = Batch(1)
    for n in range(total):
        batch.add_deduplication(7, b"%16d" % n, 10 * n, 5_000 + n, f"id-{n}")
    rows = list(rows_of(7, batch.deduplication[7]))
    assert all(len(digests) // DIGEST_BYTES == ROW_ENTRIES for *_, digests, _ in rows[:-1])
    at = 0
    for queue, first, last, newest_ms, digests, facts in rows:
        size = len(digests) // DIGEST_BYTES
        held = [entry_at(queue, digests, facts, place) for place in range(size)]
        assert held == [DeduplicationRow(7, 10 * n, b"%16d" % n, 5_000 + n, f"id-{n}") for n in range(at, at + size)]
        assert (first, last, newest_ms) == (held[0].order, held[-1].order, held[-1].sent_at_ms)
        at += size
    assert at == total


def test_a_message_id_is_never_cut_short() -> None:
    with pytest.raises(AssertionError):
        Batch(1).add_deduplication(1, b"x" * 16, 1, 1, "x" * 37)
