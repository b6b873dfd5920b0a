"""An execution environment: a function's process with its Runtime API, which takes one event at a time.

Its life is AWS's: initialised within 10 seconds, then invoked again and again, and at an end when an invocation times out, its
process ends, or it is stopped. What it runs and prints is told to the function's log. Unlike AWS's, it is not frozen between
invocations: threads and child processes that a handler leaves behind go on for as long as the environment lives.
Source: Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle".
"""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from broker.clock import Chance, process_time_s, wall_time_s
from broker.services.lambda_.runtime import invocation as texts
from broker.services.lambda_.runtime.commands import INTERPRETERS, Interpreters
from broker.services.lambda_.runtime.invocation import Answer, Event, Failure, Invocation
from broker.services.lambda_.runtime.logs import LogRing
from broker.services.lambda_.runtime.sandbox import Sandbox
from broker.services.lambda_.runtime.specs import FunctionSpec

_MS: Final = 1000


@dataclass(frozen=True)
class Limits:
    """Times in seconds. `init_s`: for an initialisation; `grace_s`: between SIGTERM and SIGKILL."""

    init_s: float = 10.0
    grace_s: float = 0.5


LIMITS: Final = Limits()


class _Tail:
    """The end of what an invocation, or the initialisation before it, had to say."""

    def __init__(self) -> None:
        self.text = bytearray()

    def add(self, line: str) -> None:
        self.text += line[-texts.LOG_TAIL_BYTES_MAX :].encode() + b"\n"
        del self.text[: -texts.LOG_TAIL_BYTES_MAX]


class _Run:
    """The invocation under way."""

    def __init__(self, event: Event, tail: _Tail, done: "asyncio.Future[None]") -> None:
        self.event = event
        self.tail = tail
        self.done = done
        self.answer: Answer | None = None

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Environment:
    """One execution environment of `spec`. Made on the event loop that it lives on; nothing starts before it is needed.

    `on_end` is called once, when the environment cannot be invoked any more.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        log: LogRing,
        chance: Chance,
        *,
        limits: Limits = LIMITS,
        interpreters: Interpreters = INTERPRETERS,
        on_end: Callable[["Environment"], None] | None = None,
    ) -> None:
        self.spec = spec
        self._log = log
        self._limits = limits
        self._interpreters = interpreters
        self.on_end = on_end
        self.log_stream = _log_stream(spec, chance)
        self._loop = asyncio.get_running_loop()
        self._sandbox: Sandbox | None = None
        self._busy = False
        self._run: _Run | None = None
        self._init_tail = _Tail()
        self._init_ms: float | None = None  # until an invocation has reported it
        self._stopping: asyncio.Task[None] | None = None
        self.ended = False

    @property
    def started(self) -> bool:
        """Whether it was ever initialised, or tried to."""
        return self._sandbox is not None

    # Life

    async def start(self) -> Failure | None:
        """Initialise it within the limit, and answer what went wrong. After anything but a timeout it is at its end."""
        return await self._initialise(self._limits.init_s, "init")

    async def stop(self) -> None:
        """End it: SIGTERM, after the grace period SIGKILL, and wait until no process of it is left."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self._end()
        if self._sandbox is not None:
            await self._sandbox.stop(self._limits.grace_s)

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            if self._run is not None:
                self._run.finish()
            if self.on_end is not None:
                self.on_end(self)

    async def _initialise(self, limit_s: float, phase: str) -> Failure | None:
        began_s = process_time_s()
        sandbox = self._sandbox = Sandbox(self.spec, self.log_stream, self._interpreters, self)
        failure = await sandbox.start(limit_s)
        init_ms = (process_time_s() - began_s) * _MS
        if failure is None:
            if phase == "init":
                self._init_ms = init_ms
            return None
        if failure.timed_out and phase == "init" and not self.ended:
            await sandbox.stop(0.0)  # it may be tried again
        else:
            await self.stop()
        self.say(texts.init_report_line(init_ms, phase, failure))
        return failure

    # Invocations

    async def invoke(self, event: Event) -> Invocation:
        """Give it an event and wait for what becomes of it, including a failed initialisation where this is the first one.

        As on AWS, an initialisation that took too long is tried again in the invocation's own time. When an invocation has
        failed in a way that ends the environment, `ended` is true and none of its processes is left. Cancelling ends it too.
        """
        assert not self._busy and not self.ended, "an environment takes one event at a time, while it lives"
        self._busy = True
        try:
            return await self._invoke(event)
        except BaseException:
            await self.stop()
            raise
        finally:
            self._busy = False
            self._run = None

    async def _invoke(self, event: Event) -> Invocation:
        spec, request_id = self.spec, event.request_id
        failure = None
        if self._sandbox is None:
            failure = await self.start()
        # What the initialisation printed is the invocation's where that is why it failed.
        tail = _Tail() if failure is None else self._init_tail
        run = self._run = _Run(event, tail, self._loop.create_future())
        if self.ended:
            run.finish()
        began_s = process_time_s()
        self.say(texts.start_line(request_id, spec.version))
        if failure is not None and failure.timed_out and not self.ended:
            failure = await self._initialise(spec.timeout_s, "invoke")
        timed_out = failure is not None and failure.timed_out
        if failure is not None and not timed_out:
            run.answer = failure.answer(request_id)
            self._say_failure(failure, request_id)
        elif not timed_out:
            timed_out = await self._await_answer(run, began_s + spec.timeout_s)
        duration_ms = (process_time_s() - began_s) * _MS
        if timed_out:
            duration_ms = spec.timeout_s * _MS  # the few milliseconds that the timer is late are not the function's
        memory_mb = 0 if self._sandbox is None else self._sandbox.peak_memory_mb()
        if timed_out:
            await self.stop()
            run.answer, line = texts.timed_out(request_id, duration_ms / _MS, wall_time_s())
            self.say(line)
            self.say("")
        return self._report(run, duration_ms, memory_mb, timed_out)

    async def _await_answer(self, run: _Run, until_s: float) -> bool:
        """Give the event to the process and wait until it is done with it. Answers whether it took too long."""
        assert self._sandbox is not None
        left_s = max(until_s - process_time_s(), 0.0)
        late = False

        def give_up() -> None:
            nonlocal late
            late = True
            run.finish()

        event = run.event if run.event.function_arn else replace(run.event, function_arn=self.spec.arn)
        self._sandbox.give(event, int((wall_time_s() + left_s) * _MS))
        timer = self._loop.call_later(left_s, give_up)
        try:
            await run.done
        finally:
            timer.cancel()
        self._sandbox.drain()
        if late and run.answer is not None:  # it answered, and did not come back in time for another event
            await self.stop()
            return False
        if run.answer is None and not late:
            failure = self._sandbox.failure or texts.killed(signal.SIGKILL)
            run.answer = failure.answer(run.event.request_id)
            self._say_failure(failure, run.event.request_id)
        if self.ended:
            await self.stop()
        return late

    def _report(self, run: _Run, duration_ms: float, memory_mb: int, timed_out: bool) -> Invocation:
        answer = run.answer
        assert answer is not None
        init_ms, self._init_ms = self._init_ms, None
        result = Invocation(
            request_id=run.event.request_id,
            payload=answer.payload,
            function_error=None if answer.error_type is None else texts.UNHANDLED,
            error_type=answer.error_type,
            content_type=answer.content_type,
            log_tail=b"",
            duration_ms=duration_ms,
            billed_ms=texts.billed_ms(duration_ms, init_ms),
            memory_used_mb=memory_mb,
            init_ms=init_ms,
            timed_out=timed_out,
        )
        self.say(texts.end_line(result.request_id))
        self.say(texts.report_line(result, self.spec.memory_mb))
        return replace(result, log_tail=bytes(run.tail.text))

    # What happens to the process

    def done(self) -> None:
        """It asks for another event."""
        if self._run is not None and self._run.answer is not None:
            self._run.finish()

    def answered(self, answer: Answer) -> None:
        if self._run is not None:
            self._run.answer = answer

    def process_ended(self) -> None:
        self._end()
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())

    def say(self, line: str) -> None:
        """A line for the log."""
        request_id = ""
        if self._run is not None:
            request_id = self._run.event.request_id
            self._run.tail.add(line)
        else:
            self._init_tail.add(line)
        self._log.append(int(wall_time_s() * _MS), request_id, self.log_stream, line)

    def _say_failure(self, failure: Failure, request_id: str) -> None:
        if failure.payload is None:
            self.say(f"RequestId: {request_id} Error: {failure.text}")
            self.say(failure.error_type)


def _log_stream(spec: FunctionSpec, chance: Chance) -> str:
    day = texts.iso_time(wall_time_s())[:10].replace("-", "/")
    return f"{day}/[{spec.version}]{chance.token().hex()}"
