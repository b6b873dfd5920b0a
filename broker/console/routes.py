"""The console's paths, and the guard in front of those that show or change anything."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.config import Config
from broker.console.certificates import PREFIX as CERTIFICATES
from broker.console.certificates import Certificates
from broker.console.deliveries import Deliveries
from broker.console.guard import Guard
from broker.console.health import PATHS as HEALTH_PATHS
from broker.console.health import Health
from broker.console.message_clock import MessageClock
from broker.console.messages import LOCALSTACK_PATH, Messages
from broker.console.opt_outs import OptOuts
from broker.console.replies import Refused, refusal
from broker.console.reset import Reset
from broker.errors import AwsError
from broker.services.operation import Service
from broker.services.runtime import Runtime
from broker.services.timekeeper import Timekeeper
from broker.wire.http import HttpRequest, HttpResponse

Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


class Console:
    """All endpoints of our own."""

    PATHS: Final = (
        "/_pombo/clock",
        "/_pombo/reset",
        "/_pombo/sqs/messages",
        "/_pombo/sns/deliveries",
        "/_pombo/sns/opt-outs",
    )

    def __init__(self, services: list[Service], runtime: Runtime, timekeeper: Timekeeper, config: Config) -> None:
        messages = Messages(runtime)
        self._guard = Guard(config.host, config.allowed_hosts)
        self._health = Health(services)
        handlers = (
            MessageClock(timekeeper).handle,
            Reset(runtime).handle,
            messages.handle,
            Deliveries(runtime).handle,
            OptOuts(runtime).handle,
        )
        self._certificates = Certificates(runtime).handle
        self._paths: dict[str, Handler] = dict(zip(self.PATHS, handlers, strict=True))
        self._localstack = messages.handle_localstack

    def prefixes(self) -> Mapping[str, Handler]:
        """Which paths the server hands to the console."""
        return {
            **dict.fromkeys(HEALTH_PATHS, self._health.handle),
            "/_pombo": self._handle,
            "/_aws/": self._handle,
            CERTIFICATES: self._certificates,
        }

    async def _handle(self, request: HttpRequest) -> HttpResponse:
        try:
            self._guard.check(request)
            handler = self._paths.get(request.path.rstrip("/"))
            if handler is None and f"{request.path}/".startswith(f"{LOCALSTACK_PATH}/"):
                handler = self._localstack
            if handler is None:
                raise Refused(404, f"the path is {request.path!r}; expected one of {', '.join(self._paths)}")
            return await handler(request)
        except Refused as refused:
            return refusal(refused)
        except AwsError as error:
            return refusal(Refused(error.status, error.message))
