"""What was sent in blocks stays where it was committed: in the commit log's segments.

A block in the database says which segment holds its contents and bodies, and where. A segment that blocks refer to is not written
over: when its turn comes it is kept under a name of its own, and another file takes its place. Once nothing refers to it, and the
database is durable without what did, and no read is under way that may have seen it, the file is free: the next spare one, or gone.

A segment's number is that of its first batch. Whoever copies the database pins what is there until the copy has it all.
"""

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from broker.store.base import CommitFailed, StoreError
from broker.store.directory import KEPT_PREFIX, NEXT_NAME, PIN_NAME, SPARE_NAME, sync_path
from broker.store.extents import Extents, Placed, read_extents
from broker.store.new_blocks import Extent
from broker.store.segment import SEGMENT_BYTES, Segment

_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # errors: another attempt may succeed
SPARSE: Final = 3  # a segment of which less than one byte in so many is referred to keeps the space of all
AT_REST_TURNS: Final = 4


def bytes_of(extents: Iterable[Extent]) -> int:
    """Of contents and bodies."""
    return sum([content_bytes + body_bytes for _, content_bytes, body_bytes in extents])


class Sent:
    """See the module's text. Called by the threads that commit, flush and read."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._files: dict[int, int] = {}  # segment of the log -> descriptor for reading
        self._in_log: dict[int, str] = {}  # those of an earlier log -> path
        # Those with a name of their own. They are opened when they are read: there may be many.
        self._kept: set[int] = set()
        self._bytes: dict[int, int] = {}  # that blocks refer to
        self._transactions = 0  # that were accounted for
        self._synced = 0  # so many of them are durable
        self._reads = 0  # that have begun
        self._reading: set[int] = set()  # those under way, by when they began
        # Nothing refers to them any more: (transactions by then, reads begun by then)
        self._emptied: dict[int, tuple[int, int]] = {}
        self._left: set[int] = set()  # sparse ones that cannot be read
        self._spare = False
        self._last_found: int | None = None  # the newest segment when the log was found; it is no spare
        self._turns = 0  # of the log, from one segment to the other
        self._touched: dict[int, int] = {}  # kept segment -> at which turn a block of it was the last to go

    # Files

    def find(self, segments: Mapping[int, tuple[int, str]]) -> None:
        """The files that are there. `segments`: those of the log itself, opened, with their paths. Raises OSError."""
        for number, (file, path) in segments.items():
            self._files[number] = file
            self._in_log[number] = path
        for name in os.listdir(self._directory):
            digits = name.removeprefix(KEPT_PREFIX)
            if name.startswith(KEPT_PREFIX) and digits.isdigit():
                self._kept.add(int(digits))

    def keep_all(self, *, synced: bool) -> None:
        """A log is begun in the place of the one that was found: keep what blocks refer to. Raises OSError.

        Other files of it go: to make them empty would take what they hold from whoever copies the database. `synced`: what blocks
        refer to is to be on disk, also where it was written by a process that did not mind.
        """
        with _pin_file(self._directory):
            pass  # it is there, and ours
        for number, path in self._in_log.items():
            if self.release(number):
                os.unlink(path)
            else:
                self.keep(number, path, None)
        self._in_log.clear()
        for number in self._kept if synced else ():
            sync_path(self.path_of(number))
        self.tidy()

    def drop_later(self, newest: int) -> None:
        """A start found batches up to this one. What comes next has numbers that others had, where a copy was restored.

        So files that nothing refers to and that begin later go, and the one that may hold records of later batches is not to be
        written over: these would follow new ones. Raises OSError.
        """
        with self._lock:
            for number in [number for number in self._kept if number > newest and number not in self._bytes]:
                os.unlink(self.path_of(number))
                self._kept.remove(number)
                self._forget(number)
            self._last_found = max([*self._kept, *self._in_log], default=None)

    def hold(self, number: int, segment: Segment) -> None:
        """Blocks will refer to this segment. Raises OSError."""
        with self._lock:
            if number not in self._files:
                self._files[number] = segment.for_reading()

    def keep(self, number: int, path: str, other: str | None) -> None:
        """Give the file of a segment a name of its own, and its name to another file, if there is one: both, or nothing.

        Raises OSError.
        """
        name = self.path_of(number)
        with self._lock:
            try:
                os.link(path, name)
            except FileExistsError:
                if not os.path.samefile(path, name):  # else it is of an attempt that a kill ended
                    raise
            try:
                if other is None:
                    os.unlink(path)
                else:
                    os.replace(other, path)  # at no moment is there none of this name
            except OSError:
                if _is_same(path, name):
                    with contextlib.suppress(OSError):
                        os.unlink(name)
                    raise
                # else it has happened, whatever was said, and `name` is the only one
            self._kept.add(number)
            self._touched.setdefault(number, self._turns)
            self._close(number)

    def take_spare(self) -> tuple[str, bool]:
        """The path of a file that is about to take another's place, and whether it is a free one; else it is to be made."""
        path = self._path(NEXT_NAME)
        with self._lock:
            spare = self._spare
            if spare:
                os.rename(self._path(SPARE_NAME), path)
                self._spare = False
        return path, spare

    def drop_spare(self) -> bool:
        """Give its space back; whether there was one. Raises OSError."""
        with self._lock:
            spare = self._spare
            if spare:
                os.unlink(self._path(SPARE_NAME))
                self._spare = False
        return spare

    def tidy(self) -> None:
        """Leave nothing behind that nobody needs. Raises OSError."""
        with self._lock:
            self._spare = False
            for name in (NEXT_NAME, SPARE_NAME):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(name))

    def path_of(self, number: int) -> str:
        """Of a segment's file, or what it is when it is kept."""
        return self._path(f"{KEPT_PREFIX}{number}")

    def close(self) -> None:
        """Let go of all files."""
        for number in list(self._files):
            self._close(number)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _forget(self, number: int) -> None:
        self._bytes.pop(number, None)
        self._emptied.pop(number, None)
        self._touched.pop(number, None)
        self._close(number)

    def _close(self, number: int) -> None:
        file = self._files.pop(number, None)
        if file is not None:
            os.close(file)

    # Reading

    def begin_read(self) -> int:
        """A read of the database begins, that may find blocks; until it is ended, what they refer to stays."""
        with self._lock:
            self._reads += 1
            self._reading.add(self._reads)
            return self._reads

    def end_read(self, began: int) -> None:
        """It has read what it wanted."""
        with self._lock:
            self._reading.discard(began)

    def read(self, number: int, extents: Extents) -> tuple[bytes, bytes]:
        """Contents and bodies, each one after the other. Raises StoreError."""
        (placed,) = self.read_blocks(number, [extents])
        content_end = placed.content_at + sum([content_bytes for _, content_bytes, _ in extents])
        body_end = placed.body_at + sum([body_bytes for _, _, body_bytes in extents])
        return placed.contents[placed.content_at : content_end], placed.bodies[placed.body_at : body_end]

    def read_blocks(self, number: int, blocks: Sequence[Extents]) -> list[Placed]:
        """The same of some blocks of one segment, each in what was read. Raises StoreError."""
        try:
            file = self._open(number)
            try:
                return read_extents(file, blocks)
            finally:
                os.close(file)
        except ValueError as error:
            raise StoreError(f"{self.path_of(number)} is damaged: {error}") from error
        except OSError as error:
            text = f"{self.path_of(number)}: what was sent of messages that wait cannot be read: {error.strerror}"
            raise (CommitFailed if error.errno in _PASSING else StoreError)(text) from error

    def _open(self, number: int) -> int:
        """A descriptor for one who reads. Raises OSError."""
        with self._lock:
            file = self._files.get(number)
            return os.open(self.path_of(number), os.O_RDONLY | os.O_CLOEXEC) if file is None else os.dup(file)

    # What blocks refer to

    def recover(self, referred: Mapping[int, int]) -> list[int]:
        """What blocks refer to, as the database says, in bytes; the segments that are missing."""
        with self._lock:
            self._bytes = dict(referred)
            for number in (*self._kept, *self._in_log):
                self._touched.setdefault(number, self._turns)
                if number not in referred:
                    self._emptied.setdefault(number, (self._transactions, self._reads))
            return [number for number in referred if number not in self._files and number not in self._kept]

    def account(self, put: Mapping[int, int], gone: Mapping[int, int]) -> None:
        """A transaction has added blocks that refer to so many bytes of each segment, and deleted some."""
        with self._lock:
            self._transactions += 1
            for number, size in put.items():
                self._bytes[number] = self._bytes.get(number, 0) + size
                self._emptied.pop(number, None)
            for number, size in gone.items():
                self._touched[number] = self._turns
                left = self._bytes.get(number, 0) - size
                if left > 0:
                    self._bytes[number] = left
                else:
                    self._bytes.pop(number, None)
                    self._emptied[number] = self._transactions, self._reads

    @property
    def transactions(self) -> int:
        """How many were accounted for."""
        return self._transactions

    def synced(self, transactions: int) -> None:
        """So many of them are durable: files that nothing refers to are free."""
        with self._lock:
            self._synced = transactions
            for number in [number for number in self._emptied if number in self._kept]:
                if self._is_free(number):
                    try:
                        self._let_go_of(self.path_of(number), fit=number != self._last_found)
                    except OSError:
                        continue  # the next sync tries again: nobody needs it to be gone
                    self._kept.remove(number)
                    self._forget(number)

    def _let_go_of(self, path: str, *, fit: bool) -> None:
        """Of a file that is free, and fit to be written over. One that has another name, too, is still another's."""
        if self._spare or not fit or os.stat(path).st_nlink > 1:
            os.unlink(path)
        else:
            os.rename(path, self._path(SPARE_NAME))
            self._spare = True

    @property
    def has_unused(self) -> bool:
        """Whether a sync may free a file."""
        with self._lock:
            return not self._kept.isdisjoint(self._emptied)

    @property
    def in_use(self) -> bool:
        """Whether blocks refer to anything, or did, for all that is durable."""
        with self._lock:
            return bool(self._bytes or self._emptied or self._kept or self._in_log)

    @property
    def log_in_use(self) -> bool:
        """Whether blocks refer to files of the log that was found."""
        return any(number in self._bytes for number in self._in_log)

    def leave(self, number: int) -> None:
        """What is left in a sparse segment cannot be read: it stays."""
        with self._lock:
            self._left.add(number)

    def refers_to(self, number: int) -> bool:
        """Whether any block does."""
        return number in self._bytes

    def release(self, number: int) -> bool:
        """Whether a segment may be written over: nothing refers to it, now and after a power failure. It is forgotten then."""
        with self._lock:
            if number in self._bytes or not self._is_free(number):
                return False
            if number in self._kept:  # under another name, which goes with the next sync
                self._close(number)
            else:
                self._forget(number)
            return True

    def turn(self) -> None:
        """The log goes on in another segment."""
        self._turns += 1

    def sparse(self, *, at_rest: bool) -> int | None:
        """A kept segment of which little is referred to, if there is one: the oldest.

        `at_rest`: and that has been so for some turns. What a queue has in its front will be gone soon.
        """
        with self._lock:
            few = [
                number
                for number in self._kept
                if number not in self._left
                and 0 < self._bytes.get(number, 0) * SPARSE < SEGMENT_BYTES
                and not (at_rest and self._turns - self._touched.get(number, self._turns) < AT_REST_TURNS)
            ]
        return min(few, default=None)

    def _is_free(self, number: int) -> bool:
        emptied = self._emptied.get(number)
        if emptied is None:  # nothing ever did
            return True
        transactions, reads = emptied
        if self._synced < transactions or any(began <= reads for began in self._reading):
            return False
        return not self._is_pinned()

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Nothing that blocks refer to goes meanwhile, in whatever process. Raises OSError."""
        with _pin_file(self._directory) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def _is_pinned(self) -> bool:
        """Or may be, for all that can be found out."""
        try:
            with _pin_file(self._directory) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def _is_same(path: str, name: str) -> bool:
    """Whether these are two names of one file, which is there. Raises OSError where that cannot be found out."""
    try:
        return os.path.samefile(path, name)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _pin_file(directory: str) -> Iterator[int]:
    file = os.open(os.path.join(directory, PIN_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)
