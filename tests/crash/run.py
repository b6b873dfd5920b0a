"""Kill a loaded broker again and again, and count: `python -m tests.crash.run --rounds 100 [--seed 1]`.

Each round: load until SIGKILL at a random moment, start again on the same data, repeat deduplication IDs, move the clock past every
timeout, drain, and hold what is found against what was acknowledged. Exit code 1 if any promise was broken.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from contextlib import suppress

from benchmarks.load_client import Connection
from tests.crash.history import History, Sent
from tests.crash.load import FIFO, Load, create_queues, drain

_BROKER = "broker.cli"
_PAST_EVERY_TIMEOUT_S = 120
_SHORTEST_S, _LONGEST_S = 0.1, 1.2


async def start(module: str, data: str) -> tuple[asyncio.subprocess.Process, str]:
    """A broker on `data`, and its address, once it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "serve", "--port", "0", "--data", data, "--clock", "manual"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.endswith("Ready.\n"), line or "the broker did not start"
    return process, line.split(" on ")[1].split(",")[0]


async def run(rounds: int, seed: int, *, module: str = _BROKER) -> History:
    """The history of that many rounds. The broker is `module`'s command line."""
    chance = random.Random(seed)
    history = History()
    with tempfile.TemporaryDirectory(prefix="pombo-crash-") as data:
        process, url = await start(module, data)
        try:
            await create_queues(url)
            for number in range(rounds):
                load = asyncio.create_task(Load(url, history, f"r{number}", chance).run())
                await asyncio.sleep(chance.uniform(_SHORTEST_S, _LONGEST_S))
                process.kill()
                await process.wait()
                await load
                process, url = await start(module, data)
                await _repeat_sends(url, history, chance)
                await _advance(url)
                found, counts = await drain(url)
                history.check(found, counts)
                history.begin_round(found)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
    return history


async def _repeat_sends(url: str, history: History, chance: random.Random) -> None:
    """Within five minutes, an acknowledged deduplication ID is answered with the first message's id, and makes no other."""
    connection = Connection(url)
    fifo = [body for body, sent in history.sent.items() if sent.queue == FIFO]
    for body in chance.sample(fifo, min(10, len(fifo))):
        sent = history.sent[body]
        answer = await connection.call(
            "SendMessage", QueueUrl=FIFO, MessageBody=body, MessageGroupId=sent.group, MessageDeduplicationId=body
        )
        history.send_answered(body, Sent(FIFO, answer["MessageId"], sent.group, sent.number))
    connection.close()


async def _advance(url: str) -> None:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"advance_s": %d}' % _PAST_EVERY_TIMEOUT_S
    writer.write(b"POST /_pombo/clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    status = await reader.readline()
    assert b" 200 " in status, status
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    history = asyncio.run(run(arguments.rounds, arguments.seed))
    for violation in history.violations[:20]:
        print(violation)
    print(
        f"{arguments.rounds} rounds of SIGKILL (seed {arguments.seed}): {history.acknowledged} operations acknowledged, "
        f"{len(history.violations)} promises broken"
    )
    sys.exit(1 if history.violations else 0)


if __name__ == "__main__":
    main()
