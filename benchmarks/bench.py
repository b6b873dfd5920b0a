"""A run's servers, and the order of its rounds: one after the other within a round, and so what else the machine does is all's.

It owns what is running; the scenarios (benchmarks/scenarios) say what each is asked.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.figures import Measured, of_rounds
from benchmarks.generator import Job, Phase
from benchmarks.measuring import Server, run
from benchmarks.peers import PEERS, Missing, Peer
from benchmarks.recorded import replies
from benchmarks.results import OURS, Results
from benchmarks.servers import BrokerProcess, ForeignProcess, Process, ServerProcess

Contender = Callable[[], Mapping[str, Measured]]  # a round's figures, by scenario
RELAXED = f"{OURS}, synchronous off"
AIOHTTP = "bare aiohttp"
PROTOCOL = "bare protocol"
SLOW_S = 20.0  # a round of a server that takes longer is its only one


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    rounds: int = 5
    seconds: float = 1.5  # of a phase
    waiting: int = 1_000_000  # messages of the deep queue
    queues: int = 10_000
    pollers: int = 1_000
    warm_max_s: float = 100.0  # for each server, until it gets no faster
    quick: bool = False

    @property
    def few(self) -> int:
        """Rounds of what is shown and not judged."""
        return min(3, self.rounds)


class Bench:
    """The servers of a run, and what is found."""

    def __init__(self, settings: Settings, peers: tuple[str, ...]) -> None:
        self.settings = settings
        self.results = Results()
        self.peers: dict[str, tuple[Peer, ForeignProcess]] = {}
        self._wanted = peers
        self._started: list[Process] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="pombo-bench-"))
        self._bare: dict[int, ServerProcess] = {}
        self._aiohttp: ServerProcess | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def _start(self) -> None:
        """Both of ours and the peers, warm."""
        self.pombo = self.broker("durable")
        self.relaxed = self.broker("relaxed", "--synchronous", "off")
        for peer in PEERS:
            if peer.name not in self._wanted:
                continue
            try:
                process, version = peer.start()
            except Missing as missing:
                self.results.missing[peer.name] = str(missing)
                print(f"{peer.name} is not there: {missing}", flush=True)
                continue
            self._started.append(process)
            self.peers[peer.name] = (peer, process)
            self.results.about.setdefault("peers", {})[peer.name] = version
        for name, server in self.brokers().items():
            self.warm(name, partial(self._cycle, server))

    def warm(self, name: str, measure: Callable[[], Measured]) -> None:
        """Measure until it gets no faster.

        A virtual machine needs a minute for that; a broker of ours some seconds, until its files and its memory have their size.
        """
        began_s, rates = time.monotonic(), [0.0]
        while time.monotonic() - began_s < self.settings.warm_max_s and not settled(rates):
            rates.append(measure().rate)
        taken_s = time.monotonic() - began_s
        print(f"{name}: from {rates[1]:.0f} to {rates[-1]:.0f} messages/s in {taken_s:.0f} s of warming up", flush=True)

    def _cycle(self, server: Server) -> Measured:
        phases = [phase("cycle", 1, min(3.0, self.settings.warm_max_s)), phase("drain", 10, 10.0)]
        return run(server, Job(server.url, 32, phases, queues=["warm"]))[0]

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._started:
            process.kill()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def broker(self, name: str, *flags: str) -> BrokerProcess:
        """A broker more, on a directory of that name; ended with the run."""
        started = BrokerProcess(str(self.directory(name)), *flags)
        self._started.append(started)
        return started

    def directory(self, name: str) -> Path:
        """A place on disk that goes with the run."""
        return self._scratch / name

    def bare_protocol(self, batch: int) -> ServerProcess:
        """The yardstick that answers with `batch` messages (0: none)."""
        if batch not in self._bare:
            recorded = self.directory(f"replies-{batch}.json")
            recorded.write_text(json.dumps(replies(self.pombo.url, batch)))
            self._bare[batch] = ServerProcess("benchmarks.bare_protocol", str(recorded))
            self._started.append(self._bare[batch])
        return self._bare[batch]

    def bare_aiohttp(self) -> ServerProcess:
        """The other yardstick: sends of single messages only."""
        if self._aiohttp is None:
            self._aiohttp = ServerProcess("benchmarks.bare_aiohttp")
            self._started.append(self._aiohttp)
        return self._aiohttp

    def brokers(self, *, topics: bool = False, query: bool = False, peers: bool = True) -> dict[str, Server]:
        """Both of ours, and the peers that can do what is asked."""
        found: dict[str, Server] = {OURS: self.pombo, RELAXED: self.relaxed}
        for name, (peer, process) in self.peers.items():
            if peers and (peer.topics or not topics) and (peer.query or not query):
                found[name] = process
        return found

    def interleave(self, contenders: Mapping[str, Contender], *, rounds: int | None = None) -> None:
        """All contenders in turn, round after round. One that broke, or is very slow, is not asked again. Scenarios must exist."""
        dropped: set[str] = set()
        for _ in range(rounds or self.settings.rounds):
            for server, measure in contenders.items():
                if server in dropped:
                    continue
                began_s = time.monotonic()
                found = measure()
                if time.monotonic() - began_s > SLOW_S and not server.startswith(OURS):
                    dropped.add(server)
                for name, measured in found.items():
                    self.results.scenarios[name].servers.setdefault(server, []).append(measured)
                    if measured.failed:
                        dropped.add(server)
                        print(f"  {name}: {server} broke: {measured.failed[:200]}", flush=True)

    def job(self, server: Server, job: Job, scenarios: Mapping[int, str]) -> dict[str, Measured]:
        """Run a job; the figures of the phases whose numbers are given. What broke shows in all of them."""
        phases = run(server, job)
        failed = next((m.failed for m in phases if m.failed), "")
        account = phases[-1].account
        found: dict[str, Measured] = {}
        for at, name in scenarios.items():
            found[name] = (
                phases[at] if at < len(phases) and not phases[at].failed else Measured(failed=failed or "nothing")
            )
            if account and not found[name].account:
                found[name].account = account
                account = {}
        return found


def settled(rates: Sequence[float]) -> bool:
    """Whether the last two are hardly better than the best before."""
    return len(rates) > 3 and max(rates[-2:]) < 1.03 * max(rates[:-2])


def summary(results: Results, name: str) -> str:
    """A scenario in a few lines, for the terminal."""
    scenario = results.scenarios[name]
    lines = [f"{scenario.title}"]
    for server in scenario.servers:
        rate = scenario.rate(server)
        if rate is None:
            lines.append(f"  {server:24} broke: {scenario.rounds(server)[0].failed[:90]}")
            continue
        ratio = scenario.ratio(OURS, server) if server != OURS else None
        cpu = of_rounds(scenario.rounds(server), "cpu_us")
        shown = "" if ratio is None else f"  {OURS} is {ratio.median:.2f} times it"
        used = f"  {cpu.median:6.0f} µs CPU" if cpu and cpu.median else ""
        lines.append(f"  {server:24} {rate.median:10.{0 if rate.median >= 100 else 2}f} {scenario.unit}{used}{shown}")
    return "\n".join(lines)


def phase(kind: str, batch: int = 1, seconds: float = 60.0, **more: int) -> Phase:
    """A phase; untimed unless `seconds` says otherwise."""
    return Phase(kind, batch, seconds, **more)
