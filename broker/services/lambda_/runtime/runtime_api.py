"""AWS's Runtime API: how a function's process gets events and gives results, on a loopback port of its own.

Keeps the state that the process is in and says what is wrong with a request that does not fit it; what a result means is the
environment's matter. A streamed result is gathered: callers of Invoke get it whole.
Source: Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes", and its OpenAPI specification.
"""

import asyncio
import json
from enum import Enum
from typing import Final, Protocol

from aiohttp import web

from broker.services.lambda_.runtime.invocation import PAYLOAD_BYTES_MAX, Answer, Event, Failure, too_large

_PREFIX: Final = "/2018-06-01/runtime/"
_ERROR_TYPE: Final = "Lambda-Runtime-Function-Error-Type"
_IDLE_S: Final = 3600.0  # a connection that is kept open between two requests
_CLOSE_S: Final = 0.1


class State(Enum):
    """Where the process is. The names are those in AWS's error texts."""

    STARTED = "Started"
    INIT_FAILED = "InitError"
    READY = "Ready"  # waits for an event, or may ask for one
    RUNNING = "Running"
    ANSWERED = "ResponseSent"


class Listener(Protocol):
    """Who is told what the process does."""

    def ready(self) -> None:
        """It asks for the next event: it is initialised, or done with the one before."""
        ...

    def init_failed(self, failure: Failure) -> None:
        """It reported that it cannot be initialised."""
        ...

    def answered(self, answer: Answer) -> None:
        """It answered the event that it was given."""
        ...


class RuntimeApi:
    """The API of one execution environment."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._state = State.STARTED
        self._event: Event | None = None  # given, and not yet fetched; or being worked on
        self._deadline_ms = 0
        self._parked: asyncio.Future[bool] | None = None
        self._web = web.Server(self._handle, handler_cancellation=True, access_log=None, keepalive_timeout=_IDLE_S)
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; answers HOST:PORT."""
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def give(self, event: Event, deadline_ms: int) -> None:
        """Let the process have this event. It must be ready for one."""
        assert self._state is State.READY and self._event is None, "one event at a time"
        self._event = event
        self._deadline_ms = deadline_ms
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(True)

    async def close(self) -> None:
        """Stop listening, and drop the connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
            await self._web.shutdown(_CLOSE_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        method = request.method
        if path == _PREFIX + "invocation/next" and method == "GET":
            return await self._next()
        if method == "POST" and path.startswith(_PREFIX):
            if path == _PREFIX + "init/error":
                return await self._init_error(request)
            where, _, verb = path.removeprefix(_PREFIX + "invocation/").rpartition("/")
            if where and "/" not in where and verb in ("response", "error"):
                return await self._answer(request, where, failed=verb == "error")
        return web.Response(status=404, text="404 page not found\n")

    async def _next(self) -> web.StreamResponse:
        if self._state in (State.INIT_FAILED, State.RUNNING):
            return self._not_now(State.READY)
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(False)  # the newest request gets the event
        parked = self._parked = asyncio.get_running_loop().create_future()
        if self._state is not State.READY:
            self._state = State.READY
            self._event = None
            self._listener.ready()
        if self._event is not None and not parked.done():
            parked.set_result(True)
        if not await parked:
            return self._not_now(State.READY)
        event = self._event
        assert event is not None
        self._state = State.RUNNING
        return web.Response(body=event.payload, headers=self._headers(event))

    def _headers(self, event: Event) -> dict[str, str]:
        given = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(self._deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
            "Lambda-Runtime-Trace-Id": event.trace_id,
            "Lambda-Runtime-Client-Context": event.client_context,
            "Lambda-Runtime-Cognito-Identity": event.cognito_identity,
        }
        return {name: _one_line(value) for name, value in given.items() if value}

    async def _init_error(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._state is not State.STARTED:
            return self._not_now(State.INIT_FAILED)
        body = await _read(request)
        if body is None:
            return _payload_too_large()
        self._state = State.INIT_FAILED
        self._listener.init_failed(Failure(_error_type(request, body), "", payload=body))
        return _accepted()

    async def _answer(self, request: web.BaseRequest, request_id: str, failed: bool) -> web.StreamResponse:
        event = self._event
        if event is None or event.request_id != request_id:
            return _problem(400, "InvalidRequestID", "Invalid request ID")
        if self._state is not State.RUNNING:
            return self._not_now(State.ANSWERED)
        body = await _read(request)
        if self._state is not State.RUNNING or self._event is not event:
            return self._not_now(State.ANSWERED)
        self._state = State.ANSWERED
        if body is None:
            self._listener.answered(too_large())
            return _payload_too_large()
        if failed:
            self._listener.answered(Answer(body, _error_type(request, body)))
        else:
            self._listener.answered(Answer(body, None, request.headers.get("Content-Type", "application/json")))
        return _accepted()

    def _not_now(self, wanted: State) -> web.Response:
        text = f"State transition from {self._state.value} to {wanted.value} failed for runtime."
        return _problem(403, "InvalidStateTransition", f"{text} Error: State transition is not allowed")


def _one_line(value: str) -> str:
    """A header's value. The JSON of a client context may have line ends, which mean nothing there."""
    return " ".join(value.splitlines())


async def _read(request: web.BaseRequest) -> bytes | None:
    """The body, however it is sent; None where it is too large. It is read to its end in any case, so that the answer is too."""
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size <= PAYLOAD_BYTES_MAX:
            parts.append(part)
        else:
            parts.clear()
    return b"".join(parts) if size <= PAYLOAD_BYTES_MAX else None


def _error_type(request: web.BaseRequest, body: bytes) -> str:
    """The header's, or the body's where the runtime sets none."""
    given = request.headers.get(_ERROR_TYPE)
    if given:
        return given
    try:
        decoded = json.loads(body)
    except ValueError:
        return "Runtime.Unknown"
    error_type = decoded.get("errorType") if isinstance(decoded, dict) else None
    return error_type if isinstance(error_type, str) and error_type else "Runtime.Unknown"


def _accepted() -> web.Response:
    return web.Response(status=202, body=b'{"status":"OK"}\n', content_type="application/json")


def _payload_too_large() -> web.Response:
    message = f"Exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes)."
    return _problem(413, "RequestEntityTooLarge", message)


def _problem(status: int, error_type: str, message: str) -> web.Response:
    body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
    return web.Response(status=status, body=body, content_type="application/json")
