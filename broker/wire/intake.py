"""How many bytes of requests are in the house: of bodies that are still coming, and of those that are being answered."""

import asyncio
from collections import deque
from typing import Final

BODY_BYTES_MAX: Final = 8 * 1_048_576  # 1 MiB of messages, each byte as \u003c, is 6 MiB
CODE_BYTES_MAX: Final = 70 * 1_048_576  # a function's code: 50 MB of zip in base64
UPLOAD_BYTES_MAX: Final = 32 * 1_048_576
PARKED_BYTES_MAX: Final = 32 * 1_048_576
SMALL_BYTES: Final = 65_536  # a body up to this size, about what a connection buffers anyway, is no upload
HEAD_BYTES_MAX: Final = 16_384


class Intake:
    """How many bytes of bodies are in one part of the house, and who waits outside until there are fewer."""

    def __init__(self, bytes_max: int) -> None:
        self._free = bytes_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take_at_once(self, size: int) -> bool:
        """Whether `size` bytes may come in without waiting; they are taken then."""
        if self._free < size or self._waiting:
            return False
        self._free -= size
        return True

    async def take(self, size: int) -> None:
        """Let `size` bytes in when there is room, in the order of asking."""
        if not self.take_at_once(size):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, future))
            await future

    def give(self, size: int) -> None:
        """They are gone."""
        self._free += size
        while self._waiting and self._free >= self._waiting[0][0]:
            size, future = self._waiting.popleft()
            if not future.done():
                self._free -= size
                future.set_result(None)
