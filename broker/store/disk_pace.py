"""How quick the disk is: whether a small commit may be made where it is asked for, or belongs on a thread of its own.

To hand a commit to another thread and back takes as long as a write to a good local disk. So while commits are quick, one that
nothing else waits behind is made on the event loop's own thread; as soon as one is slow, none is any more, until enough in a row
were quick.
"""

from typing import Final

_QUICK_S: Final = 0.001
_SLOW_S: Final = 0.010
_QUICK_IN_A_ROW: Final = 32


class DiskPace:
    """Told of every commit."""

    def __init__(self) -> None:
        self._still_to_come = _QUICK_IN_A_ROW

    @property
    def quick(self) -> bool:
        """Whether commits have been quick, and none was slow since."""
        return not self._still_to_come

    def took(self, seconds: float) -> None:
        """What a commit took."""
        if self._still_to_come and seconds < _QUICK_S:
            self._still_to_come -= 1
        elif self._still_to_come or seconds >= _SLOW_S:
            self._still_to_come = _QUICK_IN_A_ROW
