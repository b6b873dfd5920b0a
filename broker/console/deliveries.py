"""GET /_pombo/sns/deliveries: what SNS would have sent where there is no way out, and how deliveries went."""

from typing import Any, Final

import msgspec

from broker.console.replies import Refused, number, reply
from broker.services.looking import look
from broker.services.runtime import Runtime
from broker.services.sns.deliveries import decode, queue_name
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.sigv4 import identify

_LIMIT_MAX: Final = 1_000


class Deliveries:
    """?Account=…&Region=…&Limit=100&After=0: {"deliveries": […], "next": id or null}, the oldest first."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.method != "GET":
            raise Refused(405, f"the method is {request.method}; expected GET")
        parameters = parse_form(request.query_string.encode())
        identity = identify(request.headers.get("authorization"), request.query_string)
        account = parameters.get("Account", identity.account)
        region = parameters.get("Region", identity.region)
        limit = number(parameters, "Limit", 100, 1, _LIMIT_MAX)
        after = number(parameters, "After", 0, 0, 1 << 62)
        queue = self._runtime.engine.find_internal_queue(queue_name(account, region))
        if queue is None:
            return reply({"deliveries": [], "next": None})
        found, next_after = await look(self._runtime, queue, after, limit)
        shown: list[dict[str, Any]] = [{"Id": m.id, **msgspec.to_builtins(decode(m.body))} for m in found]
        return reply({"deliveries": shown, "next": next_after})
