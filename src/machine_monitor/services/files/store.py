"""The file store: bytes by their SHA-256 digest, each once. A folder (MM_FILES), behind an interface of a few methods.

A file appears under its digest only when it is complete and flushed to disk. So there is never half a file, whatever
ends the process, and two uploads of the same bytes are one file.
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, Protocol

from machine_monitor.database.database_urls import DatabaseUrl

# The folders in the store that have no files under their digest.
INCOMING, PREVIEWS = "incoming", "previews"
# A part that is older belongs to an upload that was interrupted: no upload takes so long.
STALE_PART = timedelta(days=1)
# Only the account of the service can read the files.
FILE_MODE, FOLDER_MODE = 0o600, 0o700
_DIGEST = re.compile(r"[0-9a-f]{64}")


class StoredFile(NamedTuple):
    """A file in the store: its digest, its size in bytes, and the time (as of `time.time`) when it was last added."""

    digest: str
    size: int
    added: float


class IncomingFile(Protocol):
    """A file that is being received. It is in the store only after `keep`."""

    size: int

    def write(self, data: bytes) -> None:
        """Append bytes."""

    def seal(self) -> str:
        """Flush the bytes to disk; return their digest."""

    def open(self) -> BufferedReader:
        """Open the sealed file for reading."""

    def keep(self) -> bool:
        """Put the sealed file into the store, durably; return False if a file with these bytes was there."""

    def move(self, path: Path) -> None:
        """Move the sealed file to a path, durably."""

    def discard(self) -> None:
        """Remove what was received, unless it was kept. Waits for a `write` or `seal` in another thread."""


class FileStore(Protocol):
    """Files by digest. A missing file is a `FileNotFoundError`."""

    def receive(self) -> IncomingFile:
        """Begin to receive a file."""

    def open(self, digest: str) -> BufferedReader:
        """Open a file for reading; raises `FileNotFoundError`."""

    def find(self, digest: str) -> StoredFile | None:
        """Return what the store has under this digest."""

    def files(self) -> Iterator[StoredFile]:
        """Yield every file."""

    def remove(self, digest: str) -> None:
        """Remove a file, and what was derived from it."""


class FolderStore:
    """A file store in a folder: `ab/cd/abcd...`, two levels of folders by the first characters of the digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def receive(self) -> "IncomingPart":
        """Begin to receive a file."""
        incoming = self.folder / INCOMING
        make_folder(incoming, self.folder)
        return IncomingPart(self, incoming / f"{secrets.token_hex(16)}.part")

    def path_of(self, digest: str) -> Path:
        """Return the path of a file; raises `ValueError` for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError("A digest has 64 hexadecimal digits.")
        return self.folder / digest[:2] / digest[2:4] / digest

    def open(self, digest: str) -> BufferedReader:
        """Open a file for reading; raises `FileNotFoundError`."""
        return self.path_of(digest).open("rb")

    def find(self, digest: str) -> StoredFile | None:
        """Return what the store has under this digest."""
        return _describe(self.path_of(digest))

    def link_from(self, other: "FolderStore", digest: str) -> bool:
        """Add a file of another folder as a hard link, durably; return False if it cannot be linked."""
        path = self.path_of(digest)
        make_folder(path.parent, self.folder)
        try:
            path.hardlink_to(other.path_of(digest))
        except OSError:  # another device, a file system without hard links, too many links, or a damaged file is there
            return False
        flush_folder(path.parent)
        return True

    def files(self) -> Iterator[StoredFile]:
        """Yield every file, by digest."""
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*")):
            found = _describe(path) if _DIGEST.fullmatch(path.name) else None
            if found is not None:
                yield found

    def remove(self, digest: str) -> None:
        """Remove a file and its previews."""
        self.path_of(digest).unlink(missing_ok=True)
        for preview in self.folder.glob(f"{PREVIEWS}/*/{digest[:2]}/{digest}*"):
            preview.unlink(missing_ok=True)

    def stale_parts(self) -> list[Path]:
        """Return what interrupted uploads have left."""
        latest = time.time() - STALE_PART.total_seconds()
        parts = [*self.folder.glob(f"{INCOMING}/*.part"), *self.folder.glob(f"{PREVIEWS}/*/*/*.part")]
        return [part for part in parts if part.stat().st_mtime < latest]

    def orphaned_previews(self) -> list[Path]:
        """Return previews whose original is gone: a preview may be written just after its original was removed."""
        previews = self.folder.glob(f"{PREVIEWS}/*/*/*.jpg")
        return [path for path in previews if _DIGEST.fullmatch(path.stem) and not self.path_of(path.stem).exists()]


def store_of(folder: str, url: DatabaseUrl) -> FolderStore | None:
    """Return the store of a database: in this folder (MM_FILES), else beside the SQLite file; None if there is none."""
    if folder:
        return FolderStore(Path(folder))
    return None if url.path is None else FolderStore(url.path.with_name(f"{url.path.name}-files"))


class IncomingPart:
    """A file that a folder receives, under a temporary name."""

    def __init__(self, store: FolderStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._digest = sha256()
        # A cancelled request discards its part while a thread may still write to it.
        self._lock = threading.Lock()
        self.size = 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        """Append bytes, unless the part was discarded."""
        with self._lock:
            if not self._file.closed:
                self._file.write(data)
                self._digest.update(data)
                self.size += len(data)

    def seal(self) -> str:
        """Flush the bytes to disk, unless the part was discarded; return their digest."""
        with self._lock:
            if not self._file.closed:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
        return self._digest.hexdigest()

    def open(self) -> BufferedReader:
        """Open the sealed file for reading."""
        return self._path.open("rb")

    def keep(self) -> bool:
        """Move the sealed file to its digest, durably; return False if a file with these bytes was there."""
        path = self._store.path_of(self._digest.hexdigest())
        is_new = not self._refresh(path)
        if is_new:
            make_folder(path.parent, self._store.folder)
            self._path.replace(path)
        else:
            self.discard()
        # Also for a file that was there: another upload may not have flushed its name yet.
        flush_folder(path.parent)
        return is_new

    def move(self, path: Path) -> None:
        """Move the sealed file to a path in the folder of the store, durably, instead of keeping it by its digest."""
        make_folder(path.parent, self._store.folder)
        self._path.replace(path)
        flush_folder(path.parent)

    def _refresh(self, path: Path) -> bool:
        """Let `mm files prune` treat the stored file with these bytes as new; return False if there is none."""
        found = _describe(path)
        if found is None or found.size != self.size:
            return False
        try:
            os.utime(path)
        except FileNotFoundError:  # pruned just now
            return False
        return True

    def discard(self) -> None:
        """Remove what was received, unless it was kept. Waits for a `write` or `seal` in another thread."""
        with self._lock:
            try:
                self._file.close()
            finally:
                self._path.unlink(missing_ok=True)


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder in `root`, and the folders above it, durably. Each can be used by the service alone."""
    root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    parent = root
    for name in folder.relative_to(root).parts:
        each = parent / name
        if not each.is_dir():
            each.mkdir(mode=FOLDER_MODE, exist_ok=True)
            flush_folder(parent)
        parent = each


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync); Windows has no such call, and does it by itself."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _describe(path: Path) -> StoredFile | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return StoredFile(path.name, status.st_size, status.st_mtime)
