"""A broker in the test's own event loop, for what has no request: phones that opt out, records in the store, restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from broker.app import Broker
from broker.config import Config
from broker.services.sns.sms_state import Phones
from tests.conftest import RunningBroker
from tests.sns.conftest import make_client

ACCOUNT = "111111111111"
REGION = "us-east-1"


class Inside:
    """A broker that serves, and can be reached into."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.running = RunningBroker(broker.url)
        self._sns = make_client(broker.url, ACCOUNT, REGION)

    async def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """A boto3 call."""
        return dict(await self.away(getattr(self._sns, operation), **parameters))

    async def away(self, call: Callable[..., Any], *arguments: Any, **parameters: Any) -> Any:
        """Make a call that blocks, while the broker serves."""
        return await asyncio.get_running_loop().run_in_executor(None, partial(call, *arguments, **parameters))

    async def opt_out(self, number: str) -> None:
        """The phone's holder wants no more messages."""
        phones = self.broker.runtime.part(Phones)
        await self.broker.runtime.call(phones.opt_out, (ACCOUNT, REGION), number)
        await self.broker.runtime.quiet()

    async def opted_out(self, number: str) -> bool:
        return bool((await self.ask("check_if_phone_number_is_opted_out", phoneNumber=number))["isOptedOut"])

    async def advance(self, seconds: float) -> None:
        await self.away(self.running.request_json, "POST", "/_pombo/clock", {"advance_s": seconds})

    def close(self) -> None:
        self._sns.close()


@asynccontextmanager
async def serve_inside(data: Path | str = ":memory:") -> AsyncIterator[Inside]:
    broker = Broker(Config(port=0, data=str(data), clock="manual"))
    await broker.start()
    inside = Inside(broker)
    try:
        yield inside
    finally:
        inside.close()
        await broker.stop()
