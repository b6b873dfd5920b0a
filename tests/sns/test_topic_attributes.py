"""GetTopicAttributes and SetTopicAttributes. Source: SNS API Reference; B1, B2, B4."""

import json

import pytest

from tests.sns.conftest import MakeSns, MakeTopic
from tests.sns.topics import Topic
from tests.sqs.queues import Queue, refused

DEFAULT_DELIVERY = {
    "http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 20,
            "maxDelayTarget": 20,
            "numRetries": 3,
            "numMaxDelayRetries": 0,
            "numNoDelayRetries": 0,
            "numMinDelayRetries": 0,
            "backoffFunction": "linear",
        },
        "disableSubscriptionOverrides": False,
        "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
    }
}


def test_a_new_topic_has_awss_defaults(topic: Topic, account: str) -> None:
    attributes = topic.attributes()
    assert json.loads(attributes.pop("EffectiveDeliveryPolicy")) == DEFAULT_DELIVERY
    policy = json.loads(attributes.pop("Policy"))
    assert policy["Id"] == "__default_policy_ID"
    (statement,) = policy["Statement"]
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceOwner": account}}
    assert statement["Resource"] == topic.arn
    assert attributes == {
        "TopicArn": topic.arn,
        "Owner": account,
        "DisplayName": "",
        "SubscriptionsConfirmed": "0",
        "SubscriptionsPending": "0",
        "SubscriptionsDeleted": "0",
    }


def test_a_fifo_topic_says_so(make_topic: MakeTopic) -> None:
    attributes = make_topic(FifoTopic="true").attributes()
    assert attributes["FifoTopic"] == "true"
    assert attributes["ContentBasedDeduplication"] == "false"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DisplayName", "Orders of the day"),
        ("DisplayName", "x" * 100),
        ("KmsMasterKeyId", "alias/aws/sns"),
        ("SignatureVersion", "2"),
        ("TracingConfig", "Active"),
        ("MaximumMessageSize", "1024"),
        ("MaximumMessageSize", "1048576"),
        ("HTTPSuccessFeedbackRoleArn", "arn:aws:iam::000000000000:role/logs"),
        ("SQSSuccessFeedbackSampleRate", "100"),
        ("LambdaFailureFeedbackRoleArn", "arn:aws:iam::000000000000:role/logs"),
        ("Policy", '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:Publish"}]}'),
    ],
)
def test_an_attribute_is_kept_and_returned(topic: Topic, name: str, value: str) -> None:
    topic.set(name, value)
    assert topic.attributes()[name] == value


def test_an_empty_value_takes_an_attribute_away(topic: Topic) -> None:
    before = topic.attributes()
    for name, value in (("DisplayName", "x"), ("KmsMasterKeyId", "alias/aws/sns"), ("Policy", before["Policy"])):
        topic.set(name, value)
        topic.set(name, "")
    assert topic.attributes() == before


@pytest.mark.parametrize("name", ["FifoTopic", "TopicArn", "Owner", "Nonsense", ""])
def test_other_names_cannot_be_set(topic: Topic, name: str) -> None:
    with refused("InvalidParameter", text="Invalid parameter: AttributeName"):
        topic.set(name, "true")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DisplayName", "x" * 101),
        ("DisplayName", "two\nlines"),
        ("SignatureVersion", "3"),
        ("TracingConfig", "active"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("MaximumMessageSize", "many"),
        ("SQSSuccessFeedbackSampleRate", "101"),
        ("HTTPSuccessFeedbackSampleRate", "-1"),
        ("Policy", "{"),
        ("Policy", "[]"),
        ("Policy", '{"Version":"2012-10-17"}'),
        ("DeliveryPolicy", "{"),
        ("ContentBasedDeduplication", "true"),  # FIFO topics only, as the next two
        ("FifoThroughputScope", "MessageGroup"),
        ("ArchivePolicy", '{"MessageRetentionPeriod":"30"}'),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(topic: Topic, name: str, value: str) -> None:
    before = topic.attributes()
    with refused("InvalidParameter"):
        topic.set(name, value)
    assert topic.attributes() == before


def test_a_display_name_that_is_too_long_is_named_at_creation(make_topic: MakeTopic) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Attributes Reason: DisplayName"):
        make_topic(DisplayName="x" * 101)


def test_the_throughput_scope_switches_one_way(make_topic: MakeTopic) -> None:
    topic = make_topic(FifoTopic="true")
    topic.set("FifoThroughputScope", "MessageGroup")
    with refused("InvalidParameter"):
        topic.set("FifoThroughputScope", "Topic")


def test_a_delivery_policy_shows_in_the_effective_one(topic: Topic) -> None:
    policy = {"http": {"defaultHealthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 60, "numRetries": 5}}}
    topic.set("DeliveryPolicy", json.dumps(policy))
    effective = json.loads(topic.attributes()["EffectiveDeliveryPolicy"])
    retry = effective["http"]["defaultHealthyRetryPolicy"]
    assert (retry["minDelayTarget"], retry["maxDelayTarget"], retry["numRetries"]) == (1, 60, 5)


def test_large_messages_are_for_topics_whose_subscriptions_stay_inside(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.set("MaximumMessageSize", "262145")
    with refused("InvalidParameter"):
        topic.subscribe("http", "http://127.0.0.1:9/")


def test_the_subscriptions_are_counted(topic: Topic, queue: Queue) -> None:
    arn = topic.subscribe_queue(queue)
    topic.subscribe("email", "someone@example.com")
    counts = topic.attributes()
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsPending"]) == ("1", "1")
    topic.sns.unsubscribe(SubscriptionArn=arn)
    counts = topic.attributes()
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsDeleted"]) == ("0", "1")


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        ("nonsense", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"),
        ("arn:aws:sqs:us-east-1:000000000000:t", "Invalid parameter: TopicArn"),
        ("", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"),
    ],
)
def test_an_arn_that_is_none_is_refused(topic: Topic, arn: str, text: str) -> None:
    with refused("InvalidParameter", text=text):
        topic.sns.get_topic_attributes(TopicArn=arn)


def test_a_topic_is_reached_in_its_own_region(topic: Topic, sns_of: MakeSns) -> None:
    with refused("InvalidParameter", text="Invalid parameter: TopicArn"):
        sns_of(region="eu-west-1").get_topic_attributes(TopicArn=topic.arn)
