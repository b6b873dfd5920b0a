"""The requests and replies of the operations on messages.

They are apart from the handlers, which are compiled: of a class, the compiler drops the options that say how it is written.
"""

from typing import Annotated

import msgspec

from broker.services.operation import LARGE, QueryName


class MessageAttributeValue(msgspec.Struct, rename="pascal", kw_only=True):
    """A message attribute as it is sent. The list values are AWS's for the future, and refused."""

    data_type: str = ""
    string_value: str | None = None
    binary_value: bytes | None = None
    string_list_values: Annotated[list[str], QueryName("StringListValue")] | None = None
    binary_list_values: Annotated[list[bytes], QueryName("BinaryListValue")] | None = None


class ReceivedAttributeValue(msgspec.Struct, rename="pascal", kw_only=True):
    """A message attribute as it is received."""

    string_value: Annotated[str, LARGE] | msgspec.UnsetType = msgspec.UNSET
    binary_value: Annotated[bytes, LARGE] | msgspec.UnsetType = msgspec.UNSET
    data_type: str


class BatchResultErrorEntry(msgspec.Struct, rename="pascal"):
    """An entry that failed. `code` is the Query protocol's in both protocols."""

    id: str
    sender_fault: bool
    code: str
    message: str


MessageAttributes = Annotated[dict[str, MessageAttributeValue], QueryName("MessageAttribute", "Name", "Value")]
SystemAttributes = Annotated[dict[str, MessageAttributeValue], QueryName("MessageSystemAttribute", "Name", "Value")]


class SendMessageRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    message_body: str
    delay_seconds: int | None = None
    message_attributes: MessageAttributes | None = None
    message_system_attributes: SystemAttributes | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class SendMessageResult(msgspec.Struct, rename="pascal", kw_only=True):
    md5_of_message_body: str = msgspec.field(name="MD5OfMessageBody")
    md5_of_message_attributes: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="MD5OfMessageAttributes"
    )
    md5_of_message_system_attributes: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="MD5OfMessageSystemAttributes"
    )
    message_id: str
    sequence_number: str | msgspec.UnsetType = msgspec.UNSET


class SendMessageBatchRequestEntry(msgspec.Struct, rename="pascal", kw_only=True):
    id: str
    message_body: str
    delay_seconds: int | None = None
    message_attributes: MessageAttributes | None = None
    message_system_attributes: SystemAttributes | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class SendMessageBatchRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    entries: Annotated[list[SendMessageBatchRequestEntry], QueryName("SendMessageBatchRequestEntry")] | None = None


class SendMessageBatchResultEntry(msgspec.Struct, rename="pascal", kw_only=True):
    id: str
    message_id: str
    md5_of_message_body: str = msgspec.field(name="MD5OfMessageBody")
    md5_of_message_attributes: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="MD5OfMessageAttributes"
    )
    md5_of_message_system_attributes: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="MD5OfMessageSystemAttributes"
    )
    sequence_number: str | msgspec.UnsetType = msgspec.UNSET


class SendMessageBatchResult(msgspec.Struct, rename="pascal", kw_only=True):
    successful: Annotated[list[SendMessageBatchResultEntry], QueryName("SendMessageBatchResultEntry")]
    failed: Annotated[list[BatchResultErrorEntry], QueryName("BatchResultErrorEntry")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class ReceiveMessageRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    attribute_names: Annotated[list[str], QueryName("AttributeName")] | None = None  # the older name of the next
    message_system_attribute_names: Annotated[list[str], QueryName("MessageSystemAttributeName")] | None = None
    message_attribute_names: Annotated[list[str], QueryName("MessageAttributeName")] | None = None
    max_number_of_messages: int | None = None
    visibility_timeout: int | None = None
    wait_time_seconds: int | None = None
    receive_request_attempt_id: str | None = None


class Message(msgspec.Struct, rename="pascal", kw_only=True):
    message_id: str
    receipt_handle: str
    md5_of_body: str = msgspec.field(name="MD5OfBody")
    body: Annotated[str, LARGE]
    attributes: Annotated[dict[str, str], QueryName("Attribute", "Name", "Value")] | msgspec.UnsetType = msgspec.UNSET
    md5_of_message_attributes: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="MD5OfMessageAttributes"
    )
    message_attributes: (
        Annotated[dict[str, ReceivedAttributeValue], QueryName("MessageAttribute", "Name", "Value")] | msgspec.UnsetType
    ) = msgspec.UNSET


class ReceiveMessageResult(msgspec.Struct, rename="pascal", kw_only=True):
    messages: Annotated[list[Message], QueryName("Message")] | msgspec.UnsetType = msgspec.UNSET


class DeleteMessageRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    receipt_handle: str


class DeleteMessageBatchRequestEntry(msgspec.Struct, rename="pascal", kw_only=True):
    id: str
    receipt_handle: str


class DeleteMessageBatchRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    entries: Annotated[list[DeleteMessageBatchRequestEntry], QueryName("DeleteMessageBatchRequestEntry")] | None = None


class DeleteMessageBatchResultEntry(msgspec.Struct, rename="pascal"):
    id: str


class DeleteMessageBatchResult(msgspec.Struct, rename="pascal", kw_only=True):
    successful: Annotated[list[DeleteMessageBatchResultEntry], QueryName("DeleteMessageBatchResultEntry")]
    failed: Annotated[list[BatchResultErrorEntry], QueryName("BatchResultErrorEntry")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class ChangeMessageVisibilityRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    receipt_handle: str
    visibility_timeout: int


class ChangeMessageVisibilityBatchRequestEntry(msgspec.Struct, rename="pascal", kw_only=True):
    id: str
    receipt_handle: str
    visibility_timeout: int | None = None


class ChangeMessageVisibilityBatchRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    entries: (
        Annotated[list[ChangeMessageVisibilityBatchRequestEntry], QueryName("ChangeMessageVisibilityBatchRequestEntry")]
        | None
    ) = None


class ChangeMessageVisibilityBatchResultEntry(msgspec.Struct, rename="pascal"):
    id: str


class ChangeMessageVisibilityBatchResult(msgspec.Struct, rename="pascal", kw_only=True):
    successful: Annotated[
        list[ChangeMessageVisibilityBatchResultEntry], QueryName("ChangeMessageVisibilityBatchResultEntry")
    ]
    failed: Annotated[list[BatchResultErrorEntry], QueryName("BatchResultErrorEntry")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
