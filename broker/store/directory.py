"""The data directory: its lock, its reserved space, and the private one that stands for `:memory:`.

One broker owns a directory: the lock is the kernel's (`flock`), so it ends with the process however that ends; the process id
written into the file is for people only. This module knows the names of the files in the directory and nothing of SQL.
"""

import fcntl
import os
import shutil
import tempfile
from typing import Final

from broker.store.base import StoreUnusable

MEMORY: Final = ":memory:"
DATABASE_NAME: Final = "pombo.db"
SEGMENT_NAMES: Final = ("pombo.commits.0", "pombo.commits.1")  # of the commit log
SPARE_NAME: Final = "pombo.commits.spare"  # free
NEXT_NAME: Final = "pombo.commits.next"  # about to take the place of one that is kept
KEPT_PREFIX: Final = "pombo.sent."  # and the number of a segment that blocks refer to
PIN_NAME: Final = "pombo.pin"  # locked by whoever copies the database
LOCK_NAME: Final = "pombo.lock"
RESERVE_NAME: Final = "reserve"
RESERVE_BYTES: Final = 16 * 1024 * 1024
_BEGINNING_BYTES: Final = 16  # of a log: no record is shorter
_LEFT_TO_OTHERS_BYTES: Final = 4 * 1024 * 1024


class Directory:
    """A data directory, locked from `open` to `close`."""

    def __init__(self, data: str) -> None:
        self._temporary = data == MEMORY
        self.path = "" if self._temporary else os.path.abspath(data)
        self._lock: int | None = None

    @property
    def database(self) -> str:
        return os.path.join(self.path, DATABASE_NAME)

    @property
    def commits(self) -> list[str]:
        """The files of its commit log."""
        return [os.path.join(self.path, name) for name in SEGMENT_NAMES]

    def open(self) -> None:
        """Make the directory where it is missing, and lock it. Raises StoreUnusable."""
        try:
            if self._temporary:
                self.path = tempfile.mkdtemp(prefix="pombo-")
            elif not os.path.isdir(self.path):
                os.makedirs(self.path, mode=0o700)
                sync_path(os.path.dirname(self.path))
            self._take_lock()
        except OSError as error:
            raise StoreUnusable(f"cannot use the data directory {self.path}: {error.strerror}") from error

    def _take_lock(self) -> None:
        lock = os.open(os.path.join(self.path, LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise StoreUnusable(
                f"the data directory {self.path} is in use by another broker (process {owner})"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def remains(self) -> str | None:
        """A file that belongs to a database, where there is none: one that was kept, or a log that is not empty. Raises OSError."""
        missing = not os.path.exists(self.database)
        for name in sorted(os.listdir(self.path)):
            if name.startswith(KEPT_PREFIX):
                return name
            with_records = name in SEGMENT_NAMES or (missing and name == DATABASE_NAME + "-wal")
            if with_records and _begins_with_something(os.path.join(self.path, name)):
                return name
        return None

    def sync(self) -> None:
        """Make the directory's entries durable."""
        sync_path(self.path)

    def reserve(self) -> bool:
        """Set space aside for deletes on a full disk; whether it is there now. Leaves the last of the disk to others.

        What stands for `:memory:` is thrown away anyway, and may well lie in memory: it goes without.
        """
        if self._temporary:
            return True
        path = os.path.join(self.path, RESERVE_NAME)
        try:
            if os.path.exists(path) and os.stat(path).st_blocks * 512 >= RESERVE_BYTES:
                return True
            if self.free_bytes() < RESERVE_BYTES + _LEFT_TO_OTHERS_BYTES:
                return False
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _allocate(file, RESERVE_BYTES)
            finally:
                os.close(file)
        except OSError:
            return False
        return True

    def free_bytes(self) -> int:
        """What the file system has left for us."""
        free = os.statvfs(self.path)
        return free.f_bavail * free.f_frsize

    def release_reserve(self) -> bool:
        """Give the reserved space back to the file system; whether there was any."""
        try:
            os.unlink(os.path.join(self.path, RESERVE_NAME))
        except FileNotFoundError:
            return False
        return True

    def close(self) -> None:
        """Release the lock; a directory that stands for `:memory:` goes with it."""
        if self._lock is None:
            return
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        self._lock = None


def _allocate(file: int, size: int) -> None:
    """Really take `size` bytes of the disk. Written where the platform cannot allocate."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        block = b"\1" * 65536
        for at in range(0, size, len(block)):
            os.pwrite(file, block, at)
        os.fsync(file)


def _begins_with_something(path: str) -> bool:
    """Whether the file has more than zeros at its beginning."""
    with open(path, "rb") as file:
        return any(file.read(_BEGINNING_BYTES))


def sync_path(path: str) -> None:
    """Make what a file holds durable, or the entries of a directory."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
