"""Servers as processes of their own: started, watched, stopped."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


class ServerProcess:
    """A module run as a server. `ready_s` is the time from the start of the process to its ready line."""

    def __init__(self, module: str, *arguments: str) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", module, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready_s = time.monotonic() - began
        assert line.endswith("Ready.\n"), "the broker did not start"
        self.url = line.split(" on ")[1].split(",")[0]
        self.resident_mb_max = 0.0
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def resident_mb(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def cpu_s(self) -> float:
        """Processor time so far, of all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(self.process.terminate)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._end(self.process.kill)

    def _end(self, how: Callable[[], None]) -> None:
        self._stopped.set()
        self._watcher.join()
        how()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _watch(self) -> None:
        while not self._stopped.wait(0.1):
            self.resident_mb_max = max(self.resident_mb_max, self.resident_mb())


class BrokerProcess(ServerProcess):
    """`pombo serve` on a free port."""

    def __init__(self, data: str, *flags: str) -> None:
        super().__init__("broker.cli", "serve", "--port", "0", "--data", data, *flags)
