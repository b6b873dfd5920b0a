"""One call: signed, sent over a kept-alive connection, retried, and its answer decoded or raised.

What is called and what comes back is `client.client`'s; how it is written is `client.protocols`'. No thread: aiohttp on the running
loop. A call that is retried may have been done twice: SQS and SNS deliver at least once.
"""

import io
import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from client.clock import Clock
from client.errors import CallFailed, ConnectionFailed
from client.protocols import PROTOCOLS
from client.signing import Signer, is_aws

DEFAULT_REGION: Final = "us-east-1"
_CONNECT_TIMEOUT_S: Final = 5.0  # name, connection and TLS
_BACK_OFF_S: Final = 0.1  # before the second attempt at most; doubles with each
_BACK_OFF_MAX_S: Final = 20.0
_BYTES_MAX: Final = (
    2**20
)  # aiohttp warns of more in one piece; a message of the greatest size is more with what is around it
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_HEADERS: Final = {"User-Agent": "pombo-client", "Accept-Encoding": "identity"}


class Caller:
    """Calls the services of one endpoint. Closed by `close`; opens its connections when they are needed."""

    def __init__(
        self,
        *,
        endpoint_url: str | None,
        region: str | None,
        access_key: str | None,
        secret_key: str | None,
        session_token: str | None,
        timeout_s: float,
        attempts_max: int,
        clock: Clock,
    ) -> None:
        assert attempts_max >= 1
        named = {service: _named_endpoint(service, endpoint_url) for service in PROTOCOLS}
        region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        regions = (_region_of(url) for url in named.values() if url)
        self.region = region or next(filter(None, regions), None) or DEFAULT_REGION
        self._urls = {service: _url(url or _aws_endpoint(service, self.region)) for service, url in named.items()}
        self._proxies = {service: _proxy_for(url) for service, url in self._urls.items()}
        self._signer = Signer(self.region, access_key, secret_key, session_token)
        self._timeout_s = timeout_s
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._attempts_max = attempts_max
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def call(
        self, service: str, operation: str, parameters: Mapping[str, Any], kind: Any, waits_s: float = 0
    ) -> Any:
        """The answer as `kind`. `waits_s` is how long the endpoint may hold it back, beside the timeout.

        No connection, no answer in time, 5xx and throttling are tried again, `attempts_max` times altogether, after a random part
        of a wait that doubles. Raises the last attempt's AwsError or ConnectionFailed, NoCredentials, and CallFailed where the
        answer cannot be read or the client is closed.
        """
        url, form = self._urls[service], PROTOCOLS[service]
        headers, body = form.request(operation, parameters)
        back_off_s = _BACK_OFF_S
        for attempt in range(1, self._attempts_max + 1):
            failure: CallFailed
            try:
                signed = await self._signer.headers(service, str(url), body, headers)
                data = body if len(body) <= _BYTES_MAX else io.BytesIO(body)
                async with self._open().post(
                    url,
                    data=data,
                    headers=signed,
                    allow_redirects=False,
                    proxy=self._proxies[service],
                    timeout=self._timeout(waits_s),
                ) as answer:
                    content = await answer.read()
                if answer.status == 200:
                    return self._decode(form.decode, content, kind, operation)
                failure = form.error(answer.status, answer.headers, content)
                if not (failure.throttled or failure.status >= 500):
                    raise failure
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if self._closed:
                    raise CallFailed("the client is closed") from error
                failure = ConnectionFailed(f"{operation} at {url}: {str(error) or type(error).__name__}")
                failure.__cause__ = error
            if attempt < self._attempts_max:
                await self._clock.sleep(self._clock.jitter(min(back_off_s, _BACK_OFF_MAX_S)))
                back_off_s *= 2
        raise failure

    async def close(self) -> None:
        """Close the connections. Calls that are under way fail."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise CallFailed("the client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # As many connections as calls under way: a long poll holds one, and a delete must not wait for it.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                trust_env=False,  # it would read ~/.netrc, and put that in the place of the signature
            )
        return self._session

    def _timeout(self, waits_s: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(waits_s)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_TIMEOUT_S, sock_read=self._timeout_s + waits_s)
            self._timeouts[waits_s] = timeout
        return timeout

    @staticmethod
    def _decode(decode: Any, content: bytes, kind: Any, operation: str) -> Any:
        try:
            return decode(content, kind)
        except ValueError as error:
            raise CallFailed(f"{operation}: the answer cannot be read: {error}") from None


def _named_endpoint(service: str, given: str | None) -> str | None:
    return given or os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")


def _aws_endpoint(service: str, region: str) -> str:
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _url(endpoint: str) -> URL:
    """The URL that requests go to. Raises ValueError."""
    url = URL(endpoint.rstrip("/") + "/")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"the endpoint {endpoint!r} is no http:// or https:// URL")
    if url.user is not None:
        raise ValueError(f"the endpoint at {url.host} is called with a signature, not with a user's name in its URL")
    return url


def _proxy_for(url: URL) -> str | None:
    """The environment's proxy on the way to AWS; what is not AWS is near."""
    if not is_aws(str(url)) or proxy_bypass(url.host or ""):
        return None
    return getproxies().get(url.scheme)


def _region_of(url: str) -> str | None:
    """The region in the name of an AWS endpoint."""
    parts = (URL(url).host or "").split(".") if is_aws(url) else []
    return next(filter(_REGION.fullmatch, parts), None)
