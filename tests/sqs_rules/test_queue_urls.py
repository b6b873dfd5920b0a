"""Which queue a QueueUrl names. The host is never trusted, the path decides."""

from typing import cast

import pytest

from broker.core.errors import MissingParameter, QueueDoesNotExist
from broker.core.queue import Queue
from broker.core.settings import QueueName, QueueSettings
from broker.services.context import Call
from broker.services.runtime import Runtime
from broker.services.sqs.errors import InvalidAddress
from broker.services.sqs.queue_urls import find_queue, queue_name, queue_url
from tests.core.bench import Bench

ACCOUNT = "123456789012"
OTHER = "999999999999"


URL = f"http://localhost:4566/{OTHER}/orders"


def call(base_url: str = "http://localhost:4566", region: str = "eu-central-1", *, bench: Bench | None = None) -> Call:
    runtime = cast(Runtime, bench)
    return Call(runtime, "json", ACCOUNT, region, True, ACCOUNT, base_url, "/", "", None, lambda: True)


@pytest.mark.parametrize(
    ("url", "region", "account"),
    [
        (f"http://localhost:4566/{OTHER}/orders", "eu-central-1", OTHER),
        (f"http://localhost:4566/{OTHER}/orders/", "eu-central-1", OTHER),
        (f"https://some.where.else/{OTHER}/orders", "eu-central-1", OTHER),
        (f"http://localhost:4566/queue/ap-south-1/{OTHER}/orders", "ap-south-1", OTHER),
        (f"https://sqs.us-west-2.amazonaws.com/{OTHER}/orders", "us-west-2", OTHER),
        (f"https://sqs.cn-north-1.amazonaws.com.cn/{OTHER}/orders", "cn-north-1", OTHER),
        (f"https://sqs-fips.us-gov-west-1.amazonaws.com/{OTHER}/orders", "us-gov-west-1", OTHER),
        (f"https://vpce-1.sqs.us-west-2.vpce.amazonaws.com/{OTHER}/orders", "us-west-2", OTHER),
        (f"http://sqs.us-west-2.localhost.localstack.cloud:4566/{OTHER}/orders", "us-west-2", OTHER),
        (f"https://eu-west-3.queue.amazonaws.com/{OTHER}/orders", "eu-west-3", OTHER),
        (f"https://queue.amazonaws.com/{OTHER}/orders", "us-east-1", OTHER),
        (f"http://sqs.localhost:4566/{OTHER}/orders", "eu-central-1", OTHER),
        (f"/{OTHER}/orders", "eu-central-1", OTHER),
        (f"{OTHER}/orders", "eu-central-1", OTHER),
        ("orders", "eu-central-1", ACCOUNT),
    ],
)
def test_forms_in_use(url: str, region: str, account: str) -> None:
    assert queue_name(call(), url) == QueueName(account, region, "orders")


def test_a_region_in_the_path_beats_one_in_the_host() -> None:
    url = f"https://sqs.us-west-2.amazonaws.com/queue/eu-west-1/{OTHER}/orders"
    assert queue_name(call(), url).region == "eu-west-1"


def test_the_host_that_the_caller_used_says_nothing_that_the_signature_does_not() -> None:
    at = call("http://sqs.us-west-2.localhost:4566")
    name = QueueName(ACCOUNT, "eu-central-1", "orders")
    assert queue_url(at, name) == f"http://sqs.us-west-2.localhost:4566/{ACCOUNT}/orders"
    assert queue_name(at, queue_url(at, name)) == name


def test_fifo_names() -> None:
    assert queue_name(call(), f"http://localhost:4566/{OTHER}/orders.fifo").name == "orders.fifo"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:4566/",
        "http://localhost:4566",
        f"http://localhost:4566/{OTHER}/",
        f"http://localhost:4566/{OTHER}/a b",
        f"http://localhost:4566/{OTHER}/orders?x=1",
        "http://localhost:4566/12/orders",
        f"http://localhost:4566/a/b/{OTHER}/orders",
        "http://localhost:4566/orders",
        "not a name",
        "x" * 81,
        "http://localhost:4566/" + "1" * 100_000,
    ],
)
def test_what_is_no_queues_address(url: str) -> None:
    with pytest.raises(InvalidAddress):
        queue_name(call(), url)


@pytest.mark.parametrize("url", [None, ""])
def test_a_queue_url_is_required(url: str | None) -> None:
    with pytest.raises(MissingParameter, match="must contain the parameter QueueUrl"):
        queue_name(call(), url)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def made(bench: Bench, region: str = "eu-central-1", name: str = "orders") -> Queue:
    return bench.engine.create_queue(QueueName(OTHER, region, name), QueueSettings(), {}, {})


def test_a_url_finds_the_queue_of_the_callers_region(bench: Bench) -> None:
    queues = {region: made(bench, region) for region in ("eu-central-1", "us-east-1")}
    for _ in range(2):  # the second time it is remembered
        for region, queue in queues.items():
            assert find_queue(call(region=region, bench=bench), URL) is queue
        with pytest.raises(QueueDoesNotExist):
            find_queue(call(region="eu-west-1", bench=bench), URL)


def test_a_queue_that_was_deleted_is_not_found_and_its_successor_is(bench: Bench) -> None:
    first = made(bench)
    assert find_queue(call(bench=bench), URL) is first
    bench.engine.delete_queue(first)
    with pytest.raises(QueueDoesNotExist):
        find_queue(call(bench=bench), URL)
    second = made(bench)
    assert find_queue(call(bench=bench), URL) is second


def test_after_memory_was_dropped_what_is_found_is_new(bench: Bench) -> None:
    first = made(bench)
    assert find_queue(call(bench=bench), URL) is first
    bench.commit()
    bench.engine.forget()
    bench.engine.recover(bench.store.recover())
    assert find_queue(call(bench=bench), URL) is bench.engine.find_queue(first.name) is not first


def test_what_is_remembered_does_not_outlive_many_queues(bench: Bench) -> None:
    for n in range(2_500):
        queue = made(bench, name=f"q{n}")
        assert find_queue(call(bench=bench), f"http://localhost:4566/{OTHER}/q{n}") is queue
        bench.engine.delete_queue(queue)
    assert sum(map(len, bench.engine.found.values())) <= 1_000


def test_not_more_is_remembered_than_a_bound(bench: Bench) -> None:
    queue = made(bench)
    for n in range(20_000):
        assert find_queue(call(f"http://host-{n % 100}:4566", bench=bench), f"http://at.{n}/{OTHER}/orders") is queue
    assert len(bench.engine.found) <= 64
    assert sum(map(len, bench.engine.found.values())) <= 16_384


@pytest.mark.parametrize("url", [None, ""])
def test_a_url_is_required_to_find_a_queue(bench: Bench, url: str | None) -> None:
    with pytest.raises(MissingParameter):
        find_queue(call(bench=bench), url)
