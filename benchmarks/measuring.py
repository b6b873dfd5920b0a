"""The other end of a load generator's pipe: starts one for a job, and reads what the server uses in each phase."""

import subprocess
import sys
from typing import Any, Protocol

import msgspec
import orjson

from benchmarks.figures import Measured
from benchmarks.generator import Job


class Server(Protocol):
    """What is measured."""

    url: str

    def cpu_s(self) -> float:
        """Processor time so far."""
        ...

    def resident_mb(self) -> float:
        """Resident memory now."""
        ...


def run(server: Server, job: Job) -> list[Measured]:
    """What each phase of a job came to. A job that broke has a last one that says why."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    found: list[Measured] = []
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
        while line := process.stdout.readline():
            said: dict[str, Any] = orjson.loads(line)
            if "ready" in said:
                before_s = server.cpu_s()
                process.stdin.write(b"go\n")
                process.stdin.flush()
            elif "broken" in said:
                found.append(Measured(failed=said["broken"]))
            elif "account" in said:
                found[-1].account = said["account"]
            else:
                found.append(_measured(said, server.cpu_s() - before_s, server.resident_mb()))
        if not found or process.wait(30):
            found.append(Measured(failed="the load generator ended early"))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    return found


def _measured(said: dict[str, Any], cpu_s: float, resident_mb: float) -> Measured:
    requests = said["replies"]
    return Measured(
        rate=said["done"] / said["seconds"],
        cpu_us=cpu_s / requests * 1e6 if requests else 0.0,
        resident_mb=resident_mb,
        requests=requests,
        latency_ms=said["latency_ms"],
        generator_share=said["generator_cpu_s"] / said["seconds"],
    )
