"""From a request to an operation and back: which protocol, which service, which operation; and when the reply may leave.

A reply leaves when every Change that was pending while it was computed is on disk. Only what is refused before any state was
read (unreadable bodies, unknown operations) is answered at once.
"""

import logging
import re
from typing import Final, Literal

from broker.errors import AwsError, InternalFailure
from broker.services.context import Call
from broker.services.operation import Service
from broker.services.runtime import Runtime
from broker.wire.aws_json import JsonCodec
from broker.wire.aws_query import QueryCodec
from broker.wire.faults import InvalidAction, MissingAction, UnknownOperation, json_fault, xml_fault
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.sigv4 import identify

_QUEUE_PATH: Final = re.compile(r"^/(?:queue/[^/]+/)?\d{12}/[^/]+/?$")
_LOGGED_MAX: Final = 500
_log = logging.getLogger("pombo.wire")


class Router:
    """All services of a broker, by protocol."""

    def __init__(self, services: list[Service], runtime: Runtime) -> None:
        self._runtime = runtime
        self._json = {
            f"{s.json_target}.{name}": JsonCodec(operation)
            for s in services
            if s.json_target
            for name, operation in s.operations.items()
        }
        self._query = {
            (s.query_version, name): QueryCodec(operation, s.xml_namespace)
            for s in services
            for name, operation in s.operations.items()
        }
        self._by_action = {name: codec for (_, name), codec in self._query.items()}
        self._namespaces = {s.query_version: s.xml_namespace for s in services}
        self._default_namespace = services[0].xml_namespace

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """The reply to a request. Raises nothing."""
        request_id = self._runtime.chance.uuid()
        target = request.headers.get("x-amz-target")
        if target is not None:
            return await self._handle_json(request, target, request_id)
        return await self._handle_query(request, request_id)

    async def _handle_json(self, request: HttpRequest, target: str, request_id: str) -> HttpResponse:
        try:
            codec = self._json.get(target)
            if codec is None:
                raise UnknownOperation(f"The operation {target} is not known.")
            decoded = codec.decode(request.body)
        except AwsError as error:
            return self._refused(json_fault(error, request_id), target, request_id, error)
        try:
            try:
                reply = await codec.operation.handler(self._call(request, request_id, "json"), decoded)
                response = codec.encode(reply, request_id)
            except AwsError as error:
                response = self._refused(json_fault(error, request_id), target, request_id, error)
            await self._until_durable()
        except AwsError as error:
            return self._refused(json_fault(error, request_id), target, request_id, error)
        except Exception as error:
            _log.exception("%s failed", target, extra={"request_id": request_id})
            return json_fault(InternalFailure(f"{type(error).__name__}"), request_id)
        return response

    async def _handle_query(self, request: HttpRequest, request_id: str) -> HttpResponse:
        namespace = self._default_namespace
        action = ""
        try:
            raw = request.query_string.encode()
            form = parse_form(raw) if raw else {}
            if request.method == "POST":
                form |= parse_form(request.body)
            action = form.get("Action", "")
            namespace = self._namespaces.get(form.get("Version", ""), namespace)
            codec = self._find(action, form.get("Version", ""), request.path)
            if codec.takes_queue_url and "QueueUrl" not in form and request.path != "/":
                form["QueueUrl"] = request.base_url + request.path
            decoded = codec.decode(form)
        except AwsError as error:
            return self._refused(xml_fault(error, request_id, namespace), action, request_id, error)
        try:
            try:
                reply = await codec.operation.handler(self._call(request, request_id, "query"), decoded)
                response = codec.encode(reply, request_id)
            except AwsError as error:
                response = self._refused(xml_fault(error, request_id, namespace), action, request_id, error)
            await self._until_durable()
        except AwsError as error:
            return self._refused(xml_fault(error, request_id, namespace), action, request_id, error)
        except Exception as error:
            _log.exception("%s failed", action, extra={"request_id": request_id})
            return xml_fault(InternalFailure(f"{type(error).__name__}"), request_id, namespace)
        return response

    def _find(self, action: str, version: str, path: str) -> QueryCodec:
        if not action:
            raise MissingAction
        codec = self._query.get((version, action)) or (self._by_action.get(action) if not version else None)
        if codec is None or (not codec.operation.at_queue and _QUEUE_PATH.match(path)):
            raise InvalidAction(action)
        return codec

    async def _until_durable(self) -> None:
        future = self._runtime.durable()
        if future is not None:
            await future

    def _call(self, request: HttpRequest, request_id: str, protocol: Literal["json", "query"]) -> Call:
        identity = identify(request.headers.get("authorization"), request.query_string)
        return Call(
            self._runtime,
            protocol,
            identity.account,
            identity.region,
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
