"""The attributes of subscriptions: which there are, what they may hold, and what GetSubscriptionAttributes shows.

Source: SNS API Reference, Subscribe, SetSubscriptionAttributes and GetSubscriptionAttributes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from broker.core.settings import queue_name_of_arn
from broker.services.filtering.policy import Scope, compile_filter
from broker.services.filtering.refused import PolicyRefused
from broker.services.sns.delivery_policy import check_subscription_policy, effective_json
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.records import Replay
from broker.services.sns.topic import Subscription, Topic

NAMES: Final = (
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "ReplayPolicy",
    "SubscriptionRoleArn",
)
_RAW_PROTOCOLS: Final = frozenset({"sqs", "http", "https", "firehose"})
_JSON_BYTES_MAX: Final = 65_536


def check_new(topic: Topic, protocol: str, given: Mapping[str, str], now_ms: int) -> dict[str, str]:
    """The attributes of a new subscription as they are kept. Raises InvalidParameter."""
    kept = {name: _canonical(name, value) for name, value in given.items() if value != ""}
    try:
        for name, value in kept.items():
            if name not in NAMES:
                raise PolicyRefused(f"Unknown attribute: {name}")
            _check(topic, protocol, name, value, kept, now_ms)
        if protocol == "firehose" and "SubscriptionRoleArn" not in kept:
            raise PolicyRefused("SubscriptionRoleArn must be specified for a firehose subscription")
    except PolicyRefused as refused:
        raise InvalidParameter(f"Attributes Reason: {refused.reason}") from None
    return kept


def check_change(topic: Topic, subscription: Subscription, name: str, value: str, now_ms: int) -> dict[str, str]:
    """The attributes of a subscription once one of them is set to `value`; "" takes it away. Raises as above."""
    if name not in NAMES:
        raise InvalidParameter("AttributeName")
    kept = {n: v for n, v in subscription.record.attributes.items() if n != name}
    if value:
        kept[name] = _canonical(name, value)
    try:
        if value:
            _check(topic, subscription.protocol, name, value, kept, now_ms)
        if name == "FilterPolicyScope" and "FilterPolicy" in kept:
            compile_filter(kept["FilterPolicy"], _scope(kept))
    except PolicyRefused as refused:
        raise InvalidParameter(refused.reason) from None
    return kept


def read_replay(policy: str) -> Replay:
    """A replay as a ReplayPolicy that was checked describes it."""
    document = orjson.loads(policy)
    ending = document.get("EndingPoint")
    return Replay("Pending", _instant(document["StartingPoint"]), None if ending is None else _instant(ending))


def shown(subscription: Subscription) -> dict[str, str]:
    """What GetSubscriptionAttributes answers."""
    record = subscription.record
    given = record.attributes
    attributes = {
        "SubscriptionPrincipal": f"arn:aws:iam::{record.owner}:root",
        "Owner": record.owner,
        "RawMessageDelivery": "false",
        "TopicArn": record.topic.arn,
        "Endpoint": subscription.shown_endpoint,
        "Protocol": record.protocol,
        "PendingConfirmation": _text(not record.confirmed),
        "ConfirmationWasAuthenticated": _text(record.authenticated),
        "SubscriptionArn": record.arn,
    }
    if "FilterPolicy" in given:
        attributes["FilterPolicyScope"] = "MessageAttributes"
    if record.protocol in ("http", "https") and subscription.topic is not None:
        topic_policy = subscription.topic.record.attributes.get("DeliveryPolicy")
        attributes["EffectiveDeliveryPolicy"] = effective_json(
            topic_policy, given.get("DeliveryPolicy"), of_subscription=True
        )
    if record.replay is not None:
        attributes["ReplayStatus"] = record.replay.status
    return attributes | given


def _canonical(name: str, value: str) -> str:
    """true and false may be written True and FALSE."""
    return value.lower() if name == "RawMessageDelivery" and value.lower() in ("true", "false") else value


def _check(topic: Topic, protocol: str, name: str, value: str, all_given: Mapping[str, str], now_ms: int) -> None:
    if name == "RawMessageDelivery":
        if value.lower() not in ("true", "false"):
            raise PolicyRefused(f"RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
        if value.lower() == "true" and protocol not in _RAW_PROTOCOLS:
            raise PolicyRefused(
                f"RawMessageDelivery: Delivery protocol [{protocol}] does not support raw message delivery."
            )
    elif name == "FilterPolicyScope":
        if value not in ("MessageAttributes", "MessageBody"):
            raise PolicyRefused(
                f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
            )
    elif name == "FilterPolicy":
        compile_filter(value, _scope(all_given))
    elif name == "DeliveryPolicy":
        if protocol not in ("http", "https"):
            raise PolicyRefused(f"DeliveryPolicy: Delivery protocol [{protocol}] does not support delivery policies.")
        check_subscription_policy(value)
    elif name == "RedrivePolicy":
        _check_redrive(topic, value)
    elif name == "ReplayPolicy":
        _check_replay(topic, value, now_ms)
    elif protocol != "firehose":
        raise PolicyRefused(f"SubscriptionRoleArn: Delivery protocol [{protocol}] does not support a role.")
    elif not value.startswith("arn:aws:iam:"):
        raise PolicyRefused("SubscriptionRoleArn: is an invalid arn")


def _check_redrive(topic: Topic, value: str) -> None:
    policy = _object("RedrivePolicy", value)
    for name in policy:
        if name != "deadLetterTargetArn":
            raise PolicyRefused(f"RedrivePolicy: invalid JSON. Attribute {name} is unknown.")
    arn = policy.get("deadLetterTargetArn")
    target = queue_name_of_arn(arn) if isinstance(arn, str) else None
    if target is None:
        raise PolicyRefused("RedrivePolicy: deadLetterTargetArn is an invalid arn")
    if topic.fifo and not target.name.endswith(".fifo"):
        raise PolicyRefused("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic subscription")
    if not topic.fifo and target.name.endswith(".fifo"):
        raise PolicyRefused("RedrivePolicy: must use a standard queue as DLQ for a standard topic subscription")


def _check_replay(topic: Topic, value: str, now_ms: int) -> None:
    if not topic.archive_days:
        raise PolicyRefused("ReplayPolicy: the topic has no ArchivePolicy")
    policy = _object("ReplayPolicy", value)
    for name in policy:
        if name not in ("PointType", "StartingPoint", "EndingPoint"):
            raise PolicyRefused(f"ReplayPolicy: invalid JSON. Attribute {name} is unknown.")
    if policy.get("PointType") != "Timestamp":
        raise PolicyRefused("ReplayPolicy: PointType must be Timestamp")
    starting = _instant(policy.get("StartingPoint"))
    ending = None if policy.get("EndingPoint") is None else _instant(policy["EndingPoint"])
    if starting > now_ms:
        raise PolicyRefused("ReplayPolicy: StartingPoint must not be in the future")
    if ending is not None and ending <= starting:
        raise PolicyRefused("ReplayPolicy: EndingPoint must be later than StartingPoint")


def _instant(value: Any) -> int:
    """An ISO 8601 time in milliseconds since the epoch; without a zone it is UTC. Raises PolicyRefused."""
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PolicyRefused("ReplayPolicy: StartingPoint and EndingPoint must be ISO 8601 timestamps") from None
    return round((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def _scope(given: Mapping[str, str]) -> Scope:
    return "MessageBody" if given.get("FilterPolicyScope") == "MessageBody" else "MessageAttributes"


def _object(name: str, value: str) -> dict[str, Any]:
    try:
        document = orjson.loads(value) if len(value) <= _JSON_BYTES_MAX else None
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise PolicyRefused(f"{name}: failed to parse JSON.")
    return document


def _text(flag: bool) -> str:
    return "true" if flag else "false"
