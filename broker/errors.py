"""The root of every error that a caller of an AWS API can be shown.

Each AWS error code is one subclass, declared in the layer that first needs it (`core.errors` for the rules that keep a queue
valid, `services.*.errors` for the rest). A class carries its own wire names, so nothing between the engine and the wire
translates. This leaf knows no protocol: `wire.faults` turns an error into bytes.
"""

from typing import ClassVar


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
