"""A look at which processes are there."""

import os
from pathlib import Path


def with_variable(variable: str) -> list[int]:
    """The processes that have `variable` (NAME=VALUE) among their environment variables."""
    wanted = variable.encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                environ = Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            if wanted in environ.split(b"\0"):
                found.append(int(name))
    return found
