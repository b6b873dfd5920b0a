"""Looking into a queue without receiving: /_pombo/sqs/messages, and LocalStack's /_aws/sqs/messages for existing test helpers.

The latter is also the endpoint of AWS clients: a ReceiveMessage that is sent there, in either protocol, only looks.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import orjson

from broker.console.replies import Refused, number, reply, switch
from broker.core.errors import QueueDoesNotExist
from broker.core.message import sequence_number
from broker.core.queue import Queue
from broker.core.settings import QueueName
from broker.errors import AwsError
from broker.services.context import Call
from broker.services.digests import attributes_md5
from broker.services.looking import LookedAt, look
from broker.services.runtime import Runtime
from broker.services.sqs.message_attributes import TRACE_HEADER, received
from broker.services.sqs.message_shapes import Message, ReceiveMessageResult
from broker.services.sqs.queue_urls import queue_name
from broker.wire.faults import JSON_TYPE, XML_DECLARATION, XML_TYPE
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.sigv4 import identify
from broker.wire.xml_reply import compile_reply

_LIMIT_MAX: Final = 1_000
_LOOKED_AT_MAX: Final = 10_000  # of what LocalStack's form answers with at once, and
_BYTES_MAX: Final = 16 * 1_048_576
_PAGE: Final = 200
LOCALSTACK_PATH: Final = "/_aws/sqs/messages"
_ACTION: Final = "ReceiveMessage"
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
        """GET /_aws/sqs/messages[/REGION/ACCOUNT/NAME], or a ReceiveMessage to it: the oldest messages, all at once."""
        parameters = parse_form(request.query_string.encode()) | _posted(request)
        tail = request.path.removeprefix(LOCALSTACK_PATH).strip("/")
        if tail:
            place = tail.split("/")
            if len(place) != 3:
                raise Refused(404, f"the path is {request.path!r}; expected {LOCALSTACK_PATH}/REGION/ACCOUNT/NAME")
            parameters["QueueUrl"] = f"{request.base_url}/queue/{tail}"
        queue = self._find(request, parameters)
        states = {"visible"}
        if switch(parameters, "ShowInvisible", False):
            states.add("in_flight")
        if switch(parameters, "ShowDelayed", False):
            states.add("delayed")
        if request.headers.get("x-amz-target") is not None:
            found = [message async for page in self._pages(queue, states) for message in page]
            result = ReceiveMessageResult(messages=found or msgspec.UNSET)
            return HttpResponse(200, msgspec.json.encode(result), {"Content-Type": JSON_TYPE})
        if "json" in request.headers.get("accept", ""):
            messages = [_as_json(message) async for page in self._pages(queue, states) for message in page]
            return reply({"ReceiveMessageResponse": {"ReceiveMessageResult": {"Message": messages}}})
        elements = [_write_result(ReceiveMessageResult(messages=page)) async for page in self._pages(queue, states)]
        body = (
            f'{XML_DECLARATION}<ReceiveMessageResponse xmlns="{_NAMESPACE}"><ReceiveMessageResult>'
            f"{''.join(elements)}</ReceiveMessageResult><ResponseMetadata><RequestId>"
            f"{self._runtime.chance.uuid()}</RequestId></ResponseMetadata></ReceiveMessageResponse>"
        )
        return HttpResponse(200, body.encode(), {"Content-Type": XML_TYPE})

    async def _pages(self, queue: Queue, states: set[str]) -> AsyncIterator[list[Message]]:
        """In pages, so that the loop serves others in between; up to a limit, so that the backlog does not land in memory."""
        after: int | None = 0
        count = size = 0
        while after is not None and count < _LOOKED_AT_MAX and size < _BYTES_MAX:
            page, after = await look(self._runtime, queue, after, _PAGE)
            shown = [message for message in page if message.state in states]
            count += len(page)
            size += sum(len(message.body) for message in shown)
            yield [_as_received(message, queue) for message in shown]

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
            bool(identity.service),
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


def _posted(request: HttpRequest) -> dict[str, str]:
    """The texts among the parameters in a request's body: a form, or the JSON of AWS's protocol. Raises Refused."""
    if request.method != "POST":
        return {}
    target = request.headers.get("x-amz-target")
    if target is None:
        posted = parse_form(request.body)
        action = posted.get("Action", _ACTION)
    else:
        action = target.rpartition(".")[2]
        try:
            content = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            raise Refused(400, "the body is not JSON") from None
        posted = {n: v for n, v in content.items() if isinstance(v, str)} if isinstance(content, dict) else {}
    if action != _ACTION:
        raise Refused(400, f"the operation is {action!r}; expected {_ACTION}")
    return posted


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
    if queue.settings.fifo:
        attributes["SequenceNumber"] = sequence_number(message.order)
        if content.deduplication_id is not None:
            attributes["MessageDeduplicationId"] = content.deduplication_id
    if content.trace_header is not None:
        attributes[TRACE_HEADER] = content.trace_header
    if message.source is not None:
        attributes["DeadLetterQueueSourceArn"] = message.source
    shown = Message(
        message_id=content.message_id,
        receipt_handle="SQS/BACKDOOR/ACCESS",  # LocalStack's; it opens nothing
        md5_of_body=content.body_md5,
        body=message.body.decode(),
        attributes=attributes,
    )
    if content.attributes:
        shown.md5_of_message_attributes = attributes_md5(content.attributes)
        shown.message_attributes = {a.name: received(a) for a in content.attributes}
    return shown


def _as_json(message: Message) -> dict[str, Any]:
    """The XML element's content as JSON: lists of names and values under the elements' names."""
    shown: dict[str, Any] = msgspec.to_builtins(message)
    for name, element in (("Attributes", "Attribute"), ("MessageAttributes", "MessageAttribute")):
        if name in shown:
            shown[element] = [{"Name": n, "Value": v} for n, v in shown.pop(name).items()]
    return shown
