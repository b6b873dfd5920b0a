"""Application events: what happens to an application's endpoints is published to the topics that it names.

AWS documents no form of these messages; theirs here names the event, the application and the endpoint.
"""

import logging
from collections.abc import Mapping

import msgspec
import orjson

from broker.errors import AwsError
from broker.services.context import Call
from broker.services.sns.envelope import timestamp_text
from broker.services.sns.message_rules import draft
from broker.services.sns.message_shapes import MessageAttributeValue
from broker.services.sns.names import read_topic_arn
from broker.services.sns.publishing import publish_all

_log = logging.getLogger("pombo.sns")


class _Message(msgspec.Struct):
    message: str
    subject: str | None = None
    message_structure: str | None = None
    message_attributes: dict[str, MessageAttributeValue] | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


async def tell(call: Call, event: str, attributes: Mapping[str, str], application_arn: str, endpoint_arn: str) -> None:
    """Publish an event to its topic, if the application has one. A topic that cannot take it misses it."""
    topic_arn = attributes.get(event)
    if not topic_arn:
        return
    content = {
        "Service": "SNS",
        "EventType": event.removeprefix("Event"),
        "Resource": application_arn,
        "EndpointArn": endpoint_arn,
        "Time": timestamp_text(call.runtime.clock.now_ms()),
    }
    message = _Message(orjson.dumps(content).decode())
    try:
        (outcome,) = await publish_all(call, read_topic_arn(topic_arn, event), [lambda topic: draft(message, topic)])
    except AwsError as error:
        outcome = error
    if isinstance(outcome, AwsError):
        _log.warning("%s of %s could not be published to %s: %s", event, endpoint_arn, topic_arn, outcome.message)
