"""The picture of a run: rates side by side, rates over connections, and the tails of latencies, as SVG."""

import textwrap
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

from benchmarks.bench import AIOHTTP, PROTOCOL, RELAXED
from benchmarks.figures import latency, of_rounds
from benchmarks.results import OURS, Results, Scenario
from benchmarks.scenarios.cycles import RAW

_COLOURS: Final = {
    OURS: "#1f5fa8",
    RELAXED: "#8fb8e6",
    "elasticmq": "#d9822b",
    "fauxqs": "#7a9a3a",
    "ministack": "#a45aa0",
    "moto": "#b5473c",
    AIOHTTP: "#777777",
    PROTOCOL: "#b5b5b5",
    RAW: "#444444",
}
_OTHER: Final = "#55a0a0"
_BARS: Final = ("send-1", "consume-1", "cycle-1", "send-10", "consume-10", "cycle-10", "empty", "fan-out", "fifo-1")
_COLUMNS: Final = 3


def draw(results: Results, path: Path) -> None:
    """Write the picture; its form is the path's ending."""
    bars = [results.scenarios[name] for name in _BARS if name in results.scenarios and results.scenarios[name].servers]
    extra = [
        panel
        for panel, there in (
            (_connections, _sweep(results)),
            (_wakes, "wake" in results.scenarios),
            (_cpu, "send-1" in results.scenarios),
        )
        if there
    ]
    count = max(1, len(bars) + len(extra))
    rows = -(-count // _COLUMNS)
    columns = min(count, _COLUMNS)
    with pyplot.rc_context(
        {
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "pombo",
            "svg.fonttype": "none",
        }
    ):
        figure, grid = pyplot.subplots(rows, columns, figsize=(5.2 * columns, 2.7 * rows), squeeze=False)
        axes = list(grid.flat)
        for axis, scenario in zip(axes, bars, strict=False):
            _rates(axis, scenario)
        for axis, panel in zip(axes[len(bars) :], extra, strict=False):
            panel(axis, results)
        for axis in axes[len(bars) + len(extra) :]:
            axis.set_visible(False)
        figure.suptitle(_title(results), fontsize=9, x=0.01, ha="left")
        figure.tight_layout(rect=(0, 0, 1, 0.98))
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)


def _title(results: Results) -> str:
    peers = ", ".join(f"{name} {version}" for name, version in results.about.get("peers", {}).items())
    shown = f"Pombo {results.about.get('pombo', '')} with every acknowledgement on disk"
    return (
        shown
        + (f", beside {peers} in memory" if peers else "")
        + f" · {results.about.get('machine', '')} · in brackets: pombo to it"
    )


def _rates(axis: Any, scenario: Scenario) -> None:
    found = [
        (server, rate)
        for server in scenario.servers
        if server != PROTOCOL and (rate := scenario.rate(server)) is not None
    ]
    names = [_label(server) for server, _ in found]
    medians = [rate.median for _, rate in found]
    spreads = [[r.median - r.least for _, r in found], [r.most - r.median for _, r in found]]
    axis.barh(names, medians, color=[_COLOURS.get(server, _OTHER) for server, _ in found], height=0.7)
    axis.errorbar(medians, names, xerr=spreads, fmt="none", ecolor="#222222", elinewidth=0.8, capsize=1.5)
    axis.invert_yaxis()
    axis.set_title(_wrapped(scenario.title), fontsize=8, loc="left")
    ceiling = scenario.rate(PROTOCOL)
    beside = f"; {PROTOCOL}, the load generator's ceiling: {ceiling.median:,.0f}" if ceiling else ""
    axis.set_xlabel(scenario.unit + beside, fontsize=7)
    top = max((rate.most for _, rate in found), default=1.0)
    axis.set_xlim(0, top * 1.3)
    axis.xaxis.set_major_locator(pyplot.MaxNLocator(5))
    axis.xaxis.set_major_formatter(lambda value, _at: f"{value:,.0f}")
    for at, (server, rate) in enumerate(found):
        ratio = scenario.ratio(OURS, server)
        shown = f"{rate.median:,.0f}" + (f"  ({_times(ratio.median)}x)" if ratio and server != OURS else "")
        axis.text(rate.most + top * 0.015, at, shown, va="center", fontsize=7)


def _label(server: str) -> str:
    return textwrap.fill(server, 22)


def _wrapped(title: str) -> str:
    return textwrap.fill(title, 50)


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 3 else f"{ratio:.2f}"


def _sweep(results: Results) -> dict[int, Scenario]:
    """Cycles by the number of connections; that on 32 is a scenario of its own."""
    found = {
        int(name.partition("-")[2]): scenario
        for name, scenario in results.scenarios.items()
        if name.startswith("connections-") and scenario.servers
    }
    if found and "cycle-1" in results.scenarios:
        found[32] = results.scenarios["cycle-1"]
    return dict(sorted(found.items()))


def _connections(axis: Any, results: Results) -> None:
    sweep = _sweep(results)
    servers = dict.fromkeys(server for scenario in sweep.values() for server in scenario.servers if server != RAW)
    for server in servers:
        points = [(at, rate.median) for at, scenario in sweep.items() if (rate := scenario.rate(server)) is not None]
        if len(points) > 1:
            axis.plot(*zip(*points, strict=True), marker="o", ms=3, label=server, color=_COLOURS.get(server, _OTHER))
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(list(sweep), [str(at) for at in sweep])
    axis.set_title("Full cycle, single messages, by connections", fontsize=8, loc="left")
    axis.set_xlabel("connections", fontsize=7)
    axis.set_ylabel("messages/s", fontsize=7)
    axis.legend(fontsize=6, frameon=False)


def _cpu(axis: Any, results: Results) -> None:
    scenario = results.scenarios["send-1"]
    found = [
        (server, cpu.median)
        for server, rounds in scenario.servers.items()
        if server != PROTOCOL and (cpu := of_rounds(rounds, "cpu_us")) is not None
    ]
    names = [_label(name) for name, _ in found]
    axis.barh(names, [cpu for _, cpu in found], color=[_COLOURS.get(name, _OTHER) for name, _ in found], height=0.7)
    for at, (_, cpu) in enumerate(found):
        axis.text(cpu, at, f" {cpu:,.0f}", va="center", fontsize=7)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.margins(x=0.2)
    axis.set_title("CPU of a send, single messages, 32 connections", fontsize=8, loc="left")
    axis.set_xlabel("µs, of the server's whole process tree", fontsize=7)


def _wakes(axis: Any, results: Results) -> None:
    scenario = results.scenarios["wake"]
    found = [
        (server, p50.median, p99.median)
        for server, rounds in scenario.servers.items()
        if (p50 := latency(rounds, "wake", "p50")) and (p99 := latency(rounds, "wake", "p99"))
    ]
    names = [_label(name) for name, _, _ in found]
    colours = [_COLOURS.get(name, _OTHER) for name, _, _ in found]
    axis.barh(names, [p99 for _, _, p99 in found], color=colours, height=0.7, alpha=0.35)
    axis.barh(names, [p50 for _, p50, _ in found], color=colours, height=0.7)
    for at, (_, p50, p99) in enumerate(found):
        axis.text(p99, at, f" {p50:.2f} / {p99:.2f}", va="center", fontsize=7)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.margins(x=0.2)
    axis.set_title(_wrapped(scenario.title), fontsize=8, loc="left")
    axis.set_xlabel("ms, p50 (dark) and p99 (light)", fontsize=7)
