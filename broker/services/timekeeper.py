"""Makes message time pass: runs what is due when the clock reaches it, and moves the manual clock from deadline to deadline."""

import asyncio
from typing import Final

from broker.clock import Clock, ManualClock
from broker.services.runtime import Runtime

_LONGEST_SLEEP_S: Final = 3_600.0  # the wall clock may be set meanwhile


class NotManual(Exception):
    """The clock follows the machine's and cannot be moved."""


class Timekeeper:
    """One per broker."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._advancing = asyncio.Lock()

    def start(self) -> None:
        """Follow the deadlines from here on."""
        self._runtime.deadlines.changed = self._arm
        self._arm()

    def stop(self) -> None:
        """Run nothing any more."""
        self._runtime.deadlines.changed = lambda: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def manual(self) -> bool:
        """Whether the clock is moved by hand."""
        return isinstance(self._clock, ManualClock)

    def now_ms(self) -> int:
        """Message time."""
        return self._clock.now_ms()

    async def advance(self, by_ms: int) -> int:
        """Move message time on by by_ms, stepping from deadline to deadline; answers the new time when all that was due is done
        and committed. Raises NotManual.
        """
        if not isinstance(self._clock, ManualClock):
            raise NotManual
        async with self._advancing:
            target_ms = self._clock.now_ms() + by_ms
            await self._runtime.quiet()
            while True:
                next_ms = self._runtime.deadlines.next_ms()
                if next_ms is None or next_ms > target_ms:
                    break
                self._clock.move_to(max(next_ms, self._clock.now_ms()))
                self._run_due()
                await self._runtime.quiet()
                await asyncio.sleep(0)
            self._clock.move_to(target_ms)
            self._runtime.commits.touch()
            await self._runtime.quiet()
            return target_ms

    def _run_due(self) -> None:
        self._runtime.deadlines.run_due(self._clock.now_ms())
        self._runtime.commits.kick()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_ms = self._runtime.deadlines.next_ms()
        if next_ms is None or isinstance(self._clock, ManualClock):
            return
        delay_s = min(max(next_ms - self._clock.now_ms(), 0) / 1000, _LONGEST_SLEEP_S)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._run_due()
        finally:
            self._arm()
