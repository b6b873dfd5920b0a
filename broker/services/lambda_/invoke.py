"""Invoke: now and with an answer, later, or not at all (DryRun). Source: Lambda API Reference, Invoke."""

import base64
from typing import Annotated, Final

import msgspec
import orjson

from broker.core.message import Admitted
from broker.services.context import Call
from broker.services.function_events import FunctionEvent, encode, events_queue
from broker.services.lambda_.errors import InvalidRequestContent, RequestTooLarge, ValidationException
from broker.services.lambda_.function import FunctionRecord, Version
from broker.services.lambda_.names import Target, read_target
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions
from broker.services.lambda_.workers import Workers
from broker.services.operation import At, Http
from broker.services.runtime import Runtime

SYNCHRONOUS_BYTES_MAX: Final = 6_291_556  # 6 MB, as AWS counts it
EVENT_BYTES_MAX: Final = 1_048_576
_OFF_LOOP_BYTES: Final = 65_536


class InvokeRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Annotated[str, At("uri", "FunctionName")]
    qualifier: Annotated[str | None, At("query", "Qualifier")] = None
    invocation_type: Annotated[str | None, At("header", "X-Amz-Invocation-Type")] = None
    log_type: Annotated[str | None, At("header", "X-Amz-Log-Type")] = None
    client_context: Annotated[str | None, At("header", "X-Amz-Client-Context")] = None
    payload: bytes = b""


class InvokeResult(msgspec.Struct, rename="pascal", kw_only=True):
    status_code: int
    payload: bytes = b""
    function_error: Annotated[str | msgspec.UnsetType, At("header", "X-Amz-Function-Error")] = msgspec.UNSET
    log_result: Annotated[str | msgspec.UnsetType, At("header", "X-Amz-Log-Result")] = msgspec.UNSET
    executed_version: Annotated[str | msgspec.UnsetType, At("header", "X-Amz-Executed-Version")] = msgspec.UNSET


@SERVICE.operation(
    "Invoke",
    InvokeRequest,
    InvokeResult,
    http=Http(
        "POST",
        "/2015-03-31/functions/{FunctionName}/invocations",
        payload="Payload",
        reply_payload="payload",
        status_member="status_code",
    ),
)
async def invoke(call: Call, request: InvokeRequest) -> InvokeResult:
    """Run a function. An event (202) is on disk when this answers, and is run with retries from then on."""
    target = read_target(call, request.function_name, request.qualifier)
    kind = request.invocation_type or "RequestResponse"
    if kind not in ("RequestResponse", "Event", "DryRun"):
        raise ValidationException(
            "invocationType", f"'{kind[:50]}'", "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"
        )
    limit = EVENT_BYTES_MAX if kind == "Event" else SYNCHRONOUS_BYTES_MAX
    if len(request.payload) > limit:
        raise RequestTooLarge(len(request.payload), limit)
    _check_json(request.payload)
    function, version = await call.runtime.call(choose_version, call.runtime, target)
    if kind == "DryRun":
        return InvokeResult(status_code=204)
    if kind == "Event":
        event = FunctionEvent(
            call.request_id,
            request.payload or b"{}",
            call.runtime.clock.now_ms(),
            target.qualifier,
            request.client_context,
            call.trace_header,
        )
        await call.runtime.call(put_event, call.runtime, function, event)
        return InvokeResult(status_code=202)
    ran = await call.runtime.part(Workers).invoke(
        function,
        version,
        target,
        request.payload or b"{}",
        request_id=call.request_id,
        client_context=request.client_context,
        trace_header=call.trace_header,
    )
    tail = request.log_type == "Tail"
    return InvokeResult(
        status_code=200,
        payload=ran.payload,
        function_error=ran.function_error or msgspec.UNSET,
        log_result=base64.b64encode(ran.log_tail).decode("ascii") if tail else msgspec.UNSET,
        executed_version=version.number,
    )


def choose_version(runtime: Runtime, target: Target) -> tuple[FunctionRecord, Version]:
    """The version that an invocation runs: of an alias with weights, one or the other by chance. Raises ResourceNotFound."""
    functions = runtime.part(Functions)
    function, version = functions.find_version(target)
    alias = function.aliases.get(target.qualifier or "")
    if alias is not None and alias.weights:
        drawn = runtime.chance.percent()
        for number, weight in alias.weights.items():
            if drawn < weight * 100 and number in function.versions:
                return function, function.versions[number]
    return function, version


def put_event(runtime: Runtime, function: FunctionRecord, event: FunctionEvent) -> None:
    """Hand an event over to a function's queue."""
    engine = runtime.engine
    queue = engine.internal_queue(events_queue(function.name.arn))
    engine.send(queue, (Admitted(encode(event), "", (), None, None, None, "lambda", None),))


def _check_json(payload: bytes) -> None:
    if not payload:
        return
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestContent(f"Could not parse request body into json: {error}") from None
