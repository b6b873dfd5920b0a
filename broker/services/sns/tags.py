"""TagResource, UntagResource and ListTagsForResource: topics alone have tags. Source: SNS API Reference."""

from collections.abc import Sequence

import msgspec

from broker.services.context import Call
from broker.services.sns.errors import InvalidParameter, ResourceNotFound
from broker.services.sns.names import TopicName, read_topic_arn
from broker.services.sns.service import SERVICE, EmptyResult
from broker.services.sns.state import Topics
from broker.services.sns.tag_rules import Tag, check_count, is_key, read_tags
from broker.services.sns.topic import Topic


class TagResourceRequest(msgspec.Struct, rename="pascal", kw_only=True):
    resource_arn: str
    tags: list[Tag]


@SERVICE.operation("TagResource", TagResourceRequest, EmptyResult, at_queue=False)
async def tag_resource(call: Call, request: TagResourceRequest) -> EmptyResult:
    """Add tags; one whose key exists replaces it."""
    name = read_topic_arn(request.resource_arn, "ResourceArn", region=call.region)
    await call.runtime.call(_tag, call.runtime.part(Topics), name, read_tags(request.tags))
    return EmptyResult()


class UntagResourceRequest(msgspec.Struct, rename="pascal", kw_only=True):
    resource_arn: str
    tag_keys: list[str]


@SERVICE.operation("UntagResource", UntagResourceRequest, EmptyResult, at_queue=False)
async def untag_resource(call: Call, request: UntagResourceRequest) -> EmptyResult:
    """Remove the tags with these keys, where there are any."""
    name = read_topic_arn(request.resource_arn, "ResourceArn", region=call.region)
    await call.runtime.call(_untag, call.runtime.part(Topics), name, request.tag_keys)
    return EmptyResult()


class ListTagsForResourceRequest(msgspec.Struct, rename="pascal"):
    resource_arn: str


class ListTagsForResourceResult(msgspec.Struct, rename="pascal"):
    tags: list[Tag]


@SERVICE.operation("ListTagsForResource", ListTagsForResourceRequest, ListTagsForResourceResult, at_queue=False)
async def list_tags_for_resource(call: Call, request: ListTagsForResourceRequest) -> ListTagsForResourceResult:
    """A topic's tags."""
    name = read_topic_arn(request.resource_arn, "ResourceArn", region=call.region)
    topic = await call.runtime.call(_find, call.runtime.part(Topics), name)
    return ListTagsForResourceResult([Tag(key, value) for key, value in topic.record.tags.items()])


def _find(topics: Topics, name: TopicName) -> Topic:
    topic = topics.by_name.get(name)
    if topic is None:
        raise ResourceNotFound("Resource does not exist")
    return topic


def _tag(topics: Topics, name: TopicName, tags: dict[str, str]) -> None:
    topic = _find(topics, name)
    together = topic.record.tags | tags
    check_count(together)
    topic.record.tags = together
    topics.record_topic(topic)


def _untag(topics: Topics, name: TopicName, keys: Sequence[str]) -> None:
    topic = _find(topics, name)
    for key in keys:
        if not is_key(key):
            raise InvalidParameter(f"TagKeys Reason: the key {key[:128]!r} is not valid")
    gone = frozenset(keys)
    topic.record.tags = {key: value for key, value in topic.record.tags.items() if key not in gone}
    topics.record_topic(topic)
