"""Waiting for a broker that has just been started, as fixtures and deployments do.

It asks what every caller may ask, the broker's health, and knows nothing of queues or of AWS's protocols.
"""

import asyncio
from typing import Any, Final

import aiohttp

_AGAIN_S: Final = 0.02


class NotReady(Exception):
    """The broker did not answer in time; the text says where it was asked, how long, and what came last."""


async def wait_until_ready(url: str, *, within_s: float = 10.0) -> dict[str, Any]:
    """Return the health of the broker at `url` (http://HOST:PORT) as soon as it answers. Raises NotReady after `within_s`."""
    last = "nothing answered"
    try:
        async with asyncio.timeout(within_s), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url.rstrip('/')}/health") as answer:
                        if answer.status == 200:
                            return dict(await answer.json())
                        last = f"status {answer.status}"
                except aiohttp.ClientError as error:
                    last = str(error)
                await asyncio.sleep(_AGAIN_S)
    except TimeoutError:
        raise NotReady(f"{url} was not ready within {within_s} s: {last}") from None
