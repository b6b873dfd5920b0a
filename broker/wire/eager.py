"""Coroutines that mostly have nothing to wait for: run at once, and made into a task only where they do."""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


def start(steps: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
    """Run a coroutine up to its first wait, which belongs to no task yet: what needs one (`asyncio.timeout`) must not come before
    it. The task that goes on from there, for the caller to hold; None if it has ended. Raises what it raises until then.
    """
    try:
        waited_for = steps.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_go_on(steps, waited_for))


async def _go_on(steps: Coroutine[Any, Any, None], waited_for: Any) -> None:
    """What a task takes: from Python 3.12 on it has to be a coroutine by declaration."""
    await _rest(steps, waited_for)


@coroutine
def _rest(steps: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    """What is left of a coroutine that has been begun, and waits."""
    while True:
        failure: BaseException | None = None
        value: Any = None
        try:
            value = yield waited_for
        except BaseException as error:  # the coroutine's to handle: a cancellation, as a rule
            failure = error
        try:
            waited_for = steps.send(value) if failure is None else steps.throw(failure)
        except StopIteration:
            return
