"""The requests and replies of publishing. Apart from the handlers, which are compiled (see records.py)."""

from typing import Annotated

import msgspec

from broker.services.operation import QueryName
from broker.services.sns.batches import BatchResultErrorEntry


class MessageAttributeValue(msgspec.Struct, rename="pascal", kw_only=True):
    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


MessageAttributes = Annotated[dict[str, MessageAttributeValue], QueryName("MessageAttributes", "Name", "Value")]


class PublishRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str | None = None
    target_arn: str | None = None
    phone_number: str | None = None
    message: str
    subject: str | None = None
    message_structure: str | None = None
    message_attributes: MessageAttributes | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class PublishResult(msgspec.Struct, rename="pascal", kw_only=True):
    message_id: str
    sequence_number: str | msgspec.UnsetType = msgspec.UNSET


class PublishBatchRequestEntry(msgspec.Struct, rename="pascal", kw_only=True):
    id: str
    message: str
    subject: str | None = None
    message_structure: str | None = None
    message_attributes: MessageAttributes | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class PublishBatchRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    publish_batch_request_entries: list[PublishBatchRequestEntry] | None = None


class PublishBatchResultEntry(msgspec.Struct, rename="pascal", kw_only=True):
    id: str
    message_id: str
    sequence_number: str | msgspec.UnsetType = msgspec.UNSET


class PublishBatchResult(msgspec.Struct, rename="pascal", kw_only=True):
    successful: list[PublishBatchResultEntry]
    failed: list[BatchResultErrorEntry]
