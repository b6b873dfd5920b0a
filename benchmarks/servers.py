"""Servers as processes of their own: started, watched, stopped. It owns what is read of a process: time used and memory."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TICKS_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)


class Process:
    """A running server: its address, and what it and its children use."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, ready_s: float) -> None:
        self.process = process
        self.url = url
        self.ready_s = ready_s  # from the start of the process until it was ready

    def resident_mb(self) -> float:
        """Resident memory now, of the process and its children."""
        return sum(_resident_mb(pid) for pid in tree(self.process.pid))

    def cpu_s(self) -> float:
        """Processor time so far, of all threads of the process and its children."""
        stats = [_stat(pid) for pid in tree(self.process.pid)]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / _TICKS_S

    def stop(self) -> None:
        """SIGTERM, and wait; SIGKILL if that does not end it."""
        self._end(self.process.terminate)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._end(self.process.kill)

    def _end(self, how: Callable[[], None]) -> None:
        how()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


class ServerProcess(Process):
    """A module run as a server, which says in one line where it is and that it is ready. Its memory is watched."""

    def __init__(self, module: str, *arguments: str) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.endswith("Ready.\n"), f"{module} did not start"
        super().__init__(process, line.split(" on ")[1].split(",")[0], time.monotonic() - began)
        self.resident_mb_max = 0.0
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _end(self, how: Callable[[], None]) -> None:
        self._stopped.set()
        self._watcher.join()
        super()._end(how)

    def _watch(self) -> None:
        while not self._stopped.wait(0.1):
            self.resident_mb_max = max(self.resident_mb_max, _resident_mb(self.process.pid))


class BrokerProcess(ServerProcess):
    """`pombo serve` on a free port."""

    def __init__(self, data: str, *flags: str) -> None:
        super().__init__("broker.cli", "serve", "--port", "0", "--data", data, *flags)


class ForeignProcess(Process):
    """A server that is not ours, on a port that we choose; `log` takes what it prints. Raises DidNotStart."""

    def __init__(
        self, command: Sequence[str], port: int, log: Path, ready: Callable[[str], bool], environment: Mapping[str, str]
    ) -> None:
        began = time.monotonic()
        with log.open("w") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
            )
        super().__init__(process, f"http://127.0.0.1:{port}", 0.0)
        while not ready(self.url):
            if process.poll() is not None or time.monotonic() - began > 60:
                self.kill()
                raise DidNotStart(f"it did not start: {log.read_text()[-300:].strip() or 'it said nothing'}")
            time.sleep(0.02)
        self.ready_s = time.monotonic() - began


class DidNotStart(Exception):
    """Why."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
