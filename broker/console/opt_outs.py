"""POST /_pombo/sns/opt-outs {"phone_number": "+15550100"}: a phone opts out of SMS, as its holder does by answering STOP."""

import orjson

from broker.console.replies import Refused, reply
from broker.services.runtime import Runtime
from broker.services.sns.endpoints import PHONE_NUMBER
from broker.services.sns.sms_state import Phones
from broker.wire.http import HttpRequest, HttpResponse
from broker.wire.query_form import parse_form
from broker.wire.sigv4 import identify


class OptOuts:
    """?Account=…&Region=… where the request is not signed. Answers when it is on disk."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            raise Refused(405, f"the method is {request.method}; expected POST")
        parameters = parse_form(request.query_string.encode())
        identity = identify(request.headers.get("authorization"), request.query_string)
        place = (parameters.get("Account", identity.account), parameters.get("Region", identity.region))
        number = _number(request.body)
        await self._runtime.call(self._runtime.part(Phones).opt_out, place, number)
        durable = self._runtime.durable()
        if durable is not None:
            await durable
        return reply({"phone_number": number, "opted_out": True})


def _number(body: bytes) -> str:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused(400, 'the body is not JSON; expected {"phone_number": "+15550100"}') from None
    number = content.get("phone_number") if isinstance(content, dict) else None
    if not isinstance(number, str) or not PHONE_NUMBER.fullmatch(number):
        raise Refused(400, f"phone_number is {number!r}; expected + and 2 to 15 digits")
    return number
