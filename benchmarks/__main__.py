"""`python -m benchmarks`: everything that is measured of the broker, in one run. Exit code 1 if a line does not hold.

It starts the broker, the peers that can be had and the limits, asks each scenario of all of them in turn, and writes a table, a
chart and the raw figures to `benchmarks/results/`. docs/benchmarks.md says what each scenario is.
"""

import argparse
import datetime
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.bench import Bench, Settings, summary
from benchmarks.figures import Verdict
from benchmarks.peers import PEERS
from benchmarks.report import markdown, verdict_table
from benchmarks.results import Results
from benchmarks.scenarios import cycles, inside, polling, scale, sending, topics
from benchmarks.scenarios.family import Family
from broker import build

FAMILIES: tuple[Family, ...] = (
    scale.STARTUP,
    sending.FAMILY,
    cycles.FAMILY,
    cycles.FIFO,
    polling.EMPTY,
    sending.QUERY,
    cycles.SWEEP,
    topics.FAMILY,
    polling.WAKE,
    polling.IDLE,
    scale.QUEUES,
    scale.DEEP,
    inside.FILTERS,
    inside.FUNCTIONS,
    inside.CLIENTS,
)
QUICK = Settings(rounds=2, seconds=0.4, waiting=50_000, queues=1_000, pollers=200, warm_max_s=0.5, quick=True)
RESULTS = Path(__file__).parent / "results"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    families, peers = [family.name for family in FAMILIES], [peer.name for peer in PEERS]
    parser.add_argument("--only", type=_names(families), default=families, help=f"of {', '.join(families)}")
    parser.add_argument("--peers", type=_names(peers), default=peers, help=f"all, none, or some of {', '.join(peers)}")
    parser.add_argument("--quick", action="store_true", help="short rounds: whether it works, not how fast it is")
    parser.add_argument("--rounds", type=int, help="of each scenario (5)")
    parser.add_argument("--seconds", type=float, help="of each measurement (1.5)")
    parser.add_argument("--waiting", type=int, help="messages of the deep queue (1,000,000)")
    parser.add_argument("--show", action="store_true", help="judge nothing")
    return parser.parse_args(given)


def settings_of(given: argparse.Namespace) -> Settings:
    """What the command line says of how much is measured."""
    base = QUICK if given.quick else Settings()
    chosen = {
        name: getattr(given, name) for name in ("rounds", "seconds", "waiting") if getattr(given, name) is not None
    }
    return Settings(**{**vars(base), **chosen})


def run(given: argparse.Namespace) -> Results:
    """Measure what was asked for, and judge it."""
    settings, began_s = settings_of(given), time.monotonic()
    with Bench(settings, tuple(given.peers)) as bench:
        results = bench.results
        for family in FAMILIES:
            if family.name not in given.only:
                continue
            known = set(results.scenarios)
            family.run(bench)
            for name in results.scenarios:
                if name not in known:
                    print(summary(results, name), flush=True)
            print(f"  ({time.monotonic() - began_s:.0f} s)", flush=True)
        results.verdicts = judged(results, [f for f in FAMILIES if f.name in given.only])
        results.about |= {
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "pombo": build(),
            "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
            "settings": f"{settings.rounds} rounds of {settings.seconds:g} s; bodies of 1 KB; durable unless it says otherwise",
            "took": f"{time.monotonic() - began_s:.0f} s",
        }
    return results


def judged(results: Results, families: Sequence[Family]) -> list[Verdict]:
    """The lines of the families, and one for all their messages."""
    verdicts = [verdict for family in families for verdict in family.judge(results)]
    account = results.accounts()
    wrong = {what: count for what, count in account.items() if what not in ("sent", "received") and count}
    if account:
        shown = ", ".join(f"{count} {what}" for what, count in wrong.items()) or f"none of {account['sent']:,}"
        verdicts.append(
            Verdict("Messages lost, doubled, altered or refused", shown, "none", "FAIL" if wrong else "PASS")
        )
    for name, server, why in results.failures():
        if server.startswith("pombo"):
            verdicts.append(Verdict(f"{name}, {server}", why, "does not break", "FAIL"))
    return verdicts


def write(results: Results, directory: Path) -> Path:
    """The table, the chart, the raw figures. Returns the table's path."""
    from benchmarks.chart import draw  # what it stands on is installed for a run only, not for the tests of the rest

    directory.mkdir(parents=True, exist_ok=True)
    results.scenarios = {name: scenario for name, scenario in results.scenarios.items() if scenario.servers}
    (directory / "benchmarks.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    draw(results, directory / "benchmarks.svg")
    page = directory / "benchmarks.md"
    page.write_text(markdown(results, "benchmarks.svg"))
    return page


def main() -> None:
    """The command."""
    given = arguments()
    results = run(given)
    page = write(results, RESULTS)
    for name, why in results.missing.items():
        print(f"SKIP  {name}: {why}")
    for server, spread in results.noise().items():
        print(f"noise {spread:4.0%}  {server}")
    if not given.show:
        print(verdict_table(results.verdicts))
    print(f"\n{page}")
    sys.exit(0 if given.show or all(v.outcome != "FAIL" for v in results.verdicts) else 1)


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = list(known) if text == "all" else [] if text == "none" else text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return chosen

    return names


if __name__ == "__main__":
    main()
