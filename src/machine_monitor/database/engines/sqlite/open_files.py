"""Which files a connection has open: the database, its write-ahead log (WAL) and its shared memory (shm).

SQLite goes on writing to a file that was moved or deleted. A commit would then succeed in a file that the next start
does not find. The driver therefore compares the files at the path with those that it has open.

Only `os.stat` looks at them. If this process opened one of them and closed it again, it would lose the POSIX locks that
SQLite holds on it: https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_

See docs/internals/database-file.md.
"""

import os
import re
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

WAL, SHM = "-wal", "-shm"
_OCTAL = re.compile(r"\\([0-7]{3})")
# Device and inode number.
Inode = tuple[int, int]
MOUNTS = Path("/proc/self/mountinfo")
# File systems on which a file may get another inode number while it is open.
UNSTABLE_FILE_SYSTEMS = ("9p", "cifs", "exfat", "fuse", "msdos", "smb3", "vfat", "virtiofs")


class OpenFiles(NamedTuple):
    """The files of a database by inode; None where there is no file."""

    database: Inode | None
    wal: Inode | None
    shm: Inode | None


# The result of `stat_files` on a file system whose inode numbers do not last: always the same files.
UNWATCHED = OpenFiles((0, 0), (0, 0), (0, 0))


class FileWatch:
    """Looks at the files at the path of a database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resolved = os.path.realpath(path)
        # When each database that was at the path was last modified, as far as it was seen.
        self.modified_ns: dict[Inode, int] = {}

    def resolve(self) -> None:
        """Follow the links of the path, as SQLite does when it opens the file: the WAL is beside the file itself."""
        self._resolved = os.path.realpath(self._path)

    def stat_files(self) -> OpenFiles:
        """Return the files that are at the path now."""
        if self.unwatched_reason:
            return UNWATCHED
        return OpenFiles(self._database(), _inode(self._resolved + WAL), _inode(self._resolved + SHM))

    def _database(self) -> Inode | None:
        status = _status(self._path)
        if status is None:
            return None
        inode = status.st_dev, status.st_ino
        self.modified_ns[inode] = status.st_mtime_ns
        return inode

    def sidecar(self, suffix: str) -> Path:
        """Return the path of the WAL or of the shared memory."""
        return Path(self._resolved + suffix)

    @cached_property
    def unwatched_reason(self) -> str:
        """Why a moved file is not noticed here; empty if it is."""
        if sys.platform == "win32":
            return "Windows"
        kind = _file_system(self._resolved)
        return f"the file system {kind}" if kind.startswith(UNSTABLE_FILE_SYSTEMS) else ""


def _inode(path: str) -> Inode | None:
    status = _status(path)
    return None if status is None else (status.st_dev, status.st_ino)


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 -- half the time of `Path.stat`, and this runs with each request
    except OSError:
        return None


def _file_system(path: str) -> str:
    """Return the type of the file system that a path is on; empty if the system does not say."""
    mounts: dict[str, str] = {}
    with suppress(OSError):
        for line in MOUNTS.read_text("utf-8", "surrogateescape").splitlines():
            fields, _, source = line.partition(" - ")
            # A later mount on the same folder covers the earlier one. Spaces and the like are octal escapes.
            mounts[_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields.split()[4])] = source.split()[0]
    covering = [each for each in mounts if path.startswith(each.rstrip("/") + "/")]
    return mounts[max(covering, key=len)] if covering else ""
