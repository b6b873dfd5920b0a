"""Clients that show the wire as it is: AWS JSON and the Query protocol over http.client, and raw bytes over a socket."""

import http.client
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
JSON_TYPE = "application/x-amz-json-1.0"


def credential(account: str, region: str = "us-east-1") -> str:
    """An Authorization header: the identity counts, the signature does not."""
    return (
        f"AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/sqs/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000"
    )


@dataclass(frozen=True)
class Answer:
    """A reply as it came."""

    status: int
    headers: dict[str, str]  # by lower-case name
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    def text(self, path: str) -> str | None:
        """The text of the element at `path` (names without the namespace), or None."""
        return self.xml.findtext("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))

    def texts(self, path: str) -> list[str]:
        steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
        return [element.text or "" for element in self.xml.findall(steps)]


def read_answer(reply: http.client.HTTPResponse) -> Answer:
    return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())


@dataclass(frozen=True)
class JsonClient:
    """AWS JSON 1.0 as botocore sends it, without botocore."""

    address: tuple[str, int]
    account: str
    region: str = "us-east-1"
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, operation: str, payload: Any = None, *, path: str = "/", **headers: str) -> Answer:
        """`payload`: an object to encode, or bytes to send as they are."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload or {}).encode()
        with connected(self.address) as connection:
            connection.request("POST", path, body, self.all_headers(operation) | headers)
            return read_answer(connection.getresponse())

    def start(self, operation: str, payload: Any) -> http.client.HTTPConnection:
        """Send a request and do not wait for its reply (`getresponse`). The caller closes the connection."""
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        connection.request("POST", "/", json.dumps(payload).encode(), self.all_headers(operation))
        return connection

    def all_headers(self, operation: str) -> dict[str, str]:
        return {
            "Content-Type": JSON_TYPE,
            "X-Amz-Target": f"AmazonSQS.{operation}",
            "x-amzn-query-mode": "true",
            "Authorization": credential(self.account, self.region),
        } | self.headers


@dataclass(frozen=True)
class QueryClient:
    """The Query protocol: a form in, XML out."""

    address: tuple[str, int]
    account: str
    region: str = "us-east-1"

    def call(self, action: str, *, path: str = "/", method: str = "POST", **parameters: str | int) -> Answer:
        """Keyword names may hold `__` for the dot of a list or map: Attribute__1__Name."""
        form = {name.replace("__", "."): str(value) for name, value in parameters.items()}
        return self.send({"Action": action, "Version": "2012-11-05", **form}, path=path, method=method)

    def send(self, form: dict[str, str], *, path: str = "/", method: str = "POST") -> Answer:
        headers = {"Authorization": credential(self.account, self.region)}
        encoded = urlencode(form)
        with connected(self.address) as connection:
            if method == "GET":
                connection.request("GET", f"{path}?{encoded}", headers=headers)
            else:
                headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
                connection.request("POST", path, encoded.encode(), headers)
            return read_answer(connection.getresponse())


class connected:  # noqa: N801 (reads as a word)
    """A connection for the time of a block."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=30)

    def __enter__(self) -> http.client.HTTPConnection:
        return self.connection

    def __exit__(self, *raised: object) -> None:
        self.connection.close()


class RawConnection:
    """A socket on which a test writes what it likes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *raised: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def answer(self) -> Answer:
        """The next reply on this connection."""
        reply = http.client.HTTPResponse(self.socket)
        reply.begin()
        return read_answer(reply)

    def answers(self, count: int) -> list[Answer]:
        """The next `count` replies: read from one buffered file, as pipelined replies may arrive together."""
        found = []
        with self.socket.makefile("rb") as stream:
            for _ in range(count):
                reply = http.client.HTTPResponse(_Buffered(stream))  # type: ignore[arg-type]
                reply.begin()
                found.append(read_answer(reply))
        return found

    def read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            line += byte
        return line

    def closed_by_peer(self) -> bool:
        """Whether the broker closes the connection (what it still says is read first)."""
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True


class _Buffered:
    """What HTTPResponse asks of a socket, over a stream that outlives the reply."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def makefile(self, *_: Any) -> Any:
        return _Unclosed(self._stream)


class _Unclosed:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.read, self.readline, self.readinto = stream.read, stream.readline, stream.readinto
        self.closed = False

    def read1(self, size: int = -1) -> bytes:
        return bytes(self._stream.read1(size))

    def peek(self, size: int = 0) -> bytes:
        return bytes(self._stream.peek(size))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def raw_request(
    method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes = b"", *, host: str = "localhost"
) -> bytes:
    """The bytes of an HTTP/1.1 request. Content-Length is added where the headers name no framing and there is a body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    names = set()
    for name, value in headers:
        lines.append(f"{name}: {value}")
        names.add(name.lower())
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
