"""Receipt handles: which receive of which message of which queue, and when, with a keyed checksum. They outlive a restart.

The handle holds everything that is needed, so the broker keeps no table of handles, and nobody can make one up.
"""

import binascii
import struct
from hashlib import blake2b
from typing import Final

_FORM: Final = struct.Struct(">QQIQ")  # queue number, message id, receive number, received at
_CHECKSUM_BYTES: Final = 14  # so that the whole is 42 bytes: 56 characters without padding
_HANDLE_CHARACTERS: Final = 56


class Receipt:
    """One receive of a message."""

    __slots__ = ("message", "queue", "receive", "received_at_ms")

    def __init__(self, queue: int, message: int, receive: int, received_at_ms: int) -> None:
        self.queue: Final = queue
        self.message: Final = message
        self.receive: Final = receive
        self.received_at_ms: Final = received_at_ms


class Receipts:
    """Makes and reads the handles of one broker. `key`: the store's secret."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=_CHECKSUM_BYTES)

    def handle(self, queue: int, message: int, receive: int, received_at_ms: int) -> str:
        """The opaque handle of the receive number `receive` (from 1) of a message."""
        packed = _FORM.pack(queue, message, receive, received_at_ms)
        return binascii.b2a_base64(packed + self._checksum(packed), newline=False).decode("ascii")

    def read(self, handle: str) -> Receipt | None:
        """What a handle stands for; None if we did not make it."""
        if len(handle) != _HANDLE_CHARACTERS:
            return None
        try:
            raw = binascii.a2b_base64(handle, strict_mode=True)
        except (binascii.Error, ValueError):
            return None
        packed, checksum = raw[: _FORM.size], raw[_FORM.size :]
        if checksum != self._checksum(packed):
            return None
        return Receipt(*_FORM.unpack(packed))

    def _checksum(self, packed: bytes) -> bytes:
        hasher = self._keyed.copy()
        hasher.update(packed)
        return hasher.digest()
