"""What functions print, at /_pombo/lambda/FUNCTION/logs; and their code, where GetFunction says that it is."""

import asyncio
import re
from typing import Final

from broker.console.replies import Refused, number, reply
from broker.services.lambda_.names import FunctionName
from broker.services.lambda_.state import Functions as FunctionsByName
from broker.services.lambda_.workers import Workers
from broker.services.runtime import Runtime
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.sigv4 import identify

PREFIX: Final = "/_pombo/lambda/"
LOGS_PATH: Final = "/_pombo/lambda/FUNCTION/logs"
_LIMIT_MAX: Final = 10_000
_CODE: Final = re.compile(r"/_pombo/lambda/code/([0-9a-f]{64})\.zip")
_LOGS: Final = re.compile(r"/_pombo/lambda/([A-Za-z0-9_-]{1,64})/logs")


class Functions:
    """GET …/logs?Account=…&Region=…&RequestId=…&After=0&Limit=1000: {"events": […], "next": number or null}, the oldest first."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.method != "GET":
            raise Refused(405, f"the method is {request.method}; expected GET")
        code = _CODE.fullmatch(request.path)
        if code is not None:
            return await self._code(code[1])
        logs = _LOGS.fullmatch(request.path)
        if logs is not None:
            return self._logs(request, logs[1])
        raise Refused(404, f"the path is {request.path!r}; expected {LOGS_PATH}")

    async def _code(self, code_id: str) -> HttpResponse:
        archive = await asyncio.to_thread(self._runtime.part(Workers).code.archive, code_id)
        if archive is None:
            raise Refused(404, f"there is no code {code_id}")
        return HttpResponse(200, archive, {"Content-Type": "application/zip"})

    def _logs(self, request: HttpRequest, function: str) -> HttpResponse:
        parameters = parse_form(request.query_string.encode())
        identity = identify(request.headers.get("authorization"), request.query_string)
        account, region = parameters.get("Account", identity.account), parameters.get("Region", identity.region)
        name = FunctionName(account, region, function)
        if name not in self._runtime.part(FunctionsByName).by_name:
            raise Refused(404, f"the function is {name.arn!r}; there is no such function")
        limit = number(parameters, "Limit", 1_000, 1, _LIMIT_MAX)
        after = number(parameters, "After", 0, 0, 1 << 62)
        events = self._runtime.part(Workers).log(name).read(after, parameters.get("RequestId"))
        page = events[:limit]
        shown = [
            {"Number": e.number, "Timestamp": e.at_ms, "RequestId": e.request_id, "Stream": e.stream, "Message": e.line}
            for e in page
        ]
        return reply({"events": shown, "next": page[-1].number if len(events) > limit else None})
