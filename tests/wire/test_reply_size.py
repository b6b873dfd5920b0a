"""Whether a reply is large is known from what may be: bodies and attributes of messages."""

import msgspec
import pytest

from broker.services.sqs.message_shapes import (
    Message,
    ReceivedAttributeValue,
    ReceiveMessageResult,
    SendMessageBatchResult,
    SendMessageBatchResultEntry,
)
from broker.wire.reply_size import compile_size


def message(body: str, **attributes: ReceivedAttributeValue) -> Message:
    given = attributes or msgspec.UNSET
    return Message(message_id="m", receipt_handle="h" * 56, md5_of_body="5", body=body, message_attributes=given)


@pytest.mark.parametrize(
    ("messages", "size"),
    [
        ([], 0),
        ([message("x" * 100)], 100),
        ([message("x" * 100), message("")], 100),
        ([message("x", text=ReceivedAttributeValue(string_value="y" * 50, data_type="String"))], 51),
        ([message("x", blob=ReceivedAttributeValue(binary_value=b"y" * 50, data_type="Binary"))], 51),
    ],
)
def test_bodies_and_attributes_count(messages: list[Message], size: int) -> None:
    assert compile_size(ReceiveMessageResult)(ReceiveMessageResult(messages=messages)) == size


def test_nothing_else_does() -> None:
    entry = SendMessageBatchResultEntry(id="i" * 80, message_id="m" * 36, md5_of_message_body="5" * 32)
    assert compile_size(SendMessageBatchResult)(SendMessageBatchResult(successful=[entry] * 10)) == 0
    assert compile_size(None)(None) == 0
