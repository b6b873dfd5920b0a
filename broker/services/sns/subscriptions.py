"""Subscribe, Unsubscribe, the two lists, GetSubscriptionAttributes and SetSubscriptionAttributes."""

from collections.abc import Sequence

import msgspec

from broker.services.context import Call
from broker.services.sns.confirmation import Letter, prepare_letter
from broker.services.sns.endpoints import check_endpoint, needs_confirmation
from broker.services.sns.errors import AuthorizationError, InvalidParameter, SubscriptionLimitExceeded
from broker.services.sns.names import TopicName, read_endpoint_arn, read_subscription_arn, read_topic_arn
from broker.services.sns.paging import PAGE, cut_page, read_token
from broker.services.sns.policy_limits import check_policy_counts
from broker.services.sns.push_state import Platforms
from broker.services.sns.records import SubscriptionRecord
from broker.services.sns.replay import Replays
from broker.services.sns.service import SERVICE
from broker.services.sns.state import Topics
from broker.services.sns.subscription_attributes import check_change, check_new, read_replay, shown
from broker.services.sns.topic import Subscription, Topic
from broker.services.sns.topic_attributes import check_large
from broker.services.sns.topics import AttributesResult

PENDING = "pending confirmation"
_FIFO_SUBSCRIPTIONS_MAX = 100
_LARGE_BYTES = 262_144


class SubscribeRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    protocol: str
    endpoint: str | None = None
    attributes: dict[str, str] | None = None
    return_subscription_arn: bool | None = None


class SubscribeResult(msgspec.Struct, rename="pascal"):
    subscription_arn: str


@SERVICE.operation("Subscribe", SubscribeRequest, SubscribeResult, at_queue=False)
async def subscribe(call: Call, request: SubscribeRequest) -> SubscribeResult:
    """Subscribe an endpoint, or find its subscription if it has the given attributes.

    An endpoint that must confirm is sent a token; until it does, it gets nothing else.
    """
    name = read_topic_arn(request.topic_arn, region=call.region)
    endpoint = request.endpoint or ""
    topics = call.runtime.part(Topics)
    topic = await call.runtime.call(topics.find, name)
    check_endpoint(topic, request.protocol, endpoint)
    letter = None
    if needs_confirmation(request.protocol, endpoint, call.account):
        letter = await prepare_letter(call, topic, "SubscriptionConfirmation", request.protocol)
    subscription = await call.runtime.call(
        ensure_subscription, call, name, request.protocol, endpoint, request.attributes or {}, letter
    )
    if subscription.record.confirmed or request.return_subscription_arn:
        return SubscribeResult(subscription.arn)
    return SubscribeResult(PENDING)


class SubscriptionRequest(msgspec.Struct, rename="pascal"):
    subscription_arn: str


@SERVICE.operation("Unsubscribe", SubscriptionRequest, at_queue=False)
async def unsubscribe(call: Call, request: SubscriptionRequest) -> None:
    """End a subscription; one that does not exist has ended. An HTTP endpoint is told, and can subscribe again by a link."""
    arn = read_subscription_arn(request.subscription_arn)
    topics = call.runtime.part(Topics)
    subscription = await call.runtime.call(topics.subscriptions.get, arn)
    letter = None
    if subscription is not None and subscription.protocol in ("http", "https") and subscription.topic is not None:
        letter = await prepare_letter(call, subscription.topic, "UnsubscribeConfirmation", subscription.protocol, arn)
    await call.runtime.call(_unsubscribe, call, arn, letter)


class ListSubscriptionsRequest(msgspec.Struct, rename="pascal"):
    next_token: str | None = None


class ListedSubscription(msgspec.Struct, rename="pascal"):
    subscription_arn: str
    owner: str
    protocol: str
    endpoint: str
    topic_arn: str


class ListSubscriptionsResult(msgspec.Struct, rename="pascal", kw_only=True):
    subscriptions: list[ListedSubscription]
    next_token: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation("ListSubscriptions", ListSubscriptionsRequest, ListSubscriptionsResult, at_queue=False)
async def list_subscriptions(call: Call, request: ListSubscriptionsRequest) -> ListSubscriptionsResult:
    """The caller's subscriptions to topics of the region, 100 at a time."""
    after = read_token(request.next_token)
    topics = call.runtime.part(Topics)
    return _page(await call.runtime.call(topics.owned_after, (call.account, call.region), after, PAGE + 1))


class ListSubscriptionsByTopicRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    next_token: str | None = None


@SERVICE.operation("ListSubscriptionsByTopic", ListSubscriptionsByTopicRequest, ListSubscriptionsResult, at_queue=False)
async def list_subscriptions_by_topic(call: Call, request: ListSubscriptionsByTopicRequest) -> ListSubscriptionsResult:
    """The subscriptions of a topic, 100 at a time."""
    name = read_topic_arn(request.topic_arn, region=call.region)
    after = read_token(request.next_token)
    topics = call.runtime.part(Topics)
    return _page(await call.runtime.call(lambda: topics.of_topic_after(topics.find(name), after, PAGE + 1)))


@SERVICE.operation("GetSubscriptionAttributes", SubscriptionRequest, AttributesResult, at_queue=False)
async def get_subscription_attributes(call: Call, request: SubscriptionRequest) -> AttributesResult:
    """All attributes of a subscription."""
    arn = read_subscription_arn(request.subscription_arn)
    return AttributesResult(shown(await call.runtime.call(call.runtime.part(Topics).find_subscription, arn)))


class SetSubscriptionAttributesRequest(msgspec.Struct, rename="pascal", kw_only=True):
    subscription_arn: str
    attribute_name: str
    attribute_value: str | None = None


@SERVICE.operation("SetSubscriptionAttributes", SetSubscriptionAttributesRequest, at_queue=False)
async def set_subscription_attributes(call: Call, request: SetSubscriptionAttributesRequest) -> None:
    """Set one attribute of a subscription; an empty value takes it away."""
    arn = read_subscription_arn(request.subscription_arn)
    await call.runtime.call(_set, call, arn, request.attribute_name, request.attribute_value or "")


def ensure_subscription(
    call: Call, name: TopicName, protocol: str, endpoint: str, given: dict[str, str], letter: Letter | None
) -> Subscription:
    """Make a subscription with these attributes unless the endpoint has one that has them. `letter`: to be sent to it if it
    has not confirmed yet. Only what is given is compared. Raises InvalidParameter and what bad attributes raise.
    """
    topics = call.runtime.part(Topics)
    topic = topics.find(name)
    now_ms = topics.engine.ledger.now_ms()
    attributes = check_new(topic, protocol, given, now_ms)
    existing = topics.at_place(topic, protocol, endpoint)
    if letter is not None and (existing is None or not existing.record.confirmed):
        letter.require_room(topics)
    if existing is None:
        if protocol == "application":
            _check_device(call, endpoint)
        _check_room(topic, protocol)
        if "FilterPolicy" in attributes:
            _check_policies(topics, topic)
        existing = topics.add_subscription(
            topic,
            SubscriptionRecord(
                arn=f"{topic.arn}:{topics.engine.ledger.chance.uuid()}",
                topic=name,
                protocol=protocol,
                endpoint=endpoint,
                owner=call.account,
                attributes=attributes,
                confirmed=letter is None,
                token="",
                token_until_ms=0,
                authenticated=letter is None,
            ),
        )
        if "ReplayPolicy" in attributes:
            call.runtime.part(Replays).start(existing, read_replay(attributes["ReplayPolicy"]))
    else:
        has = shown(existing)
        if any(has.get(attribute) != value for attribute, value in attributes.items()):
            raise InvalidParameter("Attributes Reason: Subscription already exists with different attributes")
    if letter is not None and not existing.record.confirmed:
        topics.give_token(existing, letter.token)
        letter.send(topics, existing)
    return existing


def _check_device(call: Call, endpoint_arn: str) -> None:
    name, identifier = read_endpoint_arn(endpoint_arn, "Endpoint")
    if call.runtime.part(Platforms).endpoint(name, identifier) is None:
        raise InvalidParameter(f"Endpoint Reason: Endpoint does not exist for endpoint {endpoint_arn}")


def _check_room(topic: Topic, protocol: str) -> None:
    if topic.fifo and len(topic.subscriptions) >= _FIFO_SUBSCRIPTIONS_MAX:
        raise SubscriptionLimitExceeded(f"A FIFO topic can have {_FIFO_SUBSCRIPTIONS_MAX} subscriptions")
    if topic.message_bytes_max > _LARGE_BYTES:
        check_large(topic, [*(s.protocol for s in topic.subscriptions.values()), protocol])


def _check_policies(topics: Topics, topic: Topic) -> None:
    """Whether one more subscription may have a filter policy."""
    in_topic = sum("FilterPolicy" in s.record.attributes for s in topic.subscriptions.values())
    check_policy_counts(in_topic + 1, topics.policies(topic.name.account) + 1)


def _unsubscribe(call: Call, arn: str, letter: Letter | None) -> None:
    topics = call.runtime.part(Topics)
    subscription = topics.subscriptions.get(arn)
    if subscription is None:
        return
    record, topic = subscription.record, subscription.topic
    assert topic is not None
    if not record.confirmed:
        raise InvalidParameter("SubscriptionArn Reason: a subscription that is pending confirmation cannot be deleted")
    if record.authenticate_on_unsubscribe and (
        not call.signed or call.account not in (record.owner, topic.name.account)
    ):
        raise AuthorizationError("Not authorized to unsubscribe")
    if letter is not None:
        letter.require_room(topics)
    topic.record.deleted += 1
    topics.record_topic(topic)
    if letter is None:
        topics.detach(subscription)
        topics.bury(subscription)
        return
    topics.end(subscription)
    outbox = topics.engine.find_internal_queue(subscription.outbox)
    if outbox is not None:
        topics.engine.purge_queue(outbox)
    topics.give_token(subscription, letter.token)
    letter.send(topics, subscription)


def _set(call: Call, arn: str, name: str, value: str) -> None:
    topics = call.runtime.part(Topics)
    subscription = topics.find_subscription(arn)
    topic = subscription.topic
    assert topic is not None
    attributes = check_change(topic, subscription, name, value, topics.engine.ledger.now_ms())
    if "FilterPolicy" in attributes and "FilterPolicy" not in subscription.record.attributes:
        _check_policies(topics, topic)
    subscription.record.attributes = attributes
    subscription.derive()
    if name == "ReplayPolicy":
        replays = call.runtime.part(Replays)
        if value:
            replays.start(subscription, read_replay(value))
        else:
            replays.stop(subscription)
    topics.record_subscription(subscription)


def _page(found: Sequence[Subscription]) -> ListSubscriptionsResult:
    page, next_token = cut_page(found, lambda subscription: subscription.arn)
    return ListSubscriptionsResult(
        subscriptions=[
            ListedSubscription(
                s.arn if s.record.confirmed else "PendingConfirmation",
                s.record.owner,
                s.protocol,
                s.shown_endpoint,
                s.record.topic.arn,
            )
            for s in page
        ],
        next_token=next_token,
    )
