"""The attributes of topics: which there are, what they may hold, and what GetTopicAttributes shows.

Source: SNS API Reference, CreateTopic, SetTopicAttributes and GetTopicAttributes.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from broker.services.filtering.refused import PolicyRefused
from broker.services.sns.delivery_policy import check_topic_policy, effective_json
from broker.services.sns.envelope import timestamp_text
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.topic import ARCHIVE_DAY_MS, Topic

_DISPLAY_NAME_MAX: Final = 100
_POLICY_BYTES_MAX: Final = 30_720
_ARCHIVE_DAYS_MAX: Final = 365
_MESSAGE_BYTES: Final = range(1_024, 1_048_577)
LARGE_SUBSCRIPTIONS_MAX: Final = 100
LARGE_PROTOCOLS: Final = frozenset({"sqs", "firehose", "lambda"})

_FAMILIES: Final = ("HTTP", "Firehose", "Lambda", "Application", "SQS")
_ROLES: Final = {f"{f}{kind}FeedbackRoleArn" for f in _FAMILIES for kind in ("Success", "Failure")}
_RATES: Final = {f"{f}SuccessFeedbackSampleRate" for f in _FAMILIES}
_BOOLEANS: Final = frozenset({"ContentBasedDeduplication", "FifoTopic"})
_FIFO_ONLY: Final = frozenset({"ArchivePolicy", "ContentBasedDeduplication", "FifoThroughputScope"})

_OWNERS_ACTIONS: Final = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)


def check_new(given: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a new topic as they are kept. Raises InvalidParameter."""
    fifo = _boolean("FifoTopic", given["FifoTopic"], "Attributes Reason: ") if "FifoTopic" in given else False
    kept: dict[str, str] = {}
    for name, value in given.items():
        if name != "FifoTopic":
            if name not in _CHECKS:
                raise InvalidParameter(f"Attributes Reason: Unknown attribute {name}")
            value = without_archive(name, value)
            _check(name, value, fifo=fifo, before="Attributes Reason: ")
        if value != "":
            kept[name] = canonical(name, value)
    if not fifo:
        kept.pop("FifoTopic", None)
    return kept


def check_change(topic: Topic, name: str, value: str) -> None:
    """Whether an attribute of a topic may be set to this; "" takes it away. Raises InvalidParameter."""
    if name not in _CHECKS:
        raise InvalidParameter("AttributeName")
    _check(name, value, fifo=topic.fifo, before="")
    if name == "FifoThroughputScope" and topic.by_group and value != "MessageGroup":
        raise InvalidParameter("FifoThroughputScope Reason: the scope cannot be changed back to Topic")
    if name == "MaximumMessageSize" and value and int(value) > 262_144:
        check_large(topic, [s.protocol for s in topic.subscriptions.values()])


def canonical(name: str, value: str) -> str:
    """A value that was checked, as it is kept, compared and shown: true and false may be written True and FALSE."""
    return value.lower() if name in _BOOLEANS else value


def without_archive(name: str, value: str) -> str:
    """ArchivePolicy {} is how AWS's users end an archive. Observed: CDK's and Terraform's issues on deleting such topics."""
    return "" if name == "ArchivePolicy" and value.strip().replace(" ", "") == "{}" else value


def check_large(topic: Topic, protocols: list[str]) -> None:
    """A topic for messages above 256 KiB has at most 100 subscriptions, none of which leaves AWS. Raises InvalidParameter."""
    if len(protocols) > LARGE_SUBSCRIPTIONS_MAX:
        raise InvalidParameter(
            f"MaximumMessageSize Reason: a topic with messages above 256 KiB can have {LARGE_SUBSCRIPTIONS_MAX} subscriptions"
        )
    if not LARGE_PROTOCOLS.issuperset(protocols):
        raise InvalidParameter(
            "MaximumMessageSize Reason: a topic with messages above 256 KiB supports sqs, firehose and lambda subscriptions"
        )


def shown(topic: Topic, now_ms: int) -> dict[str, str]:
    """What GetTopicAttributes answers."""
    record = topic.record
    confirmed = sum(s.record.confirmed for s in topic.subscriptions.values())
    attributes = {
        "Policy": record.attributes.get("Policy") or default_policy(topic),
        "Owner": topic.name.account,
        "SubscriptionsPending": str(len(topic.subscriptions) - confirmed),
        "TopicArn": topic.arn,
        "EffectiveDeliveryPolicy": effective_json(record.attributes.get("DeliveryPolicy"), of_subscription=False),
        "SubscriptionsConfirmed": str(confirmed),
        "DisplayName": "",
        "SubscriptionsDeleted": str(record.deleted),
    }
    if topic.fifo:
        attributes["ContentBasedDeduplication"] = "false"
        attributes["FifoThroughputScope"] = "Topic"
    attributes |= record.attributes
    if topic.archive_days:
        beginning_ms = max(record.archived_since_ms, now_ms - topic.archive_days * ARCHIVE_DAY_MS)
        attributes["BeginningArchiveTime"] = beginning_text(beginning_ms)
    return attributes


def default_policy(topic: Topic) -> str:
    """The policy of a topic that was given none: its owner may do everything."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _OWNERS_ACTIONS],
        "Resource": topic.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": topic.name.account}},
    }
    policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return orjson.dumps(policy).decode()


def beginning_text(at_ms: int) -> str:
    """A time as BeginningArchiveTime has it: whole seconds, in UTC."""
    return timestamp_text(at_ms)[:-5] + "Z"


def _check(name: str, value: str, *, fifo: bool, before: str) -> None:
    if name in _FIFO_ONLY and not fifo:
        raise InvalidParameter(f"{before}{name} can only be set for FIFO topics")
    if value == "" and name not in ("ContentBasedDeduplication", "FifoThroughputScope", "SignatureVersion"):
        return
    try:
        _CHECKS[name](name, value, before)
    except PolicyRefused as refused:
        raise InvalidParameter(f"{before}{refused.reason}") from None


def _boolean(name: str, value: str, before: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InvalidParameter(f"{before}{name}: Invalid value [{value}]. Please use true or false")
    return value.lower() == "true"


def _display_name(name: str, value: str, before: str) -> None:
    if len(value) > _DISPLAY_NAME_MAX or any(c < " " or c == "\x7f" for c in value):
        raise InvalidParameter(f"{before}{name}")


def _one_of(*allowed: str) -> Callable[[str, str, str], None]:
    def check(name: str, value: str, before: str) -> None:
        if value not in allowed:
            raise InvalidParameter(f"{before}{name}: Invalid value [{value}]. Please use {' or '.join(allowed)}")

    return check


def _number(allowed: range) -> Callable[[str, str, str], None]:
    def check(name: str, value: str, before: str) -> None:
        digits = value if value.isascii() and value.isdigit() and len(value) < 10 else "-1"
        if int(digits) not in allowed:
            raise InvalidParameter(f"{before}{name}: must be an integer from {allowed[0]} to {allowed[-1]}")

    return check


def _policy(name: str, value: str, before: str) -> None:
    """Kept and returned; it must be a policy's form."""
    policy = _object(name, value, before)
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if len(value.encode()) > _POLICY_BYTES_MAX:
        raise InvalidParameter(f"{before}{name} Reason: Policy length exceeds {_POLICY_BYTES_MAX} bytes")
    if not isinstance(statements, list) or not statements or not all(isinstance(s, dict) for s in statements):
        raise InvalidParameter(f"{before}{name} Error: null")


def _delivery_policy(_name: str, value: str, _before: str) -> None:
    check_topic_policy(value)


def _archive_policy(name: str, value: str, before: str) -> None:
    policy = _object(name, value, before)
    days = policy.get("MessageRetentionPeriod")
    text = str(days) if isinstance(days, int | str) and not isinstance(days, bool) else ""
    digits = text.isascii() and text.isdigit() and len(text) < 5
    if not digits or not 1 <= int(text) <= _ARCHIVE_DAYS_MAX:
        raise InvalidParameter(
            f"{before}{name}: MessageRetentionPeriod must be an integer from 1 to {_ARCHIVE_DAYS_MAX}"
        )
    for other in policy:
        if other != "MessageRetentionPeriod":
            raise InvalidParameter(f"{before}{name}: invalid JSON. Attribute {other} is unknown.")


def _object(name: str, value: str, before: str) -> dict[str, Any]:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise InvalidParameter(f"{before}{name}: failed to parse JSON.")
    return document


def _any(_name: str, _value: str, _before: str) -> None:
    """Kept and returned; it has no effect here."""


def _is_boolean(name: str, value: str, before: str) -> None:
    _boolean(name, value, before)


_CHECKS: Final[dict[str, Callable[[str, str, str], None]]] = {
    "DisplayName": _display_name,
    "Policy": _policy,
    "DeliveryPolicy": _delivery_policy,
    "KmsMasterKeyId": _any,
    "SignatureVersion": _one_of("1", "2"),
    "TracingConfig": _one_of("PassThrough", "Active"),
    "MaximumMessageSize": _number(_MESSAGE_BYTES),
    "ContentBasedDeduplication": _is_boolean,
    "FifoThroughputScope": _one_of("Topic", "MessageGroup"),
    "ArchivePolicy": _archive_policy,
    **dict.fromkeys(_ROLES, _any),
    **dict.fromkeys(_RATES, _number(range(101))),
}
