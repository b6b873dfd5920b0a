"""/health, and /_localstack/health for tools that wait for that one. Open to every caller: it shows nothing and changes nothing."""

from typing import Final

from broker import __version__
from broker.console.replies import Refused, reply
from broker.services.operation import Service
from broker.wire.http import HttpRequest, HttpResponse

PATHS: Final = ("/health", "/_localstack/health")


class Health:
    """Answers as soon as the port is open."""

    def __init__(self, services: list[Service]) -> None:
        self._services = {s.name: "running" for s in services}

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """{"services": {"sqs": "running", …}, "edition", "version"}, as LocalStack has it."""
        if request.path.rstrip("/") not in PATHS:
            raise Refused(404, f"the path is {request.path!r}; expected one of {', '.join(PATHS)}")
        return reply({"services": self._services, "edition": "pombo", "version": __version__})
