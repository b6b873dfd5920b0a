"""Code on disk: zip archives, unpacked once, in directories named after their content.

They lie in the data directory, beside the database, and are there before the record that names them is committed; what no record
names is removed at the next start. Source of the limits: Lambda Developer Guide, Quotas.
"""

import base64
import hashlib
import io
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from broker.services.lambda_.errors import InvalidParameterValue

UNPACKED_BYTES_MAX: Final = 262_144_000  # 250 MB
ZIP_BYTES_MAX: Final = 52_428_800  # 50 MB
_ENTRIES_MAX: Final = 100_000
_ARCHIVE: Final = "archive.zip"
_CONTENT: Final = "content"


class Code(NamedTuple):
    """An archive that was kept. `id`: the name of its directory."""

    id: str
    sha256: str  # base64, as AWS shows it
    size: int


class CodeStore:
    """Every method blocks: call it on a thread. `directory`: made when it is needed."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def keep(self, archive: bytes) -> Code:
        """Unpack an archive, if it is not there already. Raises InvalidParameterValue."""
        if len(archive) > ZIP_BYTES_MAX:
            raise InvalidParameterValue(f"Zipped size must be smaller than {ZIP_BYTES_MAX} bytes")
        digest = hashlib.sha256(archive)
        code = Code(digest.hexdigest(), base64.b64encode(digest.digest()).decode("ascii"), len(archive))
        home = self._directory / code.id
        if home.exists():
            return code
        self._directory.mkdir(mode=0o700, exist_ok=True)
        part = self._directory / f"{code.id}.part"
        shutil.rmtree(part, ignore_errors=True)
        (part / _CONTENT).mkdir(parents=True)
        try:
            _unpack(archive, part / _CONTENT)
            (part / _ARCHIVE).write_bytes(archive)
            _sync(part)
            part.rename(home)
            _sync_directory(self._directory)
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError) as error:
            shutil.rmtree(part, ignore_errors=True)
            raise InvalidParameterValue(
                f"Could not unzip uploaded file. Please check your file, then try to upload again. ({error})"
            ) from None
        return code

    def path(self, code_id: str) -> str:
        """Where an archive is unpacked."""
        return str(self._directory / code_id / _CONTENT)

    def archive(self, code_id: str) -> bytes | None:
        """The archive as it was uploaded."""
        file = self._directory / code_id / _ARCHIVE
        return file.read_bytes() if code_id.isalnum() and file.exists() else None

    def sweep(self, named: Iterable[str]) -> None:
        """Remove what nothing names."""
        if not self._directory.exists():
            return
        kept = set(named)
        for home in self._directory.iterdir():
            if home.name not in kept:
                shutil.rmtree(home, ignore_errors=True)


def newest_change(path: str) -> str:
    """What tells whether a directory that is run where it is has changed: its newest file and how many there are."""
    newest = count = 0
    for root, directories, files in os.walk(path):
        directories[:] = [name for name in directories if name != "__pycache__"]
        count += len(files)
        for name in files:
            try:
                newest = max(newest, os.stat(os.path.join(root, name)).st_mtime_ns)
            except OSError:
                count -= 1  # it went meanwhile
    return f"{newest}/{count}"


def digest_of_directory(path: str) -> Code:
    """What stands for a directory that is run where it is: of its files' names and sizes."""
    digest, total = hashlib.sha256(), 0
    for root, directories, files in os.walk(path):
        directories.sort()
        for name in sorted(files):
            file = Path(root) / name
            size = file.stat().st_size
            digest.update(f"{file.relative_to(path)}\0{size}\n".encode())
            total += size
    return Code("", base64.b64encode(digest.digest()).decode("ascii"), total)


def _unpack(archive: bytes, home: Path) -> None:
    """Files and directories only, none outside of `home`, with the permissions that the archive gives them."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        entries = opened.infolist()
        if len(entries) > _ENTRIES_MAX:
            raise InvalidParameterValue(f"The archive has more than {_ENTRIES_MAX} entries")
        if sum(entry.file_size for entry in entries) > UNPACKED_BYTES_MAX:
            raise InvalidParameterValue(f"Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes")
        for entry in entries:
            mode = entry.external_attr >> 16
            target = (home / entry.filename).resolve()
            if not target.is_relative_to(home.resolve()) or stat.S_ISLNK(mode):
                raise ValueError(f"{entry.filename!r} does not stay inside")
            opened.extract(entry, home)
            if target.is_file():
                target.chmod(0o644 | (mode & 0o111))


def _sync(home: Path) -> None:
    for root, _, files in os.walk(home):
        for name in files:
            file = os.open(os.path.join(root, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        _sync_directory(Path(root))


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
