"""Deep queues: `python -m benchmarks.backlog --messages 1000000 [--only plain]`. Exit code 1 if a line fails.

For each kind of backlog: the broker is started on it after a SIGKILL with a full log, then drained to the last message. Each tenth
is drained in slices; beside each slice, the same clients drain a queue that was empty and has just been sent a few thousand
messages. The two rates are compared pair by pair, taken seconds apart in changing order, and the median of a tenth's ratios counts:
what else the machine does falls on both. Resident memory is watched throughout.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.fill import queue_of
from benchmarks.load_client import Connection
from benchmarks.servers import BrokerProcess

KINDS = ("plain", "delayed", "locked", "deduplicated", "noisy")
CONNECTIONS = 16
RESIDENT_MB_MAX = 250
READY_S_MAX = 2.0
RATE_MIN = 0.8
PURGE_P99_MS_MAX = 50
_SHALLOW = 4_000
_PAIRS_MAX = 9  # per tenth
_SLICE_MIN = 2_000


@dataclass
class Table:
    """Lines of the report: what, measured, bound, and whether it holds."""

    judge_speed: bool = True
    lines: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def add(self, what: str, measured: str, bound: str, holds: bool, *, speed: bool = False) -> None:
        """`speed`: a line that a busy machine can break; it may be shown without being judged."""
        judged = self.judge_speed or not speed
        self.lines.append((what, measured, bound, holds or not judged))
        print(f"{'PASS' if holds else 'FAIL' if judged else 'SLOW'}  {what}: {measured} (bound: {bound})", flush=True)


async def drain(url: str, queue: str, count: int) -> tuple[int, float]:
    """Receive and delete by ten on 16 connections until `count` are gone or none is there: (how many, messages per second)."""
    done = 0

    async def consume() -> None:
        nonlocal done
        connection = Connection(url)
        receive = connection.request("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10)
        empty = 0
        while done < count and empty < 3:
            messages = json.loads(await connection.send(receive)).get("Messages", [])
            empty = 0 if messages else empty + 1
            if messages:
                entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
                await connection.call("DeleteMessageBatch", QueueUrl=queue, Entries=entries)
                done += len(messages)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(consume() for _ in range(CONNECTIONS)))
    return done, done / (time.perf_counter() - began)


async def send_shallow(broker: BrokerProcess, kind: str, queue: str, round_: int) -> None:
    """A few thousand messages of 1 KB, by ten, with the delay and the groups of the deep queue's."""
    url = broker.url

    async def produce(first: int) -> None:
        connection = Connection(url)
        for at in range(first, _SHALLOW, CONNECTIONS * 10):
            entries: list[dict[str, Any]] = [{"Id": str(n), "MessageBody": "x" * 1024} for n in range(at, at + 10)]
            for n, entry in enumerate(entries, at):
                if queue.endswith(".fifo"):
                    entry |= {"MessageGroupId": f"g{n % 1000}", "MessageDeduplicationId": f"{round_}-{n}"}
                elif kind == "noisy":
                    entry["MessageGroupId"] = "noisy"
                elif kind == "delayed":
                    entry["DelaySeconds"] = 1
            await connection.call("SendMessageBatch", QueueUrl=queue, Entries=entries)
        connection.close()

    await asyncio.gather(*(produce(n * 10) for n in range(CONNECTIONS)))
    if kind == "delayed":
        await advance(broker, 1)


async def advance(broker: BrokerProcess, seconds: int) -> None:
    """Move the broker's clock."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(broker.url.rpartition(":")[2]))
    body = json.dumps({"advance_s": seconds}).encode()
    writer.write(b"POST /_pombo/clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def before_the_drain(kind: str, broker: BrokerProcess, queue: str, count: int, table: Table) -> int:
    """What is special about a kind, and how many messages are then to be drained."""
    connection = Connection(broker.url)
    try:
        if kind == "delayed":
            await advance(broker, 5)
            began = time.perf_counter()
            answer = await connection.call("ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=5)
            bodies = [m["Body"] for m in answer.get("Messages", [])]
            table.add(
                "delayed: the one with a short delay",
                f"{bodies} in {time.perf_counter() - began:.3f} s",
                "['short']",
                bodies == ["short"],
            )
            await connection.call("DeleteMessage", QueueUrl=queue, ReceiptHandle=answer["Messages"][0]["ReceiptHandle"])
            await advance(broker, 900)
        elif kind == "locked":
            answer = await connection.call(
                "ReceiveMessage", QueueUrl=queue, VisibilityTimeout=43_200, AttributeNames=["MessageGroupId"]
            )
            assert answer["Messages"][0]["Attributes"]["MessageGroupId"] == "locked"
            return count - count // 10
        elif kind == "noisy":
            await _noisy(connection, queue, table)
            return count + 10 - 50
        elif kind == "deduplicated":
            began = time.perf_counter()
            entry = {"QueueUrl": queue, "MessageBody": "again", "MessageGroupId": "g1", "MessageDeduplicationId": "1"}
            before = await _held(connection, queue)
            await connection.call("SendMessage", **entry)
            added = await _held(connection, queue) - before
            took = time.perf_counter() - began
            table.add(
                "deduplicated: an ID of the million is known", f"{added} added, {took:.3f} s", "0 added", added == 0
            )
    finally:
        connection.close()
    return count


async def _noisy(connection: Connection, queue: str, table: Table) -> None:
    groups: list[str] = []
    while len(groups) < 50:
        answer = await connection.call(
            "ReceiveMessage",
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=43_200,
            AttributeNames=["MessageGroupId"],
        )
        groups += [m["Attributes"]["MessageGroupId"] for m in answer["Messages"]]
    quiet = [at for at, group in enumerate(groups) if group != "noisy"]
    found = f"{len(quiet)} of 10, from the {quiet[0] + 1 if quiet else 0}th on"
    table.add("noisy: quiet messages among the first 50", found, "10, from the 31st on", quiet == list(range(30, 40)))


async def _held(connection: Connection, queue: str) -> int:
    answer = await connection.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


async def deep(kind: str, count: int, broker: BrokerProcess, table: Table) -> None:
    """Drain a backlog in slices, each paired with a shallow queue's drain."""
    queue = queue_of(kind)
    shallow = "shallow.fifo" if queue.endswith(".fifo") else "shallow"
    connection = Connection(broker.url)
    await connection.call(
        "CreateQueue", QueueName=shallow, Attributes={"FifoQueue": "true"} if shallow.endswith(".fifo") else {}
    )
    connection.close()
    to_drain = await before_the_drain(kind, broker, queue, count, table)
    ratios: list[float] = []
    drained = 0
    pairs = max(1, min(_PAIRS_MAX, to_drain // 10 // _SLICE_MIN))

    async def drain_slice(number: int) -> float:
        nonlocal drained
        done, rate = await drain(broker.url, queue, to_drain * (number + 1) // (10 * pairs) - drained)
        drained += done
        return rate

    async def drain_shallow(number: int) -> float:
        await send_shallow(broker, kind, shallow, number)
        return (await drain(broker.url, shallow, _SHALLOW))[1]

    for tenth in range(10):
        of_tenth: list[float] = []
        for number in range(tenth * pairs, (tenth + 1) * pairs):
            if number % 2:
                shallow_rate = await drain_shallow(number)
                deep_rate = await drain_slice(number)
            else:
                deep_rate = await drain_slice(number)
                shallow_rate = await drain_shallow(number)
            of_tenth.append(deep_rate / shallow_rate)
        ratios.append(statistics.median(of_tenth))
    table.add(f"{kind}: drained", f"{drained}", f"{to_drain}", drained == to_drain)
    shown = " ".join(f"{r:.2f}" for r in ratios)
    table.add(
        f"{kind}: each tenth's rate to an empty queue's",
        shown,
        f"at least {RATE_MIN}",
        min(ratios) >= RATE_MIN,
        speed=True,
    )


async def purge(count: int, broker: BrokerProcess, table: Table) -> None:
    """Purge a deep queue while others send; every latency from then on, until the rows are gone or ten seconds have passed."""
    latencies: list[float] = []
    end = time.perf_counter() + 10
    connection = Connection(broker.url)
    await connection.call("CreateQueue", QueueName="beside")

    async def produce() -> None:
        sender = Connection(broker.url)
        request = sender.request("SendMessage", QueueUrl="beside", MessageBody="x" * 1024)
        while time.perf_counter() < end:
            began = time.perf_counter()
            await sender.send(request)
            latencies.append(time.perf_counter() - began)
        sender.close()

    senders = [asyncio.create_task(produce()) for _ in range(8)]
    began = time.perf_counter()
    await connection.call("PurgeQueue", QueueUrl="deep")
    took = time.perf_counter() - began
    await asyncio.gather(*senders)
    latencies.sort()
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    table.add(
        f"purge of {count} beside {len(latencies)} sends: p99",
        f"{p99:.1f} ms",
        f"{PURGE_P99_MS_MAX} ms",
        p99 < PURGE_P99_MS_MAX,
        speed=True,
    )
    table.add("purge: answered", f"{took * 1000:.1f} ms", "1000 ms", took < 1)
    connection.close()


def run(kind: str, count: int, table: Table) -> None:
    """One kind, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="pombo-backlog-") as data:
        filled = "plain" if kind == "purge" else kind
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmarks.fill", filled, str(count), data], check=False)
        print(f"      {kind}: filled in {time.perf_counter() - began:.0f} s", flush=True)
        broker = BrokerProcess(data, "--clock", "manual")
        try:
            table.add(
                f"{kind}: ready after SIGKILL",
                f"{broker.ready_s:.2f} s",
                f"{READY_S_MAX} s",
                broker.ready_s < READY_S_MAX,
            )
            if kind == "purge":
                uvloop.run(purge(count, broker, table))
            else:
                uvloop.run(deep(kind, count, broker, table))
            resident = broker.resident_mb_max
            table.add(
                f"{kind}: resident memory at most",
                f"{resident:.0f} MB",
                f"{RESIDENT_MB_MAX} MB",
                resident < RESIDENT_MB_MAX,
            )
        finally:
            broker.kill()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--only", choices=(*KINDS, "purge"))
    parser.add_argument("--speed", choices=("judge", "show"), default="judge", help="whether a slow line is a failure")
    arguments = parser.parse_args()
    table = Table(arguments.speed == "judge")
    for kind in (arguments.only,) if arguments.only else (*KINDS, "purge"):
        run(kind, arguments.messages, table)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / f"backlog-{arguments.messages}.json").write_text(json.dumps(table.lines, indent=1))
    failed = sum(not holds for *_, holds in table.lines)
    print(f"{len(table.lines) - failed} lines hold, {failed} fail")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
