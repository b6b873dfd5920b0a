"""GetDataProtectionPolicy and PutDataProtectionPolicy: a topic's policy is kept and returned. Nothing here looks into messages.

Source: SNS API Reference; Developer Guide, "Message data protection".
"""

from typing import Final

import msgspec
import orjson

from broker.services.context import Call
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.names import TopicName, read_topic_arn
from broker.services.sns.service import SERVICE
from broker.services.sns.state import Topics

_CHARACTERS_MAX: Final = 30_720


class GetDataProtectionPolicyRequest(msgspec.Struct, rename="pascal"):
    resource_arn: str


class GetDataProtectionPolicyResult(msgspec.Struct, rename="pascal"):
    data_protection_policy: str | msgspec.UnsetType = msgspec.UNSET


@SERVICE.operation(
    "GetDataProtectionPolicy", GetDataProtectionPolicyRequest, GetDataProtectionPolicyResult, at_queue=False
)
async def get_data_protection_policy(
    call: Call, request: GetDataProtectionPolicyRequest
) -> GetDataProtectionPolicyResult:
    """A topic's data protection policy; absent where it has none."""
    name = read_topic_arn(request.resource_arn, "ResourceArn", region=call.region)
    topic = await call.runtime.call(call.runtime.part(Topics).find, name)
    return GetDataProtectionPolicyResult(topic.record.data_protection_policy or msgspec.UNSET)


class PutDataProtectionPolicyRequest(msgspec.Struct, rename="pascal", kw_only=True):
    resource_arn: str
    data_protection_policy: str


@SERVICE.operation("PutDataProtectionPolicy", PutDataProtectionPolicyRequest, at_queue=False)
async def put_data_protection_policy(call: Call, request: PutDataProtectionPolicyRequest) -> None:
    """Replace a topic's data protection policy; an empty text takes it away."""
    name = read_topic_arn(request.resource_arn, "ResourceArn", region=call.region)
    await call.runtime.call(_put, call.runtime.part(Topics), name, request.data_protection_policy)


def check_policy(policy: str, *, fifo: bool) -> str | None:
    """A data protection policy as it is kept; None for an empty text. Raises InvalidParameter."""
    if not policy:
        return None
    if fifo:
        raise InvalidParameter("DataProtectionPolicy Reason: FIFO topics do not support message data protection")
    if len(policy) > _CHARACTERS_MAX:
        raise InvalidParameter(f"DataProtectionPolicy Reason: Policy length exceeds {_CHARACTERS_MAX} characters")
    try:
        document = orjson.loads(policy)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise InvalidParameter("DataProtectionPolicy Reason: failed to parse JSON.")
    return policy


def _put(topics: Topics, name: TopicName, policy: str) -> None:
    topic = topics.find(name)
    topic.record.data_protection_policy = check_policy(policy, fifo=topic.fifo)
    topics.record_topic(topic)
