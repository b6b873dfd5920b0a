"""The client's time and chance: the only module of this package that may read a clock or draw a random number.

Everything here is process time: lingers, back-off, heartbeats. What a message's delays and timeouts follow is the endpoint's clock,
which this package never sees. A test gives a ManualClock and moves it instead of waiting.
"""

import asyncio
import heapq
import itertools
import os
import random
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that has been put off."""

    def cancel(self) -> None:
        """Do not make the call."""
        ...


class Clock(Protocol):
    """Time that passes, and chance."""

    def now_s(self) -> float:
        """Seconds since some instant; never less than an earlier answer."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make `call` on the running loop, `delay_s` seconds from now."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return `delay_s` seconds from now."""
        ...

    def jitter(self, at_most_s: float) -> float:
        """Any number of seconds from 0 to `at_most_s`, each as likely."""
        ...

    def token(self) -> str:
        """A new identifier in the form of a UUID."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_s(self) -> float:
        return time.monotonic()

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, call)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def jitter(self, at_most_s: float) -> float:
        return random.uniform(0, at_most_s)

    def token(self) -> str:
        return _uuid(os.urandom(16))


class ManualClock:
    """Stands still until it is moved. Chance comes from a seed; jitter is the longest that it may be."""

    def __init__(self, seed: int = 0) -> None:
        self._now_s = 0.0
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._numbers = itertools.count()
        self._random = random.Random(seed)
        self._watchers: list[tuple[float, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        return self._now_s

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        timer = _ManualTimer(call)
        heapq.heappush(self._timers, (self._now_s + delay_s, next(self._numbers), timer))
        for watched_s, seen in self._watchers:
            if watched_s == delay_s:
                _settle(seen)
        return timer

    async def sleep(self, delay_s: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(delay_s, lambda: _settle(over))
        try:
            await over
        finally:
            timer.cancel()

    def jitter(self, at_most_s: float) -> float:
        return at_most_s

    def token(self) -> str:
        return _uuid(self._random.randbytes(16))

    async def until_set(self, delay_s: float) -> None:
        """Return when a timer of `delay_s` seconds that started now is pending."""
        if any(at == self._now_s + delay_s and timer.call for at, _, timer in self._timers):
            return
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((delay_s, seen))
        try:
            await seen
        finally:
            self._watchers.remove((delay_s, seen))

    async def advance(self, seconds: float) -> None:
        """Move on, making the calls that fall due in their order, and let the loop pass after each."""
        until = self._now_s + seconds
        while self._timers and self._timers[0][0] <= until:
            at, _, timer = heapq.heappop(self._timers)
            self._now_s = max(self._now_s, at)
            if timer.call is not None:
                timer.call()
                await asyncio.sleep(0)
        self._now_s = until
        await asyncio.sleep(0)


class _ManualTimer:
    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self.call = None


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _uuid(token: bytes) -> str:
    h = token.hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"
