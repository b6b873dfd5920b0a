"""GetDataProtectionPolicy, PutDataProtectionPolicy, and CreateTopic with one. Source: SNS API Reference."""

import json

import pytest

from tests.sns.conftest import MakeTopic
from tests.sns.topics import Sns, Topic
from tests.sqs.queues import refused

POLICY = json.dumps(
    {
        "Name": "no-e-mail-addresses",
        "Version": "2021-06-01",
        "Statement": [
            {
                "DataDirection": "Inbound",
                "Principal": ["*"],
                "DataIdentifier": ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"],
                "Operation": {"Deny": {}},
            }
        ],
    }
)


def policy(topic: Topic) -> str | None:
    return topic.sns.get_data_protection_policy(ResourceArn=topic.arn).get("DataProtectionPolicy")


def put(topic: Topic, policy: str) -> None:
    topic.sns.put_data_protection_policy(ResourceArn=topic.arn, DataProtectionPolicy=policy)


def test_without_a_policy_there_is_none(topic: Topic) -> None:
    assert policy(topic) is None


def test_a_policy_is_returned_as_it_was_written(topic: Topic) -> None:
    put(topic, POLICY)
    assert policy(topic) == POLICY


def test_an_empty_policy_takes_it_away(topic: Topic) -> None:
    put(topic, POLICY)
    put(topic, "")
    assert policy(topic) is None


def test_a_topic_is_made_with_a_policy(sns: Sns) -> None:
    arn = sns.create_topic(Name="protected", DataProtectionPolicy=POLICY)["TopicArn"]
    assert policy(Topic(sns, arn)) == POLICY
    assert sns.create_topic(Name="protected", DataProtectionPolicy=POLICY)["TopicArn"] == arn
    assert sns.create_topic(Name="protected")["TopicArn"] == arn


def test_a_topic_made_again_must_have_the_given_policy(sns: Sns, topic: Topic) -> None:
    with refused("InvalidParameter"):
        sns.create_topic(Name=topic.name, DataProtectionPolicy=POLICY)


def test_a_policy_has_up_to_30720_characters(topic: Topic) -> None:
    longest = json.dumps({"Name": "x" * (30_720 - len('{"Name": ""}'))})
    put(topic, longest)
    assert policy(topic) == longest
    with refused("InvalidParameter"):
        put(topic, longest + " ")


@pytest.mark.parametrize("written", ["{", "[]", "text", '"text"'])
def test_a_policy_is_a_json_object(sns: Sns, topic: Topic, written: str) -> None:
    with refused("InvalidParameter"):
        put(topic, written)
    with refused("InvalidParameter"):
        sns.create_topic(Name="unprotected", DataProtectionPolicy=written)


def test_fifo_topics_have_none(make_topic: MakeTopic) -> None:
    with refused("InvalidParameter"):
        put(make_topic("a", FifoTopic="true"), POLICY)


def test_it_is_no_attribute(topic: Topic) -> None:
    before = topic.attributes()
    put(topic, POLICY)
    assert topic.attributes() == before


def test_an_unknown_topic_is_refused(topic: Topic) -> None:
    missing = Topic(topic.sns, topic.arn + "x")
    with refused("NotFound", text="Topic does not exist", status=404):
        put(missing, POLICY)
    with refused("NotFound", text="Topic does not exist", status=404):
        policy(missing)
