"""Events that wait for a function: the form in which services hand them over.

Each function has an internal queue, made with it. Whoever invokes a function asynchronously (Invoke, SNS) puts an event into it in
a transaction of its own making; Lambda's couriers take it from there.
"""

import msgspec


class FunctionEvent(msgspec.Struct, array_like=True, frozen=True):
    """An event as it was handed over. `qualifier`: a version or an alias; None: the newest code."""

    request_id: str
    payload: bytes
    at_ms: int
    qualifier: str | None = None
    client_context: str | None = None
    trace_header: str | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FunctionEvent)


def events_queue(function_arn: str) -> str:
    """The internal queue of a function, by its unqualified ARN."""
    return f"lambda/events/{function_arn}"


def encode(event: FunctionEvent) -> bytes:
    """The stored form."""
    return _encoder.encode(event)


def decode(stored: bytes) -> FunctionEvent:
    return _decoder.decode(stored)
