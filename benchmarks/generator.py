"""The load generator: a process of its own over raw sockets: `python -m benchmarks.generator`, given a job as a line of JSON.

It connects, makes the job's queues, and then for each phase writes "ready", waits for a line, runs the phase as a closed loop, and
writes its figures. At the end it checks every reply against what was sent (`benchmarks.ledger`) and writes the account. The time
that the checks take is in no phase. The other end of the pipe is `benchmarks.measuring`.
"""

import asyncio
import gc
import resource
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec
import orjson
import uvloop

from benchmarks.figures import percentiles
from benchmarks.http_replies import ReplyParser
from benchmarks.ledger import Ledger
from benchmarks.plans import (
    CyclePlan,
    DrainPlan,
    OncePlan,
    Plan,
    PublishPlan,
    RepeatPlan,
    Request,
    SendPlan,
    WakePlan,
)
from benchmarks.sqs_requests import QueryRequests, requests_of

_STALLED_S: Final = 30.0  # without any reply
_CONNECTING: Final = 64  # at a time


class Phase(msgspec.Struct, frozen=True):
    """A part of a job. `kind`: send, drain, cycle, empty, idle, wake, publish."""

    kind: str
    batch: int = 1
    seconds: float = 1.0
    count: int | None = None
    wait_s: int = 0


class Job(msgspec.Struct, frozen=True):
    """What a generator is told to do. `queues` are made first (and deleted last) unless `urls` names some that exist."""

    url: str
    connections: int
    phases: list[Phase]
    protocol: str = "json"
    queues: list[str] = []
    urls: list[str] = []
    keeps: bool = False  # the queues outlive the job
    fifo_groups: int = 0
    topic: str = ""
    body_bytes: int = 1024
    checks: bool = True  # not against a server that keeps nothing
    foreign: bool = False  # the queue holds messages of others: what comes is not what was sent


class Broken(Exception):
    """The server answered with an error, or dropped a request: what is measured then is not a rate."""


@dataclass
class Crew:
    """The connections of a job, and the phase under way."""

    host: str
    port: int
    workers: list["Worker"] = field(default_factory=list)
    idle: list["Worker"] = field(default_factory=list)
    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    plan: Plan | None = None
    ended: asyncio.Future[None] | None = None
    last_s: float = 0.0
    replies: int = 0

    async def connect(self, count: int) -> None:
        """Have `count` connections."""
        while len(self.workers) < count:
            new = [Worker(self, len(self.workers) + n) for n in range(min(_CONNECTING, count - len(self.workers)))]
            await asyncio.gather(*(worker.connect() for worker in new))
            self.workers += new

    async def run(self, plan: Plan) -> dict[str, Any]:
        """A phase to its end. Raises Broken."""
        self.latencies.clear()
        self.plan, self.idle, self.replies = plan, [], 0
        self.ended = asyncio.get_running_loop().create_future()
        began_s = self.last_s = time.perf_counter()
        before_s = time.process_time()
        for worker in self.workers:
            self.give(worker)
        self._maybe_over()
        while not self.ended.done():
            await asyncio.wait([self.ended], timeout=0.2)
            if time.perf_counter() - self.last_s > _STALLED_S:
                self.fail(f"no reply for {_STALLED_S:.0f} s")
            self.wake()
        self.ended.result()
        self.plan = None
        return {
            "seconds": max(1e-9, self.last_s - began_s),
            "replies": self.replies,
            "done": plan.done,
            "generator_cpu_s": time.process_time() - before_s,
            "latency_ms": {kind: percentiles(taken) for kind, taken in self.latencies.items()},
        }

    def give(self, worker: "Worker") -> None:
        """The next request to a free connection."""
        assert self.plan is not None
        request = self.plan.next(worker.number)
        if request is None:
            self.idle.append(worker)
        else:
            worker.ask(request)

    def replied(self, worker: "Worker", request: Request, body: bytes) -> None:
        """A reply has come; its connection is free again, if it is not to be opened anew."""
        if self.plan is None:
            return
        self.last_s = now_s = time.perf_counter()
        self.replies += 1
        self.latencies[request.kind].append(now_s - worker.asked_s)
        self.plan.replied(worker.number, request, body)
        if not worker.reopening:
            self.give(worker)
        self.wake()

    def wake(self) -> None:
        """What has changed may give those something to do that have nothing."""
        if self.idle:
            assert self.plan is not None
            parked, self.idle = self.idle, []
            while parked:
                worker = parked.pop()
                request = self.plan.next(worker.number)
                if request is None:
                    self.idle += [worker, *parked]  # what one cannot do, the others cannot
                    break
                worker.ask(request)
        self._maybe_over()

    def fail(self, why: str) -> None:
        """End the phase: it is broken."""
        if self.ended is not None and not self.ended.done():
            self.ended.set_exception(Broken(why))

    def _maybe_over(self) -> None:
        if self.ended is None or self.ended.done():
            return
        over = isinstance(self.plan, WakePlan) and self.plan.over()
        if over or len(self.idle) == len(self.workers):
            self.ended.set_result(None)

    def close(self) -> None:
        """Drop all connections."""
        self.plan = None
        for worker in self.workers:
            worker.close()


class Worker(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, crew: Crew, number: int) -> None:
        self.number = number
        self.asked_s = 0.0
        self.reopening = False
        self._crew = crew
        self._request: Request | None = None
        self._parser = ReplyParser()
        self._transport: asyncio.WriteTransport | None = None
        self._closing = False

    async def connect(self) -> None:
        """Open the connection."""
        await asyncio.get_running_loop().create_connection(lambda: self, self._crew.host, self._crew.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own
        self._parser = ReplyParser()

    def ask(self, request: Request) -> None:
        """Send."""
        assert self._transport is not None
        self._request = request
        self.asked_s = time.perf_counter()
        self._transport.write(request.data)

    def data_received(self, data: bytes) -> None:
        for reply in self._parser.feed(data):
            request, self._request = self._request, None
            if request is None or reply.status >= 300:
                kind = "nothing" if request is None else request.kind
                self._crew.fail(f"{reply.status} to {kind}: {reply.body[:200]!r}")
                return
            if reply.closes:
                self.reopening = True
            self._crew.replied(self, request, reply.body)
            if reply.closes and self._transport is not None:
                self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if self._request is not None and not self._closing:
            self._crew.fail(f"the connection broke in the middle of a {self._request.kind}")
        elif not self._closing:
            self.reopening = True
            self._task = asyncio.ensure_future(self._reopen())

    async def _reopen(self) -> None:
        try:
            await self.connect()
        except OSError as error:
            self._crew.fail(f"cannot connect again: {error}")
            return
        self.reopening = False
        if self._crew.plan is not None and self not in self._crew.idle:
            self._crew.give(self)
            self._crew.wake()

    def close(self) -> None:
        """For good."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()


class Shift:
    """A job at work."""

    def __init__(self, job: Job, crew: Crew) -> None:
        self._job, self._crew = job, crew
        self._wire = requests_of(job.protocol, job.url)
        self._setup = requests_of("json", job.url) if job.protocol == "json" else self._wire

    async def run(self) -> None:
        """Everything, speaking on standard output, told on standard input."""
        job, crew = self._job, self._crew
        await crew.connect(min(16, job.connections))
        urls = job.urls or await self._make_queues()
        ledger = Ledger(self._wire, urls, job.body_bytes, copies=len(urls) if job.topic else 1)
        await crew.connect(job.connections + any(phase.kind == "wake" for phase in job.phases))
        for phase in job.phases:
            gc.collect()
            gc.freeze()
            _say({"ready": phase.kind})
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            plan = self._plan(phase, ledger)
            figures = await crew.run(plan)
            if isinstance(plan, DrainPlan):
                figures["empty"] = plan.empty
            if isinstance(plan, WakePlan):
                figures["latency_ms"]["wake"] = percentiles(plan.wakes)
                figures["latency_ms"].pop("poll", None)
            _say(figures)
        account = ledger.check(foreign=job.foreign).as_dict() if job.checks else {}
        _say({"account": account})
        crew.close()
        if not job.keeps and not job.urls and job.checks:
            cleaners = Crew(crew.host, crew.port)  # polls may still be under way on the others
            await cleaners.connect(min(16, job.connections))
            deletes = (self._delete_queue(url) for url in urls)
            await cleaners.run(OncePlan("delete queue", deletes, lambda _at, _body: None))
            cleaners.close()

    def _plan(self, phase: Phase, ledger: Ledger) -> Plan:
        job, seconds = self._job, phase.seconds
        if phase.kind == "send":
            return SendPlan(ledger, phase.batch, seconds=seconds, count=phase.count, groups=job.fifo_groups)
        if phase.kind == "drain":
            return DrainPlan(ledger, phase.batch, seconds=seconds)
        if phase.kind == "cycle":
            return CyclePlan(ledger, phase.batch, seconds=seconds, groups=job.fifo_groups)
        if phase.kind == "empty":
            return RepeatPlan("empty", [ledger.wire.receive(q, phase.batch) for q in ledger.queues], seconds=seconds)
        if phase.kind == "idle":  # one long poll of each connection, on a queue of its own
            return RepeatPlan("poll", [ledger.wire.receive(q, 1, phase.wait_s) for q in ledger.queues], seconds=seconds)
        if phase.kind == "publish":
            publish = QueryRequests(job.url, service="sns").publish(job.topic, job.body_bytes)
            return PublishPlan(ledger, publish, seconds=seconds)
        assert phase.kind == "wake", phase.kind
        return WakePlan(ledger, job.connections, count=phase.count or 200, seconds=seconds)

    async def _make_queues(self) -> list[str]:
        urls = [""] * len(self._job.queues)

        def made(at: int, body: bytes) -> None:
            urls[at] = self._setup.url(body)

        attributes = {"FifoQueue": "true"} if self._job.fifo_groups else {}
        await self._crew.run(
            OncePlan("create", (self._create_queue(name, attributes) for name in self._job.queues), made)
        )
        return urls

    def _create_queue(self, name: str, attributes: dict[str, str]) -> bytes:
        if isinstance(self._setup, QueryRequests):
            fields = {f"Attribute.{n}.Name": name for n, name in enumerate(attributes, 1)}
            fields |= {f"Attribute.{n}.Value": value for n, value in enumerate(attributes.values(), 1)}
            return self._setup.call("CreateQueue", QueueName=name, **fields)
        return self._setup.call("CreateQueue", QueueName=name, **({"Attributes": attributes} if attributes else {}))

    def _delete_queue(self, url: str) -> bytes:
        return self._setup.call("DeleteQueue", QueueUrl=url)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


async def main() -> None:
    """A job from standard input."""
    job = msgspec.json.decode(sys.stdin.readline(), type=Job)
    parts = urlsplit(job.url)
    assert parts.hostname is not None
    assert parts.port is not None
    try:
        await Shift(job, Crew(parts.hostname, parts.port)).run()
    except (Broken, OSError) as error:
        _say({"broken": str(error)})


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    uvloop.run(main())
