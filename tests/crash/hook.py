"""An HTTP endpoint for a subscription, in the checker's process: it takes most messages at once, and some when they come again."""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_REFUSED = 0.2  # of the messages, once each


class Hook:
    """`took` is called with every notification that was answered with 200."""

    def __init__(self, chance: random.Random, took: Callable[[str], None]) -> None:
        self._chance = chance
        self._took = took
        self._known: set[str] = set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.token: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.refused = 0

    async def start(self) -> str:
        """Serve; the endpoint's URL."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}/"

    async def stop(self) -> None:
        """No broker is connected any more, or will be."""
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._connections)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                status = self._answer(json.loads(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status)
        except (OSError, asyncio.IncompleteReadError):
            """The broker was killed."""
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _answer(self, document: dict[str, Any]) -> int:
        if document["Type"] == "SubscriptionConfirmation":
            self.token.set_result(document["Token"])
            return 200
        message = document["Message"]
        first, _ = message not in self._known, self._known.add(message)
        if first and self._chance.random() < _REFUSED:
            self.refused += 1
            return 500
        self._took(message)
        return 200
