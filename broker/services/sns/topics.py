"""CreateTopic, DeleteTopic, ListTopics, GetTopicAttributes and SetTopicAttributes."""

import msgspec

from broker.services.context import Call
from broker.services.sns.data_protection import check_policy
from broker.services.sns.errors import InvalidParameter, InvalidState
from broker.services.sns.names import TopicName, check_topic_name, read_topic_arn
from broker.services.sns.paging import PAGE, cut_page, read_token
from broker.services.sns.service import SERVICE
from broker.services.sns.state import Topics
from broker.services.sns.tag_rules import Tag, read_tags
from broker.services.sns.topic import Topic, archive_settings
from broker.services.sns.topic_attributes import canonical, check_change, check_new, shown, without_archive


class CreateTopicRequest(msgspec.Struct, rename="pascal", kw_only=True):
    name: str
    attributes: dict[str, str] | None = None
    tags: list[Tag] | None = None
    data_protection_policy: str | None = None


class CreateTopicResult(msgspec.Struct, rename="pascal"):
    topic_arn: str


@SERVICE.operation("CreateTopic", CreateTopicRequest, CreateTopicResult, at_queue=False)
async def create_topic(call: Call, request: CreateTopicRequest) -> CreateTopicResult:
    """Make a topic, or find the one of this name if it has the given attributes and tags."""
    name = TopicName(call.account, call.region, request.name)
    tags = read_tags(request.tags)
    attributes = request.attributes or {}
    topic = await call.runtime.call(
        ensure_topic, call.runtime.part(Topics), name, attributes, tags, request.data_protection_policy or ""
    )
    return CreateTopicResult(topic.arn)


class TopicRequest(msgspec.Struct, rename="pascal"):
    topic_arn: str


@SERVICE.operation("DeleteTopic", TopicRequest, at_queue=False)
async def delete_topic(call: Call, request: TopicRequest) -> None:
    """Delete a topic and its subscriptions. A topic that does not exist is deleted already."""
    name = read_topic_arn(request.topic_arn)
    await call.runtime.call(_delete, call.runtime.part(Topics), name)


class ListTopicsRequest(msgspec.Struct, rename="pascal"):
    next_token: str | None = None


class ListedTopic(msgspec.Struct, rename="pascal"):
    topic_arn: str


class ListTopicsResult(msgspec.Struct, rename="pascal", kw_only=True):
    topics: list[ListedTopic]
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListTopics", ListTopicsRequest, ListTopicsResult, at_queue=False)
async def list_topics(call: Call, request: ListTopicsRequest) -> ListTopicsResult:
    """The account's topics in the region, by name, 100 at a time."""
    after = read_token(request.next_token)
    topics = call.runtime.part(Topics)
    found = await call.runtime.call(topics.topics_after, (call.account, call.region), after, PAGE + 1)
    page, next_token = cut_page(found, lambda topic: topic.name.name)
    return ListTopicsResult(topics=[ListedTopic(topic.arn) for topic in page], next_token=next_token)


class AttributesResult(msgspec.Struct, rename="pascal"):
    attributes: dict[str, str]


@SERVICE.operation("GetTopicAttributes", TopicRequest, AttributesResult, at_queue=False)
async def get_topic_attributes(call: Call, request: TopicRequest) -> AttributesResult:
    """All attributes of a topic."""
    name = read_topic_arn(request.topic_arn, region=call.region)
    topic = await call.runtime.call(call.runtime.part(Topics).find, name)
    return AttributesResult(shown(topic, call.runtime.clock.now_ms()))


class SetTopicAttributesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    attribute_name: str
    attribute_value: str | None = None


@SERVICE.operation("SetTopicAttributes", SetTopicAttributesRequest, at_queue=False)
async def set_topic_attributes(call: Call, request: SetTopicAttributesRequest) -> None:
    """Set one attribute of a topic; an empty value takes it away."""
    name = read_topic_arn(request.topic_arn, region=call.region)
    value = request.attribute_value or ""
    await call.runtime.call(_set, call.runtime.part(Topics), name, request.attribute_name, value)


def ensure_topic(
    topics: Topics, name: TopicName, given: dict[str, str], tags: dict[str, str], data_protection: str = ""
) -> Topic:
    """Make a topic with these attributes, tags and data protection policy unless there is one that has them.

    Only what is given is compared. Raises InvalidParameter and every error of a bad name, attribute or tag.
    """
    fifo = given.get("FifoTopic", "").lower() == "true"
    check_topic_name(name.name, fifo=fifo)
    attributes = check_new(given)
    policy = check_policy(data_protection, fifo=fifo)
    existing = topics.by_name.get(name)
    if existing is None:
        topic = topics.create_topic(name, attributes, tags)
        topic.record.data_protection_policy = policy
        topic.record.archived_since_ms = topic.record.created_at_ms if topic.archive_days else 0
        topics.record_topic(topic)
        return topic
    has = shown(existing, 0)
    if any(has.get(attribute) != value for attribute, value in attributes.items()):
        raise InvalidParameter("Attributes Reason: Topic already exists with different attributes")
    if any(existing.record.tags.get(key) != value for key, value in tags.items()):
        raise InvalidParameter("Tags Reason: Topic already exists with different tags")
    if policy not in (None, existing.record.data_protection_policy):
        raise InvalidParameter("DataProtectionPolicy Reason: Topic already exists with a different policy")
    return existing


def _delete(topics: Topics, name: TopicName) -> None:
    topic = topics.by_name.get(name)
    if topic is None:
        return
    if topic.archive_days:
        raise InvalidState("Invalid state: Cannot delete a topic with an ArchivePolicy")
    topics.delete_topic(topic)


def _set(topics: Topics, name: TopicName, attribute: str, value: str) -> None:
    topic = topics.find(name)
    value = without_archive(attribute, value)
    check_change(topic, attribute, value)
    value = canonical(attribute, value)
    attributes = {n: v for n, v in topic.record.attributes.items() if n != attribute}
    if value:
        attributes[attribute] = value
    archived_before = topic.archive_days > 0
    topic.record.attributes = attributes
    topic.derive()
    if attribute == "ArchivePolicy":
        _archive_changed(topics, topic, archived_before)
    if attribute == "DeliveryPolicy":
        for subscription in topic.subscriptions.values():
            subscription.derive_policy()
    topics.record_topic(topic)


def _archive_changed(topics: Topics, topic: Topic, archived_before: bool) -> None:
    """A topic that gets an archive keeps messages from now on; one that loses it loses them."""
    if not archived_before and topic.archive_days:
        topic.record.archived_since_ms = topics.engine.ledger.now_ms()
    archive = topics.engine.find_internal_queue(topic.archive_queue)
    if archive is None:
        return
    if topic.archive_days:
        topics.engine.configure_queue(archive, archive_settings(topic), archive.attributes)
    else:
        topics.engine.delete_queue(archive)
