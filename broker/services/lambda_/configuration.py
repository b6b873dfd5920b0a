"""A version's configuration: what a request may ask for, and how it is shown.

Source: Lambda API Reference, CreateFunction, UpdateFunctionConfiguration and FunctionConfiguration.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from broker.services.lambda_.errors import InvalidParameterValue, ValidationException
from broker.services.lambda_.function import FunctionRecord, Settings, Version
from broker.services.lambda_.names import LATEST

TIMEOUT_S_MAX: Final = 900
MEMORY_MB: Final = range(128, 10_241)
_ENVIRONMENT_BYTES_MAX: Final = 4_096
_LAYERS_MAX: Final = 5
_RUNTIME: Final = re.compile(r"(?:python3\.\d{1,2}|nodejs(?:\d{2})\.x|provided(?:\.al2|\.al2023)?)")
_HANDLER: Final = re.compile(r"\S{1,128}")
_ROLE: Final = re.compile(r"arn:(?:aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_VARIABLE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_LAYER: Final = re.compile(r"arn:aws:lambda:[a-z0-9-]+:\d{12}:layer:[A-Za-z0-9_-]{1,140}:\d+")
_RESERVED: Final = frozenset(
    {
        "_HANDLER",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
# Kept and returned as they were given; they have no effect on a process of this machine.
_KEPT: Final = ("VpcConfig", "FileSystemConfigs", "ImageConfig", "SnapStart", "LoggingConfig", "KMSKeyArn")


class Environment(msgspec.Struct, rename="pascal"):
    variables: dict[str, str] | None = None


class DeadLetterConfig(msgspec.Struct, rename="pascal"):
    target_arn: str | None = None


class TracingConfig(msgspec.Struct, rename="pascal"):
    mode: str | None = None


class EphemeralStorage(msgspec.Struct, rename="pascal"):
    size: int


class ShownLayer(msgspec.Struct, rename="pascal"):
    arn: str
    code_size: int = 0


class Asked(msgspec.Struct, rename="pascal", kw_only=True):
    """What requests for a configuration have in common. None: as it is, or the default."""

    runtime: str | None = None
    role: str | None = None
    handler: str | None = None
    description: str | None = None
    timeout: int | None = None
    memory_size: int | None = None
    environment: Environment | None = None
    dead_letter_config: DeadLetterConfig | None = None
    tracing_config: TracingConfig | None = None
    layers: list[str] | None = None
    ephemeral_storage: EphemeralStorage | None = None
    vpc_config: dict[str, Any] | None = None
    file_system_configs: list[Any] | None = None
    image_config: dict[str, Any] | None = None
    snap_start: dict[str, Any] | None = None
    logging_config: dict[str, Any] | None = None
    kms_key_arn: str | None = msgspec.field(default=None, name="KMSKeyArn")


class FunctionConfiguration(msgspec.Struct, rename="pascal", kw_only=True, omit_defaults=True):
    """A version as it is shown. A function is active at once: its first environment is made when it is first invoked."""

    function_name: str
    function_arn: str
    runtime: str
    role: str
    handler: str
    code_size: int
    description: str | msgspec.UnsetType = msgspec.UNSET
    timeout: int
    memory_size: int
    last_modified: str
    code_sha256: str
    version: str
    dead_letter_config: DeadLetterConfig | msgspec.UnsetType = msgspec.UNSET
    environment: Environment | msgspec.UnsetType = msgspec.UNSET
    tracing_config: TracingConfig | msgspec.UnsetType = msgspec.UNSET
    revision_id: str
    layers: list[ShownLayer] | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    last_update_status: str | msgspec.UnsetType = msgspec.UNSET
    package_type: str | msgspec.UnsetType = msgspec.UNSET
    architectures: list[str] | msgspec.UnsetType = msgspec.UNSET
    ephemeral_storage: EphemeralStorage | msgspec.UnsetType = msgspec.UNSET
    vpc_config: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    file_system_configs: list[Any] | msgspec.UnsetType = msgspec.UNSET
    snap_start: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    logging_config: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    kms_key_arn: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="KMSKeyArn")


def merged(asked: Asked, current: Settings) -> Settings:
    """The settings with what is asked for. Raises ValidationException, InvalidParameterValue."""
    changes: dict[str, Any] = {}
    if asked.runtime is not None:
        if not _RUNTIME.fullmatch(asked.runtime):
            raise InvalidParameterValue(
                f"Value {asked.runtime[:100]} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
                "[python3.x, nodejsNN.x, provided, provided.al2, provided.al2023] or be a valid ARN"
            )
        changes["runtime"] = asked.runtime
    if asked.role is not None:
        _check("role", asked.role, _ROLE)
        changes["role"] = asked.role
    if asked.handler is not None:
        _check("handler", asked.handler, _HANDLER)
        changes["handler"] = asked.handler
    if asked.description is not None:
        if len(asked.description) > 256:
            raise ValidationException("description", "'…'", "Member must have length less than or equal to 256")
        changes["description"] = asked.description
    if asked.timeout is not None:
        _check_number("timeout", asked.timeout, range(1, TIMEOUT_S_MAX + 1))
        changes["timeout_s"] = asked.timeout
    if asked.memory_size is not None:
        _check_number("memorySize", asked.memory_size, MEMORY_MB)
        changes["memory_mb"] = asked.memory_size
    if asked.environment is not None:
        changes["environment"] = _environment(asked.environment.variables or {})
    if asked.dead_letter_config is not None:
        changes["dead_letter_arn"] = _dead_letter_arn(asked.dead_letter_config.target_arn)
    if asked.tracing_config is not None and asked.tracing_config.mode is not None:
        if asked.tracing_config.mode not in ("Active", "PassThrough"):
            raise ValidationException(
                "tracingConfig.mode",
                f"'{asked.tracing_config.mode[:50]}'",
                "Member must satisfy enum value set: [Active, PassThrough]",
            )
        changes["tracing"] = asked.tracing_config.mode
    if asked.layers is not None:
        changes["layers"] = _layers(asked.layers)
    if asked.ephemeral_storage is not None:
        _check_number("ephemeralStorage.size", asked.ephemeral_storage.size, range(512, 10_241))
        changes["ephemeral_mb"] = asked.ephemeral_storage.size
    given = (
        asked.vpc_config,
        asked.file_system_configs,
        asked.image_config,
        asked.snap_start,
        asked.logging_config,
        asked.kms_key_arn,
    )
    kept = current.kept | {name: value for name, value in zip(_KEPT, given, strict=True) if value is not None}
    return msgspec.structs.replace(current, kept=kept, **changes)


def shown(function: FunctionRecord, version: Version, *, qualified: bool = False) -> FunctionConfiguration:
    """A version's configuration. `qualified`: with the version in its ARN, as numbered ones always have it."""
    settings = version.settings
    arn = function.name.arn
    if qualified or version.number != LATEST:
        arn = f"{arn}:{version.number}"
    kept: Mapping[str, Any] = settings.kept
    return FunctionConfiguration(
        function_name=function.name.name,
        function_arn=arn,
        runtime=settings.runtime,
        role=settings.role,
        handler=settings.handler,
        code_size=settings.code_size,
        description=settings.description,
        timeout=settings.timeout_s,
        memory_size=settings.memory_mb,
        last_modified=time_text(version.modified_at_ms),
        code_sha256=settings.code_sha256,
        version=version.number,
        dead_letter_config=DeadLetterConfig(settings.dead_letter_arn) if settings.dead_letter_arn else msgspec.UNSET,
        environment=msgspec.UNSET if settings.environment is None else Environment(settings.environment),
        tracing_config=TracingConfig(settings.tracing),
        revision_id=version.revision_id,
        layers=[ShownLayer(layer) for layer in settings.layers] or msgspec.UNSET,
        state="Active",
        last_update_status="Successful",
        package_type="Zip",
        architectures=list(settings.architectures),
        ephemeral_storage=EphemeralStorage(settings.ephemeral_mb),
        vpc_config=kept.get("VpcConfig", msgspec.UNSET),
        file_system_configs=kept.get("FileSystemConfigs", msgspec.UNSET),
        snap_start=kept.get("SnapStart", {"ApplyOn": "None", "OptimizationStatus": "Off"}),
        logging_config=kept.get(
            "LoggingConfig", {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.name.name}"}
        ),
        kms_key_arn=kept.get("KMSKeyArn", msgspec.UNSET),
    )


def time_text(at_ms: int) -> str:
    """A time as LastModified has it: 2019-09-24T18:20:35.054+0000."""
    return f"{datetime.fromtimestamp(at_ms // 1_000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1_000:03}+0000"


def _check(member: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(value):
        raise ValidationException(
            member, f"'{value[:200]}'", f"Member must satisfy regular expression pattern: {pattern.pattern}"
        )


def _check_number(member: str, value: int, allowed: range) -> None:
    if value > allowed[-1]:
        raise ValidationException(member, f"'{value}'", f"Member must have value less than or equal to {allowed[-1]}")
    if value < allowed[0]:
        raise ValidationException(member, f"'{value}'", f"Member must have value greater than or equal to {allowed[0]}")


def _environment(variables: dict[str, str]) -> dict[str, str] | None:
    reserved = sorted(_RESERVED & set(variables))
    if reserved:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: "
            f"{', '.join(reserved)}"
        )
    for name in variables:
        _check("environment.variables", name, _VARIABLE)
    size = sum(len(n.encode()) + len(v.encode()) for n, v in variables.items())
    if size > _ENVIRONMENT_BYTES_MAX:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            f"exceeded the {_ENVIRONMENT_BYTES_MAX // 1024}KB limit."
        )
    return variables


def _dead_letter_arn(arn: str | None) -> str | None:
    if not arn:
        return None
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] not in ("sqs", "sns") or not all(parts[3:]):
        raise InvalidParameterValue(f"The provided DeadLetterConfig target ARN is not valid: {arn[:200]}")
    return arn


def _layers(arns: list[str]) -> tuple[str, ...]:
    if len(arns) > _LAYERS_MAX:
        raise InvalidParameterValue(f"The number of layers must be less than or equal to {_LAYERS_MAX}")
    for arn in arns:
        _check("layers", arn, _LAYER)
    return tuple(arns)
