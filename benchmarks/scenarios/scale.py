"""What much costs: a million waiting messages, ten thousand queues; and what nothing costs: the start on an empty directory."""

import compileall
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import orjson

from benchmarks.bench import Bench, phase
from benchmarks.figures import Measured, Verdict, judge, of_rounds
from benchmarks.fill import queue_of
from benchmarks.generator import Job
from benchmarks.measuring import Server
from benchmarks.recorded import call
from benchmarks.results import OURS, Results
from benchmarks.scenarios.family import Family
from benchmarks.servers import BrokerProcess
from benchmarks.sqs_requests import JsonRequests

CONNECTIONS = 32
EMPTY = f"{OURS}, queue empty"
ALONE = f"{OURS}, one queue in all"
AMONG = f"{OURS}, one queue among all"
SPREAD = f"{OURS}, over all queues"
_READY_S_MAX = 0.3
_RESIDENT_MB_MAX = 60


def run_deep(bench: Bench) -> None:
    """Cycles on a queue in which many messages wait, and on an empty one of the same broker."""
    data, waiting = str(bench.directory("deep")), bench.settings.waiting
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-m", "benchmarks.fill", "plain", str(waiting), data], check=False)
    print(f"  {waiting:,} messages filled in {time.monotonic() - began_s:.0f} s", flush=True)
    broker = bench.broker("deep")
    wire = JsonRequests(broker.url)
    deep = wire.url(call(broker.url, wire.call("GetQueueUrl", QueueName=queue_of("plain"))))
    for name, urls in ((OURS, [deep]), (EMPTY, [])):
        bench.warm(name, lambda urls=urls: _deep(bench, broker, urls, 1, "warm")["warm"])
    for batch in (1, 10):
        name = f"deep-{batch}"
        bench.results.scenario(name, f"Full cycle, {batch} at a time, {waiting:,} messages waiting", "messages/s")
        bench.interleave(
            {
                OURS: partial(_deep, bench, broker, [deep], batch, name),
                EMPTY: partial(_deep, bench, broker, [], batch, name),
            }
        )


def _deep(bench: Bench, broker: BrokerProcess, urls: list[str], batch: int, name: str) -> dict[str, Measured]:
    phases = [phase("cycle", batch, bench.settings.seconds)]
    if not urls:
        phases.append(phase("drain", 10))
    job = Job(broker.url, CONNECTIONS, phases, queues=["shallow"], urls=urls, foreign=bool(urls))
    return bench.job(broker, job, {0: name})


def run_queues(bench: Bench) -> None:
    """Single-message cycles where there is one queue, on one of ten thousand, and over all of them."""
    count = bench.settings.queues
    broker, small = bench.broker("many-queues"), bench.broker("one-queue")
    names = [f"many-{n:05d}" for n in range(count)]
    bench.results.scenario("queues-each", f"{count:,} queues: a message to each, and each received from", "messages/s")
    # The first round makes the queues; they stay.
    each = Job(broker.url, 16, [phase("send", 1, count=count), phase("drain", 1)], queues=names, keeps=True)
    bench.interleave({OURS: lambda: bench.job(broker, each, {1: "queues-each"})}, rounds=1)
    listed = _listed(broker)
    bench.results.about["queues listed"] = len(listed)
    bench.results.about["queues wanted"] = count
    for name, server, urls in ((SPREAD, broker, listed), (AMONG, broker, []), (ALONE, small, [])):
        bench.warm(name, lambda server=server, urls=urls: _cycle(bench, server, urls)["queues"])
    bench.results.scenario("queues", f"Full cycle, single messages, {count:,} queues", "messages/s")
    bench.interleave(
        {
            SPREAD: partial(_cycle, bench, broker, listed),
            AMONG: partial(_cycle, bench, broker, []),
            ALONE: partial(_cycle, bench, small, []),
        }
    )


def _cycle(bench: Bench, server: Server, urls: list[str]) -> dict[str, Measured]:
    phases = [
        phase("send", 1, count=200),
        phase("cycle", 1, bench.settings.seconds),
        phase("drain", 1),
    ]
    return bench.job(server, Job(server.url, CONNECTIONS, phases, queues=["one"], urls=urls), {1: "queues"})


def _listed(broker: BrokerProcess) -> list[str]:
    wire = JsonRequests(broker.url)
    urls: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = orjson.loads(
            call(broker.url, wire.call("ListQueues", QueueNamePrefix="many-", MaxResults=1000, **more))
        )
        urls += answer["QueueUrls"]
        if not answer.get("NextToken"):
            return urls
        more = {"NextToken": answer["NextToken"]}


def run_startup(bench: Bench) -> None:
    """From the start of the process to its ready line, on an empty directory, and resident memory after a second without requests.

    The modules' bytecode is there, as after any installation: it is written first where it is not.
    """
    compileall.compile_dir(str(Path(__file__).parents[2] / "broker"), quiet=1)
    bench.results.scenario("startup", "Start on an empty directory", "ms", lower=True)
    bench.interleave({OURS: partial(_start, bench)}, rounds=9)
    for name, (_, process) in bench.peers.items():
        measured = Measured(rate=process.ready_s * 1000, resident_mb=0.0)
        bench.results.scenarios["startup"].servers[name] = [measured]


def _start(bench: Bench) -> dict[str, Measured]:
    broker = BrokerProcess(str(bench.directory(f"start-{time.monotonic_ns()}")))
    time.sleep(1)
    measured = Measured(rate=broker.ready_s * 1000, resident_mb=broker.resident_mb())
    broker.kill()
    return {"startup": measured}


def deep_verdicts(results: Results) -> Sequence[Verdict]:
    """Deep to empty."""
    return [
        judge(
            f"Cycle on a deep queue to an empty one's, {batch} at a time",
            results.scenario(f"deep-{batch}", "", "").ratio(OURS, EMPTY),
            at_least=0.9,
        )
        for batch in (1, 10)
    ]


def queues_verdicts(results: Results) -> Sequence[Verdict]:
    """Many to one, and whether all are listed."""
    queues = results.scenario("queues", "", "")
    listed, wanted = results.about.get("queues listed"), results.about.get("queues wanted")
    outcome = "SKIP" if listed is None else "PASS" if listed == wanted else "FAIL"
    return (
        judge("Cycle on one queue among all to one that is alone", queues.ratio(AMONG, ALONE), at_least=0.9),
        judge("Cycle over all queues to one that is alone", queues.ratio(SPREAD, ALONE), at_least=0.9),
        Verdict("Queues that are listed, of those made", f"{listed or 'not measured'}", f"{wanted or 'all'}", outcome),
    )


def startup_verdicts(results: Results) -> Sequence[Verdict]:
    """Time and memory."""
    rounds = results.scenario("startup", "", "").rounds(OURS)
    ready, resident = of_rounds(rounds, "rate"), of_rounds(rounds, "resident_mb")
    return (
        judge("Ready on an empty directory", ready, at_most=1000 * _READY_S_MAX, unit=" ms", digits=0),
        judge("Resident memory when idle", resident, at_most=_RESIDENT_MB_MAX, unit=" MB", digits=0),
    )


DEEP = Family("deep", run_deep, deep_verdicts)
QUEUES = Family("queues", run_queues, queues_verdicts)
STARTUP = Family("startup", run_startup, startup_verdicts)
