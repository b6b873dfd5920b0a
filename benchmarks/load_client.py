"""A client for loads: SQS's JSON protocol, SNS's Query one or Lambda's REST one, over one kept-alive connection, with nothing
between the socket and the caller.
"""

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=000000000000/20261124/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
)


class Refused(Exception):
    """The broker answered with an error."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body[:300]!r}")
        self.status = status


class Lost(Exception):
    """The connection broke before the answer was complete: whether the request was done is unknown."""


class Connection:
    """One request at a time. Checks each answer's length, and a sent body's MD5."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._address = (parts.hostname, parts.port)
        self._head = (
            f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"Authorization: {_AUTHORIZATION}\r\n"
        )
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer to an operation. Raises Refused, Lost."""
        answer: dict[str, Any] = orjson.loads(await self.send(self.request(operation, **parameters)))
        if operation == "SendMessage":
            expected = hashlib.md5(parameters["MessageBody"].encode(), usedforsecurity=False).hexdigest()
            assert answer["MD5OfMessageBody"] == expected, "the broker took another body"
        return answer

    def request(self, operation: str, **parameters: Any) -> bytes:
        """A request's bytes, to be sent as often as needed."""
        body = orjson.dumps(parameters)
        return f"{self._head}X-Amz-Target: AmazonSQS.{operation}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def action(self, action: str, **parameters: str) -> bytes:
        """The bytes of a request to SNS: `Attributes.entry.1.key` and the like are written as AWS's form names them."""
        body = urlencode({"Action": action, "Version": "2010-03-31", **parameters}).encode()
        head = self._head.replace("application/x-amz-json-1.0", "application/x-www-form-urlencoded")
        return f"{head.replace('/sqs/', '/sns/')}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def rest(self, method: str, path: str, *, text: str | None = None, **parameters: Any) -> bytes:
        """The bytes of a request to Lambda or to a path of the broker's own: parameters of the body, or an event that is a text."""
        body = orjson.dumps(parameters if text is None else text)
        head = self._head.replace("/sqs/", "/lambda/").replace("application/x-amz-json-1.0", "application/json")
        head = head.replace("POST / ", f"{method} {path} ")
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def send(self, request: bytes) -> bytes:
        """The body of the answer to a request."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._address)
            reader, writer = self._streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Lost from error
        status = int(head[9:12])
        if status >= 300:
            raise Refused(status, body)
        return body

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
