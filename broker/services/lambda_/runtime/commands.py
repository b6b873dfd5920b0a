"""Which command runs a function, by its runtime, and how much memory its process may take."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.services.lambda_.runtime.specs import FunctionSpec

_HERE: Final = Path(__file__).parent
_MB: Final = 1024 * 1024
# What RLIMIT_DATA counts and AWS does not: stacks of threads that are hardly touched (8 MB each), memory that is reserved only.
# Node bounds its heap by itself; the allowance is for its compiler, its threads and its buffers.
_ALLOWANCE_MB: Final = {"python": 64, "nodejs": 512, "provided": 256}
_HEAP_SHARE: Final = 0.9  # of the memory size; Node's own needs are in the rest


class UnsupportedRuntime(ValueError):
    """No command runs functions of this runtime here."""


class InvalidEntrypoint(Exception):
    """The function's package has no executable, or its interpreter is not installed. The text is AWS's."""


@dataclass(frozen=True)
class Interpreters:
    """Where the interpreters are. `awslambdaric`: run Python functions by AWS's runtime interface client where there is one."""

    python: str = sys.executable
    node: str = "node"
    awslambdaric: bool = True


INTERPRETERS: Final = Interpreters()


def command(spec: FunctionSpec, interpreters: Interpreters) -> list[str]:
    """The command that runs `spec`, with an absolute path first. Raises UnsupportedRuntime, InvalidEntrypoint."""
    if spec.family == "python":
        own = [] if interpreters.awslambdaric else ["--own"]
        return [_find(interpreters.python), str(_HERE / "bootstrap_python.py"), *own, spec.handler]
    if spec.family == "nodejs":
        heap = f"--max-old-space-size={max(int(spec.memory_mb * _HEAP_SHARE), 64)}"
        return [_find(interpreters.node), heap, str(_HERE / "bootstrap_node.mjs"), spec.handler]
    if spec.family == "provided":
        return [_bootstrap(spec)]
    raise UnsupportedRuntime(f"functions of the runtime {spec.runtime} cannot be run")


def data_bytes_max(spec: FunctionSpec) -> int:
    """The bound on each process's private writable memory (RLIMIT_DATA).

    RLIMIT_AS would count address space that is only reserved, which Node reserves by the gigabyte; nothing that a user without
    privileges may set bounds resident memory. A Python function beyond its bound gets a MemoryError, Node ends with `heap out of
    memory`; on AWS both are killed.
    """
    return (spec.memory_mb + _ALLOWANCE_MB.get(spec.family, 0)) * _MB


def _find(interpreter: str) -> str:
    found = shutil.which(interpreter)
    if found is None:
        raise InvalidEntrypoint(f"Couldn't find an interpreter: [{interpreter}]")
    return os.path.abspath(found)


def _bootstrap(spec: FunctionSpec) -> str:
    directories = [spec.code_directory, *reversed(spec.layer_directories)]
    candidates = [str(directory.absolute() / "bootstrap") for directory in directories]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise InvalidEntrypoint(f"Couldn't find valid bootstrap(s): [{' '.join(candidates)}]")
