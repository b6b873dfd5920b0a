"""/_pombo/clock: read message time, and move it where the clock is manual."""

import orjson

from broker.console.replies import Refused, reply
from broker.services.timekeeper import Timekeeper
from broker.wire.http import HttpRequest, HttpResponse

_ADVANCE_S_MAX = 10 * 365 * 86_400


class MessageClock:
    """GET answers {"now_ms", "clock"}; POST {"advance_s": 900} moves on and answers when all that fell due is committed."""

    def __init__(self, timekeeper: Timekeeper) -> None:
        self._timekeeper = timekeeper

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.method == "GET":
            return self._now()
        if request.method != "POST":
            raise Refused(405, f"the method is {request.method}; expected GET or POST")
        if not self._timekeeper.manual:
            raise Refused(409, "the clock is system and cannot be moved; start the broker with --clock manual")
        await self._timekeeper.advance(_advance_ms(request.body))
        return self._now()

    def _now(self) -> HttpResponse:
        kind = "manual" if self._timekeeper.manual else "system"
        return reply({"now_ms": self._timekeeper.now_ms(), "clock": kind})


def _advance_ms(body: bytes) -> int:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused(400, 'the body is not JSON; expected {"advance_s": SECONDS}') from None
    seconds = content.get("advance_s") if isinstance(content, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _ADVANCE_S_MAX:
        raise Refused(400, f"advance_s is {seconds!r}; expected a number of seconds from 0 to {_ADVANCE_S_MAX}")
    return round(seconds * 1000)
