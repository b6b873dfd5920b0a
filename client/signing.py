"""Who calls, and the signature that says so: botocore's credentials and its SigV4 signer.

botocore is imported when the first request is signed: it is an extra (`pip install 'pombo[client]'`) and takes a tenth of a second.
What it may do for credentials (files, a process, a metadata service) is done beside the loop.
"""

import asyncio
import functools
import hmac
import os
from collections.abc import Mapping
from typing import Any, Final

from yarl import URL

from client.errors import NoCredentials

# An endpoint that is not AWS wants a signature, and perhaps does not check it.
ANYONE: Final = ("000000000000", "pombo")


@functools.lru_cache(maxsize=64)
def is_aws(url: str) -> bool:
    """Whether requests to `url` go to AWS itself."""
    host = URL(url).host or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


class Signer:
    """Signs requests for one region.

    Credentials: those given, else the environment's, else what botocore's chain finds. Where the endpoint is not AWS, the
    metadata service of a virtual machine is not asked, and without any credentials the caller is account 000000000000.
    """

    def __init__(self, region: str, access_key: str | None, secret_key: str | None, session_token: str | None) -> None:
        if (access_key is None) != (secret_key is None):
            raise NoCredentials("access_key and secret_key go together: one of them is missing")
        self._region = region
        self._given = (access_key, secret_key, session_token)
        # One per kind of endpoint: what suits any other must not be sent to AWS.
        self._credentials: dict[bool, _Credentials] = {}
        self._loading = asyncio.Lock()

    async def headers(self, service: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """`headers` with the signature of a POST. Raises NoCredentials."""
        aws = is_aws(url)
        credentials = self._credentials.get(aws)
        if credentials is None or credentials.needs_loading():
            credentials = await self._load(aws)
        request = _Request(url, body, {"Host": _host_header(url), **headers})
        credentials.signer(service, self._region).add_auth(request)
        return request.headers

    async def _load(self, aws: bool) -> "_Credentials":
        try:
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise NoCredentials(
                "requests are signed by botocore, which is missing: pip install 'pombo[client]'"
            ) from error
        async with self._loading:
            try:
                if aws not in self._credentials:
                    self._credentials[aws] = await asyncio.to_thread(self._find, aws)
                elif self._credentials[aws].needs_loading():
                    await asyncio.to_thread(self._credentials[aws].load)
            except (BotoCoreError, OSError, RuntimeError, ValueError) as error:  # the others: of a process that it asks
                raise NoCredentials(f"no credentials: {error}") from error
            return self._credentials[aws]

    def _find(self, aws: bool) -> "_Credentials":
        from botocore.credentials import Credentials
        from botocore.session import Session

        access_key, secret_key, token = self._given
        if access_key is None and os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"):
            access_key, secret_key = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            token = os.environ.get("AWS_SESSION_TOKEN")
        if access_key is not None:
            return _Credentials(Credentials(access_key, secret_key, token))
        session = Session()
        if not aws:
            session.get_component("credential_provider").remove("iam-role")
        found = session.get_credentials()
        if found is None and aws:
            raise NoCredentials(
                "no credentials: give access_key and secret_key, or set AWS_ACCESS_KEY_ID and its secret"
            )
        return _Credentials(found or Credentials(*ANYONE))


class _Credentials:
    """botocore's credentials, and signers with the frozen copy that is valid now."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._signer_class = _signer_class()
        self._refresh_needed = getattr(source, "refresh_needed", None)
        self.load()

    def load(self) -> None:
        """Fetch new ones where they expire. May wait for the network."""
        self._frozen = self._source.get_frozen_credentials()
        self._signers: dict[tuple[str, str], Any] = {}

    def needs_loading(self) -> bool:
        """Whether they expire soon."""
        return self._refresh_needed is not None and bool(self._refresh_needed())

    def signer(self, service: str, region: str) -> Any:
        """botocore's signer for a service."""
        signer = self._signers.get((service, region))
        if signer is None:
            signer = self._signers[service, region] = self._signer_class(self._frozen, service, region)
        return signer


class _Request:
    """What botocore's signer reads and writes of its AWSRequest, whose headers are an e-mail's: most of a signature's time."""

    __slots__ = ("body", "context", "headers", "url")
    method: Final = "POST"
    params: Final = None

    def __init__(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        self.url = url
        self.body = body
        self.headers = headers
        self.context: dict[str, Any] = {}


@functools.lru_cache(maxsize=64)
def _host_header(url: str) -> str:
    return URL(url).host_port_subcomponent or ""


@functools.cache
def _signer_class() -> Any:
    """botocore's SigV4Auth, which signs every header of a _Request, with a key that is derived once a day."""
    from botocore.auth import SigV4Auth

    class Signature(SigV4Auth):  # type: ignore[misc]
        key_of: tuple[str, bytes] = ("", b"")

        def headers_to_sign(self, request: _Request) -> dict[str, str]:
            return {name.lower(): value for name, value in request.headers.items()}

        def canonical_headers(self, headers_to_sign: dict[str, str]) -> str:
            return "\n".join(f"{name}:{' '.join(headers_to_sign[name].split())}" for name in sorted(headers_to_sign))

        def signature(self, string_to_sign: str, request: _Request) -> str:
            day = request.context["timestamp"][:8]
            if day != self.key_of[0]:
                key = f"AWS4{self.credentials.secret_key}".encode()
                for part in (day, self._region_name, self._service_name, "aws4_request"):
                    key = hmac.digest(key, part.encode(), "sha256")
                self.key_of = day, key
            return hmac.digest(self.key_of[1], string_to_sign.encode(), "sha256").hex()

    return Signature
