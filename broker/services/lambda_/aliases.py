"""CreateAlias, GetAlias, UpdateAlias, DeleteAlias and ListAliases."""

from typing import Annotated

import msgspec

from broker.services.context import Call
from broker.services.lambda_.errors import (
    InvalidParameterValue,
    ResourceConflict,
    ResourceNotFound,
    ValidationException,
)
from broker.services.lambda_.function import Alias, FunctionRecord
from broker.services.lambda_.functions import Name
from broker.services.lambda_.names import ALIAS, LATEST, Target, read_target
from broker.services.lambda_.paging import check_max_items, cut_page, read_marker
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions, check_revision
from broker.services.operation import At, Http

_PATH = "/2015-03-31/functions/{FunctionName}/aliases"


class RoutingConfig(msgspec.Struct, rename="pascal"):
    additional_version_weights: dict[str, float] | None = None


class AliasConfiguration(msgspec.Struct, rename="pascal", kw_only=True):
    alias_arn: str
    name: str
    function_version: str
    description: str
    routing_config: RoutingConfig | msgspec.UnsetType = msgspec.UNSET
    revision_id: str


class CreateAliasRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    name: str
    function_version: str
    description: str | None = None
    routing_config: RoutingConfig | None = None


@SERVICE.operation("CreateAlias", CreateAliasRequest, AliasConfiguration, http=Http("POST", _PATH, 201))
async def create_alias(call: Call, request: CreateAliasRequest) -> AliasConfiguration:
    """A name for a version, which can be given to another one later."""
    target = read_target(call, request.function_name)
    if not ALIAS.fullmatch(request.name):
        raise ValidationException(
            "name",
            f"'{request.name[:128]}'",
            "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
        )
    return await call.runtime.call(_create, call, target, request)


class AliasRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    name: Annotated[str, At("uri", "Name")]


@SERVICE.operation("GetAlias", AliasRequest, AliasConfiguration, http=Http("GET", f"{_PATH}/{{Name}}"))
async def get_alias(call: Call, request: AliasRequest) -> AliasConfiguration:
    """An alias as it is."""
    target = read_target(call, request.function_name)
    functions = call.runtime.part(Functions)
    function = await call.runtime.call(functions.find, target.function)
    return _shown(function, functions.find_alias(function, request.name))


class UpdateAliasRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    name: Annotated[str, At("uri", "Name")]
    function_version: str | None = None
    description: str | None = None
    routing_config: RoutingConfig | None = None
    revision_id: str | None = None


@SERVICE.operation("UpdateAlias", UpdateAliasRequest, AliasConfiguration, http=Http("PUT", f"{_PATH}/{{Name}}"))
async def update_alias(call: Call, request: UpdateAliasRequest) -> AliasConfiguration:
    """Give an alias another version, or other weights; what is not given stays as it is."""
    target = read_target(call, request.function_name)
    return await call.runtime.call(_update, call, target, request)


@SERVICE.operation("DeleteAlias", AliasRequest, http=Http("DELETE", f"{_PATH}/{{Name}}", 204))
async def delete_alias(call: Call, request: AliasRequest) -> None:
    """Delete an alias; one that does not exist is deleted already."""
    target = read_target(call, request.function_name)
    await call.runtime.call(_delete, call, target, request.name)


class ListAliasesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    function_version: Annotated[str | None, At("query", "FunctionVersion")] = None
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListAliasesResult(msgspec.Struct, rename="pascal", kw_only=True):
    aliases: list[AliasConfiguration]
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListAliases", ListAliasesRequest, ListAliasesResult, http=Http("GET", _PATH))
async def list_aliases(call: Call, request: ListAliasesRequest) -> ListAliasesResult:
    """A function's aliases by name, of one version if asked for."""
    size = check_max_items(request.max_items)
    after = read_marker(request.marker)
    target = read_target(call, request.function_name)
    function = await call.runtime.call(call.runtime.part(Functions).find, target.function)
    found = [
        alias
        for name, alias in sorted(function.aliases.items())
        if name > after and request.function_version in (None, alias.version)
    ]
    page, marker = cut_page(found[: size + 1], lambda alias: alias.name, size)
    return ListAliasesResult(aliases=[_shown(function, alias) for alias in page], next_marker=marker)


def _create(call: Call, target: Target, request: CreateAliasRequest) -> AliasConfiguration:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    if request.name in function.aliases:
        raise ResourceConflict(f"Alias already exists: {function.name.arn}:{request.name}")
    _check_version(function, request.function_version)
    weights = _weights(function, request.function_version, request.routing_config)
    alias = Alias(
        request.name,
        request.function_version,
        call.runtime.chance.uuid(),
        request.description or "",
        weights,
    )
    function.aliases[alias.name] = alias
    functions.record(function)
    return _shown(function, alias)


def _update(call: Call, target: Target, request: UpdateAliasRequest) -> AliasConfiguration:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    alias = functions.find_alias(function, request.name)
    check_revision(request.revision_id, alias.revision_id)
    version = request.function_version or alias.version
    _check_version(function, version)
    weights = alias.weights
    if request.routing_config is not None:
        weights = _weights(function, version, request.routing_config)
    alias.version, alias.weights = version, weights
    alias.description = alias.description if request.description is None else request.description
    alias.revision_id = call.runtime.chance.uuid()
    functions.record(function)
    return _shown(function, alias)


def _delete(call: Call, target: Target, name: str) -> None:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    if function.aliases.pop(name, None) is not None:
        functions.record(function)


def _check_version(function: FunctionRecord, version: str) -> None:
    if version not in function.versions:
        raise ResourceNotFound(f"Function not found: {function.name.arn}:{version[:128]}")


def _weights(function: FunctionRecord, version: str, config: RoutingConfig | None) -> dict[str, float]:
    weights = (config.additional_version_weights if config is not None else None) or {}
    if len(weights) > 1:
        raise InvalidParameterValue("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for number, weight in weights.items():
        if LATEST in (number, version):
            raise InvalidParameterValue("$LATEST is not supported for an alias pointing to more than 1 version")
        if number == version:
            raise InvalidParameterValue(
                f"Invalid function version {number}. Function version {version} is already included in routing configuration."
            )
        _check_version(function, number)
        if not 0 <= weight <= 1:
            raise ValidationException(
                "routingConfig.additionalVersionWeights", f"'{weight}'", "Member must have value between 0.0 and 1.0"
            )
    return weights


def _shown(function: FunctionRecord, alias: Alias) -> AliasConfiguration:
    return AliasConfiguration(
        alias_arn=f"{function.name.arn}:{alias.name}",
        name=alias.name,
        function_version=alias.version,
        description=alias.description,
        routing_config=RoutingConfig(dict(alias.weights)) if alias.weights else msgspec.UNSET,
        revision_id=alias.revision_id,
    )
