"""The write-ahead log's size, and the thread that copies it into the database file beside the writer.

Commits only append to the log. Past a few megabytes a thread of its own checkpoints passively, which never makes the writer
wait; where that cannot keep up, the writer itself finishes one between two batches, so that the log stays short enough to be
read back, or closed, in well under two seconds. This module knows nothing of what is in the log.
"""

import contextlib
import os
import sqlite3
import struct
import threading
from collections.abc import Callable
from typing import Final

# Offsets of SQLite's wal-index header (https://www.sqlite.org/walformat.html#the_wal_index_header), in native byte order.
_FRAMES_AT: Final = 16  # frames in the log that are committed
_COPIED_AT: Final = 96  # of those, how many a checkpoint has copied

PASSIVE_BYTES: Final = 4 * 1024 * 1024
FINISH_BYTES: Final = 64 * 1024 * 1024
_READER_WAIT_MS: Final = 50


class WriteAheadLog:
    """One log. `tend` is called by the writer after its commits; the thread starts with the object and ends at `stop`."""

    def __init__(self, database: str, page_bytes: int, synchronous: str, busy_timeout_ms: int) -> None:
        self._database = database
        self._synchronous = synchronous
        self._busy_timeout_ms = busy_timeout_ms
        self._frame_bytes = page_bytes + 24
        # Closing any descriptor of a file drops the process's POSIX locks on it, SQLite's too: this one closes last of all.
        self._index = os.open(database + "-shm", os.O_RDONLY | os.O_CLOEXEC)
        self._wanted = threading.Event()
        # SQLite lets one checkpoint run at a time, and has a second one fail rather than wait.
        self._checkpointing = threading.Lock()
        self._closing = False
        self._finish_above = FINISH_BYTES
        self._thread = threading.Thread(target=self._checkpoint_passively, name="pombo-checkpoint", daemon=True)
        self._thread.start()

    def sizes(self) -> tuple[int, int]:
        """(bytes in the log, bytes of it that no checkpoint has copied yet)."""
        header = os.pread(self._index, _COPIED_AT + 4, 0)
        if len(header) < _COPIED_AT + 4:
            return 0, 0
        (frames,) = struct.unpack_from("=I", header, _FRAMES_AT)
        (copied,) = struct.unpack_from("=I", header, _COPIED_AT)
        return frames * self._frame_bytes, max(0, frames - copied) * self._frame_bytes

    def tend(self, writer: sqlite3.Connection, disk_is_low: Callable[[], bool]) -> None:
        """Wake the checkpoint thread, or finish a checkpoint here and now, when the log has grown past its bounds.

        On a disk that is nearly full the bound is low: what the log holds back from the database file must still find room
        there, or neither could ever shrink.
        """
        size, left = self.sizes()
        if left < PASSIVE_BYTES:
            self._finish_above = FINISH_BYTES
        elif disk_is_low():
            self.finish(writer, "TRUNCATE", _READER_WAIT_MS)
        elif size < self._finish_above:
            self._wanted.set()
        elif not self.finish(writer, "RESTART", _READER_WAIT_MS):
            # A long reader (a backup) holds the log: no use in waiting for it before every batch.
            self._finish_above = size + FINISH_BYTES

    def finish(self, writer: sqlite3.Connection, mode: str, wait_ms: int) -> bool:
        """Copy all of the log and start it over, waiting `wait_ms` for readers; whether that succeeded.

        A full disk is no error: what is committed stays in the log.
        """
        with self._checkpointing:
            writer.execute(f"PRAGMA busy_timeout = {wait_ms}")
            try:
                busy: int = writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]
            except sqlite3.OperationalError:
                return False
            finally:
                writer.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
            return busy == 0

    def _checkpoint_passively(self) -> None:
        connection = sqlite3.connect(self._database, isolation_level=None)
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA cache_size = -1024")
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._closing:
                    return
                # Disk full or an I/O error: what is committed is in the log and stays there.
                with self._checkpointing, contextlib.suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            connection.close()

    def stop(self) -> None:
        """End the thread. The last checkpoint is the caller's."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def close(self) -> None:
        """Let go of the log, after every connection has been closed."""
        os.close(self._index)
