"""Undoing a request's Content-Encoding, and never beyond a limit: a few KB of zeros can stand for gigabytes.

Codings other than gzip and deflate are left alone, as what clients write there (`utf-8`, `aws-chunked`) is often no coding.
"""

import zlib
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS
_KNOWN: Final = frozenset({"gzip", "x-gzip", "deflate"})


class Unreadable(Exception):
    """The body is not what its Content-Encoding says."""


class TooLarge(Exception):
    """The body is beyond the limit."""


def coding(header: str | None) -> str | None:
    """The coding that a Content-Encoding header names, if it is one of ours to undo. The last of several was put on last."""
    if header is None:
        return None
    for name in reversed(header.lower().split(",")):
        if name.strip() in _KNOWN:
            return name.strip()
    return None


def undo(body: bytes, name: str, bytes_max: int) -> bytes:
    """The body before its coding. Raises Unreadable, TooLarge (more than `bytes_max` bytes). Most of its time without the GIL."""
    window = _GZIP
    if name == "deflate":
        # RFC 9110 means zlib's format; some clients send the raw one. They differ in the first byte.
        window = zlib.MAX_WBITS if body[:1] and body[0] & 15 == 8 else -zlib.MAX_WBITS
    parts: list[bytes] = []
    free = bytes_max
    while True:
        inflater = zlib.decompressobj(window)
        try:
            part = inflater.decompress(body, free + 1)
        except zlib.error as error:
            raise Unreadable(str(error)) from None
        free -= len(part)
        if free < 0:
            raise TooLarge
        if not inflater.eof:
            raise Unreadable("the compressed body is incomplete")
        parts.append(part)
        body = inflater.unused_data
        if not body or window != _GZIP:
            return b"".join(parts)
