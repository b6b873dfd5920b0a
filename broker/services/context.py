"""What a handler may touch: the request's identity (`Call`) and the broker behind it (`Runtime`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from broker.services.runtime import Runtime


class Call:
    """One request, as far as a handler may know it.

    `account`: 12 digits. `signed`: whether the request carried credentials. `principal`: the SenderId, which is the access key id
    where one was given, else the account. `base_url`: scheme://host[:port] as the caller wrote it, without a trailing slash.
    `path`: the request's. `trace_header`: X-Amzn-Trace-Id. `connected`: False once the caller's connection is closing.
    """

    __slots__ = (
        "account",
        "base_url",
        "connected",
        "path",
        "principal",
        "protocol",
        "region",
        "request_id",
        "runtime",
        "signed",
        "trace_header",
    )

    def __init__(
        self,
        runtime: "Runtime",
        protocol: Literal["json", "query", "rest"],
        account: str,
        region: str,
        signed: bool,
        principal: str,
        base_url: str,
        path: str,
        request_id: str,
        trace_header: str | None,
        connected: Callable[[], bool],
    ) -> None:
        self.runtime: Final = runtime
        self.protocol: Final = protocol
        self.account: Final = account
        self.region: Final = region
        self.signed: Final = signed
        self.principal: Final = principal
        self.base_url: Final = base_url
        self.path: Final = path
        self.request_id: Final = request_id
        self.trace_header: Final = trace_header
        self.connected: Final = connected
