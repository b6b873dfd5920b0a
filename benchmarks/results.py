"""What a run has found: scenarios, the servers in each, their rounds. It is what the report, the chart and the JSON are made of."""

from typing import Any

import msgspec

from benchmarks.figures import Measured, Spread, Verdict, of_rounds, ratios

OURS = "pombo"


class Scenario(msgspec.Struct):
    """One line of comparison. `unit` is what the rate counts; `lower` says that less of it is better."""

    name: str
    title: str
    unit: str
    lower: bool = False
    servers: dict[str, list[Measured]] = {}

    def rounds(self, server: str) -> list[Measured]:
        """None of a server that was not there."""
        return self.servers.get(server, [])

    def rate(self, server: str) -> Spread | None:
        """Over the rounds."""
        return of_rounds(self.rounds(server), "rate")

    def ratio(self, above: str, below: str, figure: str = "rate") -> Spread | None:
        """Of two servers, round by round."""
        return ratios(self.rounds(above), self.rounds(below), figure)


class Results(msgspec.Struct):
    """A whole run."""

    about: dict[str, Any] = {}  # the machine, the settings, versions
    missing: dict[str, str] = {}  # peers that are not there, and why
    scenarios: dict[str, Scenario] = {}
    verdicts: list[Verdict] = []

    def scenario(self, name: str, title: str, unit: str, *, lower: bool = False) -> Scenario:
        """The one of that name, made if it is new."""
        return self.scenarios.setdefault(name, Scenario(name, title, unit, lower, {}))

    def noise(self) -> dict[str, float]:
        """How far the rates of the bare servers, which keep nothing, lie apart over the rounds: the machine, not a broker."""
        found: dict[str, float] = {}
        for scenario in self.scenarios.values():
            for server in ("bare protocol", "bare aiohttp"):
                rate = scenario.rate(server)
                if rate is not None and len(scenario.rounds(server)) > 1:
                    found[f"{scenario.name}, {server}"] = rate.relative
        return found

    def accounts(self, server_prefix: str = OURS) -> dict[str, int]:
        """Everything that went wrong with messages of those servers."""
        total: dict[str, int] = {}
        for scenario in self.scenarios.values():
            for server, rounds in scenario.servers.items():
                if server.startswith(server_prefix):
                    for measured in rounds:
                        for what, count in measured.account.items():
                            total[what] = total.get(what, 0) + count
        return total

    def failures(self) -> list[tuple[str, str, str]]:
        """(scenario, server, why) of all that broke; each once."""
        found: dict[tuple[str, str], str] = {}
        for scenario in self.scenarios.values():
            for server, rounds in scenario.servers.items():
                for measured in rounds:
                    if measured.failed:
                        found.setdefault((scenario.name, server), measured.failed)
        return [(scenario, server, why) for (scenario, server), why in found.items()]
