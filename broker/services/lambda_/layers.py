"""PublishLayerVersion, GetLayerVersion, ListLayerVersions, ListLayers and DeleteLayerVersion."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from broker.services.context import Call
from broker.services.lambda_.code_store import Code
from broker.services.lambda_.errors import InvalidParameterValue, ValidationException
from broker.services.lambda_.layer_state import LayerRecord, Layers, LayerVersion
from broker.services.lambda_.paging import check_max_items, cut_page, read_marker
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.workers import Workers
from broker.services.operation import At, Http

_PATH: Final = "/2018-10-31/layers"
_NAME: Final = re.compile(r"(?:arn:aws:lambda:[a-z0-9-]+:\d{12}:layer:)?([A-Za-z0-9_-]{1,64})")

LayerName = Annotated[str, At("uri", "LayerName")]


class Content(msgspec.Struct, rename="pascal"):
    zip_file: bytes | None = None


class PublishLayerVersionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    layer_name: LayerName
    content: Content
    description: str | None = None
    compatible_runtimes: list[str] | None = None
    compatible_architectures: list[str] | None = None
    license_info: str | None = None


class ShownContent(msgspec.Struct, rename="pascal"):
    location: str
    code_sha256: str
    code_size: int


class ShownLayerVersion(msgspec.Struct, rename="pascal", kw_only=True):
    content: ShownContent | msgspec.UnsetType = msgspec.UNSET
    layer_arn: str | msgspec.UnsetType = msgspec.UNSET
    layer_version_arn: str
    description: str
    created_date: str
    version: int
    compatible_runtimes: list[str] | msgspec.UnsetType = msgspec.UNSET
    compatible_architectures: list[str] | msgspec.UnsetType = msgspec.UNSET
    license_info: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "PublishLayerVersion",
    PublishLayerVersionRequest,
    ShownLayerVersion,
    http=Http("POST", f"{_PATH}/{{LayerName}}/versions", 201),
)
async def publish_layer_version(call: Call, request: PublishLayerVersionRequest) -> ShownLayerVersion:
    """A new version of a layer, which is made if there is none of its name."""
    name = _read_name(request.layer_name)
    if not request.content.zip_file:
        raise InvalidParameterValue("Uploaded file must be a non-empty zip")
    code = await asyncio.to_thread(call.runtime.part(Workers).code.keep, request.content.zip_file)
    layer, version = await call.runtime.call(_publish, call, name, request, code)
    return _shown(call, layer, version, whole=True)


class LayerVersionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    layer_name: LayerName
    version_number: Annotated[int, At("uri", "VersionNumber")]


@SERVICE.operation(
    "GetLayerVersion",
    LayerVersionRequest,
    ShownLayerVersion,
    http=Http("GET", f"{_PATH}/{{LayerName}}/versions/{{VersionNumber}}"),
)
async def get_layer_version(call: Call, request: LayerVersionRequest) -> ShownLayerVersion:
    """A version of a layer, and where its content can be fetched."""
    layers = call.runtime.part(Layers)
    found = await call.runtime.call(
        layers.find_version, call.account, call.region, _read_name(request.layer_name), request.version_number
    )
    return _shown(call, *found, whole=True)


class ListLayerVersionsRequest(msgspec.Struct, rename="pascal", kw_only=True):
    layer_name: LayerName
    compatible_runtime: Annotated[str | None, At("query", "CompatibleRuntime")] = None
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListLayerVersionsResult(msgspec.Struct, rename="pascal", kw_only=True):
    layer_versions: list[ShownLayerVersion]
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "ListLayerVersions",
    ListLayerVersionsRequest,
    ListLayerVersionsResult,
    http=Http("GET", f"{_PATH}/{{LayerName}}/versions"),
)
async def list_layer_versions(call: Call, request: ListLayerVersionsRequest) -> ListLayerVersionsResult:
    """A layer's versions, the newest first."""
    size = check_max_items(request.max_items)
    marker = read_marker(request.marker)
    layers = call.runtime.part(Layers)
    layer = await call.runtime.call(layers.get, call.account, call.region, _read_name(request.layer_name))
    versions = [] if layer is None else sorted(layer.versions.values(), key=lambda v: -v.number)
    below = int(marker) if marker.isdigit() else 1 << 62
    found = [
        v
        for v in versions
        if v.number < below and (request.compatible_runtime is None or request.compatible_runtime in v.runtimes)
    ]
    page, next_marker = cut_page(found[: size + 1], lambda version: str(version.number), size)
    shown = [_shown(call, layer, v, whole=False) for v in page] if layer is not None else []
    return ListLayerVersionsResult(layer_versions=shown, next_marker=next_marker)


class ListLayersRequest(msgspec.Struct, rename="pascal", kw_only=True):
    compatible_runtime: Annotated[str | None, At("query", "CompatibleRuntime")] = None
    marker: Annotated[str | None, At("query", "Marker")] = None
    max_items: Annotated[int | None, At("query", "MaxItems")] = None


class ListedLayer(msgspec.Struct, rename="pascal"):
    layer_name: str
    layer_arn: str
    latest_matching_version: ShownLayerVersion


class ListLayersResult(msgspec.Struct, rename="pascal", kw_only=True):
    layers: list[ListedLayer]
    next_marker: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListLayers", ListLayersRequest, ListLayersResult, http=Http("GET", _PATH))
async def list_layers(call: Call, request: ListLayersRequest) -> ListLayersResult:
    """The account's layers in the region, with the newest version of each."""
    size = check_max_items(request.max_items)
    after = read_marker(request.marker)
    found = []
    for layer in await call.runtime.call(call.runtime.part(Layers).of_place, call.account, call.region):
        versions = [
            v
            for v in layer.versions.values()
            if request.compatible_runtime is None or request.compatible_runtime in v.runtimes
        ]
        if layer.name > after and versions:
            found.append((layer, max(versions, key=lambda v: v.number)))
    page, marker = cut_page(found[: size + 1], lambda pair: pair[0].name, size)
    listed = [ListedLayer(layer.name, layer.arn, _shown(call, layer, v, whole=False)) for layer, v in page]
    return ListLayersResult(layers=listed, next_marker=marker)


@SERVICE.operation(
    "DeleteLayerVersion",
    LayerVersionRequest,
    http=Http("DELETE", f"{_PATH}/{{LayerName}}/versions/{{VersionNumber}}", 204),
)
async def delete_layer_version(call: Call, request: LayerVersionRequest) -> None:
    """Delete a version; functions that use it keep it until the broker starts anew."""
    name = _read_name(request.layer_name)
    layers = call.runtime.part(Layers)
    await call.runtime.call(layers.delete, call.account, call.region, name, request.version_number)


def _publish(
    call: Call, name: str, request: PublishLayerVersionRequest, code: Code
) -> tuple[LayerRecord, LayerVersion]:
    version = LayerVersion(
        0,
        code.id,
        code.sha256,
        code.size,
        call.runtime.clock.now_ms(),
        request.description or "",
        tuple(request.compatible_runtimes or ()),
        tuple(request.compatible_architectures or ()),
        request.license_info,
    )
    return call.runtime.part(Layers).publish(call.account, call.region, name, version)


def _read_name(text: str) -> str:
    match = _NAME.fullmatch(text)
    if match is None:
        raise ValidationException(
            "layerName",
            f"'{text[:140]}'",
            "Member must satisfy regular expression pattern: (arn:…:layer:)?[a-zA-Z0-9-_]+",
        )
    return match[1]


def _shown(call: Call, layer: LayerRecord, version: LayerVersion, *, whole: bool) -> ShownLayerVersion:
    extra: dict[str, Any] = {}
    if whole:
        location = f"{call.base_url}/_pombo/lambda/code/{version.code}.zip"
        extra["content"] = ShownContent(location, version.code_sha256, version.code_size)
        extra["layer_arn"] = layer.arn
    if version.runtimes:
        extra["compatible_runtimes"] = list(version.runtimes)
    if version.architectures:
        extra["compatible_architectures"] = list(version.architectures)
    if version.license_info is not None:
        extra["license_info"] = version.license_info
    at = datetime.fromtimestamp(version.created_at_ms // 1_000, UTC)
    return ShownLayerVersion(
        layer_version_arn=f"{layer.arn}:{version.number}",
        description=version.description,
        created_date=f"{at:%Y-%m-%dT%H:%M:%S}.{version.created_at_ms % 1_000:03}+0000",
        version=version.number,
        **extra,
    )
