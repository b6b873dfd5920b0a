"""A broker's replies, recorded, for the bare protocol server to repeat; and single calls, for setting up what a load needs."""

import http.client
from urllib.parse import urlsplit

from benchmarks.sqs_requests import JsonRequests, QueryRequests, Requests


def call(url: str, request: bytes) -> bytes:
    """The body of the reply to a prepared request. Raises OSError when the server does not like it."""
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request("POST", "/", body, headers)
        reply = connection.getresponse()
        text = reply.read()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if reply.status >= 300:
        raise OSError(f"{reply.status}: {text[:200]!r}")
    return text


def replies(url: str, batch: int, size: int = 1024) -> dict[str, str]:
    """A reply of each operation that a load uses, with `batch` messages in it (0: a receive that finds none).

    By operation in JSON; in Query `query:` and the Action.
    """
    found: dict[str, str] = {}
    for wire, prefix in ((JsonRequests(url), ""), (QueryRequests(url), "query:")):
        found |= {prefix + operation: text for operation, text in _of(wire, url, batch, size).items()}
    return found


def _of(wire: Requests, url: str, batch: int, size: int) -> dict[str, str]:
    created = call(url, wire.call("CreateQueue", QueueName=f"recorded-{wire.name}-{batch}"))
    queue = wire.url(created)
    found = {"CreateQueue": created, "ReceiveMessage": call(url, wire.receive(queue, 1))}
    if batch:
        many = "Batch" if batch > 1 else ""
        found[f"SendMessage{many}"] = call(url, wire.send(queue, batch, size)(0))
        found["ReceiveMessage"] = call(url, wire.receive(queue, batch))
        found[f"DeleteMessage{many}"] = call(url, wire.delete(queue, batch)(wire.handles(found["ReceiveMessage"])))
    call(url, wire.call("DeleteQueue", QueueUrl=queue))
    return {operation: text.decode() for operation, text in found.items()}
