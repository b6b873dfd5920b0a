"""The manual clock is moved, not waited for; what it does, the machine's does too."""

import asyncio
import re

import pytest

from client.clock import Clock, ManualClock, SystemClock


async def test_time_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    await asyncio.sleep(0)
    assert clock.now_s() == 0
    await clock.advance(1.5)
    assert clock.now_s() == 1.5


async def test_calls_are_made_in_their_order_each_at_its_time() -> None:
    clock = ManualClock()
    made: list[tuple[str, float]] = []
    for name, delay_s in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("b2", 2.0)):
        clock.call_later(delay_s, lambda name=name: made.append((name, clock.now_s())))
    await clock.advance(2.5)
    assert made == [("a", 1.0), ("b", 2.0), ("b2", 2.0)]
    await clock.advance(0.5)
    assert made[3:] == [("c", 3.0)]


async def test_a_call_that_a_call_puts_off_falls_due_in_the_same_move() -> None:
    clock = ManualClock()
    made: list[float] = []

    def again() -> None:
        made.append(clock.now_s())
        clock.call_later(1, again)

    clock.call_later(1, again)
    await clock.advance(3)
    assert made == [1, 2, 3]


async def test_a_cancelled_call_is_not_made() -> None:
    clock = ManualClock()
    made: list[str] = []
    clock.call_later(1, lambda: made.append("a")).cancel()
    await clock.advance(2)
    assert made == []


async def test_sleepers_wake_one_after_another() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *delays_s: float) -> None:
        for delay_s in delays_s:
            await clock.sleep(delay_s)
            woken.append((name, clock.now_s()))

    tasks = [asyncio.create_task(sleep("a", 1, 1, 1)), asyncio.create_task(sleep("b", 1.5, 1.25))]
    await asyncio.sleep(0)
    await clock.advance(3)
    await asyncio.gather(*tasks)
    assert woken == [("a", 1), ("b", 1.5), ("a", 2), ("b", 2.75), ("a", 3)]


async def test_a_sleeper_that_is_cancelled_leaves_no_timer() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.until_set(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await clock.advance(1)


async def test_a_test_waits_until_a_timer_is_set() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(clock.until_set(2))
    await asyncio.sleep(0)
    clock.call_later(1, lambda: None)
    await asyncio.sleep(0)
    assert not waiting.done()
    timer = clock.call_later(2, lambda: None)
    await waiting
    await clock.until_set(2)  # still there
    timer.cancel()
    again = asyncio.create_task(clock.until_set(2))
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
async def test_what_both_clocks_promise(clock: Clock) -> None:
    assert clock.now_s() <= clock.now_s()
    assert 0 <= clock.jitter(3) <= 3
    tokens = {clock.token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", token)


async def test_the_systems_clock_calls_and_sleeps() -> None:
    clock = SystemClock()
    called = asyncio.Event()
    clock.call_later(0, called.set)
    await called.wait()
    await clock.sleep(0)
    clock.call_later(60, called.set).cancel()


def test_chance_comes_from_the_seed() -> None:
    assert ManualClock(1).token() == ManualClock(1).token()
    assert ManualClock(1).token() != ManualClock(2).token()
