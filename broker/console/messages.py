"""Looking into a queue without receiving: /_pombo/sqs/messages, and LocalStack's /_aws/sqs/messages for existing test helpers."""

from typing import Any, Final

import msgspec

from broker.console.replies import Refused, number, reply, switch
from broker.core.errors import QueueDoesNotExist
from broker.core.message import sequence_number
from broker.core.queue import Queue
from broker.core.settings import QueueName
from broker.errors import AwsError
from broker.services.context import Call
from broker.services.looking import LookedAt, look
from broker.services.runtime import Runtime
from broker.services.sqs.message_attributes import received
from broker.services.sqs.queue_urls import queue_name
from broker.services.sqs.receive import Message, ReceiveMessageResult
from broker.wire.faults import XML_DECLARATION, XML_TYPE
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.sigv4 import identify
from broker.wire.xml_reply import compile_reply

_LIMIT_MAX: Final = 1_000
_LOCALSTACK: Final = "/_aws/sqs/messages"
_NAMESPACE: Final = "http://queue.amazonaws.com/doc/2012-11-05/"
_write_result = compile_reply(ReceiveMessageResult)


class Messages:
    """Both endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """GET /_pombo/sqs/messages?QueueUrl=…&Limit=…&After=…: {"messages": […], "next": id or null}."""
        parameters = parse_form(request.query_string.encode())
        queue = self._find(request, parameters)
        limit = number(parameters, "Limit", 100, 1, _LIMIT_MAX)
        after = number(parameters, "After", 0, 0, 1 << 62)
        found, next_after = await look(self._runtime, queue, after, limit)
        return reply({"messages": [_described(m, queue) for m in found], "next": next_after})

    async def handle_localstack(self, request: HttpRequest) -> HttpResponse:
        """GET /_aws/sqs/messages[/REGION/ACCOUNT/NAME]: the messages as ReceiveMessage shows them, all at once."""
        parameters = parse_form(request.query_string.encode())
        tail = request.path.removeprefix(_LOCALSTACK).strip("/").split("/")
        if len(tail) == 3:
            parameters["QueueUrl"] = f"{request.base_url}/queue/{tail[0]}/{tail[1]}/{tail[2]}"
        queue = self._find(request, parameters)
        states = {"visible"}
        if switch(parameters, "ShowInvisible", False):
            states.add("in_flight")
        if switch(parameters, "ShowDelayed", False):
            states.add("delayed")
        result = ReceiveMessageResult(
            messages=[_as_received(m, queue) for m in await self._all(queue) if m.state in states]
        )
        if "json" in request.headers.get("accept", ""):
            return reply(_as_json(result))
        body = (
            f'{XML_DECLARATION}<ReceiveMessageResponse xmlns="{_NAMESPACE}"><ReceiveMessageResult>'
            f"{_write_result(result)}</ReceiveMessageResult><ResponseMetadata><RequestId>"
            f"{self._runtime.chance.uuid()}</RequestId></ResponseMetadata></ReceiveMessageResponse>"
        )
        return HttpResponse(200, body.encode(), {"Content-Type": XML_TYPE})

    async def _all(self, queue: Queue) -> list[LookedAt]:
        found: list[LookedAt] = []
        after: int | None = 0
        while after is not None and len(found) < 10 * _LIMIT_MAX:
            page, after = await look(self._runtime, queue, after, _LIMIT_MAX)
            found += page
        return found

    def _find(self, request: HttpRequest, parameters: dict[str, str]) -> Queue:
        if request.method not in ("GET", "POST"):
            raise Refused(405, f"the method is {request.method}; expected GET")
        url = parameters.get("QueueUrl")
        if not url:
            raise Refused(400, "QueueUrl is missing; expected the URL or the name of a queue")
        identity = identify(request.headers.get("authorization"), request.query_string)
        call = Call(
            self._runtime,
            "query",
            identity.account,
            identity.region,
            identity.principal,
            request.base_url,
            request.path,
            "",
            None,
            request.connected,
        )
        try:
            return self._anywhere(queue_name(call, url))
        except QueueDoesNotExist:
            raise Refused(404, f"QueueUrl is {url!r}; there is no such queue") from None
        except AwsError as error:
            raise Refused(400, f"QueueUrl is {url!r}; {error.message}") from None

    def _anywhere(self, name: QueueName) -> Queue:
        """A browser signs nothing: where the default region has no such queue, the only one of that account and name serves."""
        engine = self._runtime.engine
        if engine.has_queue(name):
            return engine.find_queue(name)
        others = [q for q in engine.queues() if (q.name.account, q.name.name) == (name.account, name.name)]
        if len(others) == 1:
            return others[0]
        raise QueueDoesNotExist


def _described(message: LookedAt, queue: Queue) -> dict[str, Any]:
    content = message.content
    described: dict[str, Any] = {
        "Id": message.id,
        "MessageId": content.message_id,
        "State": message.state,
        "Body": message.body.decode(),
        "ReceiveCount": message.receive_count,
        "VisibleAt": message.visible_at_ms,
        "SentTimestamp": content.sent_at_ms,
        "FirstReceiveTimestamp": message.first_received_at_ms or None,
        "MessageGroupId": message.group,
        "MessageDeduplicationId": content.deduplication_id,
        "SenderId": content.sender,
        "DeadLetterQueueSourceArn": message.source,
        "MessageAttributes": {
            a.name: {
                "DataType": a.data_type,
                "Value": a.value.hex() if a.data_type.startswith("Binary") else a.value.decode(),
            }
            for a in content.attributes
        },
    }
    if queue.settings.fifo:
        described["SequenceNumber"] = sequence_number(message.order)
    return described


def _as_received(message: LookedAt, queue: Queue) -> Message:
    content = message.content
    attributes = {
        "SenderId": content.sender,
        "SentTimestamp": str(content.sent_at_ms),
        "ApproximateReceiveCount": str(message.receive_count),
    }
    if message.first_received_at_ms:
        attributes["ApproximateFirstReceiveTimestamp"] = str(message.first_received_at_ms)
    if message.group is not None:
        attributes["MessageGroupId"] = message.group
    if content.deduplication_id is not None and queue.settings.fifo:
        attributes["MessageDeduplicationId"] = content.deduplication_id
    if queue.settings.fifo:
        attributes["SequenceNumber"] = sequence_number(message.order)
    if message.source is not None:
        attributes["DeadLetterQueueSourceArn"] = message.source
    return Message(
        message_id=content.message_id,
        receipt_handle="SQS/BACKDOOR/ACCESS",
        md5_of_body=content.body_md5,
        body=message.body.decode(),
        attributes=attributes,
        message_attributes={a.name: received(a) for a in content.attributes} or msgspec.UNSET,
    )


def _as_json(result: ReceiveMessageResult) -> dict[str, Any]:
    """The XML document's content as JSON: lists of names and values under the elements' names."""
    messages = msgspec.to_builtins(result).get("Messages", [])
    for message in messages:
        message["Attribute"] = [{"Name": n, "Value": v} for n, v in message.pop("Attributes").items()]
        if "MessageAttributes" in message:
            message["MessageAttribute"] = [{"Name": n, "Value": v} for n, v in message.pop("MessageAttributes").items()]
    return {"ReceiveMessageResponse": {"ReceiveMessageResult": {"Message": messages}}}
