"""Publishing to a topic with ten queues, durable: `python -m benchmarks.fan_out [--rounds 5]`.

1 KB messages, 16 connections, synchronous=full; raw copies, enveloped and signed copies, and beside them the same copies sent by
SendMessageBatch, ten messages a call to one queue. Rounds alternate; medians. Exit code 1 under 8,000 raw copies a second.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time

import uvloop

from benchmarks.broker_process import BrokerProcess
from benchmarks.load_client import Connection

CONNECTIONS = 16
QUEUES = 10
COPIES_S_MIN = 8_000
_PUBLISHES = 60  # per connection and round
_BODY = "x" * 1024
_ACCOUNT = "000000000000"


async def set_up(url: str) -> None:
    """A topic for each kind of delivery, and their queues."""
    connection = Connection(url)
    await connection.call("CreateQueue", QueueName="direct")
    for kind in ("raw", "enveloped"):
        await connection.send(connection.action("CreateTopic", Name=kind))
        for number in range(QUEUES):
            name = f"{kind}-{number}"
            await connection.call("CreateQueue", QueueName=name)
            await connection.send(
                connection.action(
                    "Subscribe",
                    TopicArn=f"arn:aws:sns:us-east-1:{_ACCOUNT}:{kind}",
                    Protocol="sqs",
                    Endpoint=f"arn:aws:sqs:us-east-1:{_ACCOUNT}:{name}",
                    **{
                        "Attributes.entry.1.key": "RawMessageDelivery",
                        "Attributes.entry.1.value": "true" if kind == "raw" else "false",
                    },
                )
            )
    connection.close()


def request_of(kind: str, connection: Connection) -> bytes:
    """Ten copies by one request."""
    if kind == "direct":
        entries = [{"Id": str(number), "MessageBody": _BODY} for number in range(QUEUES)]
        return connection.request("SendMessageBatch", QueueUrl="direct", Entries=entries)
    return connection.action("Publish", TopicArn=f"arn:aws:sns:us-east-1:{_ACCOUNT}:{kind}", Message=_BODY)


async def load(url: str, kind: str) -> tuple[float, float]:
    """Copies per second, and the 99th percentile of the latencies in milliseconds."""
    latencies: list[float] = []

    async def produce() -> None:
        connection = Connection(url)
        request = request_of(kind, connection)
        for _ in range(_PUBLISHES):
            began = time.perf_counter()
            await connection.send(request)
            latencies.append((time.perf_counter() - began) * 1000)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(produce() for _ in range(CONNECTIONS)))
    rate = CONNECTIONS * _PUBLISHES * QUEUES / (time.perf_counter() - began)
    return rate, sorted(latencies)[int(len(latencies) * 0.99)]


async def compare(broker: BrokerProcess, rounds: int) -> dict[str, float]:
    """The median copies per second of each kind."""
    await set_up(broker.url)
    rates: dict[str, list[float]] = {"raw": [], "enveloped": [], "direct": []}
    for _ in range(rounds):
        for kind, measured in rates.items():
            before = broker.cpu_s()
            rate, p99 = await load(broker.url, kind)
            cpu_us = (broker.cpu_s() - before) / (CONNECTIONS * _PUBLISHES) * 1e6
            measured.append(rate)
            print(f"{kind:9} {rate:7.0f} copies/s  p99 {p99:5.1f} ms  {cpu_us:5.0f} µs CPU for ten", flush=True)
    return {kind: statistics.median(measured) for kind, measured in rates.items()}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="pombo-bench-") as data:
        broker = BrokerProcess(data)
        try:
            medians = uvloop.run(compare(broker, rounds))
        finally:
            broker.kill()
    for kind, rate in medians.items():
        print(f"{kind:9} median {rate:.0f} copies/s, {rate / medians['direct']:.2f} of direct sends")
    holds = medians["raw"] >= COPIES_S_MIN
    print(f"{'PASS' if holds else 'FAIL'}  raw copies to ten queues: {medians['raw']:.0f}/s (bound: {COPIES_S_MIN})")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
