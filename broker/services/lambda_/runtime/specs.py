"""What an execution environment is made from, and the environment variables that follow from it.

Source: Lambda Developer Guide, "Working with environment variables" (defined runtime environment variables) and "Managing
Lambda dependencies with layers".
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LATEST: Final = "$LATEST"
_INHERITED: Final = ("HOME", "TMPDIR")  # of the broker's own variables; a function gets no others
_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class FunctionSpec:
    """One version of a function. Two that are equal may share environments; `revision` tells different code apart.

    `layer_directories` are the unpacked layers in the order in which the function names them: the last one comes first.
    """

    name: str
    arn: str  # of the function; an invocation may name a version or an alias
    runtime: str
    handler: str
    code_directory: Path
    layer_directories: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)  # the function's own
    timeout_s: float = 3.0
    memory_mb: int = 128
    version: str = LATEST
    endpoint_url: str = ""  # the broker's; empty: none is set
    revision: str = ""

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def log_group(self) -> str:
        return f"/aws/lambda/{self.name}"

    @property
    def family(self) -> str:
        """`python`, `nodejs` or `provided`, or whatever else the runtime is called without its version."""
        return self.runtime.rstrip("0123456789.x").partition(".")[0]


def environment_variables(spec: FunctionSpec, log_stream: str, runtime_api: str) -> dict[str, str]:
    """All environment variables of a function's process. `runtime_api`: HOST:PORT.

    The function's own variables override what AWS lets them override; in lists of directories they come first.
    """
    code, layers = spec.code_directory, [str(layer) for layer in reversed(spec.layer_directories)]
    settings = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    settings |= {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_RUNTIME_DIR": str(Path(__file__).parent),
    }
    if spec.endpoint_url:
        settings["AWS_ENDPOINT_URL"] = spec.endpoint_url
    settings |= spec.variables
    lists = {
        "PATH": [*(f"{layer}/bin" for layer in layers), os.environ.get("PATH") or _SYSTEM_PATH],
        "LD_LIBRARY_PATH": [str(code), f"{code}/lib", *(f"{layer}/lib" for layer in layers)],
    }
    if spec.family == "python":
        lists["PYTHONPATH"] = [d for layer in layers for d in _python_directories(layer, spec.runtime)]
    elif spec.family == "nodejs":
        lists["NODE_PATH"] = [d for layer in layers for d in _node_directories(layer, spec.runtime)]
    for name, directories in lists.items():
        own = spec.variables.get(name)
        joined = ":".join([own, *directories] if own else directories)
        if joined:
            settings[name] = joined
    return settings | {
        "_HANDLER": spec.handler,
        "AWS_ACCESS_KEY_ID": spec.account,
        "AWS_SECRET_ACCESS_KEY": "pombo",
        "AWS_SESSION_TOKEN": "pombo",
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(code),
    }


def _python_directories(layer: str, runtime: str) -> list[str]:
    return [f"{layer}/python", f"{layer}/python/lib/{runtime}/site-packages"]


def _node_directories(layer: str, runtime: str) -> list[str]:
    major = runtime.removeprefix("nodejs").removesuffix(".x")
    return [f"{layer}/nodejs/node{major}/node_modules", f"{layer}/nodejs/node_modules"]
