"""A complete HTTP request and its reply, free of any HTTP library's types: all that the protocols need to see."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

# What a Host header may be. It comes back in queue URLs.
HOST: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.%]{2,60}\](?::\d{1,5})?")

Reply = Callable[["HttpResponse"], None]
PrefixHandler = Callable[["HttpRequest"], Awaitable["HttpResponse"]]  # of a path prefix that is no service's


class HttpRequest:
    """A request whose body has been read and whose content encoding has been undone."""

    __slots__ = ("base_url", "body", "connected", "headers", "method", "path", "query_string")

    def __init__(
        self,
        method: str,
        path: str,
        query_string: str,
        headers: Mapping[str, str],
        body: bytes,
        base_url: str,
        connected: Callable[[], bool] = lambda: True,
    ) -> None:
        self.method: Final = method
        self.path: Final = path  # percent-decoded, without the query string
        self.query_string: Final = query_string  # raw, without '?'
        self.headers: Final = headers  # looked up case-insensitively, or by lower-case name
        self.body: Final = body
        self.base_url: Final = base_url  # scheme://host[:port] as the caller wrote it
        self.connected: Final = connected


class HttpResponse:
    """A reply. Content-Length, Date and connection headers are the transport's."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = {} if headers is None else headers
