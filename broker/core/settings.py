"""A queue's settings as the engine follows them. Services parse and validate AWS's attribute strings into these."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from broker.core import limits


class QueueName(NamedTuple):
    """What a queue is found by. State is apart per account and region."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"


def internal_name(name: str) -> QueueName:
    """The name of a queue of the broker's own: no account has it, so no request can reach it and no listing shows it.

    Internal queues carry what leaves the process or is kept for looking at. They have no in-flight limit.
    """
    return QueueName("", "", name)


def queue_name_of_arn(arn: str) -> QueueName | None:
    """The queue that an ARN names; None if it is not a queue's ARN."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sqs" or not all(parts[3:]):
        return None
    return QueueName(parts[4], parts[3], parts[5])


@dataclass(frozen=True, slots=True)
class Redrive:
    """RedrivePolicy. A receive that would be number max_receive_count + 1 moves the message to `dead_letter_queue` instead."""

    dead_letter_queue: QueueName
    max_receive_count: int


@dataclass(frozen=True, slots=True)
class RedriveAllow:
    """RedriveAllowPolicy of a dead-letter queue. `sources`: ARNs, for byQueue."""

    permission: Literal["allowAll", "denyAll", "byQueue"] = "allowAll"
    sources: tuple[str, ...] = ()

    def permits(self, source: QueueName) -> bool:
        """Whether a queue may have the owner of this policy as its dead-letter queue."""
        return self.permission == "allowAll" or (self.permission == "byQueue" and source.arn in self.sources)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Times in milliseconds, sizes in bytes. Defaults are AWS's."""

    fifo: bool = False
    delay_ms: int = 0
    visibility_ms: int = 30_000
    retention_ms: int = 345_600_000
    receive_wait_ms: int = 0
    message_bytes_max: int = limits.MESSAGE_BYTES_MAX
    content_based_deduplication: bool = False
    deduplicate_by_group: bool = False
    redrive: Redrive | None = None
    redrive_allow: RedriveAllow = RedriveAllow()
    internal: bool = False  # one of the broker's own (see internal_name)
