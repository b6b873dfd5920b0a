"""Filters over the order of acceptance: what was accepted is found where it is, and what is new is found nowhere."""

from collections.abc import Iterator

import pytest

from broker.core import acceptance
from broker.core.acceptance import Acceptance
from broker.core.deduplication import digest_of
from broker.core.limits import DEDUPLICATION_MS

pytestmark = pytest.mark.interpreted


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers and groups of a size that a test can fill."""
    monkeypatch.setattr(acceptance, "_LAYER_MIN", 4)
    monkeypatch.setattr(acceptance, "_LAYER_MAX", 32)
    monkeypatch.setattr(acceptance, "_GROUP_LAYERS", 8)


def digest(order: int) -> bytes:
    return digest_of(None, str(order))


def accepted(count: int, *, each_ms: int = 0) -> Acceptance:
    filters = Acceptance()
    for order in range(1, count + 1):
        if filters.add(digest(order), order, order * each_ms):
            filters.expire(order * each_ms)
    return filters


def filters_of(filters: Acceptance) -> Iterator[int]:
    """What each of them takes."""
    yield from (layer.memory_bytes for layer in filters._layers)
    yield from (group.memory_bytes for group in filters._groups)


@pytest.mark.parametrize("count", [1, 4, 5, 12, 60, 61, 300, 3000])
def test_what_was_accepted_is_found_where_it_is(count: int) -> None:
    filters = accepted(count)
    for order in range(1, count + 1):
        assert any(first <= order <= last for first, last in filters.spans(digest(order)))


def test_what_is_new_is_found_nowhere() -> None:
    """But for errors: 3 in 100,000 are usual, and 1 in 10,000 where the process's hashes suit a filter badly."""
    filters = accepted(3000)
    assert sum(bool(filters.spans(digest(order))) for order in range(10_000, 20_000)) < 50


def test_a_span_is_never_longer_than_a_layer() -> None:
    filters = accepted(3000)
    spans = {span for order in range(1, 3001) for span in filters.spans(digest(order))}
    assert max(last - first + 1 for first, last in spans) == 32


def test_a_new_id_is_looked_for_in_few_places_however_many_were_accepted() -> None:
    filters = accepted(32 * 8 * 20)
    assert len(filters._layers) > 160
    assert len(filters._groups) + len(filters._loose) < 30


def test_layers_expire_as_a_whole_and_groups_with_their_last() -> None:
    filters = accepted(2000, each_ms=100)
    end_ms = 2000 * 100
    for now_ms in range(end_ms, end_ms + DEDUPLICATION_MS, 10_000):
        filters.expire(now_ms)
        young = [order for order in range(1, 2001) if now_ms - order * 100 < DEDUPLICATION_MS]
        assert all(filters.spans(digest(order)) for order in young)
        assert filters.memory_bytes == sum(filters_of(filters))
    assert filters.expire(end_ms + DEDUPLICATION_MS)
    assert (filters.first, filters.memory_bytes, filters._groups) == (None, 0, [])


def test_at_a_slower_pace_layers_get_small_again() -> None:
    filters = accepted(500)
    for n in range(10):
        filters.add(digest(1000 + n), 1000 + n, (n + 1) * 60_000)
    assert filters._layers[-1].capacity == 4


@pytest.mark.parametrize("page", [10, 100])
def test_entries_are_taken_in_from_the_newest_to_the_oldest(page: int) -> None:
    filters = Acceptance()
    for last in range(1000, 0, -page):
        first = last - page + 1
        filters.take_in(first, last, last, [digest(order) for order in range(first, last + 1)])
        assert filters.first == first
    for order in range(1001, 1201):
        filters.add(digest(order), order, order)
    for order in range(1, 1201):
        assert any(first <= order <= last for first, last in filters.spans(digest(order)))
    assert filters.memory_bytes == sum(filters_of(filters))


def test_nothing_is_known_any_more() -> None:
    filters = accepted(1000)
    filters.clear()
    assert not filters.spans(digest(1))
    assert (filters.first, filters.memory_bytes) == (None, 0)
