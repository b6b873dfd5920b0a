"""AddPermission and RemovePermission: statements of the topic's policy. Source: SNS API Reference."""

import json
from typing import Any

import pytest

from tests.sns.topics import Sns, Topic
from tests.sqs.queues import refused

DEFAULT = "__default_statement_ID"


def statements(topic: Topic) -> list[dict[str, Any]]:
    return list(json.loads(topic.attributes()["Policy"])["Statement"])


def labels(topic: Topic) -> list[str]:
    return [statement["Sid"] for statement in statements(topic)]


def add(topic: Topic, label: str = "a", accounts: tuple[str, ...] = ("111111111111",), *actions: str) -> None:
    names = list(actions or ("Publish",))
    topic.sns.add_permission(TopicArn=topic.arn, Label=label, AWSAccountId=list(accounts), ActionName=names)


def test_a_permission_is_a_statement_beside_the_default_one(topic: Topic) -> None:
    add(topic, "publishers")
    default, statement = statements(topic)
    assert default["Sid"] == DEFAULT
    assert statement == {
        "Sid": "publishers",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "SNS:Publish",
        "Resource": topic.arn,
    }


def test_several_accounts_are_allowed_several_actions(topic: Topic) -> None:
    add(topic, "more", ("111111111111", "222222222222"), "Publish", "Subscribe")
    statement = statements(topic)[1]
    assert statement["Principal"]["AWS"] == ["arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root"]
    assert statement["Action"] == ["SNS:Publish", "SNS:Subscribe"]


def test_permissions_are_added_to_a_policy_that_was_set(topic: Topic) -> None:
    own = {"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "SNS:Publish", "Resource": topic.arn}
    topic.set("Policy", json.dumps({"Version": "2012-10-17", "Id": "mine", "Statement": own}))
    add(topic, "more")
    policy = json.loads(topic.attributes()["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2012-10-17", "mine")
    assert labels(topic) == ["own", "more"]


def test_a_label_is_used_once(topic: Topic) -> None:
    add(topic, "a")
    with refused("InvalidParameter", text="Invalid parameter: Statement already exists"):
        add(topic, "a", ("222222222222",))
    assert labels(topic) == [DEFAULT, "a"]


@pytest.mark.parametrize("action", ["FlyAway", "SendMessage", "CreateTopic", "*", "SNS:Publish"])
def test_an_action_that_is_none_of_a_topics_is_refused(topic: Topic, action: str) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Policy statement action out of service scope!"):
        add(topic, "a", ("111111111111",), "Publish", action)
    assert labels(topic) == [DEFAULT]


@pytest.mark.parametrize("account", ["11111111111", "1111111111111", "1111-1111-1111", "*"])
def test_an_account_has_12_digits(topic: Topic, account: str) -> None:
    with refused("InvalidParameter"):
        add(topic, "a", ("111111111111", account))


def test_a_removed_label_takes_its_statement_away(sns: Sns, topic: Topic) -> None:
    add(topic, "a")
    add(topic, "b")
    sns.remove_permission(TopicArn=topic.arn, Label="a")
    assert labels(topic) == [DEFAULT, "b"]


def test_the_default_statement_does_not_come_back(sns: Sns, topic: Topic) -> None:
    sns.remove_permission(TopicArn=topic.arn, Label=DEFAULT)
    assert statements(topic) == []
    add(topic, "a")
    assert labels(topic) == ["a"]


def test_a_label_that_is_not_there_has_been_removed(sns: Sns, topic: Topic) -> None:
    before = topic.attributes()["Policy"]
    sns.remove_permission(TopicArn=topic.arn, Label="never added")
    assert topic.attributes()["Policy"] == before


def test_a_policy_does_not_grow_beyond_30_kilobytes(topic: Topic) -> None:
    accounts = tuple(f"{n:012d}" for n in range(1_000))
    with refused("InvalidParameter"):
        add(topic, "a", accounts)
    assert labels(topic) == [DEFAULT]


def test_an_unknown_topic_is_refused(topic: Topic) -> None:
    missing = topic.arn + "x"
    with refused("NotFound", text="Topic does not exist", status=404):
        add(Topic(topic.sns, missing))
    with refused("NotFound", text="Topic does not exist", status=404):
        topic.sns.remove_permission(TopicArn=missing, Label="a")
