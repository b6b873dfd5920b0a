"""A function's process, by way of its keeper: start it, signal it, learn how it ended. Nothing it started outlives it."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from broker.services.lambda_.runtime import invocation, keeper
from broker.services.lambda_.runtime.invocation import Failure

_KEEPER: Final = [sys.executable, "-I", "-S", keeper.__file__]
_RESIDENT: Final = re.compile(rb"VmHWM:\s+(\d+) kB")
_KILL_S: Final = 1.5  # until a killed process must be gone
_log = logging.getLogger("pombo.lambda")


class Process:
    """One process tree. Made on the event loop, on which it blocks for the millisecond or two that starting the keeper takes."""

    def __init__(
        self,
        argv: Sequence[str],
        variables: dict[str, str],
        directory: str,
        data_bytes_max: int,
        on_end: Callable[[Failure], None],
    ) -> None:
        self._argv = argv
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        output, output_end = os.pipe()
        try:
            self._keeper = subprocess.Popen(
                _KEEPER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output_end,
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(output_end)
        self.output = output  # whoever reads it, closes it
        assert self._keeper.stdin is not None and self._keeper.stdout is not None
        self._orders = self._keeper.stdin
        self._status = self._keeper.stdout
        self._said = b""
        self._pid = 0
        self.ended: asyncio.Future[Failure] = self._loop.create_future()
        os.set_blocking(self._status.fileno(), False)
        self._loop.add_reader(self._status.fileno(), self._hear)
        self._order(keeper.encode(argv, variables, directory, data_bytes_max))

    def terminate(self) -> None:
        """Ask the function's process group to end."""
        self._order(b"T")

    def kill(self) -> None:
        """End all that there is of it."""
        if not self._orders.closed:
            self._orders.close()

    async def stop(self, grace_s: float) -> None:
        """End it, after SIGTERM and `grace_s` seconds by SIGKILL, and wait until it is gone."""
        if grace_s > 0 and not self.ended.done():
            self.terminate()
            await asyncio.wait([self.ended], timeout=grace_s)
        self.kill()
        if not self.ended.done():
            await asyncio.wait([self.ended], timeout=_KILL_S)
        if not self.ended.done():
            _log.error("a function's process (%d) does not end after SIGKILL: %s", self._pid, self._argv)

    def peak_memory_mb(self) -> int:
        """The most memory that the function's process has had resident, in MB begun; 0 where it cannot be told."""
        found = re.search(rb"^peak (\d+)$", self._said, re.MULTILINE)
        if found is None:
            try:
                status = os.open(f"/proc/{self._pid}/status", os.O_RDONLY)
            except OSError:
                return 0
            try:
                found = _RESIDENT.search(os.read(status, 4096))
            finally:
                os.close(status)
        return 0 if found is None else -(-int(found[1]) // 1024)

    def _order(self, order: bytes) -> None:
        if self._orders.closed:
            return
        try:
            left = memoryview(order)
            while left:
                left = left[self._orders.write(left) :]
        except BrokenPipeError:
            pass  # the keeper is gone, which its status says too

    def _hear(self) -> None:
        """What the keeper says, until it is gone."""
        try:
            said = os.read(self._status.fileno(), 4096)
        except BlockingIOError:
            return
        if said:
            self._said += said
            started = re.match(rb"pid (\d+)\n", self._said)
            if started is not None:
                self._pid = int(started[1])
            return
        self._loop.remove_reader(self._status.fileno())
        self._status.close()
        self.kill()
        self._keeper.wait()  # it closed its end by exiting
        failure = self._how_it_ended()
        self.ended.set_result(failure)
        self._on_end(failure)

    def _how_it_ended(self) -> Failure:
        if found := re.search(rb"^noexec (\d+)$", self._said, re.MULTILINE):
            reason = os.strerror(int(found[1])).lower()
            return Failure("Runtime.InvalidEntrypoint", f"fork/exec {self._argv[0]}: {reason}")
        if found := re.search(rb"^exit (\d+)$", self._said, re.MULTILINE):
            return invocation.exited(int(found[1]))
        if found := re.search(rb"^signal (\d+) (\d)$", self._said, re.MULTILINE):
            return invocation.killed(int(found[1]), found[2] == b"1")
        # The keeper was killed, and the kernel killed the function with it; what else is in its group is left.
        if self._pid:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except OSError:
                pass
        return invocation.killed(signal.SIGKILL)
