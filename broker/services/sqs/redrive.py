"""RedrivePolicy and RedriveAllowPolicy: what their JSON may say, and which queue may be whose dead-letter queue.

Source: SQS API Reference, SetQueueAttributes; Developer Guide, "Using dead-letter queues". AWS's text for a source that
the allow policy refuses is not documented; ours says what it is.
"""

from typing import Any, Final

import orjson

from broker.core.engine import Engine
from broker.core.errors import InvalidParameterValue
from broker.core.settings import QueueName, Redrive, RedriveAllow, queue_name_of_arn

_RECEIVE_COUNT_MAX: Final = 1000
_SOURCES_MAX: Final = 10
_TEXT_MAX: Final = 8_192  # as of other policies; ten ARNs are far from it
_POLICY_KEYS: Final = ("deadLetterTargetArn", "maxReceiveCount")
_ALLOW_KEYS: Final = ("redrivePermission", "sourceQueueArns")


def read_redrive_policy(text: str) -> Redrive:
    """Raises InvalidParameterValue."""
    policy = _read_map(text)
    if policy is None:
        raise _bad_policy(text, "Redrive policy is not a valid JSON map.")
    for key in ("maxReceiveCount", "deadLetterTargetArn"):
        if key not in policy:
            raise _bad_policy(text, f"Redrive policy does not contain mandatory attribute: {key}.")
    if set(policy) - set(_POLICY_KEYS):
        raise _bad_policy(text, f"Only following attributes are supported: [{', '.join(_POLICY_KEYS)}].")
    count = _read_count(policy["maxReceiveCount"])
    if count is None:
        raise _bad_policy(
            text,
            f"Invalid value for maxReceiveCount: {_shown(policy['maxReceiveCount'])}, valid values are from 1 to "
            f"{_RECEIVE_COUNT_MAX} both inclusive.",
        )
    arn = policy["deadLetterTargetArn"]
    target = queue_name_of_arn(arn) if isinstance(arn, str) else None
    if target is None:
        raise _bad_policy(text, "Invalid value for deadLetterTargetArn.")
    return Redrive(target, count)


def read_redrive_allow_policy(text: str) -> RedriveAllow:
    """Raises InvalidParameterValue."""
    policy = _read_map(text)
    if policy is None or set(policy) - set(_ALLOW_KEYS):
        raise _bad_allow_policy(
            text, "Amazon SQS can't create the redrive allow policy, as it's in an unsupported format."
        )
    permission = policy.get("redrivePermission")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise _bad_allow_policy(
            text,
            "Amazon SQS can't create the redrive allow policy, as redrivePermission must be one of allowAll, denyAll, "
            "byQueue.",
        )
    arns = policy.get("sourceQueueArns")
    if permission != "byQueue":
        if arns is not None:
            raise _bad_allow_policy(text, "sourceQueueArns can be specified only when redrivePermission is byQueue.")
        return RedriveAllow("allowAll" if permission == "allowAll" else "denyAll")
    if not isinstance(arns, list) or not 1 <= len(arns) <= _SOURCES_MAX:
        raise _bad_allow_policy(text, f"sourceQueueArns must hold 1 to {_SOURCES_MAX} queue ARNs.")
    if not all(isinstance(arn, str) and queue_name_of_arn(arn) for arn in arns):
        raise _bad_allow_policy(text, "sourceQueueArns holds a value that is not the ARN of a queue.")
    return RedriveAllow("byQueue", tuple(arns))


def check_dead_letter_queue(engine: Engine, source: QueueName, *, fifo: bool, redrive: Redrive, text: str) -> None:
    """Whether `source`, a FIFO queue or not, may have the dead-letter queue that its policy `text` names.

    It exists in the same account and region, is of the same type, and allows it. Raises InvalidParameterValue.
    """
    target_name = redrive.dead_letter_queue
    at_home = (target_name.account, target_name.region) == (source.account, source.region)
    if not at_home or not engine.has_queue(target_name):
        raise _bad_policy(text, "Dead letter target does not exist.")
    target = engine.find_queue(target_name).settings
    if target.fifo != fifo:
        raise _bad_policy(text, "Dead-letter queue must be same type of queue as the source.")
    if not target.redrive_allow.permits(source):
        raise _bad_policy(text, "The redrive allow policy of the dead-letter queue does not permit this source queue.")


def _read_map(text: str) -> dict[str, Any] | None:
    if len(text) > _TEXT_MAX:
        return None
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _read_count(given: object) -> int | None:
    """maxReceiveCount is a number, or a string of digits."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 4:
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _RECEIVE_COUNT_MAX:
        return None
    return given


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a JSON structure"  # of any depth: more than an error's text, or orjson, takes
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _bad_policy(text: str, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}")


def _bad_allow_policy(text: str, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"Value {text} for parameter RedriveAllowPolicy is invalid. Reason: {reason}")
