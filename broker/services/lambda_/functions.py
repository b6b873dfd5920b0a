"""CreateFunction, GetFunction, ListFunctions, DeleteFunction, GetFunctionConfiguration, UpdateFunctionCode and -Configuration."""

import asyncio
import os
from typing import Annotated, Final

import msgspec

from broker.services.context import Call
from broker.services.lambda_.code_store import Code, digest_of_directory
from broker.services.lambda_.configuration import Asked, FunctionConfiguration, merged, shown
from broker.services.lambda_.errors import (
    InvalidParameterValue,
    ResourceConflict,
    ResourceNotFound,
    ValidationException,
)
from broker.services.lambda_.events import Events
from broker.services.lambda_.function import FunctionRecord, Settings, Version
from broker.services.lambda_.names import LATEST, Target, read_target
from broker.services.lambda_.paging import check_max_items, cut_page, read_marker
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions, check_revision
from broker.services.lambda_.workers import Workers
from broker.services.operation import At, Http

LOCAL_BUCKET: Final = "hot-reload"  # S3Bucket that stands for the directory that S3Key names
_NAMELESS: Final = Settings("", "", "", "", "", 0)

Name = Annotated[str, At("uri", "FunctionName")]
Qualifier = Annotated[str | None, At("query", "Qualifier")]


class FunctionCode(msgspec.Struct, rename="pascal", kw_only=True):
    zip_file: bytes | None = None
    s3_bucket: str | None = msgspec.field(default=None, name="S3Bucket")
    s3_key: str | None = msgspec.field(default=None, name="S3Key")
    image_uri: str | None = None


class CreateFunctionRequest(Asked, rename="pascal", kw_only=True):
    function_name: str
    role: str
    code: FunctionCode
    publish: bool | None = None
    package_type: str | None = None
    tags: dict[str, str] | None = None
    architectures: list[str] | None = None


@SERVICE.operation(
    "CreateFunction", CreateFunctionRequest, FunctionConfiguration, http=Http("POST", "/2015-03-31/functions", 201)
)
async def create_function(call: Call, request: CreateFunctionRequest) -> FunctionConfiguration:
    """Make a function. Its code is on disk, and can be invoked, when this answers."""
    target = read_target(call, request.function_name)
    if request.package_type not in (None, "Zip") or request.code.image_uri is not None:
        raise InvalidParameterValue(
            "PackageType Image is not supported: functions are run as processes, without containers."
        )
    for member, value in (("runtime", request.runtime), ("handler", request.handler)):
        if value is None:
            raise InvalidParameterValue(
                f"{member.capitalize()} is mandatory for functions created with deployment packages."
            )
    settings = merged(request, _NAMELESS)
    code, local_path = await _keep(call, request.code)
    settings = msgspec.structs.replace(
        settings,
        code=code.id,
        code_sha256=code.sha256,
        code_size=code.size,
        local_path=local_path,
        architectures=_architectures(request.architectures),
    )
    return await call.runtime.call(_create, call, target, settings, request.tags or {}, request.publish or False)


class FunctionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    qualifier: Qualifier = None


class CodeLocation(msgspec.Struct, rename="pascal"):
    repository_type: str
    location: str


class Concurrency(msgspec.Struct, rename="pascal"):
    reserved_concurrent_executions: int


class GetFunctionResult(msgspec.Struct, rename="pascal", kw_only=True):
    configuration: FunctionConfiguration
    code: CodeLocation
    tags: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    concurrency: Concurrency | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "GetFunction", FunctionRequest, GetFunctionResult, http=Http("GET", "/2015-03-31/functions/{FunctionName}")
)
async def get_function(call: Call, request: FunctionRequest) -> GetFunctionResult:
    """A version's configuration, and where its code can be fetched."""
    target = read_target(call, request.function_name, request.qualifier)
    function, version = await call.runtime.call(call.runtime.part(Functions).find_version, target)
    reserved = function.reserved_concurrency
    return GetFunctionResult(
        configuration=shown(function, version, qualified=target.qualifier is not None),
        code=CodeLocation("S3", f"{call.base_url}/_pombo/lambda/code/{version.settings.code}.zip"),
        tags=dict(function.tags) or msgspec.UNSET,
        concurrency=msgspec.UNSET if reserved is None else Concurrency(reserved),
    )


@SERVICE.operation(
    "GetFunctionConfiguration",
    FunctionRequest,
    FunctionConfiguration,
    http=Http("GET", "/2015-03-31/functions/{FunctionName}/configuration"),
)
async def get_function_configuration(call: Call, request: FunctionRequest) -> FunctionConfiguration:
    """A version's configuration."""
    target = read_target(call, request.function_name, request.qualifier)
    function, version = await call.runtime.call(call.runtime.part(Functions).find_version, target)
    return shown(function, version, qualified=target.qualifier is not None)


class ListFunctionsRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_version: Annotated[str | None, At("query", "FunctionVersion")] = None
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListFunctionsResult(msgspec.Struct, rename="pascal", kw_only=True):
    functions: list[FunctionConfiguration]
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "ListFunctions", ListFunctionsRequest, ListFunctionsResult, http=Http("GET", "/2015-03-31/functions")
)
async def list_functions(call: Call, request: ListFunctionsRequest) -> ListFunctionsResult:
    """The account's functions in the region, by name; with FunctionVersion=ALL, every version of each."""
    size = check_max_items(request.max_items)
    if request.function_version not in (None, "ALL"):
        raise ValidationException(
            "functionVersion", f"'{request.function_version}'", "Member must satisfy enum value set: [ALL]"
        )
    after = read_marker(request.marker)
    functions = call.runtime.part(Functions)
    found = await call.runtime.call(functions.after, (call.account, call.region), after, size + 1)
    page, marker = cut_page(found, lambda function: function.name.name, size)
    configurations = [
        shown(function, version, qualified=request.function_version == "ALL")
        for function in page
        for version in (function.versions.values() if request.function_version == "ALL" else [function.latest])
    ]
    return ListFunctionsResult(functions=configurations, next_marker=marker)


class UpdateFunctionCodeRequest(FunctionCode, rename="pascal", kw_only=True):
    function_name: Name
    publish: bool | None = None
    dry_run: bool | None = None
    revision_id: str | None = None
    architectures: list[str] | None = None


@SERVICE.operation(
    "UpdateFunctionCode",
    UpdateFunctionCodeRequest,
    FunctionConfiguration,
    http=Http("PUT", "/2015-03-31/functions/{FunctionName}/code"),
)
async def update_function_code(call: Call, request: UpdateFunctionCodeRequest) -> FunctionConfiguration:
    """New code for $LATEST: invocations that begin from now on get it."""
    target = read_target(call, request.function_name)
    await call.runtime.call(call.runtime.part(Functions).find, target.function)
    code, local_path = await _keep(call, request)
    return await call.runtime.call(_update_code, call, target, request, code, local_path)


class UpdateFunctionConfigurationRequest(Asked, rename="pascal", kw_only=True):
    function_name: Name
    revision_id: str | None = None


@SERVICE.operation(
    "UpdateFunctionConfiguration",
    UpdateFunctionConfigurationRequest,
    FunctionConfiguration,
    http=Http("PUT", "/2015-03-31/functions/{FunctionName}/configuration"),
)
async def update_function_configuration(
    call: Call, request: UpdateFunctionConfigurationRequest
) -> FunctionConfiguration:
    """A new configuration for $LATEST; what is not given stays as it is."""
    target = read_target(call, request.function_name)
    return await call.runtime.call(_update_configuration, call, target, request)


@SERVICE.operation("DeleteFunction", FunctionRequest, http=Http("DELETE", "/2015-03-31/functions/{FunctionName}", 204))
async def delete_function(call: Call, request: FunctionRequest) -> None:
    """Delete a function, or one numbered version of it."""
    target = read_target(call, request.function_name, request.qualifier)
    await call.runtime.call(_delete, call, target)


def _create(
    call: Call, target: Target, settings: Settings, tags: dict[str, str], publish: bool
) -> FunctionConfiguration:
    functions = call.runtime.part(Functions)
    if target.function in functions.by_name:
        raise ResourceConflict(f"Function already exist: {target.function.name}")
    function = functions.create(target.function, settings, tags)
    call.runtime.part(Events).watch(function)
    return shown(function, publish_version(functions, function) if publish else function.latest)


def publish_version(functions: Functions, function: FunctionRecord, description: str | None = None) -> Version:
    """A numbered version of $LATEST; the newest one if nothing has changed since."""
    latest = function.latest.settings
    if description is not None:
        latest = msgspec.structs.replace(latest, description=description)
    newest = function.versions.get(str(function.next_version - 1))
    if newest is not None and newest.settings == latest:
        return newest
    version = functions.version(str(function.next_version), latest)
    function.versions[version.number] = version
    function.next_version += 1
    functions.record(function)
    return version


def _update_code(
    call: Call, target: Target, request: UpdateFunctionCodeRequest, code: Code, local_path: str | None
) -> FunctionConfiguration:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    check_revision(request.revision_id, function.latest.revision_id)
    settings = msgspec.structs.replace(
        function.latest.settings, code=code.id, code_sha256=code.sha256, code_size=code.size, local_path=local_path
    )
    if request.architectures is not None:
        settings = msgspec.structs.replace(settings, architectures=_architectures(request.architectures))
    if request.dry_run:
        return shown(function, functions.version(LATEST, settings))
    functions.change(function, settings)
    call.runtime.part(Workers).changed(function.name)
    return shown(function, publish_version(functions, function) if request.publish else function.latest)


def _update_configuration(
    call: Call, target: Target, request: UpdateFunctionConfigurationRequest
) -> FunctionConfiguration:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    check_revision(request.revision_id, function.latest.revision_id)
    functions.change(function, merged(request, function.latest.settings))
    call.runtime.part(Workers).changed(function.name)
    return shown(function, function.latest)


def _delete(call: Call, target: Target) -> None:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    if target.qualifier is None:
        functions.delete(function)
        call.runtime.part(Events).unwatch(function.name)
        call.runtime.part(Workers).changed(function.name)
        return
    if target.qualifier == LATEST:
        raise InvalidParameterValue("$LATEST version cannot be deleted without deleting the function.")
    if target.qualifier not in function.versions:
        if target.qualifier in function.aliases:
            raise InvalidParameterValue("Deletion of aliases is not currently supported by DeleteFunction.")
        raise ResourceNotFound(f"Function not found: {target.arn}")
    users = [a.name for a in function.aliases.values() if target.qualifier in (a.version, *a.weights)]
    if users:
        raise ResourceConflict(f"Version {target.qualifier} is in use by the aliases: {', '.join(users)}")
    del function.versions[target.qualifier]
    functions.record(function)
    call.runtime.part(Workers).changed(function.name)


async def _keep(call: Call, given: FunctionCode) -> tuple[Code, str | None]:
    """The code on disk, and its directory if it is run where it is."""
    if given.zip_file is not None:
        if not given.zip_file:
            raise InvalidParameterValue("Uploaded file must be a non-empty zip")
        return await asyncio.to_thread(call.runtime.part(Workers).code.keep, given.zip_file), None
    if given.s3_bucket == LOCAL_BUCKET and given.s3_key:
        return await asyncio.to_thread(_local, given.s3_key)
    if given.s3_bucket is not None:
        raise InvalidParameterValue(
            f"Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: there is no S3 here; send the "
            f"code as ZipFile, or name a directory with S3Bucket={LOCAL_BUCKET}"
        )
    raise InvalidParameterValue("Please provide a source for function code.")


def _local(path: str) -> tuple[Code, str]:
    """A directory that is run where it is."""
    if not os.path.isdir(path):
        raise InvalidParameterValue(f"S3Key is {path!r}: there is no such directory on the broker's machine.")
    return digest_of_directory(path), os.path.abspath(path)


def _architectures(given: list[str] | None) -> tuple[str, ...]:
    if given is None:
        return ("x86_64",)
    if len(given) != 1 or given[0] not in ("x86_64", "arm64"):
        raise ValidationException(
            "architectures", f"'{given[:3]}'", "Member must satisfy enum value set: [x86_64, arm64], one of them"
        )
    return (given[0],)
