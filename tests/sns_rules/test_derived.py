"""What is derived of a subscription's attributes is worked out when they change, and not when another's do."""

from broker.services.sns.names import TopicName
from broker.services.sns.records import SubscriptionRecord, TopicRecord
from broker.services.sns.topic import Subscription, Topic
from tests.core.bench import Bench

NAME = TopicName("000000000000", "us-east-1", "t")
POLICY = '{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":2,"numRetries":5}}}'  # of the topic


def test_a_topics_delivery_policy_leaves_filters_as_they_are() -> None:
    topic = Topic(TopicRecord(NAME, 1, 0, {}, {}), Bench().ledger, new=True)
    attributes = {"FilterPolicy": '{"a":["b"]}'}
    record = SubscriptionRecord(
        f"{NAME.arn}:1", NAME, "http", "http://127.0.0.1/", "000000000000", attributes, True, "", 0
    )
    subscription = Subscription(record, topic)
    compiled = subscription.filter
    topic.record.attributes["DeliveryPolicy"] = POLICY
    subscription.derive_policy()
    assert subscription.policy is not None
    assert subscription.policy.retries.num_retries == 5
    assert subscription.filter is compiled
