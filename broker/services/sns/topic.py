"""A topic and a subscription: the records that the store keeps, and what is derived from them once, when they change."""

import re
from typing import Final, Literal, NamedTuple

import msgspec
import orjson

from broker.core.deduplication import Deduplication
from broker.core.ledger import Ledger
from broker.core.settings import QueueName, QueueSettings, queue_name_of_arn
from broker.services.filtering.policy import FilterPolicy, Scope, compile_filter
from broker.services.sns.delivery_policy import EffectivePolicy, effective
from broker.services.sns.names import TopicName

MESSAGE_BYTES_DEFAULT: Final = 262_144
ARCHIVE_DAY_MS: Final = 86_400_000

_PASSWORD: Final = re.compile(r"^(https?://[^/?#@:]*:)[^/?#@]+@")

ReplayStatus = Literal["Pending", "In progress", "Completed", "Failed"]
SignatureVersion = Literal["1", "2"]


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


class Feedback(NamedTuple):
    """Which deliveries of one protocol family a topic wants records of."""

    success: bool
    success_percent: int
    failure: bool


class Topic:
    """A topic in memory. Its record and its subscriptions are changed through the state alone."""

    __slots__ = (
        "record",
        "name",
        "arn",
        "fifo",
        "content_based",
        "by_group",
        "message_bytes_max",
        "signature_version",
        "archive_days",
        "archived_in_batch",
        "subscriptions",
        "deduplication",
    )

    def __init__(self, record: TopicRecord, ledger: Ledger, *, new: bool) -> None:
        self.name = record.name
        self.arn = record.name.arn
        self.subscriptions: dict[str, Subscription] = {}
        self.deduplication = Deduplication(record.number, ledger, new=new)
        self.archived_in_batch = 0  # the newest batch that holds a message for the archive
        self.record = record
        self.derive()

    def derive(self) -> None:
        """The record's attributes have changed."""
        given = self.record.attributes
        self.fifo = given.get("FifoTopic") == "true"
        self.content_based = given.get("ContentBasedDeduplication") == "true"
        self.by_group = given.get("FifoThroughputScope") == "MessageGroup"
        self.message_bytes_max = int(given.get("MaximumMessageSize", MESSAGE_BYTES_DEFAULT))
        self.signature_version: SignatureVersion = "2" if given.get("SignatureVersion") == "2" else "1"
        archive = given.get("ArchivePolicy")
        self.archive_days = int(orjson.loads(archive)["MessageRetentionPeriod"]) if archive else 0

    @property
    def archive_queue(self) -> str:
        """The internal queue that holds the archive."""
        return f"sns/archive/{self.record.number}"

    def feedback(self, family: str) -> Feedback:
        """`family`: HTTP, SQS, Lambda, Firehose or Application."""
        given = self.record.attributes
        return Feedback(
            bool(given.get(f"{family}SuccessFeedbackRoleArn")),
            int(given.get(f"{family}SuccessFeedbackSampleRate") or 0),
            bool(given.get(f"{family}FailureFeedbackRoleArn")),
        )


def archive_settings(topic: Topic) -> QueueSettings:
    """Of the internal queue that keeps what was published for as long as the topic's archive policy says."""
    return QueueSettings(retention_ms=topic.archive_days * ARCHIVE_DAY_MS, internal=True)


class Subscription:
    """A subscription in memory."""

    __slots__ = (
        "record",
        "arn",
        "protocol",
        "endpoint",
        "topic",
        "filter",
        "raw",
        "dead_letters",
        "queue",
        "policy",
        "expires",
    )

    def __init__(self, record: SubscriptionRecord, topic: Topic | None) -> None:
        self.arn = record.arn
        self.protocol = record.protocol
        self.endpoint = record.endpoint
        self.topic = topic  # None: the subscription has ended and its topic is gone
        self.queue: QueueName | None = queue_name_of_arn(record.endpoint) if record.protocol == "sqs" else None
        self.expires = False  # whether a deadline looks after its token
        self.record = record
        self.derive()

    def derive(self) -> None:
        """The record's attributes have changed."""
        given = self.record.attributes
        self.raw = given.get("RawMessageDelivery") == "true"
        self.filter: FilterPolicy | None = None
        if given.get("FilterPolicy"):
            scope: Scope = "MessageBody" if given.get("FilterPolicyScope") == "MessageBody" else "MessageAttributes"
            self.filter = compile_filter(given["FilterPolicy"], scope)
        redrive = given.get("RedrivePolicy")
        self.dead_letters: QueueName | None = None
        if redrive:
            self.dead_letters = queue_name_of_arn(orjson.loads(redrive)["deadLetterTargetArn"])
        self.policy: EffectivePolicy | None = None
        self.derive_policy()

    def derive_policy(self) -> None:
        """The record's attributes, or the topic's delivery policy, have changed."""
        if self.protocol in ("http", "https"):
            topic_policy = None if self.topic is None else self.topic.record.attributes.get("DeliveryPolicy")
            self.policy = effective(topic_policy, self.record.attributes.get("DeliveryPolicy"))

    @property
    def shown_endpoint(self) -> str:
        """The endpoint as it is told. Observed: AWS hides a URL's password (hashicorp/terraform-provider-aws's tests)."""
        return _PASSWORD.sub(r"\1****@", self.endpoint) if self.protocol in ("http", "https") else self.endpoint

    @property
    def outbox(self) -> str:
        """The internal queue of what leaves the process for this subscription."""
        return f"sns/outbox/{self.arn}"

    @property
    def live(self) -> bool:
        """Whether newly published messages go to it now. A replay reaches them by itself, or leaves them out."""
        if not self.record.confirmed:
            return False
        replay = self.record.replay
        return replay is None or (replay.status in ("Completed", "Failed") and replay.to_ms is None)
