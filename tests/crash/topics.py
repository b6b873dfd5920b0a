"""Publishers to a standard and to a FIFO topic, and consumers of the standard one's queues, until the broker dies under them."""

import asyncio
import json
import random
from typing import Any
from xml.etree import ElementTree

from benchmarks.load_client import Connection
from tests.crash.hook import Hook
from tests.crash.load import until_lost
from tests.crash.topic_history import Answer, Copy, Published, TopicHistory

HOOK = "hook"
ENDPOINTS = frozenset({HOOK})
KINDS = ("bird", "fish")
QUEUES = tuple(f"news-{number}" for number in range(8))
FIFO_QUEUES = ("orders-0.fifo", "orders-1.fifo")
RAW = frozenset(QUEUES[::2]) | {FIFO_QUEUES[0]}
WANTED = {QUEUES[6]: "bird", QUEUES[7]: "fish"}  # what a filter policy lets through, where there is one
PUBLISHERS, FIFO_PUBLISHERS, CONSUMERS = 3, 2, 2
_NEWS, _ORDERS = "arn:aws:sns:us-east-1:000000000000:news", "arn:aws:sns:us-east-1:000000000000:orders.fifo"
_NAMESPACE = "{http://sns.amazonaws.com/doc/2010-03-31/}"
_REPEATED = 10


async def create_topics(url: str, hook_url: str, hook: Hook) -> None:
    """The topics, their queues and subscriptions; the endpoint has confirmed."""
    connection = Connection(url)
    await connection.send(connection.action("CreateTopic", Name="news"))
    await connection.send(connection.action("CreateTopic", Name="orders.fifo", **_entries({"FifoTopic": "true"})))
    for topic, queues in ((_NEWS, QUEUES), (_ORDERS, FIFO_QUEUES)):
        for queue in queues:
            fifo = {"FifoQueue": "true"} if topic == _ORDERS else {}
            await connection.call("CreateQueue", QueueName=queue, Attributes=fifo)
            attributes = {"RawMessageDelivery": "true"} if queue in RAW else {}
            if queue in WANTED:
                attributes["FilterPolicy"] = json.dumps({"kind": [WANTED[queue]]})
            arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
            await _subscribe(connection, topic, "sqs", arn, attributes)
    await _subscribe(connection, _NEWS, "http", hook_url, {})
    await connection.send(connection.action("ConfirmSubscription", TopicArn=_NEWS, Token=await hook.token))
    connection.close()


async def _subscribe(
    connection: Connection, topic: str, protocol: str, endpoint: str, attributes: dict[str, str]
) -> None:
    parameters = {"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint, **_entries(attributes)}
    await connection.send(connection.action("Subscribe", **parameters))


def _entries(attributes: dict[str, str]) -> dict[str, str]:
    parameters = {}
    for number, (key, value) in enumerate(attributes.items(), 1):
        parameters[f"Attributes.entry.{number}.key"] = key
        parameters[f"Attributes.entry.{number}.value"] = value
    return parameters


class TopicLoad:
    """The clients of one round. `prefix` makes the round's messages its own."""

    def __init__(self, url: str, history: TopicHistory, prefix: str, chance: random.Random) -> None:
        self._url = url
        self._history = history
        self._prefix = prefix
        self._chance = chance

    async def run(self) -> None:
        """Until every client has lost its connection."""
        await asyncio.gather(
            *(until_lost(self._url, self._publish, n) for n in range(PUBLISHERS)),
            *(until_lost(self._url, self._publish_in_order, n) for n in range(FIFO_PUBLISHERS)),
            *(until_lost(self._url, self._consume, n) for n in range(CONSUMERS)),
        )

    async def _publish(self, connection: Connection, number: int, count: int) -> int:
        kind = self._chance.choice(KINDS)
        places = {queue for queue in QUEUES if WANTED.get(queue, kind) == kind} | ENDPOINTS
        attribute = {"Name": "kind", "Value.DataType": "String", "Value.StringValue": kind}
        extra = {f"MessageAttributes.entry.1.{name}": value for name, value in attribute.items()}
        messages = [f"{self._prefix}-news-{number}-{count + i}" for i in range(self._chance.choice((1, 1, 1, 5)))]
        for message in messages:
            self._history.publish_asked(message, Published(frozenset(places)))
        await publish(connection, self._history, _NEWS, [{"Message": m, **extra} for m in messages])
        return count + len(messages)

    async def _publish_in_order(self, connection: Connection, number: int, count: int) -> int:
        # A publisher has groups of its own, so the order of its publishes is the order of each group.
        published = []
        for i in range(count, count + self._chance.choice((1, 1, 1, 10))):
            message = f"{self._prefix}-orders-{number}-{i}"
            published.append((message, Published(frozenset(FIFO_QUEUES), f"{number}-{i % 3}", i)))
            self._history.publish_asked(*published[-1])
        await publish(connection, self._history, _ORDERS, [_ordered(*p) for p in published])
        return count + len(published)

    async def _consume(self, connection: Connection, _number: int, count: int) -> int:
        queue = self._chance.choice(QUEUES)
        deleted_before = set(self._history.deleted)
        seconds = self._chance.choice((0, 30))
        for message, copy in await _receive(connection, queue, seconds):
            self._history.received(copy, deleted_before)
            if self._chance.random() < 0.5:
                self._history.delete_asked(queue, copy.message)
                await connection.call("DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                self._history.delete_answered(queue, copy.message)
        await asyncio.sleep(0.005)
        return count


async def publish(connection: Connection, history: TopicHistory, topic: str, messages: list[dict[str, str]]) -> None:
    """Publish one message, or several in a batch, and note the answers."""
    if len(messages) == 1:
        reply = await connection.send(connection.action("Publish", TopicArn=topic, **messages[0]))
        results = [ElementTree.fromstring(reply)[0]]
    else:
        parameters = {}
        for number, message in enumerate(messages):
            member = f"PublishBatchRequestEntries.member.{number + 1}"
            parameters |= {f"{member}.{name}": value for name, value in {"Id": str(number), **message}.items()}
        reply = await connection.send(connection.action("PublishBatch", TopicArn=topic, **parameters))
        results = ElementTree.fromstring(reply).findall(f".//{_NAMESPACE}Successful/{_NAMESPACE}member")
    assert len(results) == len(messages)
    for message, result in zip(messages, results, strict=True):
        answer = Answer(result.findtext(f"{_NAMESPACE}MessageId", ""), result.findtext(f"{_NAMESPACE}SequenceNumber"))
        history.publish_answered(message["Message"], answer)


def _ordered(message: str, published: Published) -> dict[str, str]:
    assert published.group is not None
    return {"Message": message, "MessageGroupId": published.group, "MessageDeduplicationId": message}


async def repeat_publishes(url: str, history: TopicHistory, chance: random.Random) -> None:
    """Within five minutes, deduplication IDs are used again: some that were acknowledged, and, in every other round, all that
    were not: now they have happened, once.
    """
    connection = Connection(url)
    ordered = [message for message, published in history.asked.items() if published.group is not None]
    answered = [message for message in ordered if message in history.answers]
    repeated = chance.sample(answered, min(_REPEATED, len(answered)))
    if chance.random() < 0.5:
        repeated += [message for message in ordered if message not in history.answers]
    for message in repeated:
        await publish(connection, history, _ORDERS, [_ordered(message, history.asked[message])])
    connection.close()


async def drain_topics(url: str) -> list[Copy]:
    """Receive and delete everything in every queue of the topics."""
    connection = Connection(url)
    found: list[Copy] = []
    for queue in (*QUEUES, *FIFO_QUEUES):
        while received := await _receive(connection, queue, 600):
            found += [copy for _, copy in received]
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, (m, _) in enumerate(received)]
            answer = await connection.call("DeleteMessageBatch", QueueUrl=queue, Entries=entries)
            assert len(answer["Successful"]) == len(entries)
    connection.close()
    return found


async def _receive(connection: Connection, queue: str, seconds: int) -> list[tuple[dict[str, Any], Copy]]:
    answer = await connection.call(
        "ReceiveMessage",
        QueueUrl=queue,
        MaxNumberOfMessages=10,
        VisibilityTimeout=seconds,
        AttributeNames=["SequenceNumber"],
    )
    return [(message, _copy(queue, message)) for message in answer.get("Messages", [])]


def _copy(queue: str, message: dict[str, Any]) -> Copy:
    sequence = message.get("Attributes", {}).get("SequenceNumber", "")
    if queue in RAW:
        return Copy(queue, message["Body"], message["MessageId"], sequence)
    document = json.loads(message["Body"])
    published_as = Answer(document["MessageId"], document.get("SequenceNumber"))
    return Copy(queue, document["Message"], message["MessageId"], sequence, published_as)
