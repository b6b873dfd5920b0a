"""Publishing to a topic with ten queues: raw copies, enveloped and signed ones, and the same copies sent to one queue by batches.

All copies are received afterwards, and counted.
"""

from collections.abc import Sequence
from functools import partial

import orjson

from benchmarks.bench import Bench, Contender, phase
from benchmarks.figures import Measured, Verdict, judge
from benchmarks.generator import Job
from benchmarks.measuring import Server
from benchmarks.recorded import call
from benchmarks.results import OURS, Results
from benchmarks.scenarios.family import Family
from benchmarks.sqs_requests import JsonRequests, QueryRequests

CONNECTIONS = 16
QUEUES = 10
COPIES_S_MIN = 8_000
ENVELOPED = f"{OURS}, enveloped"
DIRECT = f"{OURS}, batches of ten to one queue"
_SNS = "2010-03-31"


def run(bench: Bench) -> None:
    """Our kinds of delivery, and the peers' raw copies."""
    bench.results.scenario("fan-out", f"Publish to {QUEUES} queues, {CONNECTIONS} connections", "copies/s")
    contenders: dict[str, Contender] = {}
    for name, server in bench.brokers(topics=True).items():
        try:
            contenders[name] = partial(_publish, bench, server, *_set_up(server, raw=True))
        except OSError as error:
            failed = Measured(failed=f"its topic could not be made: {error}")
            bench.results.scenarios["fan-out"].servers[name] = [failed]
    contenders[ENVELOPED] = partial(_publish, bench, bench.pombo, *_set_up(bench.pombo, raw=False))
    contenders[DIRECT] = partial(_send, bench)
    bench.interleave(contenders, rounds=bench.settings.few)


def _set_up(server: Server, *, raw: bool) -> tuple[str, list[str]]:
    """(ARN of a topic, URLs of its queues)."""
    sqs, sns = JsonRequests(server.url), QueryRequests(server.url, service="sns")
    kind = "raw" if raw else "enveloped"
    made = call(server.url, sns.call("CreateTopic", version=_SNS, Name=kind)).decode()
    topic = made.partition("<TopicArn>")[2].partition("</TopicArn>")[0]
    urls: list[str] = []
    for number in range(QUEUES):
        urls.append(sqs.url(call(server.url, sqs.call("CreateQueue", QueueName=f"{kind}-{number}"))))
        asked = sqs.call("GetQueueAttributes", QueueUrl=urls[-1], AttributeNames=["QueueArn"])
        arn = orjson.loads(call(server.url, asked))["Attributes"]["QueueArn"]
        attribute = {"key": "RawMessageDelivery", "value": "true" if raw else "false"}
        fields = {f"Attributes.entry.1.{name}": value for name, value in attribute.items()}
        subscribe = sns.call("Subscribe", version=_SNS, TopicArn=topic, Protocol="sqs", Endpoint=arn, **fields)
        call(server.url, subscribe)
    return topic, urls


def _publish(bench: Bench, server: Server, topic: str, urls: list[str]) -> dict[str, Measured]:
    phases = [phase("publish", 1, bench.settings.seconds), phase("drain", 10, 20.0)]
    return bench.job(server, Job(server.url, CONNECTIONS, phases, urls=urls, topic=topic), {0: "fan-out"})


def _send(bench: Bench) -> dict[str, Measured]:
    phases = [phase("send", 10, bench.settings.seconds), phase("drain", 10)]
    return bench.job(bench.pombo, Job(bench.pombo.url, CONNECTIONS, phases, queues=["direct"]), {0: "fan-out"})


def verdicts(results: Results) -> Sequence[Verdict]:
    """A floor that any machine must reach."""
    rate = results.scenario("fan-out", "", "").rate(OURS)
    return (judge(f"Raw copies to {QUEUES} queues", rate, at_least=COPIES_S_MIN, unit="/s", digits=0),)


FAMILY = Family("fan-out", run, verdicts)
