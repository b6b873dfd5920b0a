"""The queue attributes: names, ranges, defaults, and how their strings become the engine's settings.

The strings that users gave are kept and returned as they are (whole numbers and booleans in AWS's spelling); what was not
given has AWS's default. Knows neither queues nor requests. Source: SQS API Reference, CreateQueue and SetQueueAttributes;
Developer Guide, "Quotas related to policies".
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from broker.core.admission import characters_allowed
from broker.core.errors import InvalidAttributeValue
from broker.core.settings import QueueSettings, RedriveAllow
from broker.services.sqs.errors import InvalidAttributeName
from broker.services.sqs.redrive import read_redrive_allow_policy, read_redrive_policy

FIFO_QUEUE: Final = "FifoQueue"
READ_ONLY: Final = frozenset(
    {
        "QueueArn",
        "CreatedTimestamp",
        "LastModifiedTimestamp",
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    }
)
DEFAULTS: Final = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}
FIFO_DEFAULTS: Final = DEFAULTS | {
    FIFO_QUEUE: "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
POLICY_BYTES_MAX: Final = 8_192
_KMS_KEY_MAX: Final = 2_048
_KMS_REUSE_DEFAULT: Final = "300"
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_JSON_ATTRIBUTES: Final = frozenset({"Policy", "RedrivePolicy", "RedriveAllowPolicy"})

Check = Callable[[str, str], str]  # (attribute, value) -> the value in AWS's spelling; "": without the attribute


def is_fifo(given: Mapping[str, str]) -> bool:
    """Whether a new queue with these attributes is a FIFO queue."""
    return given.get(FIFO_QUEUE, "").lower() == "true"


def is_attribute(name: str) -> bool:
    """Whether AWS knows an attribute of this name, settable or not."""
    return name in _CHECKS or name in READ_ONLY or name == FIFO_QUEUE


def check_attributes(given: Mapping[str, str], *, fifo: bool, creating: bool) -> dict[str, str]:
    """The given attributes in AWS's spelling; "" where the attribute is to be removed.

    Raises InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue.
    """
    checked: dict[str, str] = {}
    for name, value in given.items():
        if name == FIFO_QUEUE:
            _check_fifo_queue(value, fifo=fifo, creating=creating)
            if creating:
                checked[name] = "true"
            continue
        check = _CHECKS.get(name)
        if check is None or (name == "ContentBasedDeduplication" and not fifo):
            raise InvalidAttributeName(f"Unknown Attribute {name}.")
        if name in FIFO_DEFAULTS and name not in DEFAULTS and not fifo:
            raise InvalidAttributeName(f"You can specify the {name} only when FifoQueue is set to true.")
        if not characters_allowed(value.encode()):
            raise _invalid(name)
        checked[name] = check(name, value)
    return checked


def merge_attributes(current: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a queue after checked changes. Raises where the result contradicts itself."""
    merged = {name: value for name, value in {**current, **changes}.items() if value != ""}
    if merged.get("KmsMasterKeyId"):
        if changes.get("SqsManagedSseEnabled") == "true":
            raise InvalidAttributeName(
                "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or "
                "SQS SSE."
            )
        merged["SqsManagedSseEnabled"] = "false"
    if merged.get("FifoThroughputLimit") == "perMessageGroupId" and merged.get("DeduplicationScope") != "messageGroup":
        raise InvalidAttributeValue(
            "Invalid value for the parameter FifoThroughputLimit. Reason: perMessageGroupId is allowed only when "
            "DeduplicationScope is messageGroup."
        )
    return merged


def differing_attribute(given: Mapping[str, str], attributes: Mapping[str, str], *, fifo: bool) -> str | None:
    """The first of the checked attributes `given` that a queue with `attributes` has otherwise, if any."""
    actual = with_defaults(attributes, fifo=fifo)
    for name, value in given.items():
        if not _same(name, value, actual.get(name, "")):
            return name
    return None


def with_defaults(attributes: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """What a queue with these attributes shows of them."""
    return (FIFO_DEFAULTS if fifo else DEFAULTS) | dict(attributes)


def read_settings(attributes: Mapping[str, str], *, fifo: bool) -> QueueSettings:
    """The settings that merged attributes mean."""
    actual = with_defaults(attributes, fifo=fifo)
    redrive, allow = actual.get("RedrivePolicy"), actual.get("RedriveAllowPolicy")
    return QueueSettings(
        fifo=fifo,
        delay_ms=int(actual["DelaySeconds"]) * 1000,
        visibility_ms=int(actual["VisibilityTimeout"]) * 1000,
        retention_ms=int(actual["MessageRetentionPeriod"]) * 1000,
        receive_wait_ms=int(actual["ReceiveMessageWaitTimeSeconds"]) * 1000,
        message_bytes_max=int(actual["MaximumMessageSize"]),
        content_based_deduplication=actual.get("ContentBasedDeduplication") == "true",
        deduplicate_by_group=actual.get("DeduplicationScope") == "messageGroup",
        redrive=None if redrive is None else read_redrive_policy(redrive),
        redrive_allow=RedriveAllow() if allow is None else read_redrive_allow_policy(allow),
    )


def _check_fifo_queue(value: str, *, fifo: bool, creating: bool) -> None:
    if value.lower() not in ("true", "false"):
        raise InvalidAttributeValue("Invalid value for the parameter FifoQueue.")
    if not fifo:
        raise InvalidAttributeName("Unknown Attribute FifoQueue.")
    if not creating:
        raise InvalidAttributeValue(
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        )


def _same(name: str, one: str, other: str) -> bool:
    if one == other:
        return True
    if name not in _JSON_ATTRIBUTES or not one or not other:
        return False
    if name == "RedrivePolicy":
        return read_redrive_policy(one) == read_redrive_policy(other)
    return bool(orjson.loads(one) == orjson.loads(other))


# The kinds of values


def _number(least: int, most: int) -> Check:
    def check(name: str, value: str) -> str:
        if not _WHOLE_NUMBER.fullmatch(value) or not least <= int(value) <= most:
            raise _invalid(name)
        return str(int(value))

    return check


def _word(*words: str) -> Check:
    def check(name: str, value: str) -> str:
        if value not in words:
            raise _invalid(name)
        return value

    return check


def _boolean(name: str, value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise _invalid(name)
    return value.lower()


def _policy(name: str, value: str) -> str:
    if value:
        if len(value.encode()) > POLICY_BYTES_MAX:
            raise _invalid(name)
        try:
            document = orjson.loads(value)
            orjson.dumps(document)  # AddPermission writes it anew, and less deep nesting is written than read
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            raise _invalid(name) from None
        if not isinstance(document, dict):
            raise _invalid(name)
    return value


def _redrive_policy(_name: str, value: str) -> str:
    if value:
        read_redrive_policy(value)
    return value


def _redrive_allow_policy(_name: str, value: str) -> str:
    if value:
        read_redrive_allow_policy(value)
    return value


def _kms_key(name: str, value: str) -> str:
    if len(value) > _KMS_KEY_MAX:
        raise _invalid(name)
    return value


def _kms_reuse(name: str, value: str) -> str:
    # Observed: the default is not returned even where it was given.
    checked = _number(60, 86_400)(name, value)
    return "" if checked == _KMS_REUSE_DEFAULT else checked


def _invalid(name: str) -> InvalidAttributeValue:
    return InvalidAttributeValue(f"Invalid value for the parameter {name}.")


_CHECKS: Final[dict[str, Check]] = {
    "DelaySeconds": _number(0, 900),
    "MaximumMessageSize": _number(1_024, 1_048_576),
    "MessageRetentionPeriod": _number(60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": _number(0, 20),
    "VisibilityTimeout": _number(0, 43_200),
    "Policy": _policy,
    "RedrivePolicy": _redrive_policy,
    "RedriveAllowPolicy": _redrive_allow_policy,
    "KmsMasterKeyId": _kms_key,
    "KmsDataKeyReusePeriodSeconds": _kms_reuse,
    "SqsManagedSseEnabled": _boolean,
    "ContentBasedDeduplication": _boolean,
    "DeduplicationScope": _word("queue", "messageGroup"),
    "FifoThroughputLimit": _word("perQueue", "perMessageGroupId"),
}
