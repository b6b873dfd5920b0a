"""Clients on one broker: messages a second sent, and received and deleted.

Messages of 1 KB, synchronous=full. Beside this project's Producer and Consumer: boto3 in a pool of threads and aiobotocore in as
many tasks, as their examples go (a message to a send; receive ten, delete each when it is done), and with ten sent and ten
deleted by one request, which programs must see to themselves. Rounds alternate.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, Final

import boto3
from aiobotocore.session import get_session
from botocore.config import Config

from client.client import Client
from client.consumer import Consumer
from client.messages import Message
from client.producer import Producer

_AT_ONCE: Final = 16  # threads, or tasks
_MESSAGES: Final = 2_000  # of a round
_BODY: Final = "x" * 1024
_CONFIG: Final = Config(max_pool_connections=_AT_ONCE)
_SETTINGS: Final = {
    "region_name": "us-east-1",
    "aws_access_key_id": "000000000000",
    "aws_secret_access_key": "any",
}
Kind = Callable[[], Awaitable[float | None]]  # when the last message was done, if that is not its end


def entries() -> list[dict[str, Any]]:
    """Ten messages."""
    return [{"Id": str(number), "MessageBody": _BODY} for number in range(10)]


def handles(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ten deletes."""
    return [{"Id": str(number), "ReceiptHandle": m["ReceiptHandle"]} for number, m in enumerate(messages)]


class Boto3:
    """boto3, whose client threads may share."""

    def __init__(self, url: str) -> None:
        self._sqs = boto3.client("sqs", endpoint_url=url, config=_CONFIG, **_SETTINGS)
        self._threads = ThreadPoolExecutor(_AT_ONCE)
        self._queue = self._sqs.create_queue(QueueName="q")["QueueUrl"]

    async def send(self) -> None:
        """One by one."""
        await self._each(lambda _: self._sqs.send_message(QueueUrl=self._queue, MessageBody=_BODY), _MESSAGES)

    async def send_tens(self) -> None:
        """Ten to a request."""
        await self._each(
            lambda _: self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries()), _MESSAGES // 10
        )

    async def consume(self) -> None:
        """Receive ten, delete each."""
        await self._each(lambda _: self._drain(self._delete), _AT_ONCE)

    async def consume_tens(self) -> None:
        """Receive ten, delete ten."""
        await self._each(lambda _: self._drain(self._delete_ten), _AT_ONCE)

    def _delete(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])

    def _delete_ten(self, messages: list[dict[str, Any]]) -> None:
        self._sqs.delete_message_batch(QueueUrl=self._queue, Entries=handles(messages))

    def _drain(self, delete: Callable[[list[dict[str, Any]]], None]) -> None:
        while True:
            reply = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            messages = reply.get("Messages")
            if not messages:
                return
            delete(messages)

    async def _each(self, call: Callable[[int], Any], count: int) -> None:
        await asyncio.to_thread(lambda: list(self._threads.map(call, range(count))))


class Aiobotocore:
    """aiobotocore, with as many tasks."""

    def __init__(self, sqs: Any, queue: str) -> None:
        self._sqs = sqs
        self._queue = queue

    async def send(self) -> None:
        """One by one."""
        await self._each(lambda: self._sqs.send_message(QueueUrl=self._queue, MessageBody=_BODY), _MESSAGES)

    async def send_tens(self) -> None:
        """Ten to a request."""
        await self._each(lambda: self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries()), _MESSAGES // 10)

    async def consume(self) -> None:
        """Receive ten, delete each."""
        await asyncio.gather(*(self._drain(self._delete) for _ in range(_AT_ONCE)))

    async def consume_tens(self) -> None:
        """Receive ten, delete ten."""
        await asyncio.gather(*(self._drain(self._delete_ten) for _ in range(_AT_ONCE)))

    async def _delete(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            await self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])

    async def _delete_ten(self, messages: list[dict[str, Any]]) -> None:
        await self._sqs.delete_message_batch(QueueUrl=self._queue, Entries=handles(messages))

    async def _drain(self, delete: Callable[[list[dict[str, Any]]], Awaitable[None]]) -> None:
        while True:
            reply = await self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            messages = reply.get("Messages")
            if not messages:
                return
            await delete(messages)

    async def _each(self, call: Callable[[], Awaitable[Any]], count: int) -> None:
        numbers = iter(range(count))

        async def some() -> None:
            for _ in numbers:
                await call()

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


class Ours:
    """Producer and Consumer."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self) -> None:
        """One call for each message."""
        async with Producer(self._client, "q") as producer:
            await asyncio.gather(*(producer.send(_BODY) for _ in range(_MESSAGES)))

    async def consume(self) -> float:
        """A handler for each message. The consumer's end is not measured: it waits for receives under way."""
        left = itertools.count(_MESSAGES - 1, -1)
        done_s = 0.0

        async def handler(message: Message) -> None:
            nonlocal done_s
            if next(left) == 0:
                done_s = time.perf_counter()
                consumer.stop()

        consumer = Consumer(self._client, "q", handler, per_message=True, concurrency=4 * _AT_ONCE)
        await consumer.run()
        return done_s


async def compare(url: str, rounds: int) -> dict[str, list[float]]:
    """The rates of each kind."""
    rates: dict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        client = Client(endpoint_url=url, region="us-east-1", access_key="000000000000", secret_key="any")
        await stack.enter_async_context(client)
        threads = Boto3(url)
        session = get_session().create_client("sqs", endpoint_url=url, config=None, **_SETTINGS)
        sqs = await stack.enter_async_context(session)
        queue = (await sqs.get_queue_url(QueueName="q"))["QueueUrl"]
        tasks, ours = Aiobotocore(sqs, queue), Ours(client)
        kinds: list[tuple[str, Kind, Kind]] = [
            ("client", ours.send, ours.consume),
            ("boto3", threads.send, threads.consume),
            ("aiobotocore", tasks.send, tasks.consume),
            ("boto3, tens", threads.send_tens, threads.consume_tens),
            ("aiobotocore, tens", tasks.send_tens, tasks.consume_tens),
        ]
        for _ in range(rounds):
            for name, send, consume in kinds:
                rates[f"send, {name}"].append(await rate(send))
                rates[f"consume, {name}"].append(await rate(consume))
    return rates


async def rate(kind: Kind) -> float:
    """Messages a second."""
    began = time.perf_counter()
    done_s = await kind()
    return _MESSAGES / ((done_s or time.perf_counter()) - began)
