"""The console's paths, and the guard in front of those that show or change anything.

Every refusal has a request id and a line in the log, as those of AWS's operations have.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from broker.config import Config
from broker.console.certificates import PREFIX as CERTIFICATES
from broker.console.certificates import Certificates
from broker.console.deliveries import Deliveries
from broker.console.functions import LOGS_PATH, Functions
from broker.console.functions import PREFIX as FUNCTIONS
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

_LOGGED_MAX: Final = 500
_log = logging.getLogger("pombo.console")


class Console:
    """All endpoints of our own."""

    PATHS: Final = (
        "/_pombo/clock",
        "/_pombo/reset",
        "/_pombo/sqs/messages",
        "/_pombo/sns/deliveries",
        "/_pombo/sns/opt-outs",
        LOGS_PATH,
    )

    def __init__(self, services: list[Service], runtime: Runtime, timekeeper: Timekeeper, config: Config) -> None:
        messages = Messages(runtime)
        self._chance = runtime.chance
        self._functions = Functions(runtime).handle
        self._guard = Guard(config.host, config.allowed_hosts)
        self._health = Health(services)
        handlers = (
            MessageClock(timekeeper).handle,
            Reset(runtime).handle,
            messages.handle,
            Deliveries(runtime).handle,
            OptOuts(runtime).handle,
            self._functions,
        )
        self._certificates = Certificates(runtime).handle
        self._paths: dict[str, Handler] = dict(zip(self.PATHS, handlers, strict=True))
        self._localstack = messages.handle_localstack

    def prefixes(self) -> Mapping[str, Handler]:
        """Which paths the server hands to the console."""
        return {
            **dict.fromkeys(HEALTH_PATHS, partial(self._answer, self._health.handle)),
            "/_pombo": partial(self._answer, self._handle),
            "/_aws/": partial(self._answer, self._handle),
            CERTIFICATES: partial(self._answer, self._certificates),
        }

    async def _handle(self, request: HttpRequest) -> HttpResponse:
        self._guard.check(request)
        handler = self._paths.get(request.path.rstrip("/"))
        if handler is None and f"{request.path}/".startswith(f"{LOCALSTACK_PATH}/"):
            handler = self._localstack
        elif request.path.startswith(FUNCTIONS):
            handler = self._functions
        if handler is None:
            raise Refused(404, f"the path is {request.path!r}; expected one of {', '.join(self._paths)}")
        return await handler(request)

    async def _answer(self, handler: Handler, request: HttpRequest) -> HttpResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return self._refused(request, refused)
        except AwsError as error:
            return self._refused(request, Refused(error.status, error.message))

    def _refused(self, request: HttpRequest, refused: Refused) -> HttpResponse:
        request_id = self._chance.uuid()
        _log.info(
            "%s %s refused: %s",
            request.method,
            request.path[:_LOGGED_MAX],
            refused.message[:_LOGGED_MAX],
            extra={"request_id": request_id, "status": refused.status},
        )
        response = refusal(refused)
        response.headers["x-amzn-RequestId"] = request_id
        return response
