"""The keeper: a small process between the broker and one function's process, so that nothing outlives either of them.

It is run as a script (`python -I -S keeper.py`) and imports nothing of ours. It starts the function in a session of its own,
adopts whatever processes lose their parents below it (PR_SET_CHILD_SUBREAPER), and kills them all when the function's process
ends, when the broker says so, or when the broker is gone: its standard input is a pipe of which the broker holds the other
end, and the kernel closes that end however the broker dies. Should the keeper itself be killed, the kernel kills the
function's process (PR_SET_PDEATHSIG). Both need Linux; elsewhere the function's process group is what is killed.

Standard input: a line with the order's length, the order (see `encode`), then `T` bytes, each of which asks for SIGTERM.
Standard output: lines for the broker: `pid N`, then `peak KB`, and `exit N`, `signal N CORE` or `noexec ERRNO`. Standard error:
the function's output.
"""

import ctypes
import os
import resource
import select
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # the broker decides when it is over


def encode(argv: Sequence[str], variables: dict[str, str], directory: str, data_bytes_max: int) -> bytes:
    """An order: run `argv` with exactly these environment variables in `directory`.

    `data_bytes_max` bounds the private writable memory of each process (RLIMIT_DATA); 0 sets no bound.
    """
    fields = [directory, str(data_bytes_max), str(len(argv)), *argv, *(f"{k}={v}" for k, v in variables.items())]
    order = b"\0".join(os.fsencode(field) for field in fields)
    return b"%d\n%b" % (len(order), order)


class Keeper:
    """Keeps one function's process."""

    def __init__(self, order: bytes) -> None:
        directory, data_bytes_max, count, *rest = order.split(b"\0")
        self._directory = directory
        self._data_bytes_max = int(data_bytes_max)
        self._argv = rest[: int(count)]
        self._variables = dict(variable.split(b"=", 1) for variable in rest[int(count) :])
        self._status = os.dup(1)  # closed by the function's exec
        self._pid = 0
        self._ended: int | None = None
        self._peak = 0
        self._prctl = None
        if sys.platform == "linux":
            self._prctl = ctypes.CDLL(None).prctl
            self._prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]

    def run(self) -> None:
        """Until the function's process and all below it are gone."""
        if self._prctl is not None:
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        own = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._become_the_function(own)
        self._say(f"pid {self._pid}")
        while self._ended is None:
            ready, _, _ = select.select([0, woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if 0 in ready:
                asked = os.read(0, 4096)
                if not asked:
                    break
                self._signal_group(signal.SIGTERM)
        self._kill_all()
        assert self._ended is not None
        self._say(f"peak {self._peak}")
        if os.WIFSIGNALED(self._ended):
            self._say(f"signal {os.WTERMSIG(self._ended)} {int(os.WCOREDUMP(self._ended))}")
        else:
            self._say(f"exit {os.WEXITSTATUS(self._ended)}")

    def _become_the_function(self, keeper: int) -> None:
        """In the child: never returns."""
        failed = 0
        try:
            os.setsid()
            if self._prctl is not None:
                self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != keeper:
                    os._exit(1)
            for number in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if self._data_bytes_max:
                resource.setrlimit(resource.RLIMIT_DATA, (self._data_bytes_max, self._data_bytes_max))
            os.chdir(self._directory)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(2, 1)
            os.execve(self._argv[0], self._argv, self._variables)
        except OSError as error:
            failed = error.errno or 1
        finally:
            os.write(self._status, b"noexec %d\n" % failed)
            os._exit(127)

    def _reap(self) -> None:
        """Take the exit statuses of whoever has ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._ended, self._peak = status, usage.ru_maxrss

    def _kill_all(self) -> None:
        """Orphans become the keeper's children: nobody is left when it has none. Who forks meanwhile is found next time."""
        while True:
            if self._ended is None:
                self._signal_group(signal.SIGKILL)
            for pid in descendants(os.getpid()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass  # it ended meanwhile, or has become another user's
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                return
            if pid == self._pid:
                self._ended, self._peak = status, usage.ru_maxrss

    def _signal_group(self, number: int) -> None:
        """The group outlives its leader for as long as somebody is in it."""
        try:
            os.killpg(self._pid, number)
        except OSError:
            pass

    def _say(self, line: str) -> None:
        try:
            os.write(self._status, line.encode() + b"\n")
        except OSError:
            pass  # the broker is gone


def descendants(root: int) -> list[int]:
    """The processes below `root`, as the kernel lists them (Linux; empty elsewhere)."""
    found: list[int] = []
    parents = [root]
    while parents:
        parent = parents.pop()
        children: list[int] = []
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
                    children += map(int, file.read().split())
        except OSError:
            pass  # it ended meanwhile
        found += children
        parents += children
    return found


def main() -> None:
    """Read the order and carry it out."""
    with os.fdopen(os.dup(0), "rb", buffering=0) as orders:
        size = b""
        while not size.endswith(b"\n"):
            byte = orders.read(1)
            if not byte:
                return
            size += byte
        order = b""
        while len(order) < int(size):
            part = orders.read(int(size) - len(order))
            if not part:
                return
            order += part
    Keeper(order).run()


if __name__ == "__main__":
    main()
    os._exit(0)
