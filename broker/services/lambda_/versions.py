"""PublishVersion and ListVersionsByFunction."""

from typing import Annotated

import msgspec

from broker.services.context import Call
from broker.services.lambda_.configuration import FunctionConfiguration, shown
from broker.services.lambda_.errors import InvalidParameterValue
from broker.services.lambda_.functions import Name, publish_version
from broker.services.lambda_.names import LATEST, Target, read_target
from broker.services.lambda_.paging import check_max_items, cut_page, read_marker
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions, check_revision
from broker.services.operation import At, Http

_PATH = "/2015-03-31/functions/{FunctionName}/versions"


class PublishVersionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    code_sha256: str | None = None
    description: str | None = None
    revision_id: str | None = None


@SERVICE.operation("PublishVersion", PublishVersionRequest, FunctionConfiguration, http=Http("POST", _PATH, 201))
async def publish(call: Call, request: PublishVersionRequest) -> FunctionConfiguration:
    """A numbered version of the newest code and configuration; the last one if nothing has changed since."""
    target = read_target(call, request.function_name)
    return await call.runtime.call(_publish, call, target, request)


class ListVersionsByFunctionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    function_name: Name
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListVersionsByFunctionResult(msgspec.Struct, rename="pascal", kw_only=True):
    versions: list[FunctionConfiguration]
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "ListVersionsByFunction",
    ListVersionsByFunctionRequest,
    ListVersionsByFunctionResult,
    http=Http("GET", _PATH),
)
async def list_versions(call: Call, request: ListVersionsByFunctionRequest) -> ListVersionsByFunctionResult:
    """$LATEST and the numbered versions, the oldest first."""
    size = check_max_items(request.max_items)
    after = read_marker(request.marker)
    target = read_target(call, request.function_name)
    function = await call.runtime.call(call.runtime.part(Functions).find, target.function)
    versions = [
        v for v in function.versions.values() if not after or (v.number != LATEST and int(v.number) > _number(after))
    ]
    page, marker = cut_page(versions[: size + 1], lambda version: version.number, size)
    return ListVersionsByFunctionResult(
        versions=[shown(function, version, qualified=True) for version in page], next_marker=marker
    )


def _publish(call: Call, target: Target, request: PublishVersionRequest) -> FunctionConfiguration:
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    check_revision(request.revision_id, function.latest.revision_id)
    if request.code_sha256 is not None and request.code_sha256 != function.latest.settings.code_sha256:
        raise InvalidParameterValue(
            f"CodeSHA256 ({request.code_sha256[:64]}) is different from current CodeSHA256 in $LATEST "
            f"({function.latest.settings.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
        )
    return shown(function, publish_version(functions, function, request.description))


def _number(marker: str) -> int:
    if marker == LATEST:
        return 0
    if not marker.isdigit():
        raise InvalidParameterValue("Invalid pagination marker")
    return int(marker)
