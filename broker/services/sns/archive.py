"""The archive of a FIFO topic: what was published, kept for as many days as the topic's ArchivePolicy says.

It is an internal queue from which nobody receives: its retention is the archive's, and a replay pages through it.
"""

import msgspec

from broker.services.sns.deliveries import internal_message
from broker.services.sns.plan import Plan
from broker.services.sns.publication import Publication
from broker.services.sns.records import Published
from broker.services.sns.topic import archive_settings

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Published)


def keep(plan: Plan, publication: Publication) -> None:
    """Archive a message in the publish's own transaction."""
    topic = publication.topic
    queue = plan.engine.internal_queue(topic.archive_queue, retention_ms=archive_settings(topic).retention_ms)
    plan.put(queue, internal_message(_encoder.encode(publication.published)))
    topic.archived_in_batch = plan.engine.ledger.batch.number


def read(stored: bytes) -> Published:
    """An archived message."""
    return _decoder.decode(stored)
