"""From a request to an operation and back: which protocol, which service, which operation; and when the reply may leave.

A reply leaves when every Change that was pending when its handler had computed it is on disk. Only what is refused before any
state was read (unreadable bodies, unknown operations) is answered at once. Large forms are read, and large replies written, on
a thread beside the event loop.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

from broker.errors import AwsError, InternalFailure
from broker.services.context import Call
from broker.services.operation import Service
from broker.services.runtime import Runtime
from broker.wire.aws_json import JsonCodec
from broker.wire.aws_query import QueryCodec
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
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.rest_json import RestCodec, RestRoutes
from broker.wire.sigv4 import identify

OFF_LOOP_BYTES: Final = 65_536
_QUEUE_PATH: Final = re.compile(r"^/(?:queue/[^/]+/)?\d{12}/[^/]+/?$")
_LOGGED_MAX: Final = 500
_log = logging.getLogger("pombo.wire")

_Fault = Callable[[AwsError], HttpResponse]  # an error in the request's protocol


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

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The reply to a request. Raises nothing."""
        request_id = self._runtime.chance.uuid()
        target = request.headers.get("x-amz-target")
        if target is None and self._rest.takes(request.path):
            return await self._handle_rest(request, request_id)
        if request.method != "POST" and (request.method != "GET" or target is not None):
            # A preflight or a HEAD that names an action in its query string carries nothing out.
            response = self.refuse(request.path, request.headers, MethodNotAllowed(request.method))
            response.headers["Allow"] = "GET, POST" if target is None else "POST"
            return response
        if target is not None:
            return await self._handle_json(request, target, request_id)
        return await self._handle_query(request, request_id)

    def refuse(self, path: str, headers: Mapping[str, str], error: AwsError) -> HttpResponse:
        """The reply to a request that the transport could not hand over: its body was too large, or unreadable."""
        request_id = self._runtime.chance.uuid()
        target = headers.get("x-amz-target")
        if target is not None:
            return self._refused(json_fault(error, request_id), target, request_id, error)
        if self._rest.takes(path):
            return self._refused(rest_fault(error, request_id), path, request_id, error)
        return self._refused(_Query(self._default).fault(error, request_id), "", request_id, error)

    async def _handle_json(self, request: HttpRequest, target: str, request_id: str) -> HttpResponse:
        fault = partial(json_fault, request_id=request_id)
        try:
            try:
                codec = self._json.get(target)
                if codec is None:
                    raise UnknownOperation(f"The operation {target} is not known.")
                decoded = codec.decode(request.body)
            except AwsError as error:
                return self._refused(fault(error), target, request_id, error)
            return await self._serve(codec, self._call(request, request_id, "json"), decoded, target, fault)
        except Exception as error:
            return self._failed(fault, target, request_id, error)

    async def _handle_query(self, request: HttpRequest, request_id: str) -> HttpResponse:
        query = _Query(self._default)
        fault = partial(query.fault, request_id=request_id)
        try:
            try:
                if len(request.body) > OFF_LOOP_BYTES:
                    codec, decoded = await asyncio.to_thread(self._read_query, request, query)
                else:
                    codec, decoded = self._read_query(request, query)
            except AwsError as error:
                return self._refused(fault(error), query.action, request_id, error)
            return await self._serve(codec, self._call(request, request_id, "query"), decoded, query.action, fault)
        except Exception as error:
            return self._failed(fault, query.action, request_id, error)

    async def _handle_rest(self, request: HttpRequest, request_id: str) -> HttpResponse:
        fault = partial(rest_fault, request_id=request_id)
        name = f"{request.method} {request.path}"
        try:
            try:
                found = self._rest.find(request.method, request.path)
                if found is None:
                    raise UnknownPath(f"Unable to determine service/operation name to be authorized: {name}")
                codec, match = found
                if len(request.body) > OFF_LOOP_BYTES and not codec.http.payload:
                    decoded = await asyncio.to_thread(codec.decode, request, match)
                else:
                    decoded = codec.decode(request, match)
            except AwsError as error:
                return self._refused(fault(error), name, request_id, error)
            return await self._serve(
                codec, self._call(request, request_id, "rest"), decoded, codec.operation.name, fault
            )
        except Exception as error:
            return self._failed(fault, name, request_id, error)

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
        self, codec: JsonCodec | QueryCodec | RestCodec, call: Call, decoded: Any, operation: str, fault: _Fault
    ) -> HttpResponse:
        """Run the handler; answer when what its reply shows is on disk."""
        try:
            try:
                reply = await codec.operation.handler(call, decoded)
            except AwsError as error:
                durable = self._runtime.durable()
                response = self._refused(fault(error), operation, call.request_id, error)
            else:
                durable = self._runtime.durable()
                if codec.size(reply) > OFF_LOOP_BYTES:
                    response = await asyncio.to_thread(codec.encode_large, reply, call.request_id)
                else:
                    response = codec.encode(reply, call.request_id)
            if durable is not None:
                await durable
        except AwsError as error:
            return self._refused(fault(error), operation, call.request_id, error)
        return response

    def _call(self, request: HttpRequest, request_id: str, protocol: Literal["json", "query", "rest"]) -> Call:
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
            request_id,
            request.headers.get("x-amzn-trace-id"),
            request.connected,
        )

    def _refused(self, response: HttpResponse, operation: str, request_id: str, error: AwsError) -> HttpResponse:
        _log.info(
            "%s refused: %s: %s",
            operation or "a request",
            error.shape,
            error.message[:_LOGGED_MAX],
            extra={"request_id": request_id, "operation": operation, "error": error.shape, "status": error.status},
        )
        return response

    def _failed(self, fault: _Fault, operation: str, request_id: str, error: Exception) -> HttpResponse:
        _log.error("%s failed", operation, exc_info=error, extra={"request_id": request_id})
        return fault(InternalFailure(type(error).__name__))
