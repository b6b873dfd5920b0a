"""TagQueue, UntagQueue, ListQueueTags. Source: SQS API Reference."""

from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


def tags(queue: Queue) -> dict[str, str]:
    return dict(queue.sqs.list_queue_tags(QueueUrl=queue.url).get("Tags", {}))


def test_without_tags_the_map_is_absent(queue: Queue, sqs_json: JsonClient, sqs_query: QueryClient) -> None:
    assert sqs_json.call("ListQueueTags", {"QueueUrl": queue.url}).json == {}
    assert sqs_query.call("ListQueueTags", QueueUrl=queue.url).texts("ListQueueTagsResult/Tag") == []


def test_tags_are_added_and_overwritten(sqs: Sqs, queue: Queue) -> None:
    sqs.tag_queue(QueueUrl=queue.url, Tags={"team": "blue", "stage": "test"})
    sqs.tag_queue(QueueUrl=queue.url, Tags={"team": "red", "empty": ""})
    assert tags(queue) == {"team": "red", "stage": "test", "empty": ""}


def test_keys_and_values_are_case_sensitive(sqs: Sqs, queue: Queue) -> None:
    sqs.tag_queue(QueueUrl=queue.url, Tags={"Team": "Blue", "team": "blue"})
    assert tags(queue) == {"Team": "Blue", "team": "blue"}


def test_untagging_removes_the_named_keys(sqs: Sqs, queue: Queue) -> None:
    sqs.tag_queue(QueueUrl=queue.url, Tags={"a": "1", "b": "2", "c": "3"})
    sqs.untag_queue(QueueUrl=queue.url, TagKeys=["a", "c", "never there"])
    assert tags(queue) == {"b": "2"}


def test_tags_are_no_attributes(sqs: Sqs, queue: Queue) -> None:
    before = queue.attributes("All")
    sqs.tag_queue(QueueUrl=queue.url, Tags={"a": "1"})
    assert set(queue.attributes("All")) == set(before)


def test_tags_of_an_unknown_queue_are_refused(sqs: Sqs, queue: Queue) -> None:
    missing = queue.url + "x"
    with refused(NO_SUCH_QUEUE):
        sqs.tag_queue(QueueUrl=missing, Tags={"a": "1"})
    with refused(NO_SUCH_QUEUE):
        sqs.untag_queue(QueueUrl=missing, TagKeys=["a"])
    with refused(NO_SUCH_QUEUE):
        sqs.list_queue_tags(QueueUrl=missing)


def test_the_query_protocol_tags_lists_and_untags(queue: Queue, sqs_query: QueryClient) -> None:
    assert sqs_query.call("TagQueue", QueueUrl=queue.url, Tag__1__Key="a", Tag__1__Value="1 & 2").status == 200
    answer = sqs_query.call("ListQueueTags", QueueUrl=queue.url)
    assert answer.texts("ListQueueTagsResult/Tag/Key") == ["a"]
    assert answer.texts("ListQueueTagsResult/Tag/Value") == ["1 & 2"]
    assert sqs_query.call("UntagQueue", QueueUrl=queue.url, TagKey__1="a").status == 200
    assert tags(queue) == {}
