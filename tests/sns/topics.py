"""A topic as a specification sees it: the boto3 calls with its ARN filled in, and what is asked of the answers."""

import json
from dataclasses import dataclass
from typing import Any

from tests.sqs.queues import Queue

Sns = Any  # a boto3 client: its methods are made at run time
NO_SUCH_TOPIC = "NotFound"


@dataclass(frozen=True)
class Topic:
    """A topic behind a boto3 client."""

    sns: Sns
    arn: str

    @property
    def name(self) -> str:
        return self.arn.rsplit(":", 1)[1]

    def attributes(self) -> dict[str, str]:
        return dict(self.sns.get_topic_attributes(TopicArn=self.arn)["Attributes"])

    def set(self, name: str, value: str) -> None:
        self.sns.set_topic_attributes(TopicArn=self.arn, AttributeName=name, AttributeValue=value)

    def subscribe(self, protocol: str, endpoint: str, **attributes: str) -> str:
        """The ARN of a new subscription, also while it is pending."""
        reply = self.sns.subscribe(
            TopicArn=self.arn,
            Protocol=protocol,
            Endpoint=endpoint,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        return str(reply["SubscriptionArn"])

    def subscribe_queue(self, queue: Queue, **attributes: str) -> str:
        return self.subscribe("sqs", queue.arn, **attributes)

    def publish(self, message: str = "hello", **parameters: Any) -> dict[str, Any]:
        return dict(self.sns.publish(TopicArn=self.arn, Message=message, **parameters))

    def publish_in_group(self, group: str, *messages: str) -> None:
        """Publish to a FIFO topic, in order; the message is the deduplication id."""
        for message in messages:
            self.publish(message, MessageGroupId=group, MessageDeduplicationId=f"{group}-{message}")

    def subscriptions(self) -> list[dict[str, str]]:
        return list(self.sns.list_subscriptions_by_topic(TopicArn=self.arn)["Subscriptions"])


def subscription_attributes(sns: Sns, arn: str) -> dict[str, str]:
    return dict(sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"])


def envelopes(queue: Queue) -> list[dict[str, Any]]:
    """The SNS documents that a queue holds, received and deleted."""
    found = []
    while some := queue.receive(10):
        for message in some:
            queue.delete(message)
            found.append(json.loads(message["Body"]))
    return found


def string(value: str, data_type: str = "String") -> dict[str, str]:
    """A message attribute."""
    return {"DataType": data_type, "StringValue": value}
