"""What was sent: all of a message but its body, in memory and as it is stored."""

from typing import Final, NamedTuple

import msgspec

from broker.errors import ServiceUnavailable


class Attribute(NamedTuple):
    """A message attribute. `value` is the UTF-8 text, or the bytes of a Binary type (a data type that starts with Binary)."""

    name: str
    data_type: str  # String, Number or Binary, with an optional .label
    value: bytes


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that was sent but the body. Written once; opaque to the store."""

    message_id: str
    sent_at_ms: int
    sender: str
    body_md5: str
    attributes: tuple[Attribute, ...] = ()
    trace_header: str | None = None
    deduplication_id: str | None = None


_DAMAGED: Final = (msgspec.MsgspecError, UnicodeDecodeError)  # what decoders raise
_ARRAY: Final = b"\xdd"  # of MessagePack: the number of its elements follows, then these
_content_encoder = msgspec.msgpack.Encoder()
_content_decoder = msgspec.msgpack.Decoder(Content)
_contents_decoder = msgspec.msgpack.Decoder(list[Content])


def write_content(content: Content) -> bytes:
    """The stored form of a content."""
    return _content_encoder.encode(content)


def read_content(stored: bytes) -> Content:
    """Raises ServiceUnavailable where it is damaged."""
    try:
        return _content_decoder.decode(stored)
    except _DAMAGED as error:
        raise _damaged(error) from error


def read_contents(count: int, stored: bytes, at: int, size: int) -> list[Content]:
    """So many of them, which are one after the other in `size` bytes. Raises ServiceUnavailable where these are damaged."""
    try:
        return _contents_decoder.decode(_ARRAY + count.to_bytes(4) + stored[at : at + size])
    except _DAMAGED as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"The service is temporarily unavailable: what was sent of a message that waits is damaged ({error})."
    )
