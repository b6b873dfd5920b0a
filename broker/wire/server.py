"""The port: plain requests by `plain_http`, everything else by `full_http`, on the same connections.

aiohttp takes longer to import than all the rest of the broker. It is imported on a thread once the port listens; who needs it
before that waits for it.
"""

import asyncio
import importlib
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from broker.wire.http import PrefixHandler
from broker.wire.intake import PARKED_BYTES_MAX, Intake
from broker.wire.plain_http import PlainHttp
from broker.wire.router import Router

if TYPE_CHECKING:
    from broker.wire.full_http import FullHttp

KEEP_ALIVE_S: Final = 80.0
_SHUTDOWN_S: Final = 3.0  # in which requests that are being answered may finish, and their replies be read
_BACKLOG: Final = 1024


class Server:
    """Listens on host:port (0: any free one) once started."""

    def __init__(
        self, router: Router, *, host: str, port: int, prefixes: Mapping[str, PrefixHandler] | None = None
    ) -> None:
        self._router = router
        self._host = host
        self._port = port
        self._prefixes = prefixes or {}
        self._socket: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self._plain: PlainHttp | None = None
        self._full: FullHttp | None = None
        self._loading: asyncio.Task[None] | None = None
        self._early: list[
            tuple[asyncio.Transport, bytes]
        ] = []  # connections that are to be taken over once that is loaded
        self.url = _url(host, port)

    def choose_port(self) -> None:
        """Make `url` true before `start`: for port 0, take a free one now. Raises OSError."""
        if self._port == 0:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._socket = socket.create_server((self._host, 0), family=family, backlog=_BACKLOG)
            self.url = _url(self._host, self._socket.getsockname()[1])

    async def start(self) -> None:
        """Bind and listen. Raises OSError where the address is taken."""
        parked = Intake(PARKED_BYTES_MAX)
        plain = PlainHttp(self._router, self._take_over, parked=parked, base_url=self._url, keep_alive_s=KEEP_ALIVE_S)
        loop = asyncio.get_running_loop()
        if self._socket is None:
            self._listener = await loop.create_server(plain.connect, self._host, self._port, backlog=_BACKLOG)
        else:
            self._listener = await loop.create_server(plain.connect, sock=self._socket, backlog=_BACKLOG)
        self._plain = plain
        self.url = _url(self._host, self._listener.sockets[0].getsockname()[1])
        self._loading = asyncio.create_task(self._load(parked))

    async def stop(self) -> None:
        """Stop listening, let the requests that are being answered finish, close all connections."""
        if self._loading is not None:
            await self._loading
        if self._listener is not None and self._plain is not None and self._full is not None:
            self._listener.close()
            self._listener = None
            await asyncio.sleep(0)  # a request that has arrived is begun
            await asyncio.gather(self._plain.stop(_SHUTDOWN_S), self._full.stop(_SHUTDOWN_S))
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _load(self, parked: Intake) -> None:
        await asyncio.to_thread(importlib.import_module, "broker.wire.full_http")
        from broker.wire.full_http import FullHttp

        self._full = FullHttp(
            self._router, self._prefixes, parked=parked, base_url=self._url, keep_alive_s=KEEP_ALIVE_S
        )
        early, self._early = self._early, []
        for transport, received in early:
            self._take_over(transport, received)

    def _take_over(self, transport: asyncio.Transport, received: bytes) -> None:
        if transport.is_closing():
            return
        if self._full is None:
            transport.pause_reading()
            self._early.append((transport, received))
        else:
            self._full.take_over(transport, received)

    def _url(self) -> str:
        return self.url


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
