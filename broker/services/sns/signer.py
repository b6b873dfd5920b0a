"""The broker's signing key: made once, when something is first to be signed, kept in the store, so that certificates stay valid."""

import asyncio
from collections.abc import Sequence
from typing import Final

from broker.clock import wall_time_s
from broker.services.runtime import Runtime
from broker.services.sns.signatures import SigningKey
from broker.services.sns.topic import SignatureVersion
from broker.store.base import Recovered

KEY_KIND: Final = "sns-signing-key"
_KEY: Final = "1"


class Signer:
    """See the module's text. `certificate_base`: scheme and host of SigningCertURL; "": those that the caller used."""

    def __init__(self, runtime: Runtime, certificate_base: str = "") -> None:
        self._runtime = runtime
        self._certificate_base = certificate_base
        self._key: SigningKey | None = None
        self._making = asyncio.Lock()

    def recover(self, recovered: Recovered) -> None:
        stored = recovered.resources.get((KEY_KIND, _KEY))
        self._key = None if stored is None else SigningKey.from_record(stored)

    def forget(self) -> None:
        """A key that is known is on disk: a failed commit takes nothing from it, nor from what is being signed."""

    def reset(self) -> None:
        """The key outlives what it has signed."""

    async def key(self) -> SigningKey:
        """The key, on disk before anything is signed with it."""
        if self._key is not None:
            return self._key
        async with self._making:
            if self._key is None:
                made = await asyncio.to_thread(SigningKey.create, wall_time_s())
                await self._runtime.call(self._keep, made)
                durable = self._runtime.durable()
                if durable is not None:
                    await durable
                self._key = made
            return self._key

    async def sign(self, texts: Sequence[str], version: SignatureVersion) -> dict[str, str]:
        """The signature of each text, in base64. On a thread beside the event loop: each costs about a millisecond."""
        key = await self.key()
        return await asyncio.to_thread(lambda: {text: key.sign(text, version) for text in texts})

    def certificate_url(self, base_url: str) -> str:
        """Where a receiver finds the certificate. `sign` comes first."""
        assert self._key is not None
        return f"{self._certificate_base or base_url}/{self._key.certificate_name}"

    def certificate(self, name: str) -> bytes | None:
        """The certificate of that file name, in PEM; None if it is not ours."""
        key = self._key
        return key.certificate_pem if key is not None and key.certificate_name == name else None

    def _keep(self, key: SigningKey) -> None:
        self._runtime.ledger.batch.put_resource(KEY_KIND, _KEY, key.to_record())
