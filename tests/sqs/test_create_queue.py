"""CreateQueue: names, attributes, creating again. Source: SQS API Reference, CreateQueue; Developer Guide, Quotas."""

from urllib.parse import urlsplit

import pytest

from tests.conftest import RunningBroker
from tests.sqs.conftest import MakeClient, MakeQueue
from tests.sqs.queues import Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


def test_a_new_queue_has_a_url_of_host_account_and_name(sqs: Sqs, broker: RunningBroker, account: str) -> None:
    reply = sqs.create_queue(QueueName="orders")
    assert reply["QueueUrl"] == f"http://{broker.netloc}/{account}/orders"


def test_a_new_queue_is_empty(queue: Queue) -> None:
    assert queue.counts() == (0, 0, 0)
    assert queue.receive() == []


def test_creating_it_again_returns_the_same_queue(sqs: Sqs, queue: Queue) -> None:
    queue.send("kept")
    assert sqs.create_queue(QueueName=queue.name)["QueueUrl"] == queue.url
    assert queue.receive_bodies() == ["kept"]


def test_creating_it_again_with_the_same_attributes_returns_the_same_queue(sqs: Sqs, make_queue: MakeQueue) -> None:
    queue = make_queue("orders", VisibilityTimeout="60", DelaySeconds="5")
    again = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "60", "DelaySeconds": "5"})
    assert again["QueueUrl"] == queue.url


def test_only_the_attributes_of_the_request_are_compared(sqs: Sqs, make_queue: MakeQueue) -> None:
    queue = make_queue("orders", VisibilityTimeout="60", DelaySeconds="5")
    assert sqs.create_queue(QueueName="orders")["QueueUrl"] == queue.url
    assert sqs.create_queue(QueueName="orders", Attributes={"DelaySeconds": "5"})["QueueUrl"] == queue.url


def test_a_default_given_explicitly_is_no_difference(sqs: Sqs, queue: Queue) -> None:
    again = sqs.create_queue(
        QueueName=queue.name, Attributes={"VisibilityTimeout": "30", "MaximumMessageSize": "1048576"}
    )
    assert again["QueueUrl"] == queue.url


def test_creating_it_again_with_another_attribute_is_refused(sqs: Sqs, make_queue: MakeQueue) -> None:
    queue = make_queue("orders", VisibilityTimeout="60")
    text = "A queue already exists with the same name and a different value for attribute VisibilityTimeout"
    with refused("QueueAlreadyExists", text=text) as caught:
        sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "61"})
    assert isinstance(caught.value, sqs.exceptions.QueueNameExists)
    assert queue.attributes("VisibilityTimeout") == {"VisibilityTimeout": "60"}


def test_the_current_attributes_are_compared_not_the_first_ones(sqs: Sqs, make_queue: MakeQueue) -> None:
    queue = make_queue("orders", VisibilityTimeout="60")
    queue.set(VisibilityTimeout="90")
    assert sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "90"})["QueueUrl"] == queue.url
    with refused("QueueAlreadyExists"):
        sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "60"})


@pytest.mark.parametrize("name", ["a", "A-b_9", "-", "_", "x" * 80])
def test_a_name_may_have_1_to_80_letters_digits_hyphens_and_underscores(sqs: Sqs, name: str) -> None:
    assert urlsplit(sqs.create_queue(QueueName=name)["QueueUrl"]).path.endswith("/" + name)


@pytest.mark.parametrize("name", ["", "x" * 81, "a b", "a.b", "ä", "a/b", "a:b", "a\n", "a.fifo.x"])
def test_any_other_name_is_refused(sqs: Sqs, name: str) -> None:
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName=name)
    assert "QueueUrls" not in sqs.list_queues()


def test_names_are_case_sensitive(sqs: Sqs) -> None:
    assert sqs.create_queue(QueueName="orders")["QueueUrl"] != sqs.create_queue(QueueName="Orders")["QueueUrl"]
    assert len(sqs.list_queues()["QueueUrls"]) == 2


def test_the_name_is_required(sqs_json: JsonClient, sqs_query: QueryClient) -> None:
    answer = sqs_json.call("CreateQueue", {})
    assert answer.status == 400
    assert answer.json["__type"] == "com.amazon.coral.service#MissingRequiredParameterException"
    assert answer.json["message"] == "The request must contain the parameter QueueName."
    assert sqs_query.call("CreateQueue").text("Error/Code") == "MissingParameter"


def test_a_fifo_queue_is_made_by_suffix_and_attribute(sqs: Sqs) -> None:
    url = sqs.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    assert url.endswith("/orders.fifo")
    assert Queue(sqs, url).attributes("FifoQueue") == {"FifoQueue": "true"}


def test_the_suffix_counts_in_the_80_characters(sqs: Sqs) -> None:
    sqs.create_queue(QueueName="x" * 75 + ".fifo", Attributes={"FifoQueue": "true"})
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName="x" * 76 + ".fifo", Attributes={"FifoQueue": "true"})


def test_the_suffix_without_the_attribute_is_refused(sqs: Sqs) -> None:
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName="orders.fifo")


def test_the_attribute_without_the_suffix_is_refused(sqs: Sqs) -> None:
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName="orders", Attributes={"FifoQueue": "true"})


def test_fifoqueue_false_is_no_attribute_of_a_standard_queue(sqs: Sqs) -> None:
    with refused("InvalidAttributeName", text="Unknown Attribute FifoQueue."):
        sqs.create_queue(QueueName="orders", Attributes={"FifoQueue": "false"})


@pytest.mark.parametrize("attribute", ["Nonsense", "QueueArn", "CreatedTimestamp", "ApproximateNumberOfMessages"])
def test_an_unknown_or_read_only_attribute_is_refused(sqs: Sqs, attribute: str) -> None:
    with refused("InvalidAttributeName", text=f"Unknown Attribute {attribute}."):
        sqs.create_queue(QueueName="orders", Attributes={attribute: "1"})
    assert "QueueUrls" not in sqs.list_queues()


def test_queues_of_the_same_name_are_apart_per_account_and_region(
    sqs: Sqs, client_of: MakeClient, new_account, queue: Queue
) -> None:
    queue.send("mine")
    for other in (client_of(account=new_account()), client_of(region="eu-west-1")):
        assert "QueueUrls" not in other.list_queues()
        twin = Queue(other, other.create_queue(QueueName=queue.name)["QueueUrl"])
        assert twin.receive_bodies() == []
        assert twin.arn != queue.arn


def test_an_arn_names_region_account_and_queue(client_of: MakeClient, account: str) -> None:
    sqs = client_of(region="ap-southeast-2")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    assert Queue(sqs, url).arn == f"arn:aws:sqs:ap-southeast-2:{account}:orders"


def test_an_access_key_that_is_no_account_id_means_account_zero(client_of: MakeClient, new_account) -> None:
    sqs = client_of(account="AKIAIOSFODNN7EXAMPLE")
    name = "queue-" + new_account()
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert urlsplit(url).path == f"/000000000000/{name}"


def test_tags_may_be_given_at_creation(sqs: Sqs) -> None:
    url = sqs.create_queue(QueueName="orders", tags={"team": "blue"})["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue"}


def test_the_query_protocol_creates_with_attributes_and_tags(sqs: Sqs, sqs_query: QueryClient) -> None:
    answer = sqs_query.call(
        "CreateQueue",
        QueueName="orders",
        Attribute__1__Name="VisibilityTimeout",
        Attribute__1__Value=40,
        Attribute__2__Name="DelaySeconds",
        Attribute__2__Value=3,
        Tag__1__Key="team",
        Tag__1__Value="blue",
    )
    assert answer.status == 200
    url = answer.text("CreateQueueResult/QueueUrl")
    assert url == sqs.get_queue_url(QueueName="orders")["QueueUrl"]
    found = Queue(sqs, url).attributes("VisibilityTimeout", "DelaySeconds")
    assert found == {"VisibilityTimeout": "40", "DelaySeconds": "3"}
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "blue"}
