"""Who calls, and the signature that says so: botocore's credentials and its SigV4 signer.

botocore is imported when the first request is signed: it is an extra (`pip install 'pombo[client]'`) and takes a tenth of a second.
What it may do for credentials (files, a process, a metadata service) is done beside the loop.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Final

from yarl import URL

from client.errors import NoCredentials

ANYONE: Final = (
    "000000000000",
    "pombo",
)  # an endpoint that is not AWS wants a signature, and perhaps does not check it


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
        self._region = region
        self._given = (access_key, secret_key, session_token)
        self._credentials: Any = None
        self._loading = asyncio.Lock()

    async def headers(self, service: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """`headers` with the signature of a POST. Raises NoCredentials."""
        credentials = self._credentials
        if credentials is None or credentials.needs_loading():
            credentials = await self._load(url)
        return self._sign(credentials, service, url, body, headers)

    def _sign(
        self, credentials: "_Credentials", service: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest("POST", url, headers=headers, data=body)
        SigV4Auth(credentials.frozen, service, self._region).add_auth(request)
        return dict(request.headers.items())

    async def _load(self, url: str) -> "_Credentials":
        async with self._loading:
            if self._credentials is None:
                self._credentials = await asyncio.to_thread(self._find, is_aws(url))
            elif self._credentials.needs_loading():
                await asyncio.to_thread(self._credentials.load)
            loaded: _Credentials = self._credentials
            return loaded

    def _find(self, aws: bool) -> "_Credentials":
        try:
            from botocore.credentials import Credentials
            from botocore.session import Session
        except ImportError as error:
            raise NoCredentials(
                "requests are signed by botocore, which is missing: pip install 'pombo[client]'"
            ) from error
        access_key, secret_key, token = self._given
        if access_key is None and "AWS_ACCESS_KEY_ID" in os.environ and "AWS_SECRET_ACCESS_KEY" in os.environ:
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
    """botocore's credentials, and the frozen copy that is valid now."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.load()

    def load(self) -> None:
        """Fetch new ones where they expire. May wait for the network."""
        self.frozen = self._source.get_frozen_credentials()

    def needs_loading(self) -> bool:
        """Whether they expire soon."""
        refresh_needed = getattr(self._source, "refresh_needed", None)
        return bool(refresh_needed and refresh_needed())
