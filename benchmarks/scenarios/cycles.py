"""Full cycles: every message sent, received and deleted, by connections that are producers and consumers in turn.

Some messages always wait, so that no consumer is idle; they are sent before the clock starts and taken out after it has stopped.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.bench import PROTOCOL, Bench, Contender, phase
from benchmarks.figures import Measured, Verdict, judge
from benchmarks.generator import Job
from benchmarks.measuring import Server
from benchmarks.raw_writer import Recording
from benchmarks.results import OURS, Results
from benchmarks.scenarios.family import Family

CONNECTIONS = 32
GROUPS = 100
RAW = "raw writer beside a busy loop"
_FIFO = "FIFO, 100 groups"


def cycle(
    bench: Bench, server: Server, batch: int, name: str, *, connections: int = CONNECTIONS, groups: int = 0
) -> dict[str, Measured]:
    """A round of one server."""
    depth = max(20, 2 * connections * batch)  # as many as consumers can ask for at once, so that none is idle
    phases = [
        phase("send", 10, count=depth),
        phase("cycle", batch, bench.settings.seconds),
        phase("drain", 10, 20.0),
    ]
    queue = "cycle.fifo" if groups else "cycle"
    job = Job(server.url, connections, phases, queues=[queue], fifo_groups=groups)
    return bench.job(server, job, {1: name})


def limit(bench: Bench, batch: int, name: str, *, connections: int = CONNECTIONS) -> dict[str, Measured]:
    """A round of the bare protocol."""
    server = bench.bare_protocol(batch)
    phases = [phase("cycle", batch, bench.settings.seconds)]
    return bench.job(server, Job(server.url, connections, phases, urls=["cycle"], checks=False), {0: name})


def run(bench: Bench) -> None:
    """Single messages and tens on a standard queue."""
    for batch in (1, 10):
        name = f"cycle-{batch}"
        title = "single messages, three requests each" if batch == 1 else "in batches of ten"
        bench.results.scenario(name, f"Full cycle, {title}, {CONNECTIONS} connections", "messages/s")
        contenders = _contenders(bench, batch, name)
        if batch == 10:
            recording = Recording.make(bench.directory("recording"), bench.settings.seconds)
            contenders[RAW] = partial(_replay, recording, name)
        bench.interleave(contenders)


def _replay(recording: Recording, name: str) -> dict[str, Measured]:
    return {name: recording.replay()}


def _contenders(bench: Bench, batch: int, name: str) -> dict[str, Contender]:
    contenders: dict[str, Contender] = {}
    for server_name, server in bench.brokers().items():
        contenders[server_name] = partial(cycle, bench, server, batch, name)
    contenders[PROTOCOL] = partial(limit, bench, batch, name)
    return contenders


def run_fifo(bench: Bench) -> None:
    """The same on a FIFO queue with a hundred groups, beside a standard one."""
    for batch in (1, 10):
        name = f"fifo-{batch}"
        title = f"Full cycle over {GROUPS} groups of a FIFO queue, {batch} at a time, {CONNECTIONS} connections"
        bench.results.scenario(name, title, "messages/s")
        contenders: dict[str, Contender] = {
            f"{OURS}, standard queue": partial(cycle, bench, bench.pombo, batch, name),
        }
        for server_name, server in bench.brokers(peers=batch == 1).items():
            contenders[server_name] = partial(cycle, bench, server, batch, name, groups=GROUPS)
        bench.interleave(contenders)


def run_connections(bench: Bench) -> None:
    """Single-message cycles and sends on few and on many connections."""
    sweep = (1, 256) if bench.settings.quick else (1, 8, 128, 256)
    peers = {name: server for name, server in bench.brokers().items() if name in (OURS, "elasticmq", "fauxqs")}
    for connections in sweep:
        name = f"connections-{connections}"
        bench.results.scenario(name, f"Full cycle, single messages, {_count(connections)}", "messages/s")
        contenders: dict[str, Contender] = {}
        for server_name, server in peers.items():
            contenders[server_name] = partial(cycle, bench, server, 1, name, connections=connections)
        contenders[PROTOCOL] = partial(limit, bench, 1, name, connections=connections)
        bench.interleave(contenders, rounds=bench.settings.few)


def _count(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def verdicts(results: Results) -> Sequence[Verdict]:
    """Beside the peers, and beside a raw writer."""
    single, tens = results.scenario("cycle-1", "", ""), results.scenario("cycle-10", "", "")
    lines = [
        judge(
            f"Durable single-message cycle to {peer} in memory",
            single.ratio(OURS, peer),
            at_least=times,
            unit=" times",
            goal=goal,
            missing=results.missing.get(peer, "not measured"),
        )
        for peer, times, goal in (("elasticmq", 1.0, "1.5 times"), ("ministack", 10.0, ""), ("moto", 20.0, ""))
    ]
    lines.append(
        judge(
            "Batch-of-10 cycle to a raw writer",
            tens.ratio(OURS, RAW),
            at_least=0.8,
            goal="25,000 messages/s",
            beside=tens.rate(OURS),
            beside_unit=" messages/s",
        )
    )
    return lines


def fifo_verdicts(results: Results) -> Sequence[Verdict]:
    """FIFO beside standard."""
    return [
        judge(
            f"FIFO cycle over {GROUPS} groups to the standard queue's, {batch} at a time",
            results.scenario(f"fifo-{batch}", "", "").ratio(OURS, f"{OURS}, standard queue"),
            at_least=0.75,
        )
        for batch in (1, 10)
    ]


FAMILY = Family("cycle", run, verdicts)
FIFO = Family("fifo", run_fifo, fifo_verdicts)
SWEEP = Family("connections", run_connections)
