"""What the store keeps of topics, of subscriptions, and of messages in a FIFO topic's archive.

Apart from topics and publications in memory, which are compiled: of a class, the compiler drops the options that say how it is
written.
"""

from typing import Literal

import msgspec

from broker.core.content import Attribute
from broker.services.sns.names import TopicName

ReplayStatus = Literal["Pending", "In progress", "Completed", "Failed"]


class TopicRecord(msgspec.Struct):
    """What the store keeps of a topic. `attributes`: those that were set, as they were written."""

    name: TopicName
    number: int  # its identity in the deduplication window
    created_at_ms: int
    attributes: dict[str, str]
    tags: dict[str, str]
    deleted: int = 0  # subscriptions that it once had
    data_protection_policy: str | None = None
    archived_since_ms: int = 0  # when its archive began; 0: it has none


class Replay(msgspec.Struct):
    """How far the replay of a topic's archive to one subscription has come."""

    status: ReplayStatus
    from_ms: int
    to_ms: int | None  # None: it catches up with what is published
    after_id: int = 0  # the archived message that was replayed last


class SubscriptionRecord(msgspec.Struct):
    """What the store keeps of a subscription. `attributes`: those that were set, as they were written."""

    arn: str
    topic: TopicName
    protocol: str
    endpoint: str
    owner: str
    attributes: dict[str, str]
    confirmed: bool
    token: str
    token_until_ms: int
    authenticated: bool = False  # whether its confirmation was signed
    authenticate_on_unsubscribe: bool = False
    ended: bool = False  # unsubscribed; kept until its last message has left
    replay: Replay | None = None


class Published(msgspec.Struct, frozen=True, array_like=True):
    """All of a message that outlives its publishing: what an archive keeps."""

    message_id: str
    message: str
    at_ms: int
    subject: str | None = None
    attributes: tuple[Attribute, ...] = ()
    by_protocol: dict[str, str] | None = None  # MessageStructure=json: the texts, "default" among them
    group: str | None = None
    deduplication_id: str | None = None
    order: int | None = None  # FIFO topics: its place
    trace_header: str | None = None
    base_url: str = ""  # of links, when it is replayed
