"""Functions: warm invocations a second, and messages a second from a queue.

The function returns its event. RequestResponse invocations from one and from four connections, in Python and in Node; and 2,000
messages of 1 KB in a queue, taken by a Python function in batches of one and of ten and, beside them, by four clients that receive
and delete ten at a time. Durable throughout (synchronous=full). Rounds alternate; medians.
"""

import asyncio
import io
import time
import zipfile
from base64 import b64encode
from typing import Final

from benchmarks.figures import Measured
from benchmarks.load_client import Connection
from benchmarks.servers import BrokerProcess

_FUNCTIONS: Final = "/2015-03-31/functions"
_MAPPINGS: Final = "/2015-03-31/event-source-mappings/"
_ARN: Final = "arn:aws:sqs:us-east-1:000000000000:"
_CODE: Final = {
    "python3.11": ("app.py", "def handler(event, context):\n    return event\n"),
    "nodejs20.x": ("app.js", "exports.handler = async (event) => event;\n"),
}
_INVOKES: Final = 400  # of a round
_MESSAGES: Final = 2_000  # of a round
_CLIENTS: Final = 4
_BODY: Final = "x" * 1024


async def set_up(url: str) -> None:
    """The functions, each run once: they are warm."""
    connection = Connection(url)
    for runtime, (file, text) in _CODE.items():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr(file, text)
        await connection.send(
            connection.rest(
                "POST",
                _FUNCTIONS,
                FunctionName=_name(runtime),
                Runtime=runtime,
                Role="arn:aws:iam::000000000000:role/benchmark",
                Handler="app.handler",
                Code={"ZipFile": b64encode(archive.getvalue()).decode()},
                Timeout=30,
            )
        )
    connection.close()
    for runtime in _CODE:
        await invoke(url, runtime, _CLIENTS)


def _name(runtime: str) -> str:
    return runtime.partition(".")[0]


async def invoke(url: str, runtime: str, connections: int) -> None:
    """A round of invocations, divided among so many connections."""

    async def ask() -> None:
        connection = Connection(url)
        request = connection.rest("POST", f"{_FUNCTIONS}/{_name(runtime)}/invocations", text=_BODY)
        for _ in range(_INVOKES // connections):
            await connection.send(request)
        connection.close()

    await asyncio.gather(*(ask() for _ in range(connections)))


async def fill(url: str, queue: str) -> None:
    """A new queue with the messages of a round."""
    connection = Connection(url)
    await connection.call("CreateQueue", QueueName=queue)
    entries = [{"Id": str(number), "MessageBody": _BODY} for number in range(10)]
    request = connection.request("SendMessageBatch", QueueUrl=queue, Entries=entries)
    for _ in range(_MESSAGES // 10):
        await connection.send(request)
    connection.close()


async def work_off(url: str, queue: str, batch: int) -> None:
    """Map the queue to the function; until the last message is deleted."""
    connection = Connection(url)
    name = _name("python3.11")
    await connection.send(
        connection.rest("POST", _MAPPINGS, FunctionName=name, EventSourceArn=_ARN + queue, BatchSize=batch)
    )
    counted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    while True:
        reply = await connection.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=counted)
        if not any(int(reply["Attributes"][name]) for name in counted):
            break
        await asyncio.sleep(0.01)
    await connection.call("DeleteQueue", QueueUrl=queue)
    connection.close()


async def take(url: str, queue: str) -> None:
    """Receive and delete until nothing comes any more."""

    async def consume() -> None:
        connection = Connection(url)
        receive = {"QueueUrl": queue, "MaxNumberOfMessages": 10}
        while messages := (await connection.call("ReceiveMessage", **receive)).get("Messages"):
            entries = [{"Id": str(at), "ReceiptHandle": m["ReceiptHandle"]} for at, m in enumerate(messages)]
            await connection.call("DeleteMessageBatch", QueueUrl=queue, Entries=entries)
        connection.close()

    await asyncio.gather(*(consume() for _ in range(_CLIENTS)))


async def one_round(broker: BrokerProcess, number: int) -> dict[str, Measured]:
    """Each kind once."""
    measured = {}
    for runtime in _CODE:
        for connections in (1, _CLIENTS):
            before, began = broker.cpu_s(), time.perf_counter()
            await invoke(broker.url, runtime, connections)
            kind = f"{_name(runtime)}, {connections} at once"
            measured[kind] = _measured(broker, before, began, _INVOKES)
    for kind, batch in (("batches of 1", 1), ("batches of 10", 10), ("clients", 0)):
        queue = f"work-{batch}-{number}"
        await fill(broker.url, queue)
        before, began = broker.cpu_s(), time.perf_counter()
        await (work_off(broker.url, queue, batch) if batch else take(broker.url, queue))
        measured[kind] = _measured(broker, before, began, _MESSAGES)
    return measured


def _measured(broker: BrokerProcess, cpu_s: float, began: float, count: int) -> Measured:
    return Measured(
        rate=count / (time.perf_counter() - began),
        cpu_us=(broker.cpu_s() - cpu_s) / count * 1e6,
        resident_mb=broker.resident_mb(),
        requests=count,
    )
