"""Joining messages into batches: when they leave, in which order, and who learns what became of them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from client.client import Client
from client.clock import ManualClock
from client.errors import AwsError, CallFailed, ConnectionFailed, InvalidMessageContents
from client.messages import BatchResult, FailedEntry, Outgoing, SentMessage
from client.producer import Producer, ProducerClosed

URL = "http://localhost/000000000000/q"
FIFO = URL + ".fifo"


class Endpoint(Client):
    """A client whose batches wait to be answered by the test."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(endpoint_url="http://localhost:1", clock=clock)
        self.batches: list[list[Outgoing]] = []
        self.answers: list[asyncio.Future[BatchResult[SentMessage]]] = []

    async def send_batch(self, url: str, messages: Sequence[Outgoing]) -> BatchResult[SentMessage]:
        self.batches.append(list(messages))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]

    def bodies(self) -> list[list[str]]:
        return [[message.body for message in batch] for batch in self.batches]

    async def answer(self, index: int, failed: Sequence[FailedEntry] = ()) -> None:
        """All entries but the failed ones are taken."""
        refused = {entry.id for entry in failed}
        taken = [
            SentMessage(message_id=f"m-{message.body}", md5_of_message_body="", id=str(number))
            for number, message in enumerate(self.batches[index])
            if str(number) not in refused
        ]
        self.answers[index].set_result(BatchResult(successful=taken, failed=list(failed)))
        await turns()


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def endpoint(hands: ManualClock) -> Endpoint:
    return Endpoint(hands)


def send_all(producer: Producer, *bodies: str, **parameters: Any) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(producer.send(body, **parameters)) for body in bodies]


async def test_what_is_sent_in_one_turn_of_the_loop_leaves_together(endpoint: Endpoint) -> None:
    sends = send_all(Producer(endpoint, URL), "a", "b", "c")
    await turns()
    assert endpoint.bodies() == [["a", "b", "c"]]
    await endpoint.answer(0)
    assert [(await send).message_id for send in sends] == ["m-a", "m-b", "m-c"]


async def test_a_full_batch_leaves_at_once(endpoint: Endpoint) -> None:
    send_all(Producer(endpoint, URL), *map(str, range(25)))
    await turns()
    assert [len(batch) for batch in endpoint.batches] == [10, 10]


async def test_beside_a_batch_under_way_others_linger(endpoint: Endpoint, hands: ManualClock) -> None:
    producer = Producer(endpoint, URL, linger_s=10)
    send_all(producer, "a")
    await turns()
    send_all(producer, "b")
    await turns()
    await hands.advance(5)
    send_all(producer, "c")
    await turns()
    await hands.advance(4)
    assert endpoint.bodies() == [["a"]]
    await hands.advance(1)
    await turns()
    assert endpoint.bodies() == [["a"], ["b", "c"]]


async def test_what_lingers_leaves_when_nothing_is_under_way(endpoint: Endpoint) -> None:
    producer = Producer(endpoint, URL, linger_s=100)
    send_all(producer, "a")
    await turns()
    send_all(producer, "b")
    await turns()
    await endpoint.answer(0)
    assert endpoint.bodies() == [["a"], ["b"]]


async def test_a_batch_is_full_when_its_bytes_are(endpoint: Endpoint) -> None:
    send_all(Producer(endpoint, URL), *["x" * 400_000] * 3)
    await turns()
    assert [len(batch) for batch in endpoint.batches] == [2]
    await endpoint.answer(0)
    assert [len(batch) for batch in endpoint.batches] == [2, 1]


async def test_a_message_of_more_than_a_batch_may_have_travels_alone(endpoint: Endpoint) -> None:
    send_all(Producer(endpoint, URL), "x" * 2_000_000, "b")
    await turns()
    await endpoint.answer(0)
    assert [len(batch) for batch in endpoint.batches] == [1, 1]


async def test_no_more_batches_are_under_way_than_asked_for(endpoint: Endpoint) -> None:
    send_all(Producer(endpoint, URL, concurrency=2), *map(str, range(40)))
    await turns()
    assert len(endpoint.batches) == 2
    await endpoint.answer(1)
    assert len(endpoint.batches) == 3


async def test_one_failed_entry_fails_one_caller(endpoint: Endpoint) -> None:
    sends = send_all(Producer(endpoint, URL), "a", "b", "c")
    await turns()
    await endpoint.answer(0, [FailedEntry(id="1", code="InvalidMessageContents", message="no")])
    results = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(result) for result in results] == [SentMessage, InvalidMessageContents, SentMessage]


async def test_a_failed_call_fails_those_in_it(endpoint: Endpoint) -> None:
    sends = send_all(Producer(endpoint, URL), *map(str, range(20)))
    await turns()
    endpoint.answers[0].set_exception(ConnectionFailed("gone"))
    await endpoint.answer(1)
    results = await asyncio.gather(*sends, return_exceptions=True)
    assert [isinstance(result, CallFailed) for result in results] == [True] * 10 + [False] * 10


async def test_a_group_of_a_fifo_queue_has_one_batch_under_way(endpoint: Endpoint, hands: ManualClock) -> None:
    producer = Producer(endpoint, FIFO, linger_s=1)
    send_all(producer, *(f"g{number}" for number in range(12)), message_group_id="g")
    await turns()
    send_all(producer, "h0", message_group_id="h")
    await turns()
    await hands.advance(1)
    await turns()
    assert endpoint.bodies() == [[f"g{number}" for number in range(10)], ["h0"]]
    await endpoint.answer(0)
    await hands.advance(1)
    await turns()
    assert endpoint.bodies()[2:] == [["g10", "g11"]]


async def test_more_than_may_be_held_waits_in_order(endpoint: Endpoint) -> None:
    producer = Producer(endpoint, URL, messages_max=3)
    sends = send_all(producer, *"abcde")
    await turns()
    assert endpoint.bodies() == [["a", "b", "c"]]
    await endpoint.answer(0)
    assert endpoint.bodies() == [["a", "b", "c"], ["d", "e"]]
    await endpoint.answer(1)
    assert all(send.done() for send in sends)


async def test_more_bytes_than_may_be_held_wait_but_one_message_always_passes(endpoint: Endpoint) -> None:
    producer = Producer(endpoint, URL, bytes_max=10)
    send_all(producer, "x" * 50, "b")
    await turns()
    assert [len(batch) for batch in endpoint.batches] == [1]
    await endpoint.answer(0)
    assert endpoint.bodies()[1] == ["b"]


async def test_a_caller_that_gives_up_in_time_sends_nothing(endpoint: Endpoint) -> None:
    producer = Producer(endpoint, URL, messages_max=2)
    sends = send_all(producer, *"abcd")
    await turns()
    sends[2].cancel()
    await turns()
    await endpoint.answer(0)
    assert endpoint.bodies() == [["a", "b"], ["d"]]


async def test_closing_sends_what_lingers_and_waits_for_it(endpoint: Endpoint) -> None:
    producer = Producer(endpoint, URL, linger_s=100)
    send_all(producer, "a")
    await turns()
    (send,) = send_all(producer, "b")
    await turns()
    closing = asyncio.ensure_future(producer.close())
    await turns()
    assert endpoint.bodies() == [["a"], ["b"]]
    assert not closing.done()
    await endpoint.answer(0)
    await endpoint.answer(1)
    await closing
    assert (await send).message_id == "m-b"
    with pytest.raises(ProducerClosed):
        await producer.send("c")


@pytest.mark.parametrize(
    ("parameter", "value"), [("concurrency", 0), ("messages_max", 0), ("bytes_max", 0), ("linger_s", -1)]
)
def test_a_bad_setting_is_named(endpoint: Endpoint, parameter: str, value: int) -> None:
    settings: dict[str, Any] = {parameter: value}
    with pytest.raises(ValueError, match=f"{parameter} is {value}; expected at least"):
        Producer(endpoint, URL, **settings)


# With a broker


async def test_a_queue_gets_them_all(client: Client) -> None:
    url = await client.create_queue("q")
    async with Producer(client, "q") as producer:
        sent = await asyncio.gather(*(producer.send(str(number)) for number in range(200)))
    assert len({one.message_id for one in sent}) == 200
    assert (await client.queue_attributes(url, "ApproximateNumberOfMessages"))["ApproximateNumberOfMessages"] == "200"


async def test_a_bad_message_fails_alone(client: Client) -> None:
    await client.create_queue("q")
    async with Producer(client, "q") as producer:
        sends = (producer.send("a"), producer.send("\x00"), producer.send("c"))
        results = await asyncio.gather(*sends, return_exceptions=True)
    assert [isinstance(result, AwsError) for result in results] == [False, True, False]


async def test_an_entry_for_which_the_whole_batch_is_refused_fails_alone(client: Client) -> None:
    url = await client.create_queue("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    groups = ["g", "g", None, "g", "h"]
    async with Producer(client, url) as producer:
        sends = (producer.send(str(number), message_group_id=group) for number, group in enumerate(groups))
        results = await asyncio.gather(*sends, return_exceptions=True)
    assert [isinstance(result, AwsError) for result in results] == [False, False, True, False, False]
    received = await client.receive(url, 10, wait_time_s=0)
    assert [message.body for message in received if message.group_id == "g"] == ["0", "1", "3"]


@pytest.mark.parametrize("bad", [{"body": b"bytes"}, {"body": "a", "message_group_id": "\ud800"}])
async def test_what_cannot_be_written_fails_alone(client: Client, bad: dict[str, Any]) -> None:
    url = await client.create_queue("q")
    async with Producer(client, url) as producer:
        sends = (producer.send("a"), producer.send(**bad), producer.send("c"))
        results = await asyncio.gather(*sends, return_exceptions=True)
    assert [isinstance(result, TypeError | UnicodeEncodeError) for result in results] == [False, True, False]
    assert (await client.queue_attributes(url, "ApproximateNumberOfMessages"))["ApproximateNumberOfMessages"] == "2"


async def test_a_fifo_queue_keeps_the_order_of_the_calls(client: Client) -> None:
    url = await client.create_queue("q.fifo", {"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    async with Producer(client, url) as producer:
        await asyncio.gather(*(producer.send(f"{n:03}-{g}", message_group_id=g) for n in range(40) for g in "gh"))
    got: dict[str, list[str]] = {"g": [], "h": []}
    while messages := await client.receive(url, 10, wait_time_s=0):
        for message in messages:
            got[message.body[-1]].append(message.body)
        await client.delete_batch(url, [message.receipt_handle for message in messages])
    assert got == {g: [f"{n:03}-{g}" for n in range(40)] for g in "gh"}


async def test_a_topic_is_published_to(client: Client) -> None:
    topic = await client.create_topic("t")
    url = await client.create_queue("q")
    arn = (await client.queue_attributes(url, "QueueArn"))["QueueArn"]
    await client.subscribe(topic, "sqs", arn, {"RawMessageDelivery": "true"})
    async with Producer(client, topic) as producer:
        await asyncio.gather(*(producer.send(str(number), subject="s") for number in range(25)))
    assert (await client.queue_attributes(url, "ApproximateNumberOfMessages"))["ApproximateNumberOfMessages"] == "25"


async def test_a_queue_that_is_not_there_fails_each_send_until_it_is(client: Client) -> None:
    async with Producer(client, "later") as producer:
        with pytest.raises(AwsError, match="does not exist"):
            await producer.send("a")
        await client.create_queue("later")
        assert (await producer.send("b")).message_id
