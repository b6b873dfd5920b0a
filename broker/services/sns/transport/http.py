"""HTTP and HTTPS endpoints: one POST per attempt. Redirects are not followed, and of an answer only the status counts.

Source: SNS Developer Guide, "HTTP/HTTPS headers" and "Message delivery retries".
"""

import asyncio
from typing import Final

import aiohttp
from yarl import URL

from broker.services.sns.outbox import Outcome
from broker.services.sns.outgoing import Outgoing
from broker.services.sns.topic import Subscription

TIMEOUT_S: Final = 15.0
_RESPONSE_MAX: Final = 512  # bytes of an answer that are kept for a delivery record
_RESPONSE_S: Final = 1.0
_DEFAULT_TYPE: Final = "text/plain; charset=UTF-8"
_AGENT: Final = "Amazon Simple Notification Service Agent"


class HttpTransport:
    """Made on the event loop that it serves. `timeout_s`: for a whole attempt, from looking the host up to the answer's status."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def send(self, subscription: Subscription, outgoing: Outgoing) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(subscription, outgoing)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return Outcome(False, response=f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, subscription: Subscription, outgoing: Outgoing) -> Outcome:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # each courier has its own limit
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Content-Type"),
            )
        async with self._session.post(
            URL(subscription.endpoint),
            data=outgoing.body.encode(),
            headers=headers(subscription, outgoing),
            allow_redirects=False,
        ) as response:
            status, answer = response.status, await self._read_some(response)
        permanent = 400 <= status < 500 and status != 429
        return Outcome(200 <= status < 300, permanent, status, answer.decode(errors="replace"))

    async def _read_some(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of an answer, for a delivery record; nothing where it does not come soon."""
        try:
            async with asyncio.timeout(min(_RESPONSE_S, self._timeout_s / 2)):
                return await response.content.read(_RESPONSE_MAX)
        except (aiohttp.ClientError, TimeoutError):
            return b""


def headers(subscription: Subscription, outgoing: Outgoing) -> dict[str, str]:
    """What AWS puts before a message. A user and password in the URL become Basic authorization in the client."""
    policy = subscription.policy
    given = {
        "Content-Type": policy.content_type
        if policy is not None and outgoing.kind == "Notification"
        else _DEFAULT_TYPE,
        "User-Agent": _AGENT,
        "Accept-Encoding": "gzip,deflate",
        "x-amz-sns-message-type": outgoing.kind,
        "x-amz-sns-message-id": outgoing.message_id,
        "x-amz-sns-topic-arn": subscription.record.topic.arn,
    }
    if outgoing.kind != "SubscriptionConfirmation":
        given["x-amz-sns-subscription-arn"] = subscription.arn
    if outgoing.raw:
        given["x-amz-sns-rawdelivery"] = "true"
    return given
