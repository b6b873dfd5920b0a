"""Messages that wait to be published: the form in which services hand them to SNS.

There is one internal queue of them, from which SNS's courier publishes. Whoever puts one there does so in a transaction of its own.
"""

from typing import Final

import msgspec

from broker.core.content import Attribute
from broker.core.message import Admitted
from broker.services.runtime import Runtime

QUEUE: Final = "sns/inbox"


class TopicMessage(msgspec.Struct, array_like=True, frozen=True):
    """What is to be published, and where."""

    topic_arn: str
    message: str
    attributes: tuple[Attribute, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TopicMessage)


def publish_later(runtime: Runtime, arn: str, message: str, attributes: tuple[Attribute, ...]) -> bool:
    """Hand a message over to a topic; whether the ARN is a topic's."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "sns":
        return False
    stored = _encoder.encode(TopicMessage(arn, message, attributes))
    queue = runtime.engine.internal_queue(QUEUE)
    runtime.engine.send(queue, (Admitted(stored, "", (), None, None, None, "lambda", None),))
    return True


def decode(stored: bytes) -> TopicMessage:
    """A message as it was handed over."""
    return _decoder.decode(stored)
