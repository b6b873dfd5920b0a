"""The bytes of SQS's requests, built beforehand, and what is read from the replies: JSON and Query, one class each.

A body is numbered: `pombo-NNNNNNNNNNNN-` and padding, so that what was sent can be compared with what came. Requests that differ in
numbers only are templates with holes of fixed width, filled by one formatting.
"""

import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson

NUMBERED: Final = re.compile(rb"pombo-(\d{12})-")
_NUMBER: Final = "ZNUM%02d"  # the place of message number `first + %02d`
_GROUP: Final = "ZGRP%02d"  # and that of its group
_HOLE: Final = re.compile(rb"Z(NUM|GRP)(\d\d)")

Sender = Callable[[int], bytes]  # of the first message's number
Deleter = Callable[[Sequence[str]], bytes]  # of receipt handles


def body_of(number: int, size: int) -> bytes:
    """The body of a message."""
    return (b"pombo-%012d-" % number).ljust(size, b"x")


def filled(head: bytes, payload: str, groups: int) -> Sender:
    """A request whose payload has holes."""
    raw = payload.encode()
    holes = [(kind == b"NUM", int(at)) for kind, at in _HOLE.findall(raw)]
    template = _HOLE.sub(lambda found: b"%012d" if found[1] == b"NUM" else b"%03d", raw.replace(b"%", b"%%"))
    length = len(template % tuple(0 for _ in holes))
    whole = head.replace(b"%", b"%%") + b"Content-Length: %d\r\n\r\n" % length + template
    if holes == [(True, 0)]:
        return lambda first: whole % first
    return lambda first: whole % tuple([first + at if number else (first + at) % groups for number, at in holes])


class _Wire:
    """What both protocols have in common."""

    name: str
    content_type: str

    def __init__(self, url: str, *, service: str = "sqs") -> None:
        self._host = urlsplit(url).netloc
        self._service = service

    def head(self, *lines: str) -> bytes:
        """A request's head without its length and its end."""
        return "".join(
            line + "\r\n"
            for line in (
                "POST / HTTP/1.1",
                f"Host: {self._host}",
                f"Content-Type: {self.content_type}",
                "Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20261124/us-east-1/"
                f"{self._service}/aws4_request, SignedHeaders=host, Signature=0",
                *lines,
            )
        ).encode()


class JsonRequests(_Wire):
    """AWS JSON 1.0."""

    name = "json"
    content_type = "application/x-amz-json-1.0"

    def call(self, operation: str, **parameters: Any) -> bytes:
        """Any request."""
        payload = orjson.dumps(parameters)
        return self._head(operation) + b"Content-Length: %d\r\n\r\n" % len(payload) + payload

    def send(self, queue: str, batch: int, size: int, groups: int = 0) -> Sender:
        """Sends of one message, or of `batch`; into `groups` groups of a FIFO queue if there are any."""
        entries = [self._entry(at, size, groups) for at in range(batch)]
        if batch == 1:
            return filled(self._head("SendMessage"), _json({"QueueUrl": queue, **entries[0]}), groups)
        numbered = [{"Id": str(at), **entry} for at, entry in enumerate(entries)]
        return filled(self._head("SendMessageBatch"), _json({"QueueUrl": queue, "Entries": numbered}), groups)

    def receive(self, queue: str, count: int, wait_s: int = 0) -> bytes:
        """A receive of up to `count` messages."""
        wait = {"WaitTimeSeconds": wait_s} if wait_s else {}
        return self.call("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=count, **wait)

    def delete(self, queue: str, batch: int) -> Deleter:
        """Deletes of one message, or of several."""
        url = orjson.dumps(queue)
        if batch == 1:
            head, start = self._head("DeleteMessage"), b'{"QueueUrl":' + url + b',"ReceiptHandle":'

            def one(handles: Sequence[str]) -> bytes:
                payload = start + orjson.dumps(handles[0]) + b"}"
                return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(payload), payload)

            return one
        head, start = self._head("DeleteMessageBatch"), b'{"QueueUrl":' + url + b',"Entries":'

        def several(handles: Sequence[str]) -> bytes:
            entries = [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(handles)]
            payload = start + orjson.dumps(entries) + b"}"
            return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(payload), payload)

        return several

    @staticmethod
    def digests(reply: bytes) -> list[str]:
        """The MD5s in a send's reply, in the order of the entries."""
        answer = orjson.loads(reply)
        if "MD5OfMessageBody" in answer:
            return [answer["MD5OfMessageBody"]]
        return [entry["MD5OfMessageBody"] for entry in sorted(answer["Successful"], key=lambda e: int(e["Id"]))]

    @staticmethod
    def handles(reply: bytes) -> list[str]:
        """The receipt handles in a receive's reply."""
        return [message["ReceiptHandle"] for message in orjson.loads(reply).get("Messages") or ()]

    @staticmethod
    def messages(reply: bytes) -> list[tuple[bytes, str]]:
        """The bodies in a receive's reply, and their MD5s."""
        found = orjson.loads(reply).get("Messages") or ()
        return [(message["Body"].encode(), message["MD5OfBody"]) for message in found]

    @staticmethod
    def failures(reply: bytes) -> int:
        """How many entries of a batch failed."""
        return len(orjson.loads(reply).get("Failed") or ()) if reply else 0

    @staticmethod
    def url(reply: bytes) -> str:
        """The URL in a reply to CreateQueue."""
        url: str = orjson.loads(reply)["QueueUrl"]
        return url

    def _entry(self, at: int, size: int, groups: int) -> dict[str, str]:
        entry = {"MessageBody": _text(at, size)}
        if groups:
            entry |= {"MessageGroupId": "g" + _GROUP % at, "MessageDeduplicationId": "d" + _NUMBER % at}
        return entry

    def _head(self, operation: str) -> bytes:
        return self.head(f"X-Amz-Target: AmazonSQS.{operation}")


class QueryRequests(_Wire):
    """The Query protocol: forms and XML. Also SNS's, by `service` and `version`."""

    name = "query"
    content_type = "application/x-www-form-urlencoded"

    def call(self, action: str, *, version: str = "2012-11-05", **parameters: Any) -> bytes:
        """Any request; names as AWS's form has them."""
        payload = urlencode({"Action": action, "Version": version, **parameters}).encode()
        return self.head() + b"Content-Length: %d\r\n\r\n" % len(payload) + payload

    def send(self, queue: str, batch: int, size: int, groups: int = 0) -> Sender:
        """As in JSON."""
        action = "SendMessage" if batch == 1 else "SendMessageBatch"
        fields = {"Action": action, "Version": "2012-11-05", "QueueUrl": queue}
        for at in range(batch):
            prefix = "" if batch == 1 else f"SendMessageBatchRequestEntry.{at + 1}."
            if batch > 1:
                fields[f"{prefix}Id"] = str(at)
            fields[f"{prefix}MessageBody"] = _text(at, size)
            if groups:
                fields[f"{prefix}MessageGroupId"] = "g" + _GROUP % at
                fields[f"{prefix}MessageDeduplicationId"] = "d" + _NUMBER % at
        return filled(self.head(), urlencode(fields), groups)

    def publish(self, topic: str, size: int) -> Sender:
        """SNS's Publish."""
        fields = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": topic, "Message": _text(0, size)}
        return filled(self.head(), urlencode(fields), 0)

    def receive(self, queue: str, count: int, wait_s: int = 0) -> bytes:
        """As in JSON."""
        wait = {"WaitTimeSeconds": wait_s} if wait_s else {}
        return self.call("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=count, **wait)

    def delete(self, queue: str, batch: int) -> Deleter:
        """As in JSON."""
        head = self.head()
        action = "DeleteMessage" if batch == 1 else "DeleteMessageBatch"
        start = urlencode({"Action": action, "Version": "2012-11-05", "QueueUrl": queue}) + "&"
        entry = "DeleteMessageBatchRequestEntry.%d.Id=%d&DeleteMessageBatchRequestEntry.%d.ReceiptHandle="

        def delete(handles: Sequence[str]) -> bytes:
            if batch == 1:
                fields = "ReceiptHandle=" + quote(handles[0], safe="")
            else:
                fields = "&".join([entry % (n, n, n) + quote(handle, safe="") for n, handle in enumerate(handles, 1)])
            payload = (start + fields).encode()
            return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(payload), payload)

        return delete

    @staticmethod
    def digests(reply: bytes) -> list[str]:
        """As in JSON; entries are taken to come in their order."""
        return _elements(reply, "MD5OfMessageBody")

    @staticmethod
    def handles(reply: bytes) -> list[str]:
        """As in JSON."""
        return _elements(reply, "ReceiptHandle")

    @staticmethod
    def messages(reply: bytes) -> list[tuple[bytes, str]]:
        """As in JSON."""
        bodies = _elements(reply, "Body")
        return [(body.encode(), digest) for body, digest in zip(bodies, _elements(reply, "MD5OfBody"), strict=True)]

    @staticmethod
    def failures(reply: bytes) -> int:
        """As in JSON."""
        return reply.count(b"<BatchResultErrorEntry>")

    @staticmethod
    def url(reply: bytes) -> str:
        """As in JSON."""
        return _elements(reply, "QueueUrl")[0].strip()


Requests = JsonRequests | QueryRequests


def requests_of(protocol: str, url: str) -> Requests:
    """By name: `json` or `query`."""
    return QueryRequests(url) if protocol == "query" else JsonRequests(url)


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value).decode()


def _text(at: int, size: int) -> str:
    return f"pombo-{_NUMBER % at}-".ljust(size - 6, "x")  # a filled hole is six wider than its name


def _elements(reply: bytes, name: str) -> list[str]:
    found = re.findall(rf"<{name}>(.*?)</{name}>".encode(), reply, re.DOTALL)
    return [unescape(text.decode()) for text in found]
