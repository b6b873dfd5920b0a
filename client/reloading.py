"""`--reload`: a process that runs its own command in a child, and starts the child anew when code changes.

The parent imports nothing of the developer's, so nothing that is broken there ends it. Terminals signal parent and child alike;
the child leaves SIGINT to the parent, which passes it on as SIGTERM, so that one Ctrl-C counts once. The child holds the reading
end of a pipe: when that ends, so has the parent, however it came about.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from client.stopping import MARGIN_S

FLAG: Final = "--reload"
_PIPE: Final = "POMBO_RELOAD_PIPE"
_ORPHAN_S: Final = 5.0  # what a child's handlers may still take when the parent has been killed


class CannotReload(Exception):
    """Files cannot be watched; the text says why."""


def own_command() -> list[str]:
    """The command that started this process, without --reload."""
    return [sys.executable, *(argument for argument in sys.orig_argv[1:] if argument != FLAG)]


def reload(command: Sequence[str], directory: Path, stop_within_s: float, say: Callable[[str], None]) -> int:
    """Run `command` until SIGTERM or SIGINT, or until it ends with 0, anew whenever a Python file below `directory` changes.

    A command that fails is run again after the next change. Returns its last exit code. Raises CannotReload.
    """
    return asyncio.run(_Parent(command, directory, stop_within_s, say).run())


def follow_parent() -> bool:
    """In a child of `reload`: leave SIGINT to the parent and end when it has ended. Returns whether this is one."""
    pipe = os.environ.pop(_PIPE, None)
    if pipe is None:
        return False
    sys.dont_write_bytecode = True  # its time stamps have seconds: a file saved twice in one would run as it was before
    signal.signal(signal.SIGINT, _pass)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_end_with_parent, args=(int(pipe),), name="pombo-parent", daemon=True).start()
    return True


def _pass(number: int, frame: FrameType | None) -> None:
    """A handler, for programs that the child starts would inherit SIG_IGN."""


def _end_with_parent(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_ORPHAN_S)
    os._exit(1)


class _Parent:
    def __init__(
        self, command: Sequence[str], directory: Path, stop_within_s: float, say: Callable[[str], None]
    ) -> None:
        self._command = command
        self._directory = directory
        self._end_within_s = stop_within_s + MARGIN_S
        self._say = say
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = 0  # how often the child was told to end
        self._pipe, self._pipe_kept = os.pipe()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        watching = asyncio.create_task(self._watch(_changes(self._directory)))
        await asyncio.sleep(0)  # so that it watches before the child reads a file
        try:
            if watching.done():
                await watching
            return await self._run(watching)
        finally:
            watching.cancel()
            if self._child is not None:
                self._child.kill()
                self._child.wait()
            os.close(self._pipe)
            os.close(self._pipe_kept)

    async def _run(self, watching: asyncio.Task[None]) -> int:
        while True:
            self._changed.clear()
            ended = self._start()
            await _first(ended, self._changed.wait(), self._stopping.wait(), watching)
            if not ended.done() and not self._asked:
                self._ask()
            code = await self._end(ended)
            if watching.done():
                await watching
            if self._stopping.is_set() or (code == 0 and not self._changed.is_set()):
                return code
            if not self._changed.is_set():
                self._say(f"ended with exit code {code}; waiting for a change of code")
                await _first(self._changed.wait(), self._stopping.wait(), watching)
                if self._stopping.is_set():
                    return code

    def _start(self) -> asyncio.Future[int]:
        """Start a child; the future has its exit code, negative for a signal."""
        self._asked = 0
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until the child has its own handler
        try:
            self._child = subprocess.Popen(
                self._command, pass_fds=[self._pipe], env=os.environ | {_PIPE: str(self._pipe)}
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return asyncio.ensure_future(asyncio.to_thread(self._child.wait))

    async def _end(self, ended: asyncio.Future[int]) -> int:
        """Wait for the child, and kill it when its time is over."""
        assert self._child is not None
        await asyncio.wait([ended], timeout=self._end_within_s)
        if not ended.done():
            self._child.kill()
        code = await ended
        self._child = None
        if code == -signal.SIGTERM and self._asked:
            return 0  # it was told to end before it could listen
        return code if code >= 0 else 128 - code

    def _on_signal(self) -> None:
        self._stopping.set()
        if self._child is not None:
            self._ask()

    def _ask(self) -> None:
        """Tell the child to end: gracefully, then at once, then it is not asked any more."""
        assert self._child is not None
        self._asked += 1
        if self._asked <= 2:
            self._child.terminate()
        else:
            self._child.kill()

    async def _watch(self, changes: AsyncIterator[set[str]]) -> None:
        async for paths in changes:
            names = sorted(path.removeprefix(f"{self._directory}{os.sep}") for path in paths)
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self._say(f"{names[0]}{others} changed; starting again")
            self._changed.set()


async def _changes(directory: Path) -> AsyncIterator[set[str]]:
    """The paths of Python files that change below `directory`, as often as they do. Raises CannotReload."""
    try:
        import watchfiles
    except ImportError:
        raise CannotReload(f"{FLAG} needs watchfiles, which is missing: pip install 'pombo[reload]'") from None
    try:
        async for changes in watchfiles.awatch(directory, watch_filter=watchfiles.PythonFilter()):
            yield {path for _, path in changes}
    except OSError as error:
        raise CannotReload(f"{directory} cannot be watched: {error}") from error


async def _first(*waited: Any) -> None:
    """Return when one of them is done; those that were made for this are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in waited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, one in zip(tasks, waited, strict=True):
        if task is not one:
            task.cancel()
