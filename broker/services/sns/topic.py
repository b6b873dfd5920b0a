"""A topic and a subscription in memory: their records, and what is derived from these once, when they change."""

import re
from typing import Final, Literal, NamedTuple

import orjson

from broker.core.deduplication import Deduplication
from broker.core.ledger import Ledger
from broker.core.settings import QueueName, QueueSettings, queue_name_of_arn
from broker.services.filtering.policy import FilterPolicy, Scope, compile_filter
from broker.services.sns.delivery_policy import EffectivePolicy, effective
from broker.services.sns.records import SubscriptionRecord, TopicRecord

MESSAGE_BYTES_DEFAULT: Final = 262_144
ARCHIVE_DAY_MS: Final = 86_400_000
_FEEDBACK_FAMILIES: Final = {  # as the attributes of deliveries' status are named, by protocol
    "http": "HTTP",
    "https": "HTTP",
    "sqs": "SQS",
    "lambda": "Lambda",
    "firehose": "Firehose",
    "application": "Application",
}

_PASSWORD: Final = re.compile(r"^(https?://[^/?#@:]*:)[^/?#@]+@")

SignatureVersion = Literal["1", "2"]


class Feedback(NamedTuple):
    """Which deliveries of a protocol a topic wants records of."""

    success: bool
    success_percent: int
    failure: bool


def _feedback(attributes: dict[str, str]) -> dict[str, Feedback]:
    """Of the protocols that have records wanted of them."""
    wanted: dict[str, Feedback] = {}
    for protocol, family in _FEEDBACK_FAMILIES.items():
        success = bool(attributes.get(f"{family}SuccessFeedbackRoleArn"))
        failure = bool(attributes.get(f"{family}FailureFeedbackRoleArn"))
        if success or failure:
            percent = int(attributes.get(f"{family}SuccessFeedbackSampleRate") or 0)
            wanted[protocol] = Feedback(success, percent, failure)
    return wanted


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
        "feedback",
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
        self.feedback = _feedback(given)

    @property
    def archive_queue(self) -> str:
        """The internal queue that holds the archive."""
        return f"sns/archive/{self.record.number}"


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
