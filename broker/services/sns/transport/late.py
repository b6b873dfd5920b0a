"""Transports that are imported when they first carry something, on a thread: their libraries take longer than all of a start."""

import asyncio
from collections.abc import Callable

from broker.services.sns.outbox import Outcome, Transport
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.topic import Subscription


class LateTransport:
    """`load` imports a transport's type, and answers what makes one; the latter is called on the event loop."""

    def __init__(self, load: Callable[[], Callable[[], Transport]]) -> None:
        self._load = load
        self._transport: Transport | None = None

    async def send(self, subscription: Subscription, outgoing: Outgoing) -> Outcome:
        if self._transport is None:
            make = await asyncio.to_thread(self._load)
            if self._transport is None:  # several may have waited
                self._transport = make()
        return await self._transport.send(subscription, outgoing)

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()


def http() -> LateTransport:
    """For HTTP and HTTPS endpoints."""

    def load() -> Callable[[], Transport]:
        from broker.services.sns.transport.http import HttpTransport

        return HttpTransport

    return LateTransport(load)


def smtp(host: str, port: int) -> LateTransport:
    """For e-mail through that mail server."""

    def load() -> Callable[[], Transport]:
        from broker.services.sns.transport.smtp import SmtpTransport

        return lambda: SmtpTransport(host, port)

    return LateTransport(load)
