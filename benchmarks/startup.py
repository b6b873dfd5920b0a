"""How soon a broker is ready on an empty directory, and its footprint: `python -m benchmarks.startup [--starts 11]`.

From the start of the process to its ready line, and resident memory after a second without requests: medians. Exit code 1 if a
bound is broken. The modules' bytecode is there, as after any installation: it is written first where it is not.
"""

import argparse
import compileall
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READY_MS_MAX = 300.0
RESIDENT_MB_MAX = 60.0
_IDLE_S = 1.0
_CHECKOUT = Path(__file__).parent.parent


def start(data: str) -> tuple[float, float]:
    """(milliseconds to the ready line, MB resident when idle) of one broker."""
    command = [sys.executable, "-m", "broker.cli", "serve", "--port", "0", "--data", data]
    began_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_CHECKOUT) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready_s = time.perf_counter() - began_s
            assert line.endswith("Ready.\n"), "the broker did not start"
            time.sleep(_IDLE_S)
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.send_signal(signal.SIGTERM)
    resident_kb = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS"))
    return ready_s * 1000, resident_kb / 1024


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--starts", type=int, default=11)
    starts = parser.parse_args().starts
    compileall.compile_dir(_CHECKOUT / "broker", quiet=1)
    with tempfile.TemporaryDirectory(prefix="pombo-startup-") as scratch:
        figures = [start(str(Path(scratch, str(number)))) for number in range(starts)]
    taken_ms, resident_mb = zip(*figures, strict=True)
    held = True
    for what, measured, bound, unit in (
        ("ready after", taken_ms, READY_MS_MAX, "ms"),
        ("resident when idle", resident_mb, RESIDENT_MB_MAX, "MB"),
    ):
        median = statistics.median(measured)
        holds = median < bound
        held = held and holds
        print(
            f"{'PASS' if holds else 'FAIL'}  {what}: {median:.0f} {unit}"
            f" ({min(measured):.0f} to {max(measured):.0f} in {starts} starts; bound: {bound:.0f} {unit})"
        )
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
