"""/health, and /_localstack/health for tools that wait for that one."""

from broker import __version__
from broker.console.replies import reply
from broker.services.operation import Service
from broker.wire.http import HttpRequest, HttpResponse


class Health:
    """Answers as soon as the port is open."""

    def __init__(self, services: list[Service]) -> None:
        self._services = {s.name: "running" for s in services}

    async def handle(self, _request: HttpRequest) -> HttpResponse:
        return reply({"services": self._services, "edition": "pombo", "version": __version__})
