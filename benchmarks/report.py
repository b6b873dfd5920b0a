"""The table: a run in Markdown. It computes nothing that `benchmarks.results` does not know."""

from collections.abc import Sequence

from benchmarks.figures import Measured, Spread, Verdict, latency, of_rounds
from benchmarks.results import OURS, Results, Scenario


def markdown(results: Results, picture: str) -> str:
    """The whole page; `picture` is the file beside it."""
    parts = [
        "# Benchmarks",
        _about(results),
        f"![The run as a chart]({picture})",
        "## What must hold",
        verdict_table(results.verdicts),
        "## Figures",
        "Medians over the rounds, with the least and the most in brackets. The ratio is that of each round's pair; times are in "
        "milliseconds, p50 / p99 of a request; CPU is of the server's whole process tree, for each request.",
    ]
    parts += [
        f"### {scenario.title}\n\n{table(scenario)}" for scenario in results.scenarios.values() if scenario.servers
    ]
    if failures := results.failures():
        parts += ["## What broke", *[f"- {name}, {server}: {_cell(why)}" for name, server, why in failures]]
    return "\n\n".join(parts) + "\n"


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The lines that are judged."""
    rows = [[v.outcome, v.line, v.measured, v.bound] for v in verdicts]
    return _table(["", "line", "measured", "bound"], rows)


def table(scenario: Scenario) -> str:
    """One scenario: a row for each server."""
    kinds = _kinds(scenario)
    head = ["server", scenario.unit, f"{OURS} to it", "CPU, µs", "resident, MB", *kinds]
    rows = [_row(scenario, server, kinds) for server in scenario.servers]
    used = [0, 1, *(at for at in range(2, len(head)) if any(row[at] for row in rows))]
    return _table([head[at] for at in used], [[row[at] for at in used] for row in rows])


def _row(scenario: Scenario, server: str, kinds: Sequence[str]) -> list[str]:
    rounds = scenario.rounds(server)
    rate = scenario.rate(server)
    if rate is None:
        return [server, "broke", *[""] * (3 + len(kinds))]
    ratio = scenario.ratio(OURS, server) if server != OURS else None
    return [
        server,
        _spread(rate),
        "" if ratio is None else _spread(ratio, 2),
        _median(rounds, "cpu_us"),
        _median(rounds, "resident_mb"),
        *[_latency(rounds, kind) for kind in kinds],
    ]


def _about(results: Results) -> str:
    about = results.about
    lines = [f"- {name}: {about[name]}" for name in ("date", "pombo", "machine", "settings", "took") if name in about]
    peers = [f"{name} {version}" for name, version in about.get("peers", {}).items()]
    if peers:
        lines.append(f"- peers, all in memory: {', '.join(peers)}")
    lines += [f"- not there: {name} ({_cell(why)})" for name, why in results.missing.items()]
    noise = results.noise()
    if noise:
        ordered = sorted(noise.values())
        lines.append(
            "- noise: the rates of servers that keep nothing lie "
            f"{ordered[len(ordered) // 2]:.0%} apart over the rounds (median; at most {ordered[-1]:.0%})"
        )
    return "\n".join(lines)


def _kinds(scenario: Scenario) -> list[str]:
    kinds: dict[str, None] = {}
    for rounds in scenario.servers.values():
        for measured in rounds:
            kinds |= dict.fromkeys(measured.latency_ms)
    return list(kinds)


def _latency(rounds: Sequence[Measured], kind: str) -> str:
    found = [latency(rounds, kind, percentile) for percentile in ("p50", "p99")]
    return "" if None in found else " / ".join(f"{value.median:.2f}" for value in found if value is not None)


def _median(rounds: Sequence[Measured], name: str) -> str:
    found = of_rounds(rounds, name)
    return f"{found.median:,.0f}" if found and found.median else ""


def _spread(value: Spread, digits: int | None = None) -> str:
    shown = digits if digits is not None else 0 if value.median >= 100 else 1
    if value.least == value.most:
        return f"{value.median:,.{shown}f}"
    return f"{value.median:,.{shown}f} ({value.least:,.{shown}f} to {value.most:,.{shown}f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = ["---", *["---:" if at and head[0] else "---" for at in range(1, len(head))]]
    lines = [head, align, *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
