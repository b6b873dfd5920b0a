"""A queue as a specification sees it: the boto3 calls with the queue's URL filled in, and what is asked of the answers."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

Sqs = Any  # a boto3 client: its methods are made at run time
Received = dict[str, Any]  # a message as ReceiveMessage returns it


@dataclass(frozen=True)
class Queue:
    """A queue behind a boto3 client."""

    sqs: Sqs
    url: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def arn(self) -> str:
        return str(self.attributes("QueueArn")["QueueArn"])

    def send(self, body: str = "hello", **parameters: Any) -> dict[str, Any]:
        return dict(self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **parameters))

    def send_in_group(self, group: str, *bodies: str) -> None:
        """Send to a FIFO queue, in order; the body is the deduplication id."""
        for body in bodies:
            self.send(body, MessageGroupId=group, MessageDeduplicationId=f"{group}-{body}")

    def send_batch(self, *entries: dict[str, Any]) -> dict[str, Any]:
        return dict(self.sqs.send_message_batch(QueueUrl=self.url, Entries=list(entries)))

    def send_many(self, bodies: Sequence[str], **parameters: Any) -> None:
        """Send in batches of ten; all must be taken."""
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body, **parameters} for n, body in enumerate(bodies[at : at + 10])]
            assert not self.send_batch(*entries).get("Failed")

    def receive(self, count: int = 1, **parameters: Any) -> list[Received]:
        """Receive without waiting, whatever the queue's ReceiveMessageWaitTimeSeconds, unless asked to."""
        parameters.setdefault("WaitTimeSeconds", 0)
        reply = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=count, **parameters)
        return list(reply.get("Messages", []))

    def receive_one(self, **parameters: Any) -> Received:
        """Receive the one message that must be available."""
        messages = self.receive(1, **parameters)
        assert len(messages) == 1, "the queue has no available message"
        return messages[0]

    def receive_bodies(self, count: int = 10, **parameters: Any) -> list[str]:
        return [message["Body"] for message in self.receive(count, **parameters)]

    def receive_all(self, **parameters: Any) -> list[Received]:
        """Receive until a reply is empty."""
        messages: list[Received] = []
        while some := self.receive(10, **parameters):
            messages += some
        return messages

    def delete(self, message: Received | str) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=_handle(message))

    def change_visibility(self, message: Received | str, seconds: int) -> None:
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=_handle(message), VisibilityTimeout=seconds)

    def attributes(self, *names: str) -> dict[str, str]:
        reply = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names or ("All",)))
        return dict(reply.get("Attributes", {}))

    def set(self, **attributes: str) -> None:
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)

    def counts(self) -> tuple[int, int, int]:
        """How many messages are visible, in flight, delayed."""
        found = self.attributes(
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        return (
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
            int(found["ApproximateNumberOfMessagesDelayed"]),
        )

    def redrive_to(self, dead_letters: "Queue", max_receive_count: int) -> None:
        self.set(RedrivePolicy=redrive_policy(dead_letters.arn, max_receive_count))


def _handle(message: Received | str) -> str:
    return message if isinstance(message, str) else str(message["ReceiptHandle"])


def redrive_policy(arn: str, max_receive_count: int) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": max_receive_count})


def fifo_attributes(**more: str) -> dict[str, str]:
    return {"FifoQueue": "true", **more}


@contextmanager
def refused(*codes: str, text: str | None = None, status: int = 400) -> Iterator[pytest.ExceptionInfo[ClientError]]:
    """The block must fail with one of these `Error.Code`s (as boto3 shows them: the Query protocol's), and the given text."""
    with pytest.raises(ClientError) as caught:
        yield caught
    reply = caught.value.response
    assert reply["Error"]["Code"] in codes, reply["Error"]
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == status
    if text is not None:
        assert reply["Error"]["Message"] == text


NO_SUCH_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"
