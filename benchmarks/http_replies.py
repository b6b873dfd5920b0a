"""HTTP replies out of a stream of bytes: the load generator's parser. It owns framing and nothing else.

Only what servers of queues send: a status line, a body framed by Content-Length or in chunks. Anything else is `Malformed`, since a
load generator that guesses measures nothing.
"""

from typing import NamedTuple


class Malformed(Exception):
    """The bytes are no reply that this parser knows."""


class Reply(NamedTuple):
    """A complete reply."""

    status: int
    body: bytes
    closes: bool  # the server closes the connection after it


class ReplyParser:
    """Fed as bytes come, in whatever pieces; `feed` returns the replies that are complete, in their order."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. Raises Malformed."""
        if self._rest:
            data = self._rest + data
        replies: list[Reply] = []
        at = 0
        while at < len(data) and (found := _reply_at(data, at)) is not None:
            reply, at = found
            replies.append(reply)
        self._rest = data[at:]
        return replies


def _reply_at(data: bytes, start: int) -> tuple[Reply, int] | None:
    """The reply that begins at `start`, and where it ends; None if it is not complete."""
    head_end = data.find(b"\r\n\r\n", start)
    if head_end < 0:
        if not b"HTTP/1.".startswith(data[start : start + 7]) and data[start : start + 7] != b"HTTP/1.":
            raise Malformed(data[start : start + 80])
        return None
    head = data[start:head_end].lower() + b"\r\n"
    if not head.startswith(b"http/1."):
        raise Malformed(head[:80])
    status = int(head[9:12])
    body_start = head_end + 4
    closes = b"\r\nconnection: close\r\n" in head or (head[7] == 48 and b"\r\nconnection: keep-alive" not in head)
    length_at = head.find(b"\r\ncontent-length:")
    if length_at >= 0:
        end = body_start + int(head[length_at + 17 : head.index(b"\r\n", length_at + 17)])
        if len(data) < end:
            return None
        return Reply(status, data[body_start:end], closes), end
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        chunked = _chunks_at(data, body_start)
        return None if chunked is None else (Reply(status, chunked[0], closes), chunked[1])
    if status in (204, 304):
        return Reply(status, b"", closes), body_start
    raise Malformed(head[:300])


def _chunks_at(data: bytes, at: int) -> tuple[bytes, int] | None:
    chunks: list[bytes] = []
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end].partition(b";")[0], 16)
        if size == 0:
            trailers_end = data.find(b"\r\n\r\n", line_end)
            return None if trailers_end < 0 else (b"".join(chunks), trailers_end + 4)
        chunk_end = line_end + 2 + size
        if len(data) < chunk_end + 2:
            return None
        chunks.append(data[line_end + 2 : chunk_end])
        at = chunk_end + 2
    return None
