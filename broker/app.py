"""The composition root: builds a broker out of its layers, starts it, stops it. It alone knows everything."""

import asyncio
import gc
import os
from collections.abc import Callable

from broker.clock import Chance, Clock, ManualClock, SystemClock, process_time_s
from broker.config import Config
from broker.console.routes import Console
from broker.declarations import declare
from broker.services import lambda_, sns, sqs
from broker.services.runtime import Runtime
from broker.services.timekeeper import Timekeeper
from broker.store.sqlite import SqliteStore
from broker.wire.router import Router
from broker.wire.server import Server

SERVICES = [sqs.SERVICE, sns.SERVICE, lambda_.SERVICE]

# A request makes no cycles, and messages in memory are many: the collector may look less often than Python's 700 allows.
_YOUNG_OBJECTS_MAX = 20_000


class Broker:
    """One broker on one data directory. `fatal`: called when the process must end because what is on disk is uncertain."""

    def __init__(self, config: Config, *, fatal: Callable[[BaseException], None] | None = None) -> None:
        self.config = config
        self._fatal = fatal or self._stop_serving
        self._failed: BaseException | None = None
        self._ended = asyncio.Event()
        self.started_in_s = 0.0

    async def start(self) -> None:
        """Recover, declare, listen. Raises StoreUnusable, ConfigError, OSError (the port)."""
        began_s = process_time_s()
        gc.disable()  # recovery makes objects that stay: looking for garbage among them would take a third of a long start
        try:
            await self._build()
            gc.collect()
            gc.freeze()
        finally:
            gc.enable()
        gc.set_threshold(_YOUNG_OBJECTS_MAX, 20, 50)
        self.started_in_s = process_time_s() - began_s

    async def _build(self) -> None:
        clock: Clock = ManualClock() if self.config.clock == "manual" else SystemClock()
        chance = Chance()
        self.store = SqliteStore(self.config.data, synchronous=self.config.synchronous)
        recovered = await asyncio.to_thread(self.store.open)
        try:
            clock.resume(recovered.message_time_ms)
            self.runtime = Runtime(
                self.store, clock, chance, recovered, cooldowns=self.config.cooldowns, fatal=self._fatal
            )
            self.timekeeper = Timekeeper(self.runtime, clock)
            router = Router(SERVICES, self.runtime)
            console = Console(SERVICES, self.runtime, self.timekeeper, self.config)
            self.server = Server(router, host=self.config.host, port=self.config.port, prefixes=console.prefixes())
            self.server.choose_port()
            self.outboxes = sns.attach(
                self.runtime,
                self.server.url,
                smtp=self.config.mail_server,
                certificate_base=self.config.certificate_base,
            )
            code = os.path.join(self.store.directory, "code")
            self.workers = lambda_.attach(self.runtime, code, self.server.url)
            await self.runtime.start()
            self.timekeeper.start()
            await declare(self.runtime, self.config, self.server.url)
            await self.server.start()
        except BaseException:
            await self.stop()
            raise

    @property
    def url(self) -> str:
        """Where the broker listens: http://HOST:PORT."""
        return self.server.url

    async def stop(self) -> None:
        """Answer what waits, commit, checkpoint, let go of the data directory."""
        if hasattr(self, "timekeeper"):
            self.timekeeper.stop()
        if hasattr(self, "runtime"):
            self.runtime.dismiss_waiters()
        if hasattr(self, "server"):
            await self.server.stop()
        if hasattr(self, "runtime"):
            await self.runtime.close()
        if hasattr(self, "workers"):
            await self.workers.close()
        if hasattr(self, "outboxes"):
            await self.outboxes.close()
        await asyncio.to_thread(self.store.close)

    async def serve_until(self, stop: asyncio.Event, *, ready: Callable[[], None] = lambda: None) -> None:
        """Start, serve until `stop` is set or the store fails, and stop. `ready` is called when all that is declared exists.

        Raises what made the broker fail.
        """
        await self.start()
        ready()
        waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(self._ended.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if self._failed is not None:
            raise self._failed
        await self.stop()

    def _stop_serving(self, error: BaseException) -> None:
        self._failed = error
        self._ended.set()
