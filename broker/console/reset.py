"""POST /_pombo/reset: delete everything in every account and region, for a clean start between tests."""

from broker.console.replies import Refused, reply
from broker.services.runtime import Runtime
from broker.wire.http import HttpRequest, HttpResponse


class Reset:
    """Answers when the deletion is on disk."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            raise Refused(405, f"the method is {request.method}; expected POST")
        await self._runtime.reset()
        durable = self._runtime.durable()
        if durable is not None:
            await durable
        return reply({"reset": True})
