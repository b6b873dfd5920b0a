"""The root of every error that a caller of an AWS API can be shown.

Each AWS error code is one subclass, declared in the layer that first needs it (`core.errors` for the rules that keep a queue
valid, `services.*.errors` for the rest). A class carries its own wire names, so nothing between the engine and the wire
translates. This leaf knows no protocol: `wire.faults` turns an error into bytes.
"""

import re
from typing import ClassVar, Final

_MESSAGE_MAX: Final = 4096
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class AwsError(Exception):
    """An error with AWS's wire names.

    `shape` is the JSON `__type` after the '#', `namespace` the part before it, `query_code` the Query protocol's `Code` (and
    what `x-amzn-query-error` carries), `status` the HTTP status, `sender` whether the caller is at fault.
    """

    shape: ClassVar[str]
    query_code: ClassVar[str]
    namespace: ClassVar[str] = "com.amazonaws.sqs"
    status: ClassVar[int] = 400
    sender: ClassVar[bool] = True
    message_member: ClassVar[str] = "message"  # of a REST-JSON error's body

    def __init__(self, message: str = "", *, query_message: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.query_message = message if query_message is None else query_message
        self.details: dict[str, str] = {}  # further members of a REST-JSON error's body


class ServiceUnavailable(AwsError):
    """The broker cannot do this now (the disk is full, a commit failed): nothing that was asked has happened. Retry later."""

    shape = "ServiceUnavailable"
    query_code = "ServiceUnavailable"
    namespace = "com.amazon.coral.service"
    status = 503
    sender = False


class InternalFailure(AwsError):
    """A bug of ours: the request died, the broker goes on."""

    shape = "InternalFailure"
    query_code = "InternalFailure"
    namespace = "com.amazon.coral.service"
    status = 500
    sender = False


def told(message: str) -> str:
    """An error's text as its caller is told it: what the caller sent comes back at a sensible length, and fit for XML."""
    return _NOT_XML.sub("?", message[:_MESSAGE_MAX])
