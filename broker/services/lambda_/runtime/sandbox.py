"""One run of a function's process: the process, its Runtime API and its output, from the first to the last of them.

The name is the one in AWS's errors; it keeps a function's processes together, and keeps them from nothing.
"""

import asyncio
from typing import TYPE_CHECKING, Protocol

from broker.services.lambda_.runtime.commands import Interpreters, InvalidEntrypoint, command, data_bytes_max
from broker.services.lambda_.runtime.invocation import Answer, Event, Failure
from broker.services.lambda_.runtime.output import OutputReader
from broker.services.lambda_.runtime.process import Process
from broker.services.lambda_.runtime.specs import FunctionSpec, environment_variables

if TYPE_CHECKING:
    from broker.services.lambda_.runtime.runtime_api import RuntimeApi


class Owner(Protocol):
    """Who is told what goes on, once it is initialised."""

    def done(self) -> None:
        """The process asks for another event."""
        ...

    def answered(self, answer: Answer) -> None: ...

    def process_ended(self) -> None:
        """By itself, or because it was stopped."""
        ...

    def say(self, line: str) -> None:
        """It printed a line."""
        ...


class Sandbox:
    """Is started once and stopped once. `failure`: how the process ended."""

    def __init__(self, spec: FunctionSpec, log_stream: str, interpreters: Interpreters, owner: Owner) -> None:
        self._spec = spec
        self._log_stream = log_stream
        self._interpreters = interpreters
        self._owner = owner
        self._api: RuntimeApi | None = None
        self._process: Process | None = None
        self._output: OutputReader | None = None
        self._initialised: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self._stopped = False
        self.failure: Failure | None = None

    async def start(self, limit_s: float) -> Failure | None:
        """Start the process and wait until it asks for an event; answers what went wrong. It must be stopped in any case."""
        spec = self._spec
        try:
            argv = command(spec, self._interpreters)
        except InvalidEntrypoint as error:
            return Failure("Runtime.InvalidEntrypoint", str(error))
        api_type = await asyncio.to_thread(_runtime_api)
        if self._stopped:
            return _stopped()
        self._api = api_type(self)
        variables = environment_variables(spec, self._log_stream, await self._api.start())
        if self._stopped:
            return _stopped()
        self._process = Process(argv, variables, str(spec.code_directory), data_bytes_max(spec), self._process_ended)
        self._output = OutputReader(self._process.output, self._owner.say)
        await asyncio.wait([self._initialised], timeout=limit_s)
        self.drain()
        if not self._initialised.done():
            return Failure("Sandbox.Timedout", "", timed_out=True)
        return self._initialised.result()

    def give(self, event: Event, deadline_ms: int) -> None:
        """Let the process have an event. `deadline_ms`: when it must have answered, in milliseconds since the epoch."""
        assert self._api is not None, "it was never started"
        self._api.give(event, deadline_ms)

    def drain(self) -> None:
        """Have everything said that was printed so far."""
        if self._output is not None:
            self._output.drain()

    def peak_memory_mb(self) -> int:
        return 0 if self._process is None else self._process.peak_memory_mb()

    async def stop(self, grace_s: float) -> None:
        """End the process, and wait until nothing of it is left."""
        self._stopped = True
        if self._process is not None:
            await self._process.stop(grace_s)
        if self._output is not None:
            self._output.close()
        if self._api is not None:
            await self._api.close()

    # What the process does

    def ready(self) -> None:
        if not self._initialised.done():
            self._initialised.set_result(None)
        else:
            self._owner.done()

    def init_failed(self, failure: Failure) -> None:
        if not self._initialised.done():
            self._initialised.set_result(failure)

    def answered(self, answer: Answer) -> None:
        self._owner.answered(answer)

    def _process_ended(self, failure: Failure) -> None:
        self.failure = failure
        if not self._initialised.done():
            self._initialised.set_result(failure)
        elif self._initialised.result() is None:
            self._owner.process_ended()


def _runtime_api() -> "type[RuntimeApi]":
    """Stands on aiohttp, which takes a tenth of a second to import: too long for the event loop, and for every start."""
    from broker.services.lambda_.runtime.runtime_api import RuntimeApi

    return RuntimeApi


def _stopped() -> Failure:
    return Failure("Runtime.ExitError", "Runtime exited without providing a reason")
