"""A function: the records that the store keeps of it, its versions and its aliases."""

from typing import Any, Final

import msgspec

from broker.services.lambda_.names import LATEST, FunctionName

DEFAULT_TIMEOUT_S: Final = 3
DEFAULT_MEMORY_MB: Final = 128


class Settings(msgspec.Struct, frozen=True):
    """What a version of a function is run with."""

    runtime: str
    role: str
    handler: str
    code: str  # the code's directory in the code store; "": `local_path`
    code_sha256: str  # base64
    code_size: int
    description: str = ""
    timeout_s: int = DEFAULT_TIMEOUT_S
    memory_mb: int = DEFAULT_MEMORY_MB
    environment: dict[str, str] | None = None
    layers: tuple[str, ...] = ()  # ARNs of layer versions
    dead_letter_arn: str | None = None
    tracing: str = "PassThrough"
    architectures: tuple[str, ...] = ("x86_64",)
    ephemeral_mb: int = 512
    local_path: str | None = None  # a directory on disk, run where it is
    kept: dict[str, Any] = {}  # what is returned as it was given: VpcConfig, LoggingConfig and the like


class Version(msgspec.Struct):
    """A version: the newest code ("$LATEST"), or a numbered one that never changes."""

    number: str
    settings: Settings
    revision_id: str
    modified_at_ms: int
    event_invoke: dict[str, Any] | None = None


class Alias(msgspec.Struct):
    """A name for a version, or for two with weights."""

    name: str
    version: str
    revision_id: str
    description: str = ""
    weights: dict[str, float] = {}  # of the additional version
    event_invoke: dict[str, Any] | None = None


class FunctionRecord(msgspec.Struct):
    """All that the store keeps of a function, in one record."""

    name: FunctionName
    versions: dict[str, Version]  # "$LATEST" first
    aliases: dict[str, Alias]
    tags: dict[str, str]
    next_version: int = 1
    reserved_concurrency: int | None = None
    policies: dict[str, list[dict[str, Any]]] = {}  # statements by qualifier; "" : the function's
    policy_revision_id: str = ""

    @property
    def latest(self) -> Version:
        return self.versions[LATEST]
