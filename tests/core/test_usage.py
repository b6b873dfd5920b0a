"""Who gives way when the memory budget is used up, and how much of it in one call."""

import weakref

from broker.core.ledger import Listing
from broker.core.usage import Usage
from tests.core.bench import Bench


class Held:
    """Something in memory."""

    def __init__(self, bench: Bench, size: int) -> None:
        self._ledger, self.size = bench.ledger, size
        self.used_at = 0
        self.listing: Listing | None = None
        self._ledger.memory_bytes += size

    def unload(self) -> None:
        self._ledger.memory_bytes -= self.size
        self.size = 0


def test_the_least_recently_used_leave_until_the_rest_fits(bench: Bench) -> None:
    usage = Usage(bench.ledger)
    bench.ledger.memory_bytes_max = 1_000
    held = [Held(bench, 400) for _ in range(4)]
    for one in (*held, held[0]):
        usage.keep(one)
    usage.make_room(held[3])
    assert [one.size for one in held] == [400, 0, 0, 400]


def test_one_that_is_too_large_by_itself_stays(bench: Bench) -> None:
    usage = Usage(bench.ledger)
    bench.ledger.memory_bytes_max = 1_000
    large = Held(bench, 2_000)
    usage.keep(large)
    usage.make_room(large)
    assert large.size == 2_000


def test_many_that_hold_nothing_are_passed_over_a_part_at_a_time(bench: Bench) -> None:
    usage = Usage(bench.ledger)
    bench.ledger.memory_bytes_max = 1_000
    for _ in range(2_500):
        usage.keep(Held(bench, 0))
    old, new = Held(bench, 800), Held(bench, 800)
    usage.keep(old)
    usage.keep(new)
    for size in (800, 800, 0):
        usage.make_room(new)
        assert old.size == size


def test_much_memory_is_given_back_a_part_at_a_time(bench: Bench) -> None:
    usage = Usage(bench.ledger)
    bench.ledger.memory_bytes_max = 1_000
    held = [Held(bench, 10 * 1_048_576) for _ in range(5)]
    for one in held:
        usage.keep(one)
    for left in (3, 1, 1):
        usage.make_room(held[-1])
        assert sum(one.size > 0 for one in held) == left


def test_one_that_left_and_came_back_is_as_new(bench: Bench) -> None:
    usage = Usage(bench.ledger)
    bench.ledger.memory_bytes_max = 1_000
    first, second, third = held = [Held(bench, 400) for _ in range(3)]
    usage.keep(first)
    usage.discard(first)
    for one in (second, first, third):
        usage.keep(one)
    usage.make_room(third)
    assert [one.size for one in held] == [400, 0, 400]


def test_nothing_is_kept_of_those_that_are_gone(bench: Bench) -> None:
    """Queues are made and deleted, and memory is never short."""
    usage = Usage(bench.ledger)
    gone = [Held(bench, 0) for _ in range(10_000)]
    for one in gone:
        usage.keep(one)
        usage.discard(one)
    assert len(usage._heap) <= 1_002
    for one in gone:
        usage.keep(one)
    for one in gone:
        usage.discard(one)
    left = [weakref.ref(one) for one in gone]
    del gone, one
    assert not any(ref() for ref in left)


def test_those_that_are_used_all_the_time_stay(bench: Bench) -> None:
    usage = Usage(bench.ledger)
    bench.ledger.memory_bytes_max = 1_000
    busy, idle = [Held(bench, 100) for _ in range(5)], [Held(bench, 100) for _ in range(10)]
    for one in (*busy, *idle):
        usage.keep(one)
    for _ in range(3):
        for one in busy:
            usage.keep(one)
        usage.make_room(busy[0])
    assert [one.size for one in busy] == [100] * 5
    assert [one.size for one in idle] == [0] * 5 + [100] * 5
