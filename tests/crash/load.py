"""Eight producers and eight consumers on standard and FIFO queues with dead-letter queues, until the broker dies under them."""

import asyncio
import random
from contextlib import suppress
from typing import Any

from benchmarks.load_client import Connection, Lost, Refused
from tests.crash.history import Found, History, Sent

STANDARD, FIFO = "work", "work.fifo"
DEAD = {STANDARD: "dead", FIFO: "dead.fifo"}
QUEUES = (STANDARD, FIFO, *DEAD.values())
PRODUCERS = CONSUMERS = 8
_RECEIVES_MAX = 3


async def create_queues(url: str) -> None:
    connection = Connection(url)
    for queue, dead in DEAD.items():
        fifo = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
        await connection.call("CreateQueue", QueueName=dead, Attributes=fifo)
        arn = f"arn:aws:sqs:us-east-1:000000000000:{dead}"
        policy = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{_RECEIVES_MAX}"}}'
        await connection.call("CreateQueue", QueueName=queue, Attributes={**fifo, "RedrivePolicy": policy})
    connection.close()


async def until_lost(url: str, step: Any, number: int) -> None:
    """A client's life: one step after the other, each told how far the one before came, until its connection is lost."""
    connection = Connection(url)
    count = 0
    try:
        while True:
            count = await step(connection, number, count)
    except Lost:
        connection.close()


class Load:
    """The clients of one round. `prefix` makes the round's bodies its own."""

    def __init__(self, url: str, history: History, prefix: str, chance: random.Random) -> None:
        self._url = url
        self._history = history
        self._prefix = prefix
        self._chance = chance

    async def run(self) -> None:
        """Until every client has lost its connection."""
        await asyncio.gather(
            *(until_lost(self._url, self._produce, n) for n in range(PRODUCERS)),
            *(until_lost(self._url, self._consume, n) for n in range(CONSUMERS)),
        )

    async def _produce(self, connection: Connection, number: int, count: int) -> int:
        queue = self._chance.choice((STANDARD, FIFO))
        how_many = self._chance.choice((1, 1, 1, 10))
        # A producer has groups of its own, so the order of its sends is the order of each group.
        messages = [self._message(queue, number, count + i) for i in range(how_many)]
        for message in messages:
            self._history.unanswered_sends.add(message["MessageBody"])
        if how_many == 1:
            answer = await connection.call("SendMessage", QueueUrl=queue, **messages[0])
            self._sent(queue, messages[0], answer, count)
            if queue == FIFO and self._chance.random() < 0.1:
                answer = await connection.call("SendMessage", QueueUrl=queue, **messages[0])
                self._sent(queue, messages[0], answer, count)
        else:
            entries = [{"Id": str(i), **m} for i, m in enumerate(messages)]
            answer = await connection.call("SendMessageBatch", QueueUrl=queue, Entries=entries)
            for result in answer["Successful"]:
                i = int(result["Id"])
                self._sent(queue, messages[i], result, count + i)
        return count + how_many

    def _message(self, queue: str, producer: int, number: int) -> dict[str, Any]:
        body = f"{self._prefix}-{queue}-{producer}-{number}"
        if queue == FIFO:
            return {"MessageBody": body, "MessageGroupId": f"{producer}-{number % 3}", "MessageDeduplicationId": body}
        return {"MessageBody": body, "DelaySeconds": self._chance.choice((0, 0, 0, 5))}

    def _sent(self, queue: str, message: dict[str, Any], answer: dict[str, Any], number: int) -> None:
        sent = Sent(queue, answer["MessageId"], message.get("MessageGroupId"), number)
        self._history.send_answered(message["MessageBody"], sent)

    async def _consume(self, connection: Connection, _number: int, count: int) -> int:
        queue = self._chance.choice(QUEUES[:2])
        deleted_before = set(self._history.deleted)
        answer = await connection.call(
            "ReceiveMessage",
            QueueUrl=queue,
            MaxNumberOfMessages=self._chance.choice((1, 10)),
            VisibilityTimeout=self._chance.choice((0, 30, 30)),
            AttributeNames=["ApproximateReceiveCount"],
        )
        messages = answer.get("Messages", [])
        for message in messages:
            receive_count = int(message["Attributes"]["ApproximateReceiveCount"])
            self._note_receive(message["Body"], receive_count, deleted_before)
        for message in messages:
            await self._finish(connection, queue, message)
        if not messages:
            await asyncio.sleep(0.005)
        return count

    def _note_receive(self, body: str, receive_count: int, deleted_before: set[str]) -> None:
        # Two consumers may be answered in the other order than their receives happened: only a restart can lower a count.
        known = self._history.receive_counts.get(body, 0)
        if receive_count > known:
            self._history.received(body, receive_count, deleted_before)
        elif body in deleted_before:
            self._history.violations.append(f"{body}: received after its deletion was acknowledged")

    async def _finish(self, connection: Connection, queue: str, message: dict[str, Any]) -> None:
        body, handle = message["Body"], message["ReceiptHandle"]
        what = self._chance.random()
        if what < 0.5:
            self._history.delete_asked(body)
            try:
                await connection.call("DeleteMessage", QueueUrl=queue, ReceiptHandle=handle)
            except Refused:  # a FIFO handle whose timeout had ended (VisibilityTimeout 0)
                self._history.delete_refused(body)
            else:
                self._history.delete_answered(body)
        elif what < 0.7:
            seconds = self._chance.choice((0, 0, 60))
            with suppress(Refused):  # the same, or a message that another consumer has deleted
                await connection.call(
                    "ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=seconds
                )


async def drain(url: str) -> tuple[list[Found], dict[str, int]]:
    """Receive and delete everything in every queue; and what the queues said before that they held."""
    connection = Connection(url)
    found: list[Found] = []
    counts: dict[str, int] = {}
    for queue in QUEUES:
        counts[queue] = await _count(connection, queue)
    # What the drain itself sends on to a dead-letter queue had been counted where it was.
    sources = {dead: queue for queue, dead in DEAD.items()}
    for queue, counted_in in [(q, q) for q in (*sources, *DEAD)] + list(sources.items()):
        while messages := await _receive(connection, queue):
            for message in messages:
                receive_count = int(message["Attributes"]["ApproximateReceiveCount"])
                found.append(Found(queue, counted_in, message["Body"], message["MessageId"], receive_count))
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            answer = await connection.call("DeleteMessageBatch", QueueUrl=queue, Entries=entries)
            assert len(answer["Successful"]) == len(entries)
    connection.close()
    return found, counts


async def _receive(connection: Connection, queue: str) -> list[dict[str, Any]]:
    answer = await connection.call(
        "ReceiveMessage",
        QueueUrl=queue,
        MaxNumberOfMessages=10,
        VisibilityTimeout=600,
        AttributeNames=["ApproximateReceiveCount"],
    )
    return list(answer.get("Messages", []))


async def _count(connection: Connection, queue: str) -> int:
    answer = await connection.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])
    return sum(
        int(answer["Attributes"][f"ApproximateNumberOfMessages{state}"]) for state in ("", "NotVisible", "Delayed")
    )
