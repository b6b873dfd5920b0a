"""Durable SendMessage against a bare aiohttp application: `python -m benchmarks.send [--rounds 7]`.

1 KB bodies, 32 connections, synchronous=full. Both servers run throughout; rounds alternate between them; medians, and the ratio
of each pair. Exit code 1 if the median ratio is under a half.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time

import uvloop

from benchmarks.broker_process import BrokerProcess, ServerProcess
from benchmarks.load_client import Connection

CONNECTIONS = 32
RATIO_MIN = 0.5
_SENDS = 300  # per connection and round


async def load(url: str) -> tuple[float, list[float]]:
    """Requests per second, and the latencies in milliseconds, of one round."""
    latencies: list[float] = []

    async def produce() -> None:
        connection = Connection(url)
        request = connection.request("SendMessage", QueueUrl="bench", MessageBody="x" * 1024)
        for _ in range(_SENDS):
            began = time.perf_counter()
            await connection.send(request)
            latencies.append((time.perf_counter() - began) * 1000)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(produce() for _ in range(CONNECTIONS)))
    return CONNECTIONS * _SENDS / (time.perf_counter() - began), sorted(latencies)


async def compare(broker: ServerProcess, bare: ServerProcess, rounds: int) -> float:
    """The median of the rounds' ratios."""
    connection = Connection(broker.url)
    await connection.call("CreateQueue", QueueName="bench")
    connection.close()
    rates: dict[str, list[float]] = {"pombo": [], "bare aiohttp": []}
    cpu: dict[str, list[float]] = {"pombo": [], "bare aiohttp": []}
    for _ in range(rounds):
        for name, server in (("pombo", broker), ("bare aiohttp", bare)):
            before = server.cpu_s()
            rate, latencies = await load(server.url)
            rates[name].append(rate)
            cpu[name].append((server.cpu_s() - before) / (CONNECTIONS * _SENDS) * 1e6)
            p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
            print(
                f"{name:13} {rate:7.0f}/s  p50 {p50:5.2f} ms  p99 {p99:5.2f} ms  {cpu[name][-1]:4.0f} µs CPU",
                flush=True,
            )
    for name, measured in rates.items():
        print(
            f"{name:13} median {statistics.median(measured):.0f}/s, {statistics.median(cpu[name]):.0f} µs CPU a request"
        )
    ratios = [a / b for a, b in zip(rates["pombo"], rates["bare aiohttp"], strict=True)]
    print("ratios: " + " ".join(f"{r:.2f}" for r in ratios))
    return statistics.median(ratios)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="pombo-bench-") as data:
        broker = BrokerProcess(data)
        bare = ServerProcess("benchmarks.bare_aiohttp")
        try:
            ratio = uvloop.run(compare(broker, bare, rounds))
        finally:
            broker.kill()
            bare.kill()
    holds = ratio >= RATIO_MIN
    print(f"{'PASS' if holds else 'FAIL'}  durable sends to bare aiohttp: {ratio:.2f} (bound: at least {RATIO_MIN})")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
