"""A coroutine that has nothing to wait for needs no task; one that has goes on in one."""

import asyncio
import inspect

import pytest

from broker.wire.eager import start


async def test_what_waits_for_nothing_is_done_at_once() -> None:
    done = []

    async def steps() -> None:
        done.append(1)

    assert start(steps()) is None
    assert done == [1]


async def test_what_waits_goes_on_as_a_task() -> None:
    done: list[object] = []
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def steps() -> None:
        await asyncio.sleep(0)
        done.append(asyncio.current_task())
        done.append(await future)
        async with asyncio.timeout(10):
            done.append(await asyncio.to_thread(lambda: 3))

    task = start(steps())
    assert task is not None
    assert inspect.iscoroutine(task.get_coro())  # all that asyncio takes from Python 3.12 on
    assert done == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    future.set_result(2)
    await task
    assert done == [task, 2, 3]


async def test_a_failure_reaches_the_coroutine_and_then_the_task() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen = []

    async def steps() -> None:
        try:
            await future
        except KeyError as error:
            seen.append(error)
            raise ValueError from error

    task = start(steps())
    assert task is not None
    future.set_exception(KeyError())
    with pytest.raises(ValueError):
        await task
    assert len(seen) == 1


async def test_a_failure_before_the_first_wait_is_the_callers() -> None:
    async def steps() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        start(steps())


async def test_a_cancelled_task_unwinds_the_coroutine() -> None:
    ended = []

    async def steps() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    task = start(steps())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ended == [1]
    assert task.cancelled()
