"""From a request to an operation and back: which protocol, which service, which operation; and when the reply may leave.

A reply leaves when every Change that was pending when its handler had computed it is on disk. Only what is refused before any
state was read (unreadable bodies, unknown operations) is answered at once. Large forms are read, and large replies written, on
a thread beside the event loop.

A request is carried as far as it goes at once: most have been computed, and their replies parked on the commit, when `answer`
returns. Only one that has to wait for something else (rows, a message, a thread) becomes a task.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Literal

from broker.errors import AwsError, InternalFailure
from broker.services.context import Call
from broker.services.operation import Service
from broker.services.runtime import Runtime
from broker.wire.aws_json import JsonCodec
from broker.wire.aws_query import QueryCodec
from broker.wire.eager import start
from broker.wire.faults import (
    InvalidAction,
    MethodNotAllowed,
    MissingAction,
    UnknownOperation,
    UnknownPath,
    json_fault,
    rest_fault,
    xml_fault,
)
from broker.wire.http import HttpRequest, HttpResponse, Reply
from broker.wire.query_form import parse_form
from broker.wire.rest_json import RestCodec, RestRoutes
from broker.wire.sigv4 import identify

OFF_LOOP_BYTES: Final = 65_536
_QUEUE_PATH: Final = re.compile(r"^/(?:queue/[^/]+/)?\d{12}/[^/]+/?$")
_LOGGED_MAX: Final = 500
_log = logging.getLogger("pombo.wire")

_Fault = Callable[[AwsError, str], HttpResponse]  # an error in the request's protocol; and the request's id


class _Exchange:
    """A request and the one reply to it."""

    __slots__ = ("_reply", "_response", "fault", "operation", "request", "request_id", "runtime")

    def __init__(self, runtime: Runtime, request: HttpRequest, reply: Reply, operation: str, fault: _Fault) -> None:
        self.runtime = runtime
        self.request = request
        self.request_id = runtime.chance.uuid()
        self.operation = operation  # its name, for the log
        self.fault = fault
        self._reply: Reply | None = reply
        self._response: HttpResponse | None = None

    def leave(self, response: HttpResponse) -> None:
        """Reply when everything that is pending now is on disk."""
        self._response = response
        if not self.runtime.park(self._released):
            self.reply(response)

    def _released(self, failure: BaseException | None) -> None:
        if failure is None:
            assert self._response is not None
            self.reply(self._response)
        elif isinstance(failure, AwsError):
            self.reply(self.refusal(failure))
        else:
            self.fail(failure)

    def reply(self, response: HttpResponse) -> None:
        """Reply now."""
        reply, self._reply = self._reply, None
        assert reply is not None, "replied twice"
        reply(response)

    def refusal(self, error: AwsError) -> HttpResponse:
        """An error as a response; and in the log."""
        _log.info(
            "%s refused: %s: %s",
            self.operation or "a request",
            error.shape,
            error.message[:_LOGGED_MAX],
            extra={
                "request_id": self.request_id,
                "operation": self.operation,
                "error": error.shape,
                "status": error.status,
            },
        )
        return self.fault(error, self.request_id)

    def fail(self, error: BaseException) -> None:
        """Something is wrong with us."""
        _log.error("%s failed", self.operation, exc_info=error, extra={"request_id": self.request_id})
        if self._reply is not None:
            self.reply(self.fault(InternalFailure(type(error).__name__), self.request_id))


class _Query:
    """What is known of a Query request, also if reading on fails."""

    __slots__ = ("action", "service")

    def __init__(self, service: Service) -> None:
        self.action = ""
        self.service = service  # the one it seems to be for

    def fault(self, error: AwsError, request_id: str) -> HttpResponse:
        service = self.service
        return xml_fault(error, request_id, service.xml_namespace, detail=service.fault_detail)


class Router:
    """All services of a broker, by protocol."""

    def __init__(self, services: list[Service], runtime: Runtime) -> None:
        self._runtime = runtime
        self._json = {
            f"{s.json_target}.{name}": JsonCodec(operation, s)
            for s in services
            if s.json_target
            for name, operation in s.operations.items()
        }
        self._query: dict[tuple[str, str], QueryCodec] = {}  # by version and action
        self._by_service: dict[tuple[str, str], QueryCodec] = {}
        self._by_action: dict[str, QueryCodec] = {}
        self._rest = RestRoutes(services)
        for s in services:
            if not s.query_version:
                continue
            for name, operation in s.operations.items():
                codec = QueryCodec(operation, s)
                self._query[s.query_version, name] = self._by_service[s.name, name] = codec
                self._by_action.setdefault(name, codec)
        self._by_version = {s.query_version: s for s in services}
        self._default = services[0]
        self._waiting: set[asyncio.Task[None]] = set()

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The reply to a request. Raises nothing."""
        replied: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()

        def reply(response: HttpResponse) -> None:
            if not replied.done():  # whoever asked may have gone
                replied.set_result(response)

        self.answer(request, reply)
        return await replied

    def answer(self, request: HttpRequest, reply: Reply) -> None:
        """Have a request answered: `reply` is called once, before this returns or later on the event loop. Raises nothing."""
        target = request.headers.get("x-amz-target")
        if target is None and self._rest.takes(request.path):
            name = f"{request.method} {request.path}"
            self._begin(self._answer_rest(_Exchange(self._runtime, request, reply, name, rest_fault)))
        elif request.method != "POST" and (request.method != "GET" or target is not None):
            # A preflight or a HEAD that names an action in its query string carries nothing out.
            response = self.refuse(request.path, request.headers, MethodNotAllowed(request.method))
            response.headers["Allow"] = "GET, POST" if target is None else "POST"
            reply(response)
        elif target is not None:
            self._begin(self._answer_json(_Exchange(self._runtime, request, reply, target, json_fault)))
        else:
            query = _Query(self._default)
            self._begin(self._answer_query(_Exchange(self._runtime, request, reply, "", query.fault), query))

    def refuse(self, path: str, headers: Mapping[str, str], error: AwsError) -> HttpResponse:
        """The reply to a request that the transport could not hand over: its body was too large, or unreadable."""
        target = headers.get("x-amz-target")
        operation, fault = "", _Query(self._default).fault
        if target is not None:
            operation, fault = target, json_fault
        elif self._rest.takes(path):
            operation, fault = path, rest_fault
        request = HttpRequest("", path, "", headers, b"", "")
        return _Exchange(self._runtime, request, lambda _response: None, operation, fault).refusal(error)

    def _begin(self, steps: Coroutine[Any, Any, None]) -> None:
        waiting = start(steps)
        if waiting is not None:
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)

    async def _answer_json(self, exchange: _Exchange) -> None:
        request = exchange.request
        try:
            try:
                codec = self._json.get(exchange.operation)
                if codec is None:
                    raise UnknownOperation(f"The operation {exchange.operation} is not known.")
                decoded = codec.decode(request.body)
            except AwsError as error:
                exchange.reply(exchange.refusal(error))
                return
            await self._serve(codec, exchange, self._call(exchange, "json"), decoded)
        except Exception as error:
            exchange.fail(error)

    async def _answer_query(self, exchange: _Exchange, query: _Query) -> None:
        request = exchange.request
        try:
            try:
                if len(request.body) > OFF_LOOP_BYTES:
                    codec, decoded = await asyncio.to_thread(self._read_query, request, query)
                else:
                    codec, decoded = self._read_query(request, query)
            except AwsError as error:
                exchange.operation = query.action
                exchange.reply(exchange.refusal(error))
                return
            exchange.operation = query.action
            await self._serve(codec, exchange, self._call(exchange, "query"), decoded)
        except Exception as error:
            exchange.fail(error)

    async def _answer_rest(self, exchange: _Exchange) -> None:
        request = exchange.request
        try:
            try:
                found = self._rest.find(request.method, request.path)
                if found is None:
                    raise UnknownPath(
                        f"Unable to determine service/operation name to be authorized: {exchange.operation}"
                    )
                codec, match = found
                if len(request.body) > OFF_LOOP_BYTES and not codec.http.payload:
                    decoded = await asyncio.to_thread(codec.decode, request, match)
                else:
                    decoded = codec.decode(request, match)
            except AwsError as error:
                exchange.reply(exchange.refusal(error))
                return
            exchange.operation = codec.operation.name
            await self._serve(codec, exchange, self._call(exchange, "rest"), decoded)
        except Exception as error:
            exchange.fail(error)

    def _read_query(self, request: HttpRequest, query: _Query) -> tuple[QueryCodec, Any]:
        form = parse_form(request.query_string.encode(errors="surrogateescape")) if request.query_string else {}
        if request.method == "POST":
            form |= parse_form(request.body)
        query.action = action = form.get("Action", "")
        version = form.get("Version", "")
        query.service = self._by_version.get(version, query.service)
        if not action:
            raise MissingAction
        codec = self._query.get((version, action)) if version else self._find_unversioned(request, action)
        if codec is None or (not codec.operation.at_queue and _QUEUE_PATH.match(request.path)):
            raise InvalidAction(action)
        query.service = codec.service
        if codec.takes_queue_url and "QueueUrl" not in form and request.path != "/":
            form["QueueUrl"] = request.base_url + request.path
        return codec, codec.decode(form)

    def _find_unversioned(self, request: HttpRequest, action: str) -> QueryCodec | None:
        """Of operations by the same name, that of the service which the request was signed for, or the first."""
        service = identify(request.headers.get("authorization"), request.query_string).service
        return self._by_service.get((service, action)) or self._by_action.get(action)

    async def _serve(
        self, codec: JsonCodec | QueryCodec | RestCodec, exchange: _Exchange, call: Call, decoded: Any
    ) -> None:
        """Run the handler; reply when what its reply shows is on disk."""
        try:
            reply = await codec.operation.handler(call, decoded)
        except AwsError as error:
            exchange.leave(exchange.refusal(error))
            return
        if codec.size(reply) > OFF_LOOP_BYTES:
            durable = self._runtime.durable()
            response = await asyncio.to_thread(codec.encode_large, reply, exchange.request_id)
            try:
                if durable is not None:
                    await durable
            except AwsError as error:
                response = exchange.refusal(error)
            exchange.reply(response)
        else:
            exchange.leave(codec.encode(reply, exchange.request_id))

    def _call(self, exchange: _Exchange, protocol: Literal["json", "query", "rest"]) -> Call:
        request = exchange.request
        identity = identify(request.headers.get("authorization"), request.query_string)
        return Call(
            self._runtime,
            protocol,
            identity.account,
            identity.region,
            bool(identity.service),
            identity.principal,
            request.base_url,
            request.path,
            exchange.request_id,
            request.headers.get("x-amzn-trace-id"),
            request.connected,
        )
