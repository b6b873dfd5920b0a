"""Queue URLs: what they look like, and which queue one names. The host of a given URL is never trusted; its path decides."""

import json

import pytest

from tests.conftest import RunningBroker
from tests.sqs.conftest import MakeClient
from tests.sqs.queues import NO_SUCH_QUEUE, Queue, Sqs, refused
from tests.sqs.wire_clients import JsonClient, QueryClient


def test_get_queue_url_finds_a_queue_by_name(sqs: Sqs, queue: Queue) -> None:
    assert sqs.get_queue_url(QueueName=queue.name)["QueueUrl"] == queue.url


def test_get_queue_url_of_an_unknown_name_is_refused(sqs: Sqs) -> None:
    with refused(NO_SUCH_QUEUE, text="The specified queue does not exist.") as caught:
        sqs.get_queue_url(QueueName="nowhere")
    assert isinstance(caught.value, sqs.exceptions.QueueDoesNotExist)


def test_get_queue_url_finds_another_accounts_queue_by_its_owner(
    client_of: MakeClient, new_account, queue: Queue, account: str
) -> None:
    stranger = client_of(account=new_account())
    with refused(NO_SUCH_QUEUE):
        stranger.get_queue_url(QueueName=queue.name)
    found = stranger.get_queue_url(QueueName=queue.name, QueueOwnerAWSAccountId=account)
    assert found["QueueUrl"] == queue.url


def test_a_url_of_another_account_means_that_accounts_queue(client_of: MakeClient, new_account, queue: Queue) -> None:
    stranger = client_of(account=new_account())
    stranger.send_message(QueueUrl=queue.url, MessageBody="from a stranger")
    assert queue.receive_bodies() == ["from a stranger"]


@pytest.mark.parametrize("host", ["queues.example:8080", "sqs.us-east-1.localhost.localstack.cloud:4566", "localhost"])
def test_urls_echo_the_host_that_the_caller_used(
    sqs_json: JsonClient, sqs_query: QueryClient, broker: RunningBroker, account: str, host: str
) -> None:
    created = sqs_json.call("CreateQueue", {"QueueName": "orders"}, Host=host)
    assert created.json["QueueUrl"] == f"http://{host}/{account}/orders"
    assert sqs_json.call("ListQueues", {}, Host=host).json["QueueUrls"] == [f"http://{host}/{account}/orders"]
    assert (
        sqs_json.call("GetQueueUrl", {"QueueName": "orders"}).json["QueueUrl"]
        == f"http://{broker.netloc}/{account}/orders"
    )


@pytest.mark.parametrize(
    "form",
    [
        "http://{netloc}/{account}/{name}",
        "https://sqs.us-east-1.amazonaws.com/{account}/{name}",
        "https://us-east-1.queue.amazonaws.com/{account}/{name}",
        "https://queue.amazonaws.com/{account}/{name}",
        "http://localhost:1/{account}/{name}",
        "http://{netloc}/{account}/{name}/",
        "http://{netloc}/queue/us-east-1/{account}/{name}",
        "/{account}/{name}",
        "{name}",
    ],
)
def test_a_queue_url_is_understood_in_every_form_in_use(
    sqs: Sqs, queue: Queue, broker: RunningBroker, account: str, form: str
) -> None:
    url = form.format(netloc=broker.netloc, account=account, name=queue.name)
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert queue.receive_bodies() == ["hello"]


def test_a_path_with_a_region_means_the_queue_of_that_region(
    client_of: MakeClient, sqs: Sqs, broker: RunningBroker, account: str
) -> None:
    there = client_of(region="eu-west-1")
    far = Queue(there, there.create_queue(QueueName="far")["QueueUrl"])
    sqs.send_message(QueueUrl=f"http://{broker.netloc}/queue/eu-west-1/{account}/far", MessageBody="hello")
    assert far.receive_bodies() == ["hello"]


@pytest.mark.parametrize("form", ["http://{netloc}/{account}/nowhere", "nowhere", "http://{netloc}/{account}/"])
def test_a_url_of_no_queue_is_refused(sqs: Sqs, broker: RunningBroker, account: str, form: str) -> None:
    with refused(NO_SUCH_QUEUE, "InvalidAddress"):
        sqs.send_message(QueueUrl=form.format(netloc=broker.netloc, account=account), MessageBody="hello")


def test_a_url_of_no_queue_is_refused_before_what_else_is_wrong(sqs_json: JsonClient, queue: Queue) -> None:
    for url, code in (("nowhere at all", "InvalidAddress"), (f"{queue.url}-gone", "InvalidParameterValueException")):
        answer = sqs_json.call("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 11})
        assert answer.json["__type"].endswith(f"#{code}"), url


def test_the_queue_url_is_required(sqs_json: JsonClient) -> None:
    answer = sqs_json.call("ReceiveMessage", {})
    assert answer.status == 400
    assert answer.json["__type"] == "com.amazon.coral.service#MissingRequiredParameterException"
    assert answer.json["message"] == "The request must contain the parameter QueueUrl."


def test_json_may_be_posted_to_the_queues_path(sqs_json: JsonClient, queue: Queue, account: str) -> None:
    payload = {"QueueUrl": queue.url, "MessageBody": "hello"}
    assert sqs_json.call("SendMessage", payload, path=f"/{account}/{queue.name}").status == 200
    assert queue.receive_bodies() == ["hello"]


def test_a_form_posted_to_the_queues_path_needs_no_queue_url(
    sqs_query: QueryClient, queue: Queue, account: str
) -> None:
    assert sqs_query.call("SendMessage", path=f"/{account}/{queue.name}", MessageBody="hello").status == 200
    assert queue.receive_bodies() == ["hello"]


def test_a_form_posted_to_the_root_names_the_queue(sqs_query: QueryClient, queue: Queue) -> None:
    assert sqs_query.call("SendMessage", QueueUrl=queue.url, MessageBody="hello").status == 200
    assert queue.receive_bodies() == ["hello"]


@pytest.mark.parametrize("path", ["/", "/{account}/{name}", "/queue/us-east-1/{account}/{name}"])
def test_an_action_may_be_a_get_at_every_path(sqs_query: QueryClient, queue: Queue, account: str, path: str) -> None:
    answer = sqs_query.call(
        "SendMessage",
        path=path.format(account=account, name=queue.name),
        method="GET",
        QueueUrl=queue.url,
        MessageBody="a b+c&d=é",
    )
    assert answer.status == 200
    assert queue.receive_bodies() == ["a b+c&d=é"]


@pytest.mark.parametrize("action", ["CreateQueue", "ListQueues"])
def test_actions_on_the_account_are_none_of_a_queues_path(
    sqs_query: QueryClient, queue: Queue, account: str, action: str
) -> None:
    answer = sqs_query.call(action, path=f"/{account}/{queue.name}", QueueName="other")
    assert answer.status == 400
    assert answer.text("Error/Code") == "InvalidAction"
    assert answer.text("Error/Message") == f"The action {action} is not valid for this endpoint."


def test_a_request_without_a_signature_is_served(broker: RunningBroker) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ListQueues"}
    status, _, body = broker.request("POST", "/", b"{}", headers)
    assert status == 200
    assert isinstance(json.loads(body), dict)
