"""Filters, functions and clients: measured by modules of their own, on one broker, beside nothing but each other."""

from collections.abc import Sequence

import uvloop

from benchmarks import clients, filters, functions
from benchmarks.bench import Bench
from benchmarks.figures import Measured, Verdict, judge
from benchmarks.results import OURS, Results
from benchmarks.scenarios.family import Family
from broker.services.filtering.policy import Scope

_FILTER_US_MAX = 100.0
_CLIENT_TIMES_MIN = 3.0
_SCOPES: tuple[Scope, ...] = ("MessageAttributes", "MessageBody")
_KINDS = ("send", "consume")


def run_filters(bench: Bench) -> None:
    """One message, the most policies that a topic may have."""
    bench.results.scenario("filters", f"{filters.SUBSCRIPTIONS} filter policies, a message", "µs", lower=True)
    for _ in range(bench.settings.rounds):
        for scope in _SCOPES:
            median_us, _ = filters.measure(scope, 300)
            found = bench.results.scenarios["filters"].servers
            found.setdefault(f"{OURS}, {scope}", []).append(Measured(rate=median_us))


def run_functions(bench: Bench) -> None:
    """Invocations, and a queue's messages."""
    broker = bench.broker("functions")
    uvloop.run(functions.set_up(broker.url))
    bench.results.scenario("functions", "Functions: invocations, and messages of a queue", "/s")
    for number in range(bench.settings.few):
        for kind, measured in uvloop.run(functions.one_round(broker, number)).items():
            bench.results.scenarios["functions"].servers.setdefault(kind, []).append(measured)


def run_clients(bench: Bench) -> None:
    """Ours and others."""
    broker = bench.broker("clients")
    rates = uvloop.run(clients.compare(broker.url, bench.settings.few))
    for kind in _KINDS:
        scenario = bench.results.scenario(f"client-{kind}", f"Client libraries on {OURS}, {kind}", "messages/s")
        for name, measured in rates.items():
            if name.startswith(f"{kind}, "):
                scenario.servers[name.partition(", ")[2]] = [Measured(rate=rate) for rate in measured]


def filters_verdicts(results: Results) -> Sequence[Verdict]:
    """By attributes and by body."""
    scenario = results.scenario("filters", "", "")
    return [
        judge(
            f"{filters.SUBSCRIPTIONS} filter policies by {scope}, a message",
            scenario.rate(f"{OURS}, {scope}"),
            at_most=_FILTER_US_MAX,
            unit=" µs",
            digits=0,
        )
        for scope in _SCOPES
    ]


def clients_verdicts(results: Results) -> Sequence[Verdict]:
    """To the others as their examples go."""
    return [
        judge(
            f"The client to {other}, {kind}",
            results.scenario(f"client-{kind}", "", "").ratio("client", other),
            at_least=_CLIENT_TIMES_MIN,
            unit=" times",
        )
        for kind in _KINDS
        for other in ("boto3", "aiobotocore")
    ]


FILTERS = Family("filters", run_filters, filters_verdicts)
FUNCTIONS = Family("functions", run_functions)
CLIENTS = Family("clients", run_clients, clients_verdicts)
