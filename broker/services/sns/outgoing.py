"""A message on its way out of the process, as it lies in a subscription's outbox: an internal queue."""

from typing import Literal

import msgspec

Kind = Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]


class Outgoing(msgspec.Struct, array_like=True, frozen=True):
    """`body` is what is sent, and what a dead-letter queue would get."""

    kind: Kind
    message_id: str
    body: str
    at_ms: int  # when it was published
    subject: str | None = None
    raw: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Outgoing)


def encode(outgoing: Outgoing) -> bytes:
    """The stored form."""
    return _encoder.encode(outgoing)


def decode(stored: bytes) -> Outgoing:
    return _decoder.decode(stored)
