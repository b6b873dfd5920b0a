"""Receives that find nothing: at once, as long polls that are woken, and as long polls that are not."""

from collections.abc import Sequence
from functools import partial

from benchmarks.bench import PROTOCOL, Bench, Contender, phase
from benchmarks.figures import Measured, Spread, Verdict, judge, latency, spread
from benchmarks.generator import Job
from benchmarks.measuring import Server
from benchmarks.results import OURS, Results
from benchmarks.scenarios.family import Family

CONNECTIONS = 32
_IDLE = 200
_SHARE_MAX = 0.02


def run_empty(bench: Bench) -> None:
    """Receives on an empty queue, without waiting."""
    bench.results.scenario("empty", f"Empty receives, {CONNECTIONS} connections", "requests/s")
    contenders: dict[str, Contender] = {
        name: partial(_empty, bench, server, ["empty"], []) for name, server in bench.brokers().items()
    }
    contenders[PROTOCOL] = partial(_empty, bench, bench.bare_protocol(0), [], ["empty"])
    bench.interleave(contenders, rounds=bench.settings.few)


def _empty(bench: Bench, server: Server, queues: list[str], urls: list[str]) -> dict[str, Measured]:
    phases = [phase("empty", 1, bench.settings.seconds)]
    job = Job(server.url, CONNECTIONS, phases, queues=queues, urls=urls, checks=not urls)
    return bench.job(server, job, {0: "empty"})


def run_wake(bench: Bench) -> None:
    """From a send to the reply of the one poll, among many idle ones, that it is for."""
    title = f"Wake-up of a long poll among {bench.settings.pollers:,} idle ones"
    bench.results.scenario("wake", title, "wake-ups/s, one after the other")
    contenders: dict[str, Contender] = {name: partial(_wake, bench, server) for name, server in bench.brokers().items()}
    bench.interleave(contenders, rounds=bench.settings.few)


def _wake(bench: Bench, server: Server) -> dict[str, Measured]:
    pollers = bench.settings.pollers
    wake = phase("wake", 1, 5 * bench.settings.seconds, count=300)
    job = Job(server.url, pollers, [wake], queues=[f"wake-{n}" for n in range(pollers)])
    return bench.job(server, job, {0: "wake"})


def run_idle(bench: Bench) -> None:
    """What long polls cost while nothing happens."""
    bench.results.scenario("idle", f"{_IDLE} idle long polls", "polls/s")
    bench.interleave({OURS: partial(_idle, bench)}, rounds=1)


def _idle(bench: Bench) -> dict[str, Measured]:
    wait_s = 5 if bench.settings.quick else 20
    queues = [f"idle-{n}" for n in range(_IDLE)]
    job = Job(bench.pombo.url, _IDLE, [phase("idle", 1, 0.5, wait_s=wait_s)], queues=queues)
    return bench.job(bench.pombo, job, {0: "idle"})


def _share(rounds: Sequence[Measured]) -> Spread | None:
    return spread([m.cpu_us * m.rate / 1e6 * 100 for m in rounds if not m.failed])


def wake_verdicts(results: Results) -> Sequence[Verdict]:
    """The median and the tail of the durable broker's."""
    rounds = results.scenario("wake", "", "").rounds(OURS)
    return (
        judge("Wake-up among idle long polls, p50", latency(rounds, "wake", "p50"), at_most=2.0, unit=" ms"),
        judge("Wake-up among idle long polls, p99", latency(rounds, "wake", "p99"), at_most=10.0, unit=" ms"),
    )


def idle_verdicts(results: Results) -> Sequence[Verdict]:
    """Their share of a core."""
    share = _share(results.scenario("idle", "", "").rounds(OURS))
    return (judge(f"{_IDLE} idle long polls, share of a core", share, at_most=100 * _SHARE_MAX, unit=" %"),)


EMPTY = Family("empty", run_empty)
WAKE = Family("wake", run_wake, wake_verdicts)
IDLE = Family("idle", run_idle, idle_verdicts)
