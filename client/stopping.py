"""What SIGTERM and SIGINT mean to a process that consumes: the first one stops it gracefully, a second one at once.

Both work also while a handler blocks the event loop or a thread, which nothing can cancel: then the process ends when time is over.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

MARGIN_S: Final = 5.0  # beyond what handlers may take: for returning what they leave
_AT_ONCE_S: Final = 1.0


class Stop:
    """Signals become calls on the running loop: `gracefully` at the first one, `at_once` at the second.

    After the first one the process has `within_s` seconds and a margin, after the second one a second. Then it ends with 128 and
    the signal's number, whatever still runs in it.
    """

    def __init__(self, gracefully: Callable[[], object], at_once: Callable[[], object], within_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls = [(gracefully, within_s + MARGIN_S), (at_once, _AT_ONCE_S)]
        self.cut_off = 0  # the number of the second signal

    def listen(self, numbers: Sequence[int]) -> None:
        """Take these signals from now on. To be called in the main thread."""
        for number in numbers:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Not a handler of the loop's, which would wait for the loop.
        if not self._calls:
            return
        call, within_s = self._calls.pop(0)
        if not self._calls:
            self.cut_off = number
        end = threading.Timer(within_s, leave, [128 + number])
        end.daemon = True
        end.start()
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            pass  # the loop is closed already


def leave(code: int) -> None:
    """End the process now, without waiting for threads."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
