"""Sends, and receives with deletes: single messages and tens, in JSON and in Query, 32 connections.

A job sends for a time, receives and deletes for a time, and then takes out what is left by tens, so that all is accounted for.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.bench import AIOHTTP, PROTOCOL, Bench, Contender, phase
from benchmarks.figures import Measured, Spread, Verdict, judge, of_rounds, spread
from benchmarks.generator import Job
from benchmarks.measuring import Server
from benchmarks.results import OURS, Results
from benchmarks.scenarios.family import Family

CONNECTIONS = 32


def measure(bench: Bench, server: Server, batch: int, protocol: str, names: tuple[str, str]) -> dict[str, Measured]:
    """A round of one server."""
    seconds = bench.settings.seconds
    phases = [phase("send", batch, seconds), phase("drain", batch, seconds), phase("drain", 10, 20.0)]
    job = Job(server.url, CONNECTIONS, phases, protocol, queues=["sending"])
    return bench.job(server, job, {0: names[0], 1: names[1]})


def limit(bench: Bench, server: Server, batch: int, protocol: str, names: tuple[str, str]) -> dict[str, Measured]:
    """A round of a server that keeps nothing."""
    seconds = bench.settings.seconds
    job = Job(server.url, CONNECTIONS, [phase("send", batch, seconds)], protocol, urls=["sending"], checks=False)
    found = bench.job(server, job, {0: names[0]})
    if server is bench.bare_protocol(batch):
        filled = Job(
            server.url,
            CONNECTIONS,
            [phase("send", batch, seconds), phase("drain", batch, seconds)],
            protocol,
            urls=["sending"],
            checks=False,
        )
        found |= bench.job(server, filled, {1: names[1]})
    return found


def _run(bench: Bench, batch: int, protocol: str, rounds: int) -> None:
    suffix = f"-{batch}" if protocol == "json" else f"-{batch}-query"
    how = f"{batch} at a time, {protocol.upper() if protocol == 'json' else 'Query'}, {CONNECTIONS} connections"
    names = (f"send{suffix}", f"consume{suffix}")
    bench.results.scenario(names[0], f"Send, {how}", "messages/s")
    bench.results.scenario(names[1], f"Receive and delete, {how}", "messages/s")
    contenders: dict[str, Contender] = {}
    for name, server in bench.brokers(query=protocol == "query").items():
        contenders[name] = partial(measure, bench, server, batch, protocol, names)
    if batch == 1 and protocol == "json":
        contenders[AIOHTTP] = partial(limit, bench, bench.bare_aiohttp(), batch, protocol, names)
    contenders[PROTOCOL] = partial(limit, bench, bench.bare_protocol(batch), batch, protocol, names)
    bench.interleave(contenders, rounds=rounds)


def run(bench: Bench) -> None:
    """Single messages and tens."""
    _run(bench, 1, "json", bench.settings.rounds)
    _run(bench, 10, "json", bench.settings.few)


def run_query(bench: Bench) -> None:
    """Single messages by Query."""
    _run(bench, 1, "query", bench.settings.few)


def verdicts(results: Results) -> Sequence[Verdict]:
    """Durable sends beside a bare aiohttp application."""
    sends = results.scenario("send-1", "", "")
    return (
        judge("Durable send to bare aiohttp, rate", sends.ratio(OURS, AIOHTTP), at_least=1.0),
        judge(
            "CPU of a durable send to bare aiohttp's",
            sends.ratio(OURS, AIOHTTP, "cpu_us"),
            at_most=1.0,
            goal="60 µs",
            beside=of_rounds(sends.rounds(OURS), "cpu_us"),
            beside_unit=" µs",
        ),
        judge("p99 of durable sends to their p50", tail(sends.rounds(OURS), "send"), at_most=5.0, unit=" times"),
    )


def tail(rounds: Sequence[Measured], kind: str) -> Spread | None:
    """p99 to p50, round by round."""
    kinds = [m.latency_ms.get(kind) for m in rounds if not m.failed]
    return spread([found["p99"] / found["p50"] for found in kinds if found])


FAMILY = Family("send", run, verdicts)
QUERY = Family("query", run_query)
