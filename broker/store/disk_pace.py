"""How quick the disk is: whether a small commit may be made where it is asked for, or belongs on a thread of its own.

To hand a commit to another thread and back takes as long as a write to a good local disk. So while commits are quick, one that
nothing else waits behind is made on the event loop's own thread; as soon as one is slow, none is any more, until
quick ones have outnumbered the others by enough.
"""

from typing import Final

_QUICK_S: Final = 0.001
_SLOW_S: Final = 0.010
_QUICK_MORE: Final = 32


class DiskPace:
    """Told of every commit."""

    def __init__(self) -> None:
        self._quick = False
        self._lacking = _QUICK_MORE  # so many more quick ones

    @property
    def quick(self) -> bool:
        """Whether quick commits have outnumbered the others, and none was slow since."""
        return self._quick

    def took(self, seconds: float) -> None:
        """What a commit took."""
        if seconds >= _SLOW_S:
            self._lacking = _QUICK_MORE
        elif seconds < _QUICK_S:
            self._lacking = max(0, self._lacking - 1)
        else:
            self._lacking = min(_QUICK_MORE, self._lacking + 1)
        if self._lacking in (0, _QUICK_MORE):
            self._quick = not self._lacking
