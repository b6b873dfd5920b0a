"""Consuming: what handlers get, what is deleted, what comes back, and the end."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from client.client import Client
from client.clock import ManualClock
from client.consumer import BatchItemFailures, Consumer, Failure
from client.errors import QueueDoesNotExist
from client.events import failed_ids
from client.messages import Message
from tests.conftest import MessageClock

Handler = Callable[..., Any]
ANSWER_S = 0.25


@asynccontextmanager
async def consuming(client: Client, queue: str, handler: Handler, **settings: Any) -> AsyncIterator[Consumer]:
    """A consumer that runs; stopped at the end, which must be orderly."""
    consumer = Consumer(client, queue, handler, **settings)
    run = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        await stopped(consumer, run)


async def stopped(consumer: Consumer, run: "asyncio.Task[None]") -> None:
    """Stop it; the receive that waits for messages is given a moment, which passes."""
    consumer.stop()
    await waited(consumer)
    await run


async def waited(consumer: Consumer) -> None:
    """Let the moment pass that receives under way are given."""
    clock = consumer._client.clock
    assert isinstance(clock, ManualClock)
    await clock.until_set(ANSWER_S)
    await clock.advance(ANSWER_S)


async def counts(client: Client, url: str) -> tuple[int, int]:
    """Visible, and in flight."""
    found = await client.queue_attributes(url, "All")
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


async def until_counts(client: Client, url: str, wanted: tuple[int, int]) -> None:
    """Ask until it is so; each question is a round trip."""
    for _ in range(2_000):
        if (found := await counts(client, url)) == wanted:
            return
    raise AssertionError(f"visible and in flight: {found}")


async def send_all(client: Client, url: str, *bodies: str, **parameters: Any) -> None:
    for body in bodies:
        await client.send(url, body, **parameters)


async def test_a_function_gets_events_as_lambda_makes_them(client: Client) -> None:
    url = await client.create_queue("q")
    seen: list[tuple[dict[str, Any], Any, int]] = []

    async def handler(event: dict[str, Any], context: Any) -> None:
        seen.append((event, context, context.get_remaining_time_in_millis()))

    sent = await client.send(url, "hello", attributes={"kind": "bird", "weight": 12, "raw": b"\x00\x01"})
    async with consuming(client, "q", handler):
        await until_counts(client, url, (0, 0))
    ((event, context, left_ms),) = seen
    (record,) = event["Records"]
    assert json.dumps(event), "an event is JSON"
    assert record["receiptHandle"]
    assert (record["messageId"], record["body"], record["md5OfBody"]) == (
        sent.message_id,
        "hello",
        sent.md5_of_message_body,
    )
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["eventSourceARN"] == (await client.queue_attributes(url, "QueueArn"))["QueueArn"]
    assert (record["eventSource"], record["awsRegion"]) == ("aws:sqs", "us-east-1")
    lists = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "kind": {"stringValue": "bird", "dataType": "String"} | lists,
        "weight": {"stringValue": "12", "dataType": "Number"} | lists,
        "raw": {"binaryValue": "AAE=", "dataType": "Binary"} | lists,
    }
    assert (context.function_name, context.function_version) == ("handler", "$LATEST")
    assert left_ms == 900_000


async def test_all_of_many_messages_are_handled_and_deleted(client: Client) -> None:
    url = await client.create_queue("q")
    seen: list[str] = []

    async def handler(event: dict[str, Any], context: Any) -> None:
        seen.extend(record["body"] for record in event["Records"])

    await send_all(client, url, *map(str, range(100)))
    async with consuming(client, url, handler):
        await until_counts(client, url, (0, 0))
    assert sorted(seen, key=int) == [str(number) for number in range(100)]


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_handlers_run_than_asked_for(client: Client, concurrency: int) -> None:
    url = await client.create_queue("q")
    at_work = most = 0

    async def handler(message: Message) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        for _ in range(5):
            await asyncio.sleep(0)
        at_work -= 1

    await send_all(client, url, *map(str, range(40)))
    async with consuming(client, url, handler, per_message=True, concurrency=concurrency):
        await until_counts(client, url, (0, 0))
    assert most == concurrency


async def test_a_plain_function_runs_in_a_thread(client: Client) -> None:
    url = await client.create_queue("q")
    threads: list[str] = []

    def handler(message: Message) -> None:
        threads.append(threading.current_thread().name)

    await send_all(client, url, "a")
    async with consuming(client, url, handler, per_message=True):
        await until_counts(client, url, (0, 0))
    assert threads[0].startswith("pombo-handler")


async def test_a_failed_message_comes_back_and_ends_in_the_dead_letter_queue(
    client: Client, clock: MessageClock
) -> None:
    dead = await client.create_queue("dead")
    arn = (await client.queue_attributes(dead, "QueueArn"))["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = await client.create_queue("q", {"RedrivePolicy": redrive, "VisibilityTimeout": "60"})
    failures: list[Failure] = []
    received: list[int] = []

    async def handler(message: Message) -> None:
        received.append(message.receive_count)
        if message.body == "bad":
            raise ValueError("no")

    await send_all(client, url, "good", "bad")
    async with consuming(client, url, handler, per_message=True, on_failure=failures.append):
        await until_counts(client, url, (0, 1))
        await asyncio.to_thread(clock.advance, 60)
        await until_counts(client, url, (0, 1))
        while len(received) < 3:
            await counts(client, url)
        await asyncio.to_thread(clock.advance, 60)
        await until_counts(client, dead, (1, 0))
    assert sorted(received) == [1, 1, 2]
    assert [(failure.messages[0].body, str(failure.error)) for failure in failures] == [("bad", "no")] * 2


def stops_iterating(message: Message) -> None:
    raise StopIteration


async def cancels_itself(message: Message) -> None:
    raise asyncio.CancelledError


async def exits(message: Message) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("handler", [stops_iterating, cancels_itself, exits])
async def test_whatever_a_handler_raises_is_a_failure(client: Client, handler: Handler) -> None:
    url = await client.create_queue("q")
    failed = asyncio.Event()
    failures: list[Failure] = []

    def tell(failure: Failure) -> None:
        failures.append(failure)
        failed.set()

    await send_all(client, url, "a")
    async with asyncio.timeout(20), consuming(client, url, handler, per_message=True, on_failure=tell):
        await failed.wait()
        assert await counts(client, url) == (0, 1), "it comes back when its visibility timeout ends"
    assert len(failures) == 1


async def test_an_answer_names_those_that_failed(client: Client) -> None:
    url = await client.create_queue("q")
    failures: list[Failure] = []

    async def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        bad = [record["messageId"] for record in event["Records"] if record["body"].startswith("bad")]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in bad]}

    await send_all(client, url, "a", "bad 1", "b", "bad 2")
    async with consuming(client, url, handler, report_batch_item_failures=True, on_failure=failures.append):
        await until_counts(client, url, (0, 2))
    assert sorted(message.body for failure in failures for message in failure.messages) == ["bad 1", "bad 2"]
    assert all(isinstance(failure.error, BatchItemFailures) for failure in failures)


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, []),
        ({}, []),
        ({"batchItemFailures": None}, []),
        ({"batchItemFailures": []}, []),
        ({"batchItemFailures": [{"itemIdentifier": "b"}]}, ["b"]),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, ["a", "b"]),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, ["a", "b"]),
        ({"batchItemFailures": [{}]}, ["a", "b"]),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, ["a", "b"]),
        ({"batchItemFailures": "b"}, ["a", "b"]),
        ("text", ["a", "b"]),
    ],
)
def test_what_an_answer_says(answer: Any, failed: list[str]) -> None:
    assert failed_ids(answer, ["a", "b"]) == failed


async def test_a_message_stays_hidden_while_its_handler_runs(
    client: Client, clock: MessageClock, hands: ManualClock
) -> None:
    url = await client.create_queue("q", {"VisibilityTimeout": "10"})
    begun, go_on = asyncio.Event(), asyncio.Event()
    handled = 0

    async def handler(message: Message) -> None:
        nonlocal handled
        handled += 1
        begun.set()
        await go_on.wait()

    await send_all(client, url, "a")
    async with consuming(client, url, handler, per_message=True, wait_time_s=1):
        await begun.wait()
        for _ in range(6):
            await asyncio.to_thread(clock.advance, 5)
            await hands.advance(5)  # a heartbeat, which the counts of the next line follow
            for _ in range(20):
                assert await counts(client, url) == (0, 1)
        go_on.set()
        await until_counts(client, url, (0, 0))
    assert handled == 1


async def test_a_group_is_handled_in_order_and_groups_beside_each_other(client: Client) -> None:
    url = await client.create_queue("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    order: dict[str, list[str]] = {"g": [], "h": []}
    both = asyncio.Barrier(2)

    async def handler(message: Message) -> None:
        if message.body[1:] == "0":
            async with asyncio.timeout(20):
                await both.wait()  # for the other group's
        order[message.group_id or ""].append(message.body)

    for number in range(20):
        for group in order:
            await client.send(url, f"{group}{number}", message_group_id=group)
    async with consuming(client, url, handler, per_message=True):
        await until_counts(client, url, (0, 0))
    assert order == {group: [f"{group}{number}" for number in range(20)] for group in order}


async def test_each_fifo_receive_can_be_repeated(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await client.create_queue("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    attempts: list[str | None] = []
    receive = client.receive

    async def seen(*arguments: Any, **parameters: Any) -> list[Message]:
        attempts.append(parameters["attempt_id"])
        return await receive(*arguments, **parameters)

    monkeypatch.setattr(client, "receive", seen)

    async def handler(message: Message) -> None:
        return None

    await send_all(client, url, "a", "b", message_group_id="g")
    async with consuming(client, url, handler, per_message=True, concurrency=1):
        await until_counts(client, url, (0, 0))
    assert len(attempts) >= 2
    assert all(attempts)
    assert len(set(attempts)) == len(attempts), "an id is for one receive and its retries"


async def test_after_a_failure_the_rest_of_the_group_waits_behind_it(client: Client, clock: MessageClock) -> None:
    url = await client.create_queue("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    order: list[str] = []

    async def handler(message: Message) -> None:
        order.append(message.body)
        if message.body == "b" and message.receive_count == 1:
            raise ValueError("not yet")

    await send_all(client, url, *"abc", message_group_id="g")
    async with consuming(client, url, handler, per_message=True, on_failure=lambda failure: None):
        await until_counts(client, url, (0, 2))
        await asyncio.to_thread(clock.advance, 30)
        await until_counts(client, url, (0, 0))
    assert order == ["a", "b", "b", "c"]


async def test_stopping_lets_a_handler_finish(client: Client) -> None:
    url = await client.create_queue("q")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(message: Message) -> None:
        begun.set()
        await go_on.wait()

    await send_all(client, url, "a")
    consumer = Consumer(client, url, handler, per_message=True)
    run = asyncio.create_task(consumer.run())
    await begun.wait()
    consumer.stop()
    await waited(consumer)
    assert not run.done()
    go_on.set()
    await run
    assert await counts(client, url) == (0, 0)


async def test_what_is_not_finished_in_time_is_returned(client: Client, hands: ManualClock) -> None:
    url = await client.create_queue("q")
    begun = asyncio.Event()

    async def handler(message: Message) -> None:
        begun.set()
        await asyncio.Event().wait()

    await send_all(client, url, "a")
    consumer = Consumer(client, url, handler, per_message=True, stop_within_s=5)
    run = asyncio.create_task(consumer.run())
    await begun.wait()
    consumer.stop()
    await waited(consumer)
    await hands.until_set(5)
    await hands.advance(5)
    await run
    assert await counts(client, url) == (1, 0)


async def test_what_a_receive_still_brings_at_the_end_is_returned(client: Client) -> None:
    url = await client.create_queue("q")
    handled = asyncio.Event()

    async def handler(message: Message) -> None:
        handled.set()

    await send_all(client, url, "a")
    consumer = Consumer(client, url, handler, per_message=True, concurrency=1)
    run = asyncio.create_task(consumer.run())
    await handled.wait()
    await until_counts(client, url, (0, 0))
    consumer.stop()
    await client.send(url, "late")
    await run  # without its moment: the receive has been answered
    assert await counts(client, url) == (1, 0)


async def test_stopping_now_waits_for_nothing(client: Client) -> None:
    url = await client.create_queue("q")
    begun = asyncio.Event()

    async def handler(event: dict[str, Any], context: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    await send_all(client, url, "a")
    consumer = Consumer(client, url, handler)
    run = asyncio.create_task(consumer.run())
    await begun.wait()
    consumer.stop_now()
    await run
    assert await counts(client, url) == (1, 0)


async def test_messages_of_a_group_that_have_not_begun_are_returned_at_the_end(client: Client) -> None:
    url = await client.create_queue("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(message: Message) -> None:
        begun.set()
        await go_on.wait()

    await send_all(client, url, *"abc", message_group_id="g")
    consumer = Consumer(client, url, handler, per_message=True)
    run = asyncio.create_task(consumer.run())
    await begun.wait()
    consumer.stop()
    await waited(consumer)
    go_on.set()
    await run
    assert await counts(client, url) == (2, 0)
    assert [message.body for message in await client.receive(url, 10, wait_time_s=0)] == ["b", "c"]


async def test_a_queue_that_is_not_there_is_said(client: Client) -> None:
    with pytest.raises(QueueDoesNotExist):
        await Consumer(client, "nowhere", lambda event, context: None).run()


async def test_a_queue_that_is_deleted_ends_the_run(client: Client) -> None:
    url = await client.create_queue("q")
    begun = asyncio.Event()

    async def handler(message: Message) -> None:
        begun.set()

    await send_all(client, url, "a")
    run = asyncio.create_task(Consumer(client, url, handler, per_message=True, wait_time_s=0).run())
    await begun.wait()
    await client.delete_queue(url)
    with pytest.raises(QueueDoesNotExist):
        await run


async def test_a_callback_that_fails_returns_the_messages(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    url = await client.create_queue("q")
    handled = asyncio.Event()

    def worse(failure: Failure) -> None:
        handled.set()
        raise RuntimeError("and the callback too")

    async def handler(message: Message) -> None:
        raise ValueError("no")

    await send_all(client, url, "a")
    consumer = Consumer(client, url, handler, per_message=True, on_failure=worse)
    run = asyncio.create_task(consumer.run())
    await handled.wait()
    await stopped(consumer, run)
    assert "and the callback too" in caplog.text


@pytest.mark.parametrize(("parameter", "value"), [("batch_size", 0), ("batch_size", 11), ("concurrency", 0)])
async def test_a_bad_setting_is_named(client: Client, parameter: str, value: int) -> None:
    settings: dict[str, Any] = {parameter: value}
    with pytest.raises(ValueError, match=f"{parameter} is {value}; expected"):
        Consumer(client, "q", lambda event, context: None, **settings)
