"""A function's standard output and error, as lines. Memory and CPU stay bounded however much is printed.

What comes faster than `_BYTES_MAX` or `_LINES_MAX` in a window stays in the pipe, where the function waits for it to be read:
nothing is lost, and a function that prints without end costs the event loop a few per cent.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

LINE_BYTES_MAX: Final = 256 * 1024  # of a log event; a longer line is several. Source: CloudWatch Logs quotas
_WINDOW_S: Final = 0.1
_BYTES_MAX: Final = 1024 * 1024
_LINES_MAX: Final = 2_000
_CHUNK: Final = 8_192  # bytes at a time, so that even a chunk of empty lines is dealt with in a few milliseconds
_DRAINED_BYTES_MAX: Final = 64 * 1024  # what a pipe holds
_DRAINED_LINES_MAX: Final = 8_000  # bounds the time that draining takes


class OutputReader:
    """Reads `fd`, which it then owns, on the running event loop; tells `on_line` each line without its end."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._partial = bytearray()
        self._window_ends = 0.0
        self._bytes = 0
        self._lines = 0
        self._paused: asyncio.TimerHandle | None = None
        self._reading = True
        self._loop.add_reader(fd, self._readable)

    def drain(self) -> None:
        """Read what has been printed so far, and take an unfinished line for a line."""
        if self._fd < 0:
            return
        self._lines = taken = 0
        while taken < _DRAINED_BYTES_MAX and self._lines < _DRAINED_LINES_MAX:
            count = self._read()
            if count <= 0:
                break
            taken += count
        self._flush()

    def close(self) -> None:
        """Read what there is, and let go."""
        if self._fd < 0:
            return
        self.drain()
        if self._paused is not None:
            self._paused.cancel()
        if self._reading:
            self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _readable(self) -> None:
        now = self._loop.time()
        if now >= self._window_ends:
            self._window_ends = now + _WINDOW_S
            self._bytes = self._lines = 0
        count = self._read()
        if count == 0:
            self._loop.remove_reader(self._fd)  # nobody holds the other end
            self._reading = False
            self._flush()
        elif self._bytes > _BYTES_MAX or self._lines > _LINES_MAX:
            self._loop.remove_reader(self._fd)
            self._reading = False
            self._paused = self._loop.call_at(self._window_ends, self._go_on)

    def _go_on(self) -> None:
        self._paused = None
        self._reading = True
        self._loop.add_reader(self._fd, self._readable)

    def _read(self) -> int:
        """Deal with one chunk and answer its size; 0 at the end, -1 where there is nothing now."""
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return -1
        self._bytes += len(chunk)
        *lines, rest = chunk.split(b"\n")
        self._lines += len(lines)
        for line in lines:
            if self._partial:
                self._partial += line
                line = bytes(self._partial)
                self._partial.clear()
            self._on_line(line.decode(errors="replace"))
        self._partial += rest
        if len(self._partial) > LINE_BYTES_MAX:
            self._cut()
        return len(chunk)

    def _cut(self) -> None:
        """The beginning of an endless line becomes a line, up to a whole character."""
        end = LINE_BYTES_MAX
        while end > LINE_BYTES_MAX - 4 and self._partial[end] & 0xC0 == 0x80:
            end -= 1
        line = bytes(self._partial[:end])
        del self._partial[:end]
        self._lines += 1
        self._on_line(line.decode(errors="replace"))

    def _flush(self) -> None:
        if self._partial:
            line = bytes(self._partial)
            self._partial.clear()
            self._on_line(line.decode(errors="replace"))
