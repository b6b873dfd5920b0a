"""Figures: medians, percentiles, spreads, and the ratio of two servers, taken round by round. Knows nothing of servers."""

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec


class Measured(msgspec.Struct):
    """One server in one round of one scenario. `failed` says why there are no figures."""

    rate: float = 0.0  # of what the scenario counts, a second
    cpu_us: float = 0.0  # of the server's process tree, for each request
    resident_mb: float = 0.0
    requests: int = 0
    latency_ms: dict[str, dict[str, float]] = {}  # of each kind of request: p50, p99, max
    generator_share: float = 0.0  # of a core, that the generator used
    account: dict[str, int] = {}
    failed: str = ""


class Spread(msgspec.Struct):
    """A figure over the rounds."""

    median: float
    least: float
    most: float

    @property
    def relative(self) -> float:
        """(most - least) to the median: the noise."""
        return (self.most - self.least) / self.median if self.median else 0.0


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    last = len(ordered) - 1
    at = {"p50": ordered[len(ordered) // 2], "p99": ordered[min(last, int(len(ordered) * 0.99))], "max": ordered[-1]}
    return {name: round(value * 1000, 4) for name, value in at.items()} | {"count": len(ordered)}


def spread(values: Sequence[float]) -> Spread | None:
    """None of nothing."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def of_rounds(rounds: Sequence[Measured], name: str) -> Spread | None:
    """A figure of the rounds that did not fail."""
    return spread([getattr(measured, name) for measured in rounds if not measured.failed])


def latency(rounds: Sequence[Measured], kind: str, percentile: str) -> Spread | None:
    """A percentile of a kind of request."""
    found = [m.latency_ms[kind][percentile] for m in rounds if not m.failed and m.latency_ms.get(kind)]
    return spread(found)


def ratios(above: Sequence[Measured], below: Sequence[Measured], name: str = "rate") -> Spread | None:
    """The ratio within each round in which neither failed."""
    return spread(
        [
            getattr(one, name) / getattr(other, name)
            for one, other in zip(above, below, strict=False)
            if not one.failed and not other.failed and getattr(other, name)
        ]
    )


class Verdict(msgspec.Struct):
    """A line that must hold. `outcome`: PASS, FAIL, or SKIP with the reason in `measured`."""

    line: str
    measured: str
    bound: str
    outcome: str


def judge(
    line: str, value: Spread | None, *, at_least: float | None = None, at_most: float | None = None, **how: Any
) -> Verdict:
    """A median against a bound.

    `unit` follows the numbers, `goal` stands beside the bound, `digits` follow the point; `beside` (and `beside_unit`) is a figure
    that the goal is about; `missing` says why there is no value.
    """
    unit, digits, goal = how.get("unit", ""), how.get("digits", 2), how.get("goal", "")
    bound = f"at least {at_least:g}{unit}" if at_least is not None else f"at most {at_most:g}{unit}"
    if goal:
        bound += f" (goal {goal})"
    if value is None:
        return Verdict(line, how.get("missing", "not measured"), bound, "SKIP")
    holds = (at_least is None or value.median >= at_least) and (at_most is None or value.median <= at_most)
    shown = f"{value.median:.{digits}f}{unit} ({value.least:.{digits}f} to {value.most:.{digits}f})"
    if beside := how.get("beside"):
        shown += f"; {beside.median:,.0f}{how.get('beside_unit', '')}"
    return Verdict(line, shown, bound, "PASS" if holds else "FAIL")
