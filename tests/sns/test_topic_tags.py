"""TagResource, UntagResource, ListTagsForResource. Source: SNS API Reference."""

import pytest

from tests.sns.conftest import MakeSns
from tests.sns.topics import Sns, Topic
from tests.sqs.queues import refused

MISSING = "arn:aws:sns:us-east-1:123456789012:missing"


def tags(topic: Topic) -> dict[str, str]:
    listed = topic.sns.list_tags_for_resource(ResourceArn=topic.arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def tag(topic: Topic, **given: str) -> None:
    topic.sns.tag_resource(ResourceArn=topic.arn, Tags=[{"Key": k, "Value": v} for k, v in given.items()])


def test_a_new_topic_has_no_tags(topic: Topic) -> None:
    assert tags(topic) == {}


def test_the_tags_that_a_topic_was_made_with_are_listed(sns: Sns) -> None:
    arn = sns.create_topic(Name="tagged", Tags=[{"Key": "team", "Value": "blue"}])["TopicArn"]
    assert tags(Topic(sns, arn)) == {"team": "blue"}


def test_tags_are_added_and_overwritten(topic: Topic) -> None:
    tag(topic, team="blue", stage="test")
    tag(topic, team="red", empty="")
    assert tags(topic) == {"team": "red", "stage": "test", "empty": ""}


def test_keys_and_values_are_case_sensitive(topic: Topic) -> None:
    tag(topic, Team="Blue", team="blue")
    assert tags(topic) == {"Team": "Blue", "team": "blue"}


def test_untagging_removes_the_named_keys(sns: Sns, topic: Topic) -> None:
    tag(topic, a="1", b="2", c="3")
    sns.untag_resource(ResourceArn=topic.arn, TagKeys=["a", "c", "never there"])
    assert tags(topic) == {"b": "2"}


def test_a_topic_has_at_most_50_tags(topic: Topic) -> None:
    tag(topic, **{f"key-{n}": "" for n in range(50)})
    tag(topic, **{"key-0": "an old key is no further tag"})
    with refused("TagLimitExceeded"):
        tag(topic, one_more="")
    assert len(tags(topic)) == 50


@pytest.mark.parametrize("key", ["", "k" * 129, "aws:mine"])
def test_a_key_has_1_to_128_characters_and_is_not_awss(topic: Topic, key: str) -> None:
    with refused("InvalidParameter"):
        tag(topic, **{key: "value"})


def test_a_value_has_up_to_256_characters(topic: Topic) -> None:
    tag(topic, key="v" * 256)
    with refused("InvalidParameter"):
        tag(topic, key="v" * 257)


def test_a_key_is_given_once(sns: Sns, topic: Topic) -> None:
    with refused("InvalidParameter"):
        sns.tag_resource(ResourceArn=topic.arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}])


def test_an_unknown_topic_is_no_resource(sns: Sns) -> None:
    with refused("ResourceNotFound", text="Resource does not exist", status=404):
        sns.tag_resource(ResourceArn=MISSING, Tags=[{"Key": "a", "Value": "1"}])
    with refused("ResourceNotFound", text="Resource does not exist", status=404):
        sns.untag_resource(ResourceArn=MISSING, TagKeys=["a"])
    with refused("ResourceNotFound", text="Resource does not exist", status=404):
        sns.list_tags_for_resource(ResourceArn=MISSING)


def test_a_topic_is_tagged_in_its_region(topic: Topic, sns_of: MakeSns) -> None:
    with refused("InvalidParameter"):
        sns_of(region="eu-west-1").list_tags_for_resource(ResourceArn=topic.arn)


def test_a_topic_made_again_must_have_the_given_tags(sns: Sns, topic: Topic) -> None:
    tag(topic, team="blue")
    assert sns.create_topic(Name=topic.name, Tags=[{"Key": "team", "Value": "blue"}])["TopicArn"] == topic.arn
    with refused("InvalidParameter", text="Invalid parameter: Tags Reason: Topic already exists with different tags"):
        sns.create_topic(Name=topic.name, Tags=[{"Key": "team", "Value": "red"}])
