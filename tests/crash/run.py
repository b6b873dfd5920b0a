"""Kill a loaded broker again and again, and count: `python -m tests.crash.run --rounds 100 [--seed 1] [--small]`.

Each round: load until SIGKILL at a random moment, start again on the same data, repeat deduplication IDs, move the clock past every
timeout and retry, drain, and hold what is found against what was acknowledged: of queues (history.py), of topics
(topic_history.py) and of queues that a function works on (work_history.py). Exit code 1 if any promise was broken. `--small`: the
broker of small.py.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load_client import Connection, Lost
from tests.crash.history import History, Sent
from tests.crash.hook import Hook
from tests.crash.load import FIFO, Load, create_queues, drain
from tests.crash.topic_history import TopicHistory
from tests.crash.topics import ENDPOINTS, HOOK, TopicLoad, create_topics, drain_topics, repeat_publishes
from tests.crash.work import Work, WorkLoad
from tests.crash.work_history import WorkHistory

_BROKER = "broker.cli"
_SMALL = "tests.crash.small"
_PAST_EVERY_TIMEOUT_S = 120
_SHORTEST_S, _LONGEST_S = 0.1, 1.2
_KILLED_AGAIN = 1 / 3  # of the rounds: while the clock moves and endpoints are sent what waits for them


@dataclass
class Report:
    """What all rounds came to."""

    queues: History = field(default_factory=History)
    topics: TopicHistory = field(default_factory=TopicHistory)
    work: WorkHistory = field(default_factory=WorkHistory)
    refused: int = 0  # deliveries that the endpoint answered with 500

    @property
    def acknowledged(self) -> int:
        return self.queues.acknowledged + self.topics.acknowledged + self.work.acknowledged

    @property
    def violations(self) -> list[str]:
        return self.queues.violations + self.topics.violations + self.work.violations


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


async def run(rounds: int, seed: int, *, module: str = _BROKER) -> Report:
    """What that many rounds came to. The broker is `module`'s command line."""
    chance = random.Random(seed)
    report = Report()
    hook = Hook(chance, lambda message: report.topics.endpoint_got(HOOK, message))
    hook_url = await hook.start()
    with tempfile.TemporaryDirectory(prefix="pombo-crash-") as directory:
        data = f"{directory}/data"
        work = Work(report.work, Path(directory) / "processed")
        process, url = await start(module, data)
        try:
            await create_queues(url)
            await create_topics(url, hook_url, hook)
            await work.create(url)
            for number in range(rounds):
                load = asyncio.gather(
                    Load(url, report.queues, f"r{number}", chance).run(),
                    TopicLoad(url, report.topics, f"r{number}", chance).run(),
                    WorkLoad(url, report.work, f"r{number}", chance).run(),
                )
                await asyncio.sleep(chance.uniform(_SHORTEST_S, _LONGEST_S))
                await _crash(process, work)
                await load
                process, url = await start(module, data)
                await work.restarted(url)
                await _repeat_sends(url, report.queues, chance)
                await repeat_publishes(url, report.topics, chance)
                if chance.random() < _KILLED_AGAIN:
                    advance = asyncio.create_task(_advance(url))
                    await asyncio.sleep(chance.uniform(0, _SHORTEST_S))
                    await _crash(process, work)
                    with suppress(Lost):
                        await advance
                    process, url = await start(module, data)
                    await work.restarted(url)
                await _recount(url, report, work)
        finally:
            await _kill(process)
            await hook.stop()
    report.refused = hook.refused
    return report


async def _crash(process: asyncio.subprocess.Process, work: Work) -> None:
    """SIGKILL. The function's processes must end with the broker."""
    work.broker_dies()
    await _kill(process)
    await work.broker_died()


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _recount(url: str, report: Report, work: Work) -> None:
    """Hold what a broker has after a restart against what was acknowledged before it, and empty it."""
    await _advance(url)
    found, counts = await drain(url)
    report.queues.check(found, counts)
    report.queues.begin_round(found)
    report.topics.check(await drain_topics(url), ENDPOINTS)
    report.topics.begin_round()
    await work.recount(url)


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
    """Move the clock past every timeout and retry. Raises Lost."""
    connection = Connection(url)
    await connection.send(connection.rest("POST", "/_pombo/clock", advance_s=_PAST_EVERY_TIMEOUT_S))
    connection.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="a broker with small windows and files")
    arguments = parser.parse_args()
    report = asyncio.run(run(arguments.rounds, arguments.seed, module=_SMALL if arguments.small else _BROKER))
    for violation in report.violations[:20]:
        print(violation)
    about = f"seed {arguments.seed}{', small windows and files' if arguments.small else ''}"
    print(
        f"{arguments.rounds} rounds of SIGKILL ({about}): {report.acknowledged} operations acknowledged, "
        f"{report.topics.acknowledged} of them on topics, {report.refused} deliveries refused at first, "
        f"{report.work.times_processed} times that a function processed a message, {report.work.times_again} of them again, "
        f"{report.work.processes} processes of its ended with their broker, "
        f"{len(report.violations)} promises broken"
    )
    sys.exit(1 if report.violations else 0)


if __name__ == "__main__":
    main()
