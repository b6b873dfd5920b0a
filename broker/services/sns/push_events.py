"""Application events: what happens to an application's endpoints is published to the topics that it names.

AWS documents no form of these messages; theirs here names the event, the application and the endpoint.
"""

import logging
from collections.abc import Mapping

import orjson

from broker.errors import AwsError
from broker.services.context import Call
from broker.services.sns.envelope import timestamp_text
from broker.services.sns.errors import InvalidParameter
from broker.services.sns.message_rules import Draft
from broker.services.sns.names import read_topic_arn
from broker.services.sns.publishing import publish_all
from broker.services.sns.topic import Topic

_log = logging.getLogger("pombo.sns")


async def tell(call: Call, event: str, attributes: Mapping[str, str], application_arn: str, endpoint_arn: str) -> None:
    """Publish an event to its topic, if the application has one. A topic that cannot take it misses it."""
    topic_arn = attributes.get(event)
    if not topic_arn:
        return
    message = {
        "Service": "SNS",
        "EventType": event.removeprefix("Event"),
        "Resource": application_arn,
        "EndpointArn": endpoint_arn,
        "Time": timestamp_text(call.runtime.clock.now_ms()),
    }

    def write(topic: Topic) -> Draft:
        if topic.fifo:
            raise InvalidParameter("The MessageGroupId parameter is required for FIFO topics")
        return Draft(orjson.dumps(message).decode(), None, (), None, None, None)

    try:
        (outcome,) = await publish_all(call, read_topic_arn(topic_arn, event), [write])
    except AwsError as error:
        outcome = error
    if isinstance(outcome, AwsError):
        _log.warning("%s of %s could not be published to %s: %s", event, endpoint_arn, topic_arn, outcome.message)
