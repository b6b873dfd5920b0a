"""AddPermission and RemovePermission: statements of the queue's Policy attribute. Nothing here enforces a policy.

Source: SQS API Reference, AddPermission; Developer Guide, "Quotas related to policies".
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import orjson

from broker.core.engine import Engine
from broker.core.errors import InvalidParameterValue, MissingParameter, OverLimit
from broker.core.queue import Queue
from broker.core.settings import QueueName
from broker.services.context import Call
from broker.services.operation import QueryName
from broker.services.sqs.attribute_rules import POLICY_BYTES_MAX
from broker.services.sqs.queue_urls import queue_name
from broker.services.sqs.service import SERVICE

ACTIONS_MAX: Final = 7  # of a statement
PRINCIPALS_MAX: Final = 50
STATEMENTS_MAX: Final = 20
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_POLICY_VERSION: Final = "2008-10-17"  # the one that AWS writes here

# Others may be given what works on messages and what reads a queue; a queue's set-up stays its owner's.
_FOR_OTHERS: Final = frozenset(
    {
        "*",
        "CancelMessageMoveTask",
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",
        "DeleteMessageBatch",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "ListMessageMoveTasks",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
        "SendMessageBatch",
        "StartMessageMoveTask",
    }
)
_OWNERS_ALONE: Final = frozenset(
    {
        "AddPermission",
        "CreateQueue",
        "DeleteQueue",
        "ListQueueTags",
        "ListQueues",
        "RemovePermission",
        "SetQueueAttributes",
        "TagQueue",
        "UntagQueue",
    }
)


class AddPermissionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    label: str
    aws_account_ids: Annotated[list[str], QueryName("AWSAccountId")] | None = msgspec.field(
        default=None, name="AWSAccountIds"
    )
    actions: Annotated[list[str], QueryName("ActionName")] | None = None


@SERVICE.operation("AddPermission", AddPermissionRequest)
async def add_permission(call: Call, request: AddPermissionRequest) -> None:
    """Add a statement, named by its label, that allows actions to accounts."""
    name = queue_name(call, request.queue_url)
    await call.runtime.call(_add, call.runtime.engine, name, request)


class RemovePermissionRequest(msgspec.Struct, rename="pascal", kw_only=True):
    queue_url: str | None = None
    label: str


@SERVICE.operation("RemovePermission", RemovePermissionRequest)
async def remove_permission(call: Call, request: RemovePermissionRequest) -> None:
    """Remove the statement of this label."""
    await call.runtime.call(_remove, call.runtime.engine, queue_name(call, request.queue_url), request.label)


def _add(engine: Engine, name: QueueName, request: AddPermissionRequest) -> None:
    queue = engine.find_queue(name)
    actions, accounts = request.actions or [], request.aws_account_ids or []
    _check_label(request.label)
    _check_accounts(accounts)
    _check_actions(actions)
    policy = _policy(queue)
    statements = _statements(policy)
    if any(statement.get("Sid") == request.label for statement in statements):
        raise InvalidParameterValue(f"Value {request.label} for parameter Label is invalid. Reason: Already exists.")
    _check_limit("Statements", len(statements) + 1, STATEMENTS_MAX)
    statement = {
        "Sid": request.label,
        "Effect": "Allow",
        "Principal": {"AWS": _one_or_all([f"arn:aws:iam::{account}:root" for account in accounts])},
        "Action": _one_or_all([f"SQS:{action}" for action in actions]),
        "Resource": name.arn,
    }
    policy["Statement"] = [*statements, statement]
    _write(engine, queue, policy)


def _remove(engine: Engine, name: QueueName, label: str) -> None:
    queue = engine.find_queue(name)
    policy = _policy(queue)
    statements = _statements(policy)
    kept = [statement for statement in statements if statement.get("Sid") != label]
    if len(kept) == len(statements):
        raise InvalidParameterValue(
            f"Value {label} for parameter Label is invalid. Reason: can't find label on existing policy."
        )
    policy["Statement"] = kept
    _write(engine, queue, policy if kept else None)


def _check_label(label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise InvalidParameterValue(
            f"Value {label} for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, "
            "or underscores. 1 to 80 in length."
        )


def _check_accounts(accounts: Sequence[str]) -> None:
    if not accounts:
        raise MissingParameter("AWSAccountIds")
    _check_limit("Principals", len(accounts), PRINCIPALS_MAX)
    if not all(_ACCOUNT.fullmatch(account) for account in accounts):
        raise InvalidParameterValue(
            f"Value [{', '.join(accounts)}] for parameter PrincipalId is invalid. Reason: Unable to verify."
        )


def _check_actions(actions: Sequence[str]) -> None:
    if not actions:
        raise MissingParameter("Actions")
    _check_limit("Actions", len(actions), ACTIONS_MAX)
    for action in actions:
        if action in _OWNERS_ALONE:
            reason = "Only the queue owner is allowed to invoke this action."
        elif action not in _FOR_OTHERS:
            reason = "Please refer to the appropriate WSDL for a list of valid actions."
        else:
            continue
        raise InvalidParameterValue(f"Value SQS:{action} for parameter ActionName is invalid. Reason: {reason}")


def _check_limit(what: str, found: int, most: int) -> None:
    if found > most:
        raise OverLimit(f"{found} {what} were found, maximum allowed is {most}.")


def _policy(queue: Queue) -> dict[str, Any]:
    """The queue's policy to change, or the beginning of a new one."""
    written = queue.attributes.get("Policy")
    if written is None:
        return {"Version": _POLICY_VERSION, "Id": f"{queue.name.arn}/SQSDefaultPolicy"}
    policy = orjson.loads(written)
    assert isinstance(policy, dict), "checked when it was set"
    return policy


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """A policy may have one statement, or a list of them."""
    written = policy.get("Statement", [])
    return [s for s in (written if isinstance(written, list) else [written]) if isinstance(s, dict)]


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _write(engine: Engine, queue: Queue, policy: dict[str, Any] | None) -> None:
    attributes = {name: value for name, value in queue.attributes.items() if name != "Policy"}
    if policy is not None:
        written = orjson.dumps(policy)
        if len(written) > POLICY_BYTES_MAX:
            raise OverLimit(f"The policy has {len(written)} bytes, maximum allowed is {POLICY_BYTES_MAX}.")
        attributes["Policy"] = written.decode()
    engine.configure_queue(queue, queue.settings, attributes)
