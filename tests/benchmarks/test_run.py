"""A load against a running broker, and what the report makes of a run."""

import pytest

from benchmarks.__main__ import FAMILIES, arguments, judged, settings_of
from benchmarks.bench import Bench, phase, settled
from benchmarks.figures import Measured, Verdict
from benchmarks.generator import Job
from benchmarks.measuring import run
from benchmarks.report import markdown
from benchmarks.results import Results
from tests.conftest import RunningBroker


class Measurable:
    """A broker in this process: what it uses cannot be told from the rest."""

    def __init__(self, url: str) -> None:
        self.url = url

    def cpu_s(self) -> float:
        return 0.0

    def resident_mb(self) -> float:
        return 0.0


@pytest.mark.parametrize("protocol", ["json", "query"])
@pytest.mark.parametrize("groups", [0, 7], ids=["standard", "FIFO"])
def test_a_load_accounts_for_every_message(broker: RunningBroker, protocol: str, groups: int) -> None:
    queue = f"load-{protocol}.fifo" if groups else f"load-{protocol}"
    phases = [
        phase("send", 10, count=100),
        phase("cycle", 1, 0.05),
        phase("send", 1, count=7),
        phase("drain", 10),
    ]
    job = Job(broker.url, 8, phases, protocol, queues=[queue], fifo_groups=groups)
    found = run(Measurable(broker.url), job)
    assert [measured.failed for measured in found] == [""] * 4
    account = found[-1].account
    assert account["sent"] == account["received"] > 107
    assert not account["lost"] + account["doubled"] + account["altered"] + account["refused"]
    assert set(found[1].latency_ms) == {"send", "receive", "delete"}


def test_long_polls_are_woken_one_by_one(broker: RunningBroker) -> None:
    job = Job(broker.url, 20, [phase("wake", 1, 10.0, count=5)], queues=[f"wake-{n}" for n in range(20)])
    (measured,) = run(Measurable(broker.url), job)
    assert not measured.failed
    assert measured.latency_ms["wake"]["count"] == 5


def test_a_server_that_answers_with_an_error_is_broken_not_slow(broker: RunningBroker) -> None:
    (measured,) = run(
        Measurable(broker.url), Job(broker.url, 2, [phase("empty")], urls=[f"{broker.url}/1/no-such-queue"])
    )
    assert measured.failed.startswith("400 to empty")


def test_every_line_is_judged_also_when_nothing_was_measured() -> None:
    verdicts = judged(Results(missing={"moto": "no network"}), FAMILIES)
    assert {verdict.outcome for verdict in verdicts} == {"SKIP"}
    assert "no network" in {verdict.measured for verdict in verdicts}


def test_a_lost_message_fails_a_run() -> None:
    results = Results()
    account = {"sent": 10, "received": 9, "lost": 1, "doubled": 0}
    results.scenario("send-1", "Send", "messages/s").servers["pombo"] = [Measured(rate=1.0, account=account)]
    assert judged(results, ())[-1] == Verdict("Messages lost, doubled, altered or refused", "1 lost", "none", "FAIL")


def test_the_report_names_peers_that_are_not_there_and_rounds_that_broke() -> None:
    results = Results(missing={"moto": "no | network"})
    servers = results.scenario("send-1", "Send", "messages/s").servers
    servers["pombo"] = [Measured(rate=200.0, latency_ms={"send": {"p50": 1.0, "p99": 2.5}}), Measured(rate=400.0)]
    servers["bare aiohttp"] = [Measured(rate=100.0), Measured(rate=100.0)]
    servers["elasticmq"] = [Measured(failed="it said nothing")]
    page = markdown(results, "run.svg")
    assert "- not there: moto (no \\| network)" in page
    assert "| pombo | 300 (200 to 400) |  | 1.00 / 2.50 |" in page
    assert "| bare aiohttp | 100 | 3.00 (2.00 to 4.00) |  |" in page
    assert "| elasticmq | broke |  |  |" in page
    assert "- send-1, elasticmq: it said nothing" in page
    assert "![The run as a chart](run.svg)" in page


def test_the_command_line_takes_names_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments(["--only", "send,cycle", "--peers", "none", "--quick", "--rounds", "7"])
    assert (given.only, given.peers) == (["send", "cycle"], [])
    assert (settings_of(given).rounds, settings_of(given).quick) == (7, True)
    with pytest.raises(SystemExit):
        arguments(["--peers", "nobody"])
    assert "nobody: not among elasticmq" in capsys.readouterr().err


def test_a_server_is_warm_when_it_gets_no_faster() -> None:
    assert not settled([0.0, 100.0, 101.0])
    assert not settled([0.0, 100.0, 120.0, 110.0])
    assert settled([0.0, 100.0, 102.0, 99.0])
    assert not settled([0.0, 100.0, 200.0, 300.0, 310.0])


def test_a_run_that_cannot_begin_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_bench: Bench, _name: str, _measure: object) -> None:
        raise FileExistsError

    monkeypatch.setattr(Bench, "warm", fail)
    bench = Bench(settings_of(arguments(["--quick"])), ())
    with pytest.raises(FileExistsError), bench:
        pass
    assert [server.process.poll() is not None for server in (bench.pombo, bench.relaxed)] == [True, True]
    assert not bench.directory("").exists()
