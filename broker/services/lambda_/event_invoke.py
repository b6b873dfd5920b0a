"""Put-, Update-, Get-, Delete- and ListFunctionEventInvokeConfig: how asynchronous invocations are retried, and who is told."""

from typing import Annotated, Any, Final

import msgspec

from broker.services.context import Call
from broker.services.lambda_.errors import InvalidParameterValue, ResourceNotFound, ValidationException
from broker.services.lambda_.function import Alias, Version
from broker.services.lambda_.functions import Name, Qualifier
from broker.services.lambda_.names import LATEST, Target, read_target
from broker.services.lambda_.paging import check_max_items
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions
from broker.services.operation import At, Http

_PATH: Final = "/2019-09-25/functions/{FunctionName}/event-invoke-config"
_ATTEMPTS: Final = range(3)
_AGE_S: Final = range(60, 21_601)
_SERVICES: Final = {
    "OnSuccess": ("sqs", "sns", "lambda", "events"),
    "OnFailure": ("sqs", "sns", "lambda", "events", "s3"),
}


class Destination(msgspec.Struct, rename="pascal"):
    destination: str | None = None


class DestinationConfig(msgspec.Struct, rename="pascal"):
    on_success: Destination | None = None
    on_failure: Destination | None = None


class ConfigRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    qualifier: Qualifier = None
    maximum_retry_attempts: int | None = None
    maximum_event_age_in_seconds: int | None = None
    destination_config: DestinationConfig | None = None


class Config(msgspec.Struct, rename="pascal", kw_only=True):
    last_modified: float  # seconds since the epoch
    function_arn: str
    maximum_retry_attempts: int | msgspec.UnsetType = msgspec.UNSET
    maximum_event_age_in_seconds: int | msgspec.UnsetType = msgspec.UNSET
    destination_config: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("PutFunctionEventInvokeConfig", ConfigRequest, Config, http=Http("PUT", _PATH))
async def put_config(call: Call, request: ConfigRequest) -> Config:
    """Replace the configuration of a function, version or alias."""
    return await call.runtime.call(_write, call, request, False)


@SERVICE.operation("UpdateFunctionEventInvokeConfig", ConfigRequest, Config, http=Http("POST", _PATH))
async def update_config(call: Call, request: ConfigRequest) -> Config:
    """Change what is given of it."""
    return await call.runtime.call(_write, call, request, True)


class TargetRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    qualifier: Qualifier = None


@SERVICE.operation("GetFunctionEventInvokeConfig", TargetRequest, Config, http=Http("GET", _PATH))
async def get_config(call: Call, request: TargetRequest) -> Config:
    """The configuration as it is."""
    target = read_target(call, request.function_name, request.qualifier)
    return await call.runtime.call(lambda: _shown(target, _existing(call, target)))


@SERVICE.operation("DeleteFunctionEventInvokeConfig", TargetRequest, http=Http("DELETE", _PATH, 204))
async def delete_config(call: Call, request: TargetRequest) -> None:
    """AWS's defaults hold again."""
    target = read_target(call, request.function_name, request.qualifier)
    await call.runtime.call(_delete, call, target)


class ListRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListResult(msgspec.Struct, rename="pascal", kw_only=True):
    function_event_invoke_configs: list[Config]


@SERVICE.operation("ListFunctionEventInvokeConfigs", ListRequest, ListResult, http=Http("GET", f"{_PATH}/list"))
async def list_configs(call: Call, request: ListRequest) -> ListResult:
    """Those of a function, its versions and its aliases."""
    check_max_items(request.max_items)
    target = read_target(call, request.function_name)
    function = await call.runtime.call(call.runtime.part(Functions).find, target.function)
    held: list[tuple[str, dict[str, Any]]] = [
        *((v.number, v.event_invoke) for v in function.versions.values() if v.event_invoke is not None),
        *((a.name, a.event_invoke) for a in function.aliases.values() if a.event_invoke is not None),
    ]
    return ListResult(
        function_event_invoke_configs=[_shown(Target(function.name, qualifier), config) for qualifier, config in held]
    )


def _holder(call: Call, target: Target) -> Version | Alias:
    """What the configuration belongs to. Raises ResourceNotFound."""
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    qualifier = target.qualifier or LATEST
    holder = function.aliases.get(qualifier) or function.versions.get(qualifier)
    if holder is None:
        raise ResourceNotFound(f"Function not found: {target.arn}")
    return holder


def _existing(call: Call, target: Target) -> dict[str, Any]:
    config = _holder(call, target).event_invoke
    if config is None:
        raise ResourceNotFound(
            f"The function {target.function.arn}:{target.qualifier or LATEST} doesn't have an EventInvokeConfig"
        )
    return config


def _write(call: Call, request: ConfigRequest, keep: bool) -> Config:
    target = read_target(call, request.function_name, request.qualifier)
    holder = _holder(call, target)
    config = dict(_existing(call, target)) if keep else {}
    if request.maximum_retry_attempts is not None:
        _check("maximumRetryAttempts", request.maximum_retry_attempts, _ATTEMPTS)
        config["MaximumRetryAttempts"] = request.maximum_retry_attempts
    if request.maximum_event_age_in_seconds is not None:
        _check("maximumEventAgeInSeconds", request.maximum_event_age_in_seconds, _AGE_S)
        config["MaximumEventAgeInSeconds"] = request.maximum_event_age_in_seconds
    if request.destination_config is not None:
        config["DestinationConfig"] = _destinations(call, target, request.destination_config)
    if not keep and not config:
        raise InvalidParameterValue("You must specify at least one of error handling or destination setting.")
    config["LastModified"] = call.runtime.clock.now_ms() / 1_000
    holder.event_invoke = config
    functions = call.runtime.part(Functions)
    functions.record(functions.find(target.function))
    return _shown(target, config)


def _delete(call: Call, target: Target) -> None:
    _existing(call, target)
    _holder(call, target).event_invoke = None
    functions = call.runtime.part(Functions)
    functions.record(functions.find(target.function))


def _destinations(call: Call, target: Target, given: DestinationConfig) -> dict[str, Any]:
    kept: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}
    for name, one in (("OnSuccess", given.on_success), ("OnFailure", given.on_failure)):
        arn = None if one is None else one.destination
        if not arn:
            continue
        parts = arn.split(":")
        if len(parts) < 6 or parts[0] != "arn" or parts[2] not in _SERVICES[name] or arn.endswith(".fifo"):
            raise InvalidParameterValue(f"The destination ARN {arn[:200]} is invalid.")
        if arn.startswith(target.function.arn):
            raise InvalidParameterValue("You can't specify the function as a destination for itself.")
        kept[name] = {"Destination": arn}
    return kept


def _check(member: str, value: int, allowed: range) -> None:
    if value not in allowed:
        rule = (
            f"less than or equal to {allowed[-1]}" if value > allowed[-1] else f"greater than or equal to {allowed[0]}"
        )
        raise ValidationException(member, f"'{value}'", f"Member must have value {rule}")


def _shown(target: Target, config: dict[str, Any]) -> Config:
    return Config(
        last_modified=config["LastModified"],
        function_arn=f"{target.function.arn}:{target.qualifier or LATEST}",
        maximum_retry_attempts=config.get("MaximumRetryAttempts", msgspec.UNSET),
        maximum_event_age_in_seconds=config.get("MaximumEventAgeInSeconds", msgspec.UNSET),
        destination_config=config.get("DestinationConfig", {"OnSuccess": {}, "OnFailure": {}}),
    )
