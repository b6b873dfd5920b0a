"""Fill a queue through the engine itself, and die by SIGKILL with a full log: `python -m benchmarks.fill KIND N DATA`.

What is left is what a broker leaves that took a million requests, on disk, and without the time that these take. Kinds: plain;
delayed (by 14 minutes, and one by 3 seconds); locked (FIFO, the first tenth in one group); deduplicated (FIFO over 1,000
groups); noisy (one group, then ten messages of ten quiet ones).
"""

import os
import signal
import sys
from collections.abc import Iterator

import uvloop

from broker.app import Broker
from broker.config import Config
from broker.core.message import Admitted
from broker.core.settings import QueueName, QueueSettings
from broker.store.directory import sync_path

BODY_BYTES = 1024
QUEUE = {"locked": "deep.fifo", "deduplicated": "deep.fifo"}
_AT_ONCE = 100


def queue_of(kind: str) -> str:
    """The name of the queue that is filled."""
    return QUEUE.get(kind, "deep")


def messages(kind: str, count: int) -> Iterator[Admitted]:
    """What is sent, in its order."""
    for n in range(count):
        delay_ms = 840_000 if kind == "delayed" else None
        group = {"noisy": "noisy", "deduplicated": f"g{n % 1000}"}.get(kind)
        if kind == "locked":
            group = "locked" if n < count // 10 else f"g{n % 1000}"
        fifo = kind in QUEUE
        # Of its own, as a request brings it: copies of one body are another case.
        body = b"%0*d" % (BODY_BYTES, n)
        yield Admitted(body, "0" * 32, (), delay_ms, group, str(n) if fifo else None, "benchmark", None)
    if kind == "delayed":
        yield Admitted(b"short", "0" * 32, (), 3_000, None, None, "benchmark", None)
    if kind == "noisy":
        for n in range(10):
            yield Admitted(b"quiet", "0" * 32, (), None, f"quiet-{n}", None, "benchmark", None)


async def fill(kind: str, count: int, data: str) -> None:
    """Send them all, and end the process as a power cut would."""
    broker = Broker(Config(port=0, data=data, synchronous="off", clock="manual"))
    await broker.start()
    runtime = broker.runtime
    fifo = kind in QUEUE
    name = QueueName("000000000000", "us-east-1", queue_of(kind))
    attributes = {"FifoQueue": "true"} if fifo else {}
    queue = await runtime.call(runtime.engine.create_queue, name, QueueSettings(fifo=fifo), attributes, {})
    batch: list[Admitted] = []
    for number, message in enumerate(messages(kind, count)):
        batch.append(message)
        if len(batch) == _AT_ONCE:
            await runtime.call(runtime.engine.send, queue, batch)
            batch = []
            if number % 2_000 == 1_999 and (durable := runtime.durable()) is not None:
                await durable
    if batch:
        await runtime.call(runtime.engine.send, queue, batch)
    if (durable := runtime.durable()) is not None:
        await durable
    for name in os.listdir(data):
        sync_path(
            os.path.join(data, name)
        )  # else the disk would still be busy with it while the next broker is measured
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    uvloop.run(fill(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
