"""TagResource, UntagResource and ListTags: of functions and of event source mappings."""

from typing import Annotated

import msgspec

from broker.services.context import Call
from broker.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from broker.services.lambda_.mapping import MappingRecord
from broker.services.lambda_.mapping_state import Mappings
from broker.services.lambda_.names import target_of_arn
from broker.services.lambda_.service import SERVICE
from broker.services.lambda_.state import Functions
from broker.services.operation import At, Http

TAGS_MAX = 50
_PATH = "/2017-03-31/tags/{Resource}"
_MAPPING = ":event-source-mapping:"

Resource = Annotated[str, At("uri", "Resource")]


class TagResourceRequest(msgspec.Struct, rename="pascal", kw_only=True):
    resource: Resource
    tags: dict[str, str]


@SERVICE.operation("TagResource", TagResourceRequest, http=Http("POST", _PATH, 204))
async def tag_resource(call: Call, request: TagResourceRequest) -> None:
    """Add tags; those of the same key are replaced."""
    await call.runtime.call(_tag, call, request.resource, request.tags, ())


class UntagResourceRequest(msgspec.Struct, rename="pascal", kw_only=True):
    resource: Resource
    tag_keys: Annotated[list[str], At("query", "tagKeys")]


@SERVICE.operation("UntagResource", UntagResourceRequest, http=Http("DELETE", _PATH, 204))
async def untag_resource(call: Call, request: UntagResourceRequest) -> None:
    """Remove tags by their keys."""
    await call.runtime.call(_tag, call, request.resource, {}, tuple(request.tag_keys))


class ListTagsRequest(msgspec.Struct, rename="pascal"):
    resource: Resource


class ListTagsResult(msgspec.Struct, rename="pascal"):
    tags: dict[str, str]


@SERVICE.operation("ListTags", ListTagsRequest, ListTagsResult, http=Http("GET", _PATH))
async def list_tags(call: Call, request: ListTagsRequest) -> ListTagsResult:
    """The tags of a function or mapping."""
    return ListTagsResult(dict(await call.runtime.call(_tags, call, request.resource)))


def _tags(call: Call, arn: str) -> dict[str, str]:
    mapping = _mapping(call, arn)
    if mapping is not None:
        return mapping.tags
    target = target_of_arn(arn)
    if target is None or target.qualifier is not None:
        raise InvalidParameterValue(
            "Tags on function aliases and versions are not supported. Please specify either a function ARN."
        )
    return call.runtime.part(Functions).find(target.function).tags


def _tag(call: Call, arn: str, added: dict[str, str], removed: tuple[str, ...]) -> None:
    tags = {k: v for k, v in (_tags(call, arn) | added).items() if k not in removed}
    if len(tags) > TAGS_MAX:
        raise InvalidParameterValue(f"Number of tags exceeds resource tag limit of {TAGS_MAX}.")
    mapping = _mapping(call, arn)
    if mapping is not None:
        mapping.tags = tags
        call.runtime.part(Mappings).put(mapping)
        return
    target = target_of_arn(arn)
    assert target is not None
    functions = call.runtime.part(Functions)
    function = functions.find(target.function)
    function.tags = tags
    functions.record(function)


def _mapping(call: Call, arn: str) -> MappingRecord | None:
    if _MAPPING not in arn:
        return None
    mapping = call.runtime.part(Mappings).find(arn.rpartition(":")[2])
    if mapping.arn != arn:
        raise ResourceNotFound("The resource you requested does not exist.")
    return mapping
