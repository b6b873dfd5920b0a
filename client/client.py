"""The client: SQS and SNS as coroutines, with Python's names and typed answers.

Parameters have AWS's meaning and ranges; the endpoint checks them, and its refusals arrive as the classes of `client.errors`.
Requests go to the configured endpoint, whatever host a queue's URL names. `call` reaches every operation that has no method here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from client.calls import Caller
from client.clock import Clock, SystemClock
from client.errors import DigestMismatch
from client.messages import (
    BatchResult,
    Done,
    FailedEntry,
    Message,
    MessageAttribute,
    Outgoing,
    Published,
    QueueUrl,
    Received,
    SentMessage,
    SubscriptionArn,
    TopicArn,
    attribute_parameters,
)

Attributes = Mapping[str, str | bytes | int | float | MessageAttribute]
T = TypeVar("T")
_LONG_POLL_MAX_S: Final = 20


class Client:
    """One endpoint, one region, one set of credentials; any number of calls at once, on one event loop.

    `endpoint_url`: else AWS_ENDPOINT_URL_SQS and _SNS, AWS_ENDPOINT_URL, else AWS. `region`: else AWS_REGION, AWS_DEFAULT_REGION,
    the endpoint's. Credentials: else the environment's, else botocore's chain. `timeout_s` is how long an answer may take beside a
    long poll's wait; `attempts_max` counts the first attempt.
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
        timeout_s: float = 15.0,
        attempts_max: int = 5,
        clock: Clock | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self._caller = Caller(
            endpoint_url=endpoint_url,
            region=region,
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            timeout_s=timeout_s,
            attempts_max=attempts_max,
            clock=self.clock,
        )

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        return self._caller.region

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Any operation of 'sqs' or 'sns', with AWS's names; the answer as it came, an XML one as nested dicts and lists."""
        given = {name: value for name, value in parameters.items() if value is not None}
        answer: dict[str, Any] = await self._caller.call(service, operation, given, dict[str, Any])
        return answer

    # Queues

    async def create_queue(
        self, name: str, attributes: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """The URL of a queue that exists from now on. Raises QueueNameExists if it does with other attributes."""
        created = await self._typed(QueueUrl, "CreateQueue", QueueName=name, Attributes=attributes, tags=tags)
        return created.queue_url

    async def queue_url(self, queue: str, account: str | None = None) -> str:
        """The URL of a queue by its name or ARN; a URL is returned as it is. Raises QueueDoesNotExist."""
        if queue.startswith(("http://", "https://")):
            return queue
        if queue.startswith("arn:"):
            *_, account, queue = queue.split(":")
        found = await self._typed(QueueUrl, "GetQueueUrl", QueueName=queue, QueueOwnerAWSAccountId=account)
        return found.queue_url

    async def queue_attributes(self, url: str, *names: str) -> dict[str, str]:
        """The attributes of these names; all, if none is named."""
        answer = await self._sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=list(names) or ["All"])
        return dict(answer.get("Attributes", {}))

    async def set_queue_attributes(self, url: str, attributes: Mapping[str, str]) -> None:
        """Change attributes; an empty value removes one that may be missing."""
        await self._sqs("SetQueueAttributes", QueueUrl=url, Attributes=attributes)

    async def list_queues(self, prefix: str | None = None) -> list[str]:
        """The URLs of all queues whose names begin with `prefix`, page by page."""
        urls: list[str] = []
        token = None
        while True:
            answer = await self._sqs("ListQueues", QueueNamePrefix=prefix, MaxResults=1000, NextToken=token)
            urls += answer.get("QueueUrls", [])
            token = answer.get("NextToken")
            if not token:
                return urls

    async def delete_queue(self, url: str) -> None:
        """Delete a queue with its messages."""
        await self._sqs("DeleteQueue", QueueUrl=url)

    async def purge_queue(self, url: str) -> None:
        """Delete all messages of a queue."""
        await self._sqs("PurgeQueue", QueueUrl=url)

    # Messages

    async def send(
        self,
        url: str,
        body: str,
        *,
        attributes: Attributes | None = None,
        delay_s: int | None = None,
        message_group_id: str | None = None,
        deduplication_id: str | None = None,
        trace_header: str | None = None,
    ) -> SentMessage:
        """Send one message. Raises DigestMismatch if the endpoint took another body."""
        outgoing = Outgoing(
            body=body,
            attributes=attributes,
            delay_s=delay_s,
            message_group_id=message_group_id,
            deduplication_id=deduplication_id,
            trace_header=trace_header,
        )
        sent = await self._typed(SentMessage, "SendMessage", QueueUrl=url, **outgoing.send_parameters())
        _check("the endpoint took", body, sent.md5_of_message_body)
        return sent

    async def send_batch(self, url: str, messages: Sequence[Outgoing]) -> BatchResult[SentMessage]:
        """Send up to ten messages; an entry's id is its index. An entry that arrived otherwise than it was sent has failed."""
        entries = [{"Id": str(index), **message.send_parameters()} for index, message in enumerate(messages)]
        result = await self._typed(BatchResult[SentMessage], "SendMessageBatch", QueueUrl=url, Entries=entries)
        bodies = {str(index): message.body for index, message in enumerate(messages)}
        for sent in list(result.successful):
            if _md5(bodies.get(sent.id, "")) != sent.md5_of_message_body:
                result.successful.remove(sent)
                result.failed.append(FailedEntry(id=sent.id, code=MISMATCH, message="the endpoint took another body"))
        return result

    async def receive(
        self,
        url: str,
        count: int = 1,
        *,
        wait_time_s: int | None = None,
        visibility_timeout_s: int | None = None,
        system_attributes: Sequence[str] = ("All",),
        message_attributes: Sequence[str] = ("All",),
        attempt_id: str | None = None,
    ) -> list[Message]:
        """Receive up to `count` (1-10) messages, waiting up to `wait_time_s` (0-20; else the queue's) for the first.

        `attempt_id` (FIFO): a receive whose answer was lost is repeated by giving the same. Raises DigestMismatch if a body arrived
        otherwise than it was stored; its messages come back when their visibility timeout ends.
        """
        received = await self._typed(
            Received,
            "ReceiveMessage",
            waits_s=_LONG_POLL_MAX_S if wait_time_s is None else wait_time_s,
            QueueUrl=url,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=wait_time_s,
            VisibilityTimeout=visibility_timeout_s,
            MessageSystemAttributeNames=system_attributes or None,
            MessageAttributeNames=message_attributes or None,
            ReceiveRequestAttemptId=attempt_id,
        )
        for message in received.messages:
            _check(f"message {message.message_id} arrived with", message.body, message.md5_of_body)
        return received.messages

    async def delete(self, url: str, receipt_handle: str) -> None:
        """Delete a received message."""
        await self._sqs("DeleteMessage", QueueUrl=url, ReceiptHandle=receipt_handle)

    async def delete_batch(self, url: str, receipt_handles: Sequence[str]) -> BatchResult[Done]:
        """Delete up to ten; an entry's id is its index."""
        entries = [{"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles)]
        return await self._typed(BatchResult[Done], "DeleteMessageBatch", QueueUrl=url, Entries=entries)

    async def change_visibility(self, url: str, receipt_handle: str, visibility_timeout_s: int) -> None:
        """Hide a received message for so long from now on; 0 returns it."""
        parameters = {"ReceiptHandle": receipt_handle, "VisibilityTimeout": visibility_timeout_s}
        await self._sqs("ChangeMessageVisibility", QueueUrl=url, **parameters)

    async def change_visibility_batch(
        self, url: str, receipt_handles: Sequence[str], visibility_timeout_s: int
    ) -> BatchResult[Done]:
        """The same for up to ten; an entry's id is its index."""
        entries = [
            {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": visibility_timeout_s}
            for index, handle in enumerate(receipt_handles)
        ]
        return await self._typed(BatchResult[Done], "ChangeMessageVisibilityBatch", QueueUrl=url, Entries=entries)

    # Topics

    async def create_topic(
        self, name: str, attributes: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """The ARN of a topic that exists from now on."""
        listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        parameters = {"Name": name, "Attributes": attributes, "Tags": listed}
        created: TopicArn = await self._caller.call("sns", "CreateTopic", parameters, TopicArn)
        return created.topic_arn

    async def delete_topic(self, arn: str) -> None:
        """Delete a topic with its subscriptions."""
        await self.call("sns", "DeleteTopic", TopicArn=arn)

    async def subscribe(
        self, topic_arn: str, protocol: str, endpoint: str, attributes: Mapping[str, str] | None = None
    ) -> str:
        """The ARN of a new subscription, also while it waits to be confirmed."""
        parameters = {
            "TopicArn": topic_arn,
            "Protocol": protocol,
            "Endpoint": endpoint,
            "Attributes": attributes,
            "ReturnSubscriptionArn": True,
        }
        made: SubscriptionArn = await self._caller.call("sns", "Subscribe", parameters, SubscriptionArn)
        return made.subscription_arn

    async def unsubscribe(self, subscription_arn: str) -> None:
        """End a subscription."""
        await self.call("sns", "Unsubscribe", SubscriptionArn=subscription_arn)

    async def publish(
        self,
        topic_arn: str,
        message: str,
        *,
        subject: str | None = None,
        attributes: Attributes | None = None,
        message_structure: str | None = None,
        message_group_id: str | None = None,
        deduplication_id: str | None = None,
    ) -> Published:
        """Publish one message. `message_structure` 'json': `message` has a text for each protocol."""
        parameters: dict[str, Any] = {
            "TopicArn": topic_arn,
            "Message": message,
            "Subject": subject,
            "MessageAttributes": attribute_parameters(attributes or {}),
            "MessageStructure": message_structure,
            "MessageGroupId": message_group_id,
            "MessageDeduplicationId": deduplication_id,
        }
        published: Published = await self._caller.call("sns", "Publish", parameters, Published)
        return published

    async def publish_batch(self, topic_arn: str, messages: Sequence[Outgoing]) -> BatchResult[Published]:
        """Publish up to ten messages; an entry's id is its index."""
        entries = [{"Id": str(index), **message.publish_parameters()} for index, message in enumerate(messages)]
        parameters = {"TopicArn": topic_arn, "PublishBatchRequestEntries": entries}
        result: BatchResult[Published] = await self._caller.call(
            "sns", "PublishBatch", parameters, BatchResult[Published]
        )
        return result

    async def _sqs(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return await self._typed(dict[str, Any], operation, **parameters)

    async def _typed(self, kind: type[T], operation: str, waits_s: float = 0, **parameters: Any) -> T:
        given = {name: value for name, value in parameters.items() if value is not None}
        answer: T = await self._caller.call("sqs", operation, given, kind, waits_s)
        return answer


MISMATCH: Final = "DigestMismatch"  # of this client, not AWS's: an entry of a batch whose body arrived otherwise


def _md5(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _check(what: str, body: str, named: str) -> None:
    if _md5(body) != named:
        raise DigestMismatch(f"{what} another body than it says: its MD5 is {_md5(body)}, {named} was named")
