"""The thread that makes the store's blocking calls, in order."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Done = Callable[[Any, BaseException | None], None]


class WriterThread:
    """Made on the event loop that it serves: `then` is called there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pombo-writer", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Any], then: Done) -> None:
        """Have a function called after those before it; then `then`, with its result or its error."""
        self._calls.put((function, then))

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, then = call
            result: Any = None
            failure: BaseException | None = None
            try:
                result = function()
            except BaseException as error:  # handed to the event loop, which decides
                failure = error
            self._loop.call_soon_threadsafe(then, result, failure)
            del call, function, then, result, failure

    def stop(self) -> None:
        """End the thread after the calls that it has. Blocking."""
        self._calls.put(None)
        self._thread.join()
