"""ListQueues: prefix and pages. Source: SQS API Reference, ListQueues."""

import pytest

from tests.sqs.conftest import MakeQueue
from tests.sqs.queues import Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


def names(urls: list[str]) -> list[str]:
    return [url.rsplit("/", 1)[1] for url in urls]


def test_without_queues_the_list_is_absent(sqs_json: JsonClient, sqs_query: QueryClient) -> None:
    assert sqs_json.call("ListQueues").json == {}
    answer = sqs_query.call("ListQueues")
    assert answer.status == 200
    assert answer.texts("ListQueuesResult/QueueUrl") == []


def test_every_queue_is_listed(sqs: Sqs, make_queue: MakeQueue, sqs_query: QueryClient) -> None:
    urls = {make_queue(name).url for name in ("b", "a", "c")}
    assert set(sqs.list_queues()["QueueUrls"]) == urls
    assert set(sqs_query.call("ListQueues").texts("ListQueuesResult/QueueUrl")) == urls


def test_a_prefix_chooses_case_sensitively(sqs: Sqs, make_queue: MakeQueue) -> None:
    for name in ("orders-1", "orders-2", "Orders-3", "other"):
        make_queue(name)
    assert sorted(names(sqs.list_queues(QueueNamePrefix="orders")["QueueUrls"])) == ["orders-1", "orders-2"]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="zzz")


def test_pages_hold_every_queue_once(sqs: Sqs, make_queue: MakeQueue) -> None:
    made = {make_queue(f"queue-{number:02d}").name for number in range(23)}
    found: list[str] = []
    sizes = []
    page = sqs.list_queues(MaxResults=5)
    while True:
        found += names(page["QueueUrls"])
        sizes.append(len(page["QueueUrls"]))
        if "NextToken" not in page:
            break
        page = sqs.list_queues(MaxResults=5, NextToken=page["NextToken"])
    assert sorted(found) == sorted(made)
    assert sizes == [5, 5, 5, 5, 3]


def test_pages_keep_to_the_prefix(sqs: Sqs, make_queue: MakeQueue) -> None:
    for name in ("a-1", "b-1", "b-2", "b-3", "c-1"):
        make_queue(name)
    first = sqs.list_queues(QueueNamePrefix="b", MaxResults=2)
    second = sqs.list_queues(QueueNamePrefix="b", MaxResults=2, NextToken=first["NextToken"])
    assert sorted(names(first["QueueUrls"] + second["QueueUrls"])) == ["b-1", "b-2", "b-3"]
    assert "NextToken" not in second


def test_without_maxresults_there_is_no_token(sqs: Sqs, make_queue: MakeQueue) -> None:
    for number in range(3):
        make_queue(f"queue-{number}")
    assert "NextToken" not in sqs.list_queues()
    assert "NextToken" not in sqs.list_queues(MaxResults=1000)


@pytest.mark.parametrize("count", [0, 1001, -1])
def test_maxresults_is_1_to_1000(sqs: Sqs, count: int) -> None:
    with refused("InvalidParameterValue"):
        sqs.list_queues(MaxResults=count)


def test_a_token_that_is_none_is_refused(sqs: Sqs, make_queue: MakeQueue) -> None:
    make_queue("a")
    with refused("InvalidParameterValue"):
        sqs.list_queues(MaxResults=1, NextToken="!nonsense!")


def test_a_deleted_queue_is_not_listed(sqs: Sqs, make_queue: MakeQueue) -> None:
    make_queue("kept")
    sqs.delete_queue(QueueUrl=make_queue("gone").url)
    assert names(sqs.list_queues()["QueueUrls"]) == ["kept"]
