"""Time and chance: the only module that may read a clock or draw a random number.

Two clocks. *Message time* is what AWS's semantics follow (delays, visibility, retention, deduplication): whole milliseconds
since the epoch, never backwards, persisted with every commit. *Process time* drives sockets, commits and log stamps and is
never moved. Both are injected, so that a test moves message time instead of sleeping.
"""

import os
import time
from collections.abc import Callable
from typing import Final, Protocol


class Clock(Protocol):
    """Message time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch; never less than an earlier answer."""
        ...

    def resume(self, at_least_ms: int) -> None:
        """Never answer less than `at_least_ms` from here on: the newest message time that the store has seen."""
        ...


class SystemClock:
    """Message time is the machine's wall clock, held still where the wall clock was set back."""

    def __init__(self) -> None:
        self._floor_ms = 0

    def now_ms(self) -> int:
        now = time.time_ns() // 1_000_000
        if now < self._floor_ms:
            return self._floor_ms
        self._floor_ms = now
        return now

    def resume(self, at_least_ms: int) -> None:
        self._floor_ms = max(self._floor_ms, at_least_ms)


class ManualClock:
    """Message time stands still until it is moved. It starts at the wall clock's time, or where the store left it."""

    def __init__(self, start_ms: int | None = None) -> None:
        self._now_ms = time.time_ns() // 1_000_000 if start_ms is None else start_ms

    def now_ms(self) -> int:
        return self._now_ms

    def resume(self, at_least_ms: int) -> None:
        self._now_ms = max(self._now_ms, at_least_ms)

    def move_to(self, now_ms: int) -> None:
        """Set message time to `now_ms`. Going back is a bug of the caller."""
        assert now_ms >= self._now_ms, "message time never goes backwards"
        self._now_ms = now_ms


def process_time_s() -> float:
    """Seconds of a clock that only ever goes forward; for intervals on the process's side."""
    return time.monotonic()


def wall_time_s() -> float:
    """Seconds since the epoch by the machine's clock: `Date` headers and log stamps only."""
    return time.time()


_ID_STEP: Final = 0x9E37_79B1  # odd: it passes through every number of 32 bits before it repeats one


class Chance:
    """The source of identifiers and keys. Draws the operating system's randomness in blocks: one system call serves 256 ids."""

    _BLOCK = 256

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._pool = b""
        self._at = 0
        self._ids_left = 0
        self._id_head = ""
        self._id = 0

    def token(self) -> bytes:
        """16 random bytes."""
        if self._at >= len(self._pool):
            self._pool = self._draw(16 * self._BLOCK)
            self._at = 0
        self._at += 16
        return self._pool[self._at - 16 : self._at]

    def uuid(self) -> str:
        """A version 4 UUID in AWS's lower-case form. 96 bits are random and new for every 256 ids, the last 32 number those
        in a scrambled order, so that no two are alike.
        """
        if self._ids_left == 0:
            self._ids_left = self._BLOCK
            self._id = int.from_bytes(self.token()[:4])
            self._id_head = format_uuid(self.token())[:28]
        self._ids_left -= 1
        self._id = (self._id + _ID_STEP) & 0xFFFF_FFFF
        return self._id_head + self._id.to_bytes(4, "big").hex()

    def percent(self) -> int:
        """A random number from 0 to 99."""
        return int.from_bytes(self.token()[:4]) % 100

    def secret(self, size: int) -> bytes:
        """`size` random bytes for a key."""
        return self._draw(size)


def format_uuid(token: bytes) -> str:
    """The version 4 UUID that 16 random bytes stand for."""
    h = token.hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"
