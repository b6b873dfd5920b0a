"""One file of the commit log: records are written into it from its beginning, and later over what it holds.

To write over what a file holds takes a file system less than to make the file longer, which it has to write down as well
(docs/adr/0017-segments-of-full-length.md). So a segment can be brought to its length before records need it: what follows its
records is zeros then, or older records. This module knows nothing of what a record is.
"""

import errno
import os
from typing import Final

from broker.store.base import CommitFailed, CommitUncertain

SEGMENT_BYTES: Final = 16 * 1024 * 1024
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PIECE_BYTES: Final = 256 * 1024  # not much: commits wait behind it for the disk


class Segment:
    """One without records. `synced`: what is written is on disk when `write` returns. Written by one thread at a time.

    `empty`: what the file holds goes; else it is written over.
    """

    def __init__(self, path: str, *, synced: bool, empty: bool = True) -> None:
        self.path = path
        self.first = 0  # the numbers of its first record, and of its last
        self.newest = 0
        self._synced = synced
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if empty else 0) | (os.O_DSYNC if synced else 0)
        self._file = os.open(path, flags, 0o600)
        try:
            self.size = os.fstat(self._file).st_size
            os.fsync(self._file)  # what was in it must not come back
        except BaseException:
            os.close(self._file)
            raise

    def write(self, record: bytes | bytearray, offset: int) -> None:
        """Write all of a record. Raises CommitFailed where nothing of it remains, CommitUncertain otherwise."""
        left, at = memoryview(record), offset
        try:
            while left:
                written = os.pwrite(self._file, left, at)
                left, at = left[written:], at + written
        except OSError as error:
            text = f"{self.path}: {error.strerror}"
            if error.errno not in NO_ROOM:
                raise CommitUncertain(f"{text}; it is unknown whether the last batch is on disk") from error
            try:
                self.cut(offset)
                if self._synced:
                    os.fsync(self._file)
            except OSError as second:
                raise CommitUncertain(f"{text}; nor can it be cut off: {second.strerror}") from second
            raise CommitFailed(text, disk_full=True) from error
        self.size = max(self.size, at)

    def lengthen(self, size: int) -> bool:
        """Add a piece of zeros, up to this size; False where that cannot be. Records that make it longer will say why."""
        try:
            self.size += os.pwrite(self._file, bytes(min(_PIECE_BYTES, size - self.size)), self.size)
        except OSError:
            return False
        return True

    def for_reading(self) -> int:
        """Another descriptor of the file. Raises OSError."""
        return os.dup(self._file)

    def cut(self, size: int) -> None:
        """Let go of what lies beyond. Raises OSError."""
        os.ftruncate(self._file, size)
        self.size = size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
