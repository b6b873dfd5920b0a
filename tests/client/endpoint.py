"""An HTTP server with answers prepared by the test: what no broker would say on demand."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.test_utils import TestServer

from client.client import Client
from client.clock import ManualClock

Answer = Callable[["Arrived"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Arrived:
    """A request, and the connection that it came on."""

    request: web.Request
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name."""
        return {name.lower(): value for name, value in self.request.headers.items()}

    @property
    def connection(self) -> int:
        """The port that the client's end has."""
        assert self.request.transport is not None
        return int(self.request.transport.get_extra_info("peername")[1])


class Endpoint:
    """Gives its answers in order, and the last of them again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[Answer] = deque()
        self.arrived: list[Arrived] = []
        self.connections: list[int] = []
        self.closing = asyncio.Event()
        self.held = asyncio.Semaphore(0)

    def says(self, *answers: Answer) -> None:
        """What is answered from now on."""
        self.answers = deque(answers)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        arrived = Arrived(request, await request.read())
        self.arrived.append(arrived)
        self.connections.append(arrived.connection)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return await answer(arrived)

    async def holds(self, arrived: Arrived) -> web.StreamResponse:
        """No answer until the endpoint closes. `held` can be acquired once for each."""
        self.held.release()
        await self.closing.wait()
        return web.Response(status=500)


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Answer:
    """This answer. A header's name is written with underscores."""

    async def say(arrived: Arrived) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return say


FOUND = answer(body=b'{"QueueUrl":"http://q/1/q"}')


def refusal(code: str, status: int = 400, message: str = "no") -> Answer:
    """An error in AWS JSON."""
    return answer(status, f'{{"__type":"com.amazonaws.sqs#{code}","message":"{message}"}}'.encode())


async def resets(arrived: Arrived) -> web.StreamResponse:
    """The connection breaks instead of an answer."""
    assert arrived.request.transport is not None
    arrived.request.transport.abort()
    return web.Response()


async def breaks_off(arrived: Arrived) -> web.StreamResponse:
    """The connection breaks in the middle of an answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(arrived.request)
    await response.write(b'{"QueueUrl":')
    assert arrived.request.transport is not None
    arrived.request.transport.close()
    return response


def client_of(endpoint: Endpoint | str, clock: ManualClock | None = None, **settings: float) -> Client:
    """A client of this endpoint, whose clock stands still."""
    url = endpoint if isinstance(endpoint, str) else endpoint.url
    return Client(endpoint_url=url, access_key="AKID", secret_key="secret", clock=clock or ManualClock(), **settings)


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of the loopback interface."""
    endpoint = Endpoint()
    application = web.Application(client_max_size=2**24)
    application.router.add_route("*", "/{path:.*}", endpoint.serve)
    async with TestServer(application) as server:
        endpoint.url = str(server.make_url("")).rstrip("/")
        try:
            yield endpoint
        finally:
            endpoint.closing.set()
