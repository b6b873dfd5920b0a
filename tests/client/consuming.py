"""`pombo consume` as a process, and what it says."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_LINE_S = 20  # until a process that says nothing is killed, which ends the reading


class Consuming:
    """A process, and what it says on both of its streams, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def says(self, part: str) -> str:
        """The next line with `part` in it."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(_LINE_S, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line)
                if part in line:
                    return line
        finally:
            watchdog.cancel()
        raise AssertionError(f"it ended without {part!r}: {''.join(self.lines)}")

    def ends(self) -> int:
        """The exit code; what it still says is in `lines`."""
        said, _ = self.process.communicate(timeout=_LINE_S)
        self.lines += said.splitlines(keepends=True)
        return self.process.returncode


@contextmanager
def consuming(directory: Path, *arguments: str, **environment: str) -> Iterator[Consuming]:
    process = subprocess.Popen(
        [sys.executable, "-m", "broker.cli", "consume", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        process_group=0,  # as a shell does
        env=clean_environment() | environment,
    )
    try:
        yield Consuming(process)
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (kept.get("PYTHONPATH"), str(ROOT))))}
