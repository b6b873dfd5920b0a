"""Where the outcome of an asynchronous invocation goes: queues and functions here, as a destination's record or a dead letter.

Source: Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations".
"""

import logging
from typing import Any, Final

import orjson

from broker.core.admission import admit
from broker.core.content import Attribute
from broker.core.message import Admitted
from broker.core.settings import queue_name_of_arn
from broker.errors import AwsError
from broker.services.function_events import FunctionEvent, encode, events_queue
from broker.services.lambda_.configuration import time_text
from broker.services.lambda_.names import target_of_arn
from broker.services.lambda_.workers import Ran
from broker.services.runtime import Runtime
from broker.services.topic_messages import publish_later

_SENDER: Final = "AROALAMBDADESTINATION"
_log = logging.getLogger("pombo.lambda")


def destination_record(
    function_arn: str, event: FunctionEvent, ran: Ran | None, attempts: int, condition: str
) -> dict[str, Any]:
    """The record that a destination gets."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": time_text(event.at_ms).replace("+0000", "Z"),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{function_arn}:{event.qualifier or '$LATEST'}",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": _json(event.payload),
    }
    if ran is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": ran.version}
        if ran.function_error is not None:
            context["functionError"] = ran.function_error
        record["responseContext"] = context
        record["responsePayload"] = _json(ran.payload)
    return record


def send_record(runtime: Runtime, arn: str, record: dict[str, Any]) -> None:
    """Send a destination's record. What has no counterpart here is only logged."""
    body = orjson.dumps(record)
    function = target_of_arn(arn)
    if function is not None:
        queue = runtime.engine.find_internal_queue(events_queue(function.function.arn))
        if queue is not None:
            handed = FunctionEvent(runtime.chance.uuid(), body, runtime.clock.now_ms(), function.qualifier)
            runtime.engine.send(queue, (Admitted(encode(handed), "", (), None, None, None, "lambda", None),))
            return
    _send(runtime, arn, body.decode(), ())


def send_dead_letter(runtime: Runtime, arn: str, event: FunctionEvent, ran: Ran | None) -> None:
    """Send the event itself, with what went wrong as attributes."""
    attributes = [Attribute("RequestID", "String", event.request_id.encode())]
    if ran is not None:
        error = _json(ran.payload)
        message = error.get("errorMessage") if isinstance(error, dict) else None
        attributes.append(Attribute("ErrorCode", "Number", b"200"))
        attributes.append(
            Attribute("ErrorMessage", "String", (str(message) if message else "Unhandled").encode()[:1_024] or b"-")
        )
    else:
        attributes.append(Attribute("ErrorCode", "Number", b"429"))
        attributes.append(Attribute("ErrorMessage", "String", b"Rate Exceeded."))
    _send(runtime, arn, event.payload.decode(errors="replace"), tuple(attributes))


def _send(runtime: Runtime, arn: str, body: str, attributes: tuple[Attribute, ...]) -> None:
    name = queue_name_of_arn(arn)
    queue = None if name is None else runtime.engine.queues_by_name.get(name)
    if queue is None:
        if not publish_later(runtime, arn, body, attributes):
            _log.warning("what was to go to %s is lost: there is no such queue or topic", arn)
        return
    try:
        admitted = admit(
            queue.settings,
            body=body,
            attributes=attributes,
            delay_s=None,
            group=None,
            deduplication_id=None,
            sender=_SENDER,
            trace_header=None,
            in_batch=False,
        )
    except AwsError as error:
        _log.warning("what was to go to %s is lost: %s", arn, error.message)
        return
    runtime.engine.send(queue, (admitted,))


def _json(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload.decode(errors="replace")
