"""AddPermission and RemovePermission: statements of the topic's Policy attribute. Nothing here enforces a policy.

Source: SNS API Reference, AddPermission; Developer Guide, "Amazon SNS API permissions" (the actions of a topic's policy).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from broker.services.context import Call
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.names import TopicName, read_topic_arn
from broker.services.sns.service import SERVICE
from broker.services.sns.state import Topics
from broker.services.sns.topic import Topic
from broker.services.sns.topic_attributes import check_change, default_policy

_ACCOUNT: Final = re.compile(r"[0-9]{12}")

# What can be done to one topic; a wildcard is no action's name.
_ACTIONS: Final = frozenset(
    {
        "AddPermission",
        "DeleteTopic",
        "GetDataProtectionPolicy",
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "ListTagsForResource",
        "Publish",
        "PutDataProtectionPolicy",
        "Receive",
        "RemovePermission",
        "SetTopicAttributes",
        "Subscribe",
        "TagResource",
        "UntagResource",
    }
)


class AddPermissionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    label: str
    aws_account_ids: list[str] = msgspec.field(name="AWSAccountId")
    action_names: list[str] = msgspec.field(name="ActionName")


@SERVICE.operation("AddPermission", AddPermissionRequest, at_queue=False)
async def add_permission(call: Call, request: AddPermissionRequest) -> None:
    """Add a statement, named by its label, that allows actions to accounts."""
    name = read_topic_arn(request.topic_arn, region=call.region)
    await call.runtime.call(_add, call.runtime.part(Topics), name, request)


class RemovePermissionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    topic_arn: str
    label: str


@SERVICE.operation("RemovePermission", RemovePermissionRequest, at_queue=False)
async def remove_permission(call: Call, request: RemovePermissionRequest) -> None:
    """Remove the statement of this label; one that is not there has been removed."""
    name = read_topic_arn(request.topic_arn, region=call.region)
    await call.runtime.call(_remove, call.runtime.part(Topics), name, request.label)


def _add(topics: Topics, name: TopicName, request: AddPermissionRequest) -> None:
    topic = topics.find(name)
    accounts, actions = request.aws_account_ids, request.action_names
    if not request.label:
        raise InvalidParameter("Label Reason: no value for required parameter")
    if not accounts or not all(_ACCOUNT.fullmatch(account) for account in accounts):
        raise InvalidParameter("Policy Error: PrincipalNotFound")
    if not actions or not _ACTIONS.issuperset(actions):
        raise InvalidParameter("Policy statement action out of service scope!")
    policy = _policy(topic)
    statements = _statements(policy)
    if any(statement.get("Sid") == request.label for statement in statements):
        raise InvalidParameter("Statement already exists")
    statement = {
        "Sid": request.label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_all([f"arn:aws:iam::{account}:root" for account in accounts])},
        "Action": _one_or_all([f"SNS:{action}" for action in actions]),
        "Resource": topic.arn,
    }
    written = _written(policy, [*statements, statement])
    check_change(topic, "Policy", written)
    _write(topics, topic, written)


def _remove(topics: Topics, name: TopicName, label: str) -> None:
    topic = topics.find(name)
    policy = _policy(topic)
    statements = _statements(policy)
    kept = [statement for statement in statements if statement.get("Sid") != label]
    if len(kept) < len(statements):
        # Without its last statement a policy is kept, empty: without the attribute the default one would come back.
        _write(topics, topic, _written(policy, kept))


def _policy(topic: Topic) -> dict[str, Any]:
    """The topic's policy to change."""
    policy = orjson.loads(topic.record.attributes.get("Policy") or default_policy(topic))
    assert isinstance(policy, dict), "checked when it was set"
    return policy


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """A policy may have one statement, or a list of them."""
    written = policy.get("Statement", [])
    return written if isinstance(written, list) else [written]


def _one_or_all(values: Sequence[str]) -> str | Sequence[str]:
    return values[0] if len(values) == 1 else values


def _written(policy: dict[str, Any], statements: list[dict[str, Any]]) -> str:
    return orjson.dumps(policy | {"Statement": statements}).decode()


def _write(topics: Topics, topic: Topic, policy: str) -> None:
    topic.record.attributes = topic.record.attributes | {"Policy": policy}
    topics.record_topic(topic)
