"""A complete HTTP request and its reply, free of any HTTP library's types: all that the protocols need to see."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

# What a Host header may be. It comes back in queue URLs.
HOST: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.%]{2,60}\](?::\d{1,5})?")

Reply = Callable[["HttpResponse"], None]
PrefixHandler = Callable[["HttpRequest"], Awaitable["HttpResponse"]]  # of a path prefix that is no service's


class HttpRequest(msgspec.Struct, eq=False):
    """A request whose body has been read and whose content encoding has been undone."""

    method: str
    path: str  # percent-decoded, without the query string
    query_string: str  # raw, without '?'
    headers: Mapping[str, str]  # looked up case-insensitively, or by lower-case name
    body: bytes
    base_url: str  # scheme://host[:port] as the caller wrote it
    connected: Callable[[], bool] = lambda: True


class HttpResponse(msgspec.Struct):
    """A reply. Content-Length, Date and connection headers are the transport's."""

    status: int
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)
