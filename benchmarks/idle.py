"""What idleness and many queues cost: `python -m benchmarks.idle`. Exit code 1 if a line fails.

200 long polls on 200 queues, 20 seconds each: the broker's processor time. Then 10,000 queues: created, listed page by page, each
sent to and received from, on 16 connections.
"""

import asyncio
import sys
import tempfile
import time

import uvloop

from benchmarks.broker_process import BrokerProcess
from benchmarks.load_client import Connection

_POLLS = 200
_WATCHED_S = 15.0
_CORE_SHARE_MAX = 0.02
_QUEUES = 10_000
_CONNECTIONS = 16


async def idle_polls(broker: BrokerProcess) -> bool:
    """Whether idle polls cost less than two hundredths of a core."""
    connections = [Connection(broker.url) for _ in range(_POLLS)]
    for number, connection in enumerate(connections):
        await connection.call("CreateQueue", QueueName=f"idle-{number}")
    polls = [
        asyncio.create_task(connection.call("ReceiveMessage", QueueUrl=f"idle-{number}", WaitTimeSeconds=20))
        for number, connection in enumerate(connections)
    ]
    await asyncio.sleep(1)
    before = broker.cpu_s()
    await asyncio.sleep(_WATCHED_S)
    share = (broker.cpu_s() - before) / _WATCHED_S
    for answer in await asyncio.gather(*polls):
        assert answer == {}, answer
    for connection in connections:
        connection.close()
    holds = share < _CORE_SHARE_MAX
    print(
        f"{'PASS' if holds else 'FAIL'}  {_POLLS} idle long polls: {share:.2%} of a core (bound: {_CORE_SHARE_MAX:.0%})",
        flush=True,
    )
    return holds


async def many_queues(broker: BrokerProcess) -> bool:
    """Whether ten thousand queues are there, listed, and of use."""

    async def each(step: str) -> float:
        async def some(first: int) -> None:
            connection = Connection(broker.url)
            for number in range(first, _QUEUES, _CONNECTIONS):
                name = f"many-{number:05d}"
                if step == "created":
                    await connection.call("CreateQueue", QueueName=name)
                elif step == "sent to":
                    await connection.call("SendMessage", QueueUrl=name, MessageBody=name)
                else:
                    (message,) = (await connection.call("ReceiveMessage", QueueUrl=name))["Messages"]
                    assert message["Body"] == name
                    await connection.call("DeleteMessage", QueueUrl=name, ReceiptHandle=message["ReceiptHandle"])
            connection.close()

        began = time.perf_counter()
        await asyncio.gather(*(some(n) for n in range(_CONNECTIONS)))
        return _QUEUES / (time.perf_counter() - began)

    rates = {step: await each(step) for step in ("created", "sent to")}
    listed = await _list(broker)
    rates["received from and deleted from"] = await each("received from")
    shown = ", ".join(f"{step} at {rate:.0f}/s" for step, rate in rates.items())
    holds = listed == _QUEUES
    print(
        f"{'PASS' if holds else 'FAIL'}  {_QUEUES} queues: {shown}; {listed} listed; {broker.resident_mb():.0f} MB resident"
    )
    return holds


async def _list(broker: BrokerProcess) -> int:
    connection = Connection(broker.url)
    names: set[str] = set()
    token = None
    while True:
        more = {} if token is None else {"NextToken": token}
        answer = await connection.call("ListQueues", QueueNamePrefix="many-", MaxResults=1000, **more)
        names.update(answer["QueueUrls"])
        token = answer.get("NextToken")
        if token is None:
            connection.close()
            return len(names)


def main() -> None:
    """The command."""
    with tempfile.TemporaryDirectory(prefix="pombo-idle-") as data:
        broker = BrokerProcess(data)
        try:
            held = [uvloop.run(part(broker)) for part in (idle_polls, many_queues)]
        finally:
            broker.kill()
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
