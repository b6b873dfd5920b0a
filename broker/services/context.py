"""What a handler may touch: the request's identity (`Call`) and the broker behind it (`Runtime`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from broker.services.runtime import Runtime


class Call(msgspec.Struct, eq=False):
    """One request, as far as a handler may know it."""

    runtime: "Runtime"
    protocol: Literal["json", "query", "rest"]
    account: str  # 12 digits
    region: str
    signed: bool  # whether the request carried credentials
    principal: str  # SenderId: the access key id where one was given, else the account
    base_url: str  # scheme://host[:port] as the caller wrote it, without a trailing slash
    path: str  # the request's path
    request_id: str
    trace_header: str | None  # X-Amzn-Trace-Id
    connected: Callable[[], bool]  # False once the caller's connection is closing
