"""What calls bring back, and what messages carry: structs with Python's names, decoded from AWS's.

The structs are what the wire says; nothing here calls anything.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from client.errors import AwsError, aws_error


class Result(msgspec.Struct, rename="pascal", kw_only=True, frozen=True):
    """A part of an answer. Keys that it does not name are passed over."""


class MessageAttribute(Result, frozen=True, omit_defaults=True):
    """A value with its type: 'String', 'Number' or 'Binary', perhaps with a label ('Number.price')."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None

    @classmethod
    def of(cls, value: "str | bytes | int | float | MessageAttribute") -> "MessageAttribute":
        """The attribute that a plain value stands for."""
        if isinstance(value, MessageAttribute):
            return value
        if isinstance(value, bytes):
            return cls(data_type="Binary", binary_value=value)
        if isinstance(value, str):
            return cls(data_type="String", string_value=value)
        return cls(data_type="Number", string_value=repr(value))

    @property
    def value(self) -> str | bytes:
        """The value itself; a number as the text that was sent."""
        return self.binary_value if self.binary_value is not None else self.string_value or ""

    @property
    def size_bytes(self) -> int:
        """What AWS counts of it, without its name."""
        return len(self.data_type) + len(self.binary_value or b"") + len((self.string_value or "").encode())

    def parameter(self) -> dict[str, Any]:
        """As a request carries it."""
        if self.binary_value is not None:
            return {"DataType": self.data_type, "BinaryValue": self.binary_value}
        return {"DataType": self.data_type, "StringValue": self.string_value}


class Message(Result, frozen=True):
    """A received message. `attributes` are the system's, as text."""

    message_id: str
    receipt_handle: str
    body: str
    md5_of_body: str = msgspec.field(name="MD5OfBody")
    attributes: dict[str, str] = {}
    message_attributes: dict[str, MessageAttribute] = {}
    md5_of_message_attributes: str | None = msgspec.field(name="MD5OfMessageAttributes", default=None)

    @property
    def receive_count(self) -> int:
        """How often it has been received, this time included; 0 if that was not asked for."""
        return int(self.attributes.get("ApproximateReceiveCount", "0"))

    @property
    def group_id(self) -> str | None:
        """Its message group."""
        return self.attributes.get("MessageGroupId")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return msgspec.json.decode(self.body)


class QueueUrl(Result, frozen=True):
    """Of an operation that names a queue."""

    queue_url: str


class TopicArn(Result, frozen=True):
    """Of CreateTopic."""

    topic_arn: str


class SubscriptionArn(Result, frozen=True):
    """Of Subscribe."""

    subscription_arn: str


class Received(Result, frozen=True):
    """Of ReceiveMessage."""

    messages: list[Message] = []


class SentMessage(Result, frozen=True):
    """Of a send."""

    message_id: str
    md5_of_message_body: str = msgspec.field(name="MD5OfMessageBody")
    sequence_number: str | None = None
    id: str = ""


class Published(Result, frozen=True):
    """Of a publish."""

    message_id: str
    sequence_number: str | None = None
    id: str = ""


class Done(Result, frozen=True):
    """Of an entry that had nothing else to say."""

    id: str


class FailedEntry(Result, frozen=True):
    """An entry of a batch that was refused."""

    id: str
    code: str
    message: str = ""
    sender_fault: bool = True

    @property
    def error(self) -> AwsError:
        """As what it would have raised alone."""
        return aws_error(self.code, self.message, 0, sender=self.sender_fault)


Entry = TypeVar("Entry", SentMessage, Published, Done)


class BatchResult(Result, Generic[Entry], frozen=True):
    """Of a batch: every entry is in one of the lists, under its id."""

    successful: list[Entry] = []
    failed: list[FailedEntry] = []


class Outgoing(msgspec.Struct, kw_only=True):
    """A message to be sent or published in a batch. `body` is a publish's Message.

    `message_group_id` orders (FIFO) or balances (standard queues); `delay_s` is for standard queues; `subject` is for topics.
    """

    body: str
    attributes: Mapping[str, str | bytes | int | float | MessageAttribute] | None = None
    delay_s: int | None = None
    message_group_id: str | None = None
    deduplication_id: str | None = None
    trace_header: str | None = None
    subject: str | None = None

    def size_bytes(self) -> int:
        """What AWS counts towards a message's and a batch's limit."""
        size = len(self.body) if self.body.isascii() else len(self.body.encode())
        for name, value in (self.attributes or {}).items():
            size += len(name.encode()) + MessageAttribute.of(value).size_bytes
        return size

    def send_parameters(self) -> dict[str, Any]:
        """As SendMessage carries it."""
        parameters: dict[str, Any] = {"MessageBody": self.body}
        if self.attributes:
            parameters["MessageAttributes"] = attribute_parameters(self.attributes)
        if self.delay_s is not None:
            parameters["DelaySeconds"] = self.delay_s
        if self.trace_header is not None:
            traced = {"DataType": "String", "StringValue": self.trace_header}
            parameters["MessageSystemAttributes"] = {"AWSTraceHeader": traced}
        return self._add_group(parameters)

    def publish_parameters(self) -> dict[str, Any]:
        """As Publish carries it."""
        parameters: dict[str, Any] = {"Message": self.body}
        if self.attributes:
            parameters["MessageAttributes"] = attribute_parameters(self.attributes)
        if self.subject is not None:
            parameters["Subject"] = self.subject
        return self._add_group(parameters)

    def _add_group(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.message_group_id is not None:
            parameters["MessageGroupId"] = self.message_group_id
        if self.deduplication_id is not None:
            parameters["MessageDeduplicationId"] = self.deduplication_id
        return parameters


def attribute_parameters(attributes: Mapping[str, str | bytes | int | float | MessageAttribute]) -> dict[str, Any]:
    """Message attributes as a request carries them."""
    return {name: MessageAttribute.of(value).parameter() for name, value in attributes.items()}
