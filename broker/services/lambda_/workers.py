"""The environments that functions run in: a pool for each version that was invoked, and the limits that hold for all of them.

A subprocess is no sandbox: a function can do whatever the broker's user can.
"""

import asyncio
import base64
import binascii
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from broker.services.lambda_.code_store import CodeStore, newest_change
from broker.services.lambda_.errors import InvalidRequestContent, TooManyRequests
from broker.services.lambda_.function import FunctionRecord, Version
from broker.services.lambda_.layer_state import Layers
from broker.services.lambda_.names import FunctionName, Target
from broker.services.lambda_.runtime.invocation import Event
from broker.services.lambda_.runtime.logs import LogRing
from broker.services.lambda_.runtime.pool import Pool
from broker.services.lambda_.runtime.pool import TooManyRequests as PoolIsFull
from broker.services.lambda_.runtime.specs import FunctionSpec
from broker.services.lambda_.state import Functions
from broker.services.runtime import Runtime
from broker.store.base import Recovered

CONCURRENCY_MAX: Final = 32
UNHANDLED: Final = "Unhandled"
# Python tells old bytecode by whole seconds; and a directory that is run where it is should stay as it is.
_IN_PLACE: Final = {"PYTHONDONTWRITEBYTECODE": "1"}


class Ran(NamedTuple):
    """What an invocation came to."""

    payload: bytes
    function_error: str | None
    log_tail: bytes
    version: str

    @classmethod
    def failed(cls, message: str) -> "Ran":
        """Of a function that is not there any more."""
        return cls(orjson.dumps({"errorMessage": message}), UNHANDLED, b"", "$LATEST")


class Workers:
    """See the module's text. `endpoint_url`: the broker's, for functions' AWS_ENDPOINT_URL. Comes after `Functions`."""

    def __init__(
        self, runtime: Runtime, directory: str, endpoint_url: str, *, concurrency_max: int = CONCURRENCY_MAX
    ) -> None:
        self.runtime = runtime
        self.code = CodeStore(directory)
        self.concurrency_max = concurrency_max
        self._endpoint_url = endpoint_url
        self._pools: dict[tuple[FunctionName, str], Pool] = {}
        self._logs: dict[FunctionName, LogRing] = {}
        self._under_way: Counter[FunctionName] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._swept = False
        self._local: dict[str, str] = {}  # directory run where it is -> its newest change

    # The state as a part of the runtime

    def recover(self, recovered: Recovered) -> None:
        if not self._swept:
            self._swept = True
            named = {*self.runtime.part(Functions).codes(), *self.runtime.part(Layers).codes()}
            self.runtime.start_work(self._sweep(named))

    async def _sweep(self, named: set[str]) -> None:
        await asyncio.to_thread(self.code.sweep, named)

    def forget(self) -> None:
        """Environments outlive a failed commit: what they were made from is on disk."""

    def reset(self) -> None:
        self._logs.clear()
        for key in list(self._pools):
            self._close(key)

    async def close(self) -> None:
        """End every process."""
        for key in list(self._pools):
            self._close(key)
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    # Invocations

    async def invoke(
        self,
        function: FunctionRecord,
        version: Version,
        target: Target,
        payload: bytes,
        *,
        request_id: str,
        client_context: str | None = None,
        trace_header: str | None = None,
    ) -> Ran:
        """Run a version. Raises TooManyRequests, InvalidRequestContent."""
        name = function.name
        reserved = function.reserved_concurrency
        if reserved is not None and self._under_way[name] >= reserved:
            raise TooManyRequests
        if self._under_way.total() >= self.concurrency_max:
            raise TooManyRequests("ConcurrentInvocationLimitExceeded")
        event = Event(payload, request_id, target.arn, trace_header or "", _context(client_context))
        local_path = version.settings.local_path
        if local_path is not None:
            self._local[local_path] = await asyncio.to_thread(newest_change, local_path)
        pool = self._pool(function, version)
        self._under_way[name] += 1
        try:
            done = await pool.invoke(event)
        except PoolIsFull:
            raise TooManyRequests from None
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]
        return Ran(done.payload, done.function_error, done.log_tail, version.number)

    def changed(self, name: FunctionName) -> None:
        """A function has changed, or is gone: its idle environments end. Invocations under way finish."""
        function = self.runtime.part(Functions).by_name.get(name)
        if function is None:
            self._logs.pop(name, None)
        for key in [key for key in self._pools if key[0] == name]:
            version = None if function is None else function.versions.get(key[1])
            if function is None or version is None:
                self._close(key)
            else:
                self._pools[key].update(self._spec(function, version))

    def log(self, name: FunctionName) -> LogRing:
        """What a function has printed."""
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = LogRing()
        return log

    def _pool(self, function: FunctionRecord, version: Version) -> Pool:
        key = (function.name, version.number)
        pool = self._pools.get(key)
        spec = self._spec(function, version)
        if pool is None:
            pool = self._pools[key] = Pool(spec, self.log(function.name), self.runtime.chance)
        elif pool.spec != spec:
            pool.update(spec)
        return pool

    def _spec(self, function: FunctionRecord, version: Version) -> FunctionSpec:
        settings = version.settings
        layers = [self.runtime.part(Layers).find_by_arn(arn) for arn in settings.layers]
        return FunctionSpec(
            name=function.name.name,
            arn=function.name.arn,
            runtime=settings.runtime,
            handler=settings.handler,
            code_directory=Path(settings.local_path or self.code.path(settings.code)),
            layer_directories=tuple(Path(self.code.path(layer.code)) for layer in layers if layer is not None),
            variables=(_IN_PLACE if settings.local_path else {}) | (settings.environment or {}),
            timeout_s=settings.timeout_s,
            memory_mb=settings.memory_mb,
            version=version.number,
            endpoint_url=self._endpoint_url,
            revision=self._local.get(settings.local_path or "", settings.code_sha256),
        )

    def _close(self, key: tuple[FunctionName, str]) -> None:
        task = asyncio.create_task(self._pools.pop(key).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _context(header: str | None) -> str:
    """The JSON of X-Amz-Client-Context."""
    if not header:
        return ""
    try:
        return base64.b64decode(header, validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.") from None
