"""An HTTP endpoint in the test process: it keeps what it is sent, and answers as it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """One POST."""

    path: str
    headers: dict[str, str]  # by lower-case name
    body: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Endpoint:
    """`answers`: statuses for the next requests; then 200. `hang_up`: close connections without an answer."""

    url: str
    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hang_up: bool = False

    def of_type(self, kind: str) -> list[Request]:
        return [r for r in self.requests if r.headers["x-amz-sns-message-type"] == kind]

    @property
    def notifications(self) -> list[Request]:
        return self.of_type("Notification")

    def token(self) -> str:
        """Of the newest confirmation."""
        return str(self.of_type("SubscriptionConfirmation")[-1].document["Token"])


@contextmanager
def endpoint(path: str = "/hook") -> Iterator[Endpoint]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.requests.append(Request(self.path, {n.lower(): v for n, v in self.headers.items()}, body.decode()))
            if served.hang_up:
                self.close_connection = True
                return
            status = served.answers.pop(0) if served.answers else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", served.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Endpoint(f"http://127.0.0.1:{server.server_address[1]}{path}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
