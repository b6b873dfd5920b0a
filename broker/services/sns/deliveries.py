"""What became of deliveries, for looking at: messages that have no way out of here, and the delivery status that topics ask for.

Records are messages of an internal queue per account and region, so they are part of the publish's own transaction, and expire.
"""

from typing import Final, Literal

import msgspec

from broker.core.engine import Engine
from broker.core.message import Admitted
from broker.core.queue import Queue

RETENTION_MS: Final = 4 * 86_400_000

Status = Literal["captured", "SUCCESS", "FAILURE"]


class Delivery(msgspec.Struct, rename="pascal", omit_defaults=True, kw_only=True):
    """One record. `status` captured: `payload` is what would have been sent; else how a delivery went."""

    status: Status
    protocol: str
    destination: str
    message_id: str
    timestamp: int  # milliseconds since the epoch
    topic_arn: str | None = None
    subscription_arn: str | None = None
    subject: str | None = None
    payload: str | None = None
    message_attributes: dict[str, dict[str, str]] | None = None
    attempts: int = 0
    status_code: int = 0
    provider_response: str | None = None
    dwell_time_ms: int | None = None


_encoder = msgspec.msgpack.Encoder()  # which takes a large payload as it is; JSON would look at each of its characters
_decoder = msgspec.msgpack.Decoder(Delivery)


def records_queue(engine: Engine, account: str, region: str) -> Queue:
    """The queue of an account's records in a region, made if there is none."""
    return engine.internal_queue(queue_name(account, region), retention_ms=RETENTION_MS)


def queue_name(account: str, region: str) -> str:
    """The internal queue's name."""
    return f"sns/deliveries/{account}/{region}"


def encode(delivery: Delivery) -> Admitted:
    """A record as a message."""
    return internal_message(_encoder.encode(delivery))


def decode(body: bytes) -> Delivery:
    return _decoder.decode(body)


def internal_message(body: bytes) -> Admitted:
    """A message of the broker's own: it goes past the rules that hold for users' messages."""
    return Admitted(body, "", (), None, None, None, "sns", None)
