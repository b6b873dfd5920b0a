"""The environments of one function version: reused while they are warm, started when they are needed, ended when they idle."""

import asyncio
from collections import deque
from typing import Final

from broker.clock import Chance
from broker.services.lambda_.runtime.commands import INTERPRETERS, Interpreters
from broker.services.lambda_.runtime.environment import LIMITS, Environment, Limits
from broker.services.lambda_.runtime.invocation import Event, Invocation
from broker.services.lambda_.runtime.logs import LogRing
from broker.services.lambda_.runtime.specs import FunctionSpec

IDLE_S: Final = 300.0


class TooManyRequests(Exception):
    """As many invocations as are allowed are under way."""


class Pool:
    """Environments of `spec`. Made on the event loop.

    `limit` is how many invocations may be under way at once, None being no limit; it may be changed at any time.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        log: LogRing,
        chance: Chance,
        *,
        limit: int | None = None,
        idle_s: float = IDLE_S,
        limits: Limits = LIMITS,
        interpreters: Interpreters = INTERPRETERS,
    ) -> None:
        self.spec = spec
        self.limit = limit
        self._log = log
        self._chance = chance
        self._idle_s = idle_s
        self._limits = limits
        self._interpreters = interpreters
        self._loop = asyncio.get_running_loop()
        self._idle: deque[tuple[float, Environment]] = deque()  # since when; the most recently used is the last
        self._in_use: set[Environment] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def in_use(self) -> int:
        """Invocations under way."""
        return len(self._in_use)

    @property
    def idle(self) -> int:
        """Environments that wait, warm."""
        return len(self._idle)

    async def invoke(self, event: Event) -> Invocation:
        """Let a warm environment, or a new one, work on the event. Raises TooManyRequests."""
        environment = self.acquire()
        try:
            return await environment.invoke(event)
        finally:
            self.release(environment)

    def acquire(self) -> Environment:
        """The most recently used warm environment, else a new one, which its first invocation starts. Raises TooManyRequests.

        It counts as in use until it is released.
        """
        assert not self._closed, "a closed pool has no environments"
        if self.limit is not None and len(self._in_use) >= self.limit:
            raise TooManyRequests
        if self._idle:
            environment = self._idle.pop()[1]
        else:
            environment = Environment(
                self.spec,
                self._log,
                self._chance,
                limits=self._limits,
                interpreters=self._interpreters,
                on_end=self._ended,
            )
        self._in_use.add(environment)
        return environment

    def release(self, environment: Environment) -> None:
        """It may be used again, unless it is at its end or the function has changed."""
        self._in_use.remove(environment)
        if environment.ended:
            return
        if self._closed or environment.spec != self.spec or not environment.started:
            self._end(environment)
            return
        self._idle.append((self._loop.time(), environment))
        if self._reaper is None:
            self._arm()

    def update(self, spec: FunctionSpec) -> None:
        """The function has changed: what is invoked from here on is the new one. Invocations under way finish."""
        if spec == self.spec:
            return
        self.spec = spec
        self._drop_idle()

    async def close(self) -> None:
        """End all environments, in use or not, and wait until their processes are gone."""
        self._closed = True
        self._drop_idle()
        for environment in self._in_use:
            self._end(environment)
        while self._ending:
            await asyncio.gather(*self._ending)

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, deque()
        for _, environment in idle:
            self._end(environment)
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None

    def _end(self, environment: Environment) -> None:
        task = self._loop.create_task(environment.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _ended(self, environment: Environment) -> None:
        """Its process is gone, or about to go."""
        if environment in self._in_use:
            return
        for entry in self._idle:
            if entry[1] is environment:
                self._idle.remove(entry)
                self._end(environment)
                return

    def _arm(self) -> None:
        self._reaper = None
        if self._idle:
            self._reaper = self._loop.call_at(self._idle[0][0] + self._idle_s, self._reap)

    def _reap(self) -> None:
        """End those that have idled for long enough: the oldest are the first."""
        overdue = self._loop.time() - self._idle_s
        while self._idle and self._idle[0][0] <= overdue:
            self._end(self._idle.popleft()[1])
        self._arm()
