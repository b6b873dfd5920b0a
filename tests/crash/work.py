"""Producers to a standard and a FIFO queue which are mapped to a function, until the broker dies under all of them.

The function writes each message that it processes into a file, in one write, and refuses some when they come for the first time.
Function and mappings are created once, before the first kill.
"""

import asyncio
import base64
import random
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load_client import Connection
from tests.crash.load import until_lost
from tests.crash.work_history import Processed, Task, WorkHistory
from tests.lambda_.api import ROLE, zipped
from tests.processes import with_variable

STANDARD, FIFO = "tasks", "tasks.fifo"
QUEUES = (STANDARD, FIFO)
PRODUCERS = 4
_GROUPS = 4  # of each producer
_CONCURRENCY = 2  # of each mapping
_TIMEOUT_S = 5  # of the function and of the messages
_REFUSED = 0.03  # of the messages, once each
_RECORD = "CRASH_RECORD"
_LOOKS = 500  # for processes that should have ended: 5 s
_FUNCTION = f"""
import os
import time

record = os.open(os.environ["{_RECORD}"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handler(event, context):
    failed = []
    for message in event["Records"]:
        body, message_id = message["body"], message["messageId"]
        count = message["attributes"]["ApproximateReceiveCount"]
        if (body.endswith("-refused") and count == "1") or (failed and message["eventSourceARN"].endswith(".fifo")):
            failed.append({{"itemIdentifier": message_id}})
            continue
        time.sleep(0.001)
        os.write(record, f"{{body}} {{message_id}} {{count}}\\n".encode())
    return {{"batchItemFailures": failed}}
"""


class Work:
    """All rounds'. `record`: the file that the function writes into."""

    def __init__(self, history: WorkHistory, record: Path) -> None:
        self._history = history
        self._record = record
        self._read = 0  # bytes of the record

    async def create(self, url: str) -> None:
        """The queues, the function and its mappings."""
        connection = Connection(url)
        function = connection.rest(
            *("POST", "/2015-03-31/functions"),
            FunctionName="work",
            Runtime="python3.11",
            Role=ROLE,
            Handler="app.handler",
            Timeout=_TIMEOUT_S,
            Code={"ZipFile": base64.b64encode(zipped({"app.py": _FUNCTION})).decode()},
            Environment={"Variables": {_RECORD: str(self._record)}},
        )
        await connection.send(function)
        for queue in QUEUES:
            fifo = {"FifoQueue": "true"} if queue == FIFO else {}
            attributes = {**fifo, "VisibilityTimeout": str(_TIMEOUT_S)}
            await connection.call("CreateQueue", QueueName=queue, Attributes=attributes)
            mapping = connection.rest(
                *("POST", "/2015-03-31/event-source-mappings"),
                FunctionName="work",
                EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:{queue}",
                ScalingConfig={"MaximumConcurrency": _CONCURRENCY},
                FunctionResponseTypes=["ReportBatchItemFailures"],
            )
            await connection.send(mapping)
        connection.close()

    def broker_dies(self) -> None:
        """In a moment."""
        self._history.processes += len(self._processes())

    async def broker_died(self) -> None:
        """The function's processes must end with it: they are given a moment."""
        left: list[int] = []
        for _ in range(_LOOKS):
            left = self._processes()
            if not left:
                break
            await asyncio.sleep(0.01)
        self._history.outlived(left)

    async def restarted(self, url: str) -> None:
        """Hold what the queues show against what was processed: first the look, as the function goes on meanwhile."""
        held = await self._look(url)
        self._read_record()
        self._history.restarted(held)

    async def recount(self, url: str) -> None:
        """The same when the clock was moved past every timeout: nothing may be left to do."""
        held = await self._look(url)
        self._read_record()
        self._history.check(held)
        self._history.begin_round()

    def _processes(self) -> list[int]:
        return with_variable(f"{_RECORD}={self._record}")

    def _read_record(self) -> None:
        if not self._record.exists():
            return
        with self._record.open("rb") as file:
            file.seek(self._read)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith(b"\n"):
                self._read += len(line)
                body, message_id, count = line.decode().split()
                self._history.function_processed(Processed(body, message_id, int(count)))

    async def _look(self, url: str) -> set[str]:
        """What the queues hold, in flight or not, without receiving it."""
        connection = Connection(url)
        held: set[str] = set()
        for queue in QUEUES:
            after: int | None = 0
            while after is not None:
                path = f"/_pombo/sqs/messages?QueueUrl={queue}&Limit=1000&After={after}"
                page = orjson.loads(await connection.send(connection.rest("GET", path)))
                held |= {message["Body"] for message in page["messages"]}
                after = page["next"]
        connection.close()
        return held


class WorkLoad:
    """The producers of one round. `prefix` makes the round's bodies its own."""

    def __init__(self, url: str, history: WorkHistory, prefix: str, chance: random.Random) -> None:
        self._url = url
        self._history = history
        self._prefix = prefix
        self._chance = chance

    async def run(self) -> None:
        """Until every producer has lost its connection."""
        await asyncio.gather(*(until_lost(self._url, self._produce, number) for number in range(PRODUCERS)))

    async def _produce(self, connection: Connection, producer: int, count: int) -> int:
        queue = QUEUES[producer % 2]
        entries = [self._message(queue, producer, count + i) for i in range(self._chance.choice((1, 1, 1, 10)))]
        if len(entries) == 1:
            answer = await connection.call("SendMessage", QueueUrl=queue, **entries[0])
            self._history.send_answered(entries[0]["MessageBody"], answer["MessageId"])
        else:
            batch = [{"Id": str(i), **entry} for i, entry in enumerate(entries)]
            answer = await connection.call("SendMessageBatch", QueueUrl=queue, Entries=batch)
            for result in answer["Successful"]:
                self._history.send_answered(entries[int(result["Id"])]["MessageBody"], result["MessageId"])
        await asyncio.sleep(0.02)  # so that the function is not far behind
        return count + len(entries)

    def _message(self, queue: str, producer: int, number: int) -> dict[str, Any]:
        """A producer has groups of its own, so the order of its sends is the order of each group."""
        body = f"{self._prefix}-{queue}-{producer}-{number}"
        if self._chance.random() < _REFUSED:
            body += "-refused"
        if queue == STANDARD:
            self._history.send_asked(body, Task(queue))
            return {"MessageBody": body}
        group = f"{producer}-{number % _GROUPS}"
        self._history.send_asked(body, Task(queue, group, number))
        return {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": body}
