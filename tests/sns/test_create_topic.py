"""CreateTopic, DeleteTopic and ListTopics. Source: SNS API Reference; B1."""

import pytest

from tests.sns.conftest import MakeSns, MakeTopic
from tests.sns.topics import Sns, Topic
from tests.sqs.queues import Queue, refused


def test_a_topic_is_named_by_its_arn(sns: Sns, account: str) -> None:
    arn = sns.create_topic(Name="orders")["TopicArn"]
    assert arn == f"arn:aws:sns:us-east-1:{account}:orders"


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 256])
def test_a_name_has_1_to_256_letters_digits_hyphens_and_underscores(sns: Sns, name: str) -> None:
    assert sns.create_topic(Name=name)["TopicArn"].endswith(f":{name}")


@pytest.mark.parametrize("name", ["", "x" * 257, "a b", "a.b", "ä", "a/b", "orders.fifo"])
def test_other_names_are_refused(sns: Sns, name: str) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Topic Name"):
        sns.create_topic(Name=name)


def test_a_fifo_topics_name_ends_in_fifo(sns: Sns) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Topic Name"):
        sns.create_topic(Name="orders", Attributes={"FifoTopic": "true"})
    assert sns.create_topic(Name="orders.fifo", Attributes={"FifoTopic": "true"})["TopicArn"].endswith(":orders.fifo")


def test_a_missing_name_is_a_missing_parameter(sns: Sns) -> None:
    with refused("InvalidParameter", text="Invalid parameter: Name Reason: no value for required parameter"):
        sns.create_topic()


def test_creating_again_finds_the_topic(sns: Sns) -> None:
    given = {"Name": "t", "Attributes": {"DisplayName": "T"}, "Tags": [{"Key": "k", "Value": "v"}]}
    assert sns.create_topic(**given) | {"ResponseMetadata": 0} == sns.create_topic(**given) | {"ResponseMetadata": 0}
    sns.create_topic(Name="t")  # what is not given is not compared


def test_other_attributes_conflict(sns: Sns) -> None:
    sns.create_topic(Name="t", Attributes={"DisplayName": "one"})
    with refused(
        "InvalidParameter",
        text="Invalid parameter: Attributes Reason: Topic already exists with different attributes",
    ):
        sns.create_topic(Name="t", Attributes={"DisplayName": "two"})


def test_other_tags_conflict(sns: Sns) -> None:
    sns.create_topic(Name="t", Tags=[{"Key": "k", "Value": "one"}])
    with refused("InvalidParameter", text="Invalid parameter: Tags Reason: Topic already exists with different tags"):
        sns.create_topic(Name="t", Tags=[{"Key": "k", "Value": "two"}])


def test_accounts_and_regions_are_apart(sns_of: MakeSns, new_account: object) -> None:
    one, two = sns_of(), sns_of(region="eu-west-1")
    one.create_topic(Name="t")
    assert two.list_topics()["Topics"] == []
    assert two.create_topic(Name="t")["TopicArn"].startswith("arn:aws:sns:eu-west-1:")


def test_a_deleted_topic_is_gone_with_its_subscriptions(topic: Topic, queue: Queue) -> None:
    topic.subscribe_queue(queue)
    topic.sns.delete_topic(TopicArn=topic.arn)
    assert topic.sns.list_topics()["Topics"] == []
    assert topic.sns.list_subscriptions()["Subscriptions"] == []
    with refused("NotFound", text="Topic does not exist", status=404):
        topic.attributes()


def test_deleting_a_topic_that_is_not_there_succeeds(topic: Topic) -> None:
    topic.sns.delete_topic(TopicArn=topic.arn)
    topic.sns.delete_topic(TopicArn=topic.arn)


def test_a_name_is_free_again_at_once(make_topic: MakeTopic) -> None:
    make_topic("again", DisplayName="one").sns.delete_topic(TopicArn=make_topic("again").arn)
    assert make_topic("again").attributes()["DisplayName"] == ""


def test_topics_are_listed_by_the_hundred(sns: Sns) -> None:
    names = {f"t{number:03}" for number in range(230)}
    for name in names:
        sns.create_topic(Name=name)
    pages = []
    token: dict[str, str] = {}
    while True:
        reply = sns.list_topics(**token)
        pages.append([topic["TopicArn"].rsplit(":", 1)[1] for topic in reply["Topics"]])
        if "NextToken" not in reply:
            break
        token = {"NextToken": reply["NextToken"]}
    assert [len(page) for page in pages] == [100, 100, 30]
    assert {name for page in pages for name in page} == names


def test_a_token_of_another_kind_is_refused(sns: Sns) -> None:
    with refused("InvalidParameter"):
        sns.list_topics(NextToken="nonsense")
