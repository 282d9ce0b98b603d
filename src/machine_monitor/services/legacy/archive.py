"""Read the records of the legacy tool from its folder as a ZIP archive. The archive may be hostile.

Nothing is unpacked to disk: each file is read from the archive, up to the size of a record.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from machine_monitor.errors import UsageError
from machine_monitor.services.legacy.read import DRAFTS, KEYS, MAX_BYTES, Kind, Raw, draft, parse_file

MAX_FILES = 1_000_000
# The limit of all files together when they are unpacked: that of an upload.
MAX_UNPACKED_BYTES = 300_000_000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UTF_8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
# The parts of workbooks: XLSX and ODS are ZIP archives, too.
WORKBOOK_PARTS = {"[Content_Types].xml", "content.xml", "mimetype"}
# The folder that macOS adds to its archives.
MACOS = "__MACOSX"
BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)


class Entry(NamedTuple):
    """A file of the archive, and the parts of its path."""

    info: zipfile.ZipInfo
    parts: Sequence[str]


def is_legacy(path: Path) -> bool:
    """Whether an archive has the legacy folder, as its root or one level down. False if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return WORKBOOK_PARTS.isdisjoint(archive.namelist()) and bool(_roots(_entries(archive)))
    except (*BROKEN, OSError):
        return False


def records(source: Path, *, drafts: bool = False) -> Iterator[Raw | None]:
    """Yield every record of a legacy folder in an archive, and None for other files; raises `UsageError`."""
    with _opened(source) as archive:
        entries = _entries(archive)
        _check(source, entries)
        roots = _roots(entries)
        if len(roots) != 1:
            found = "several legacy folders" if roots else "none of the folders machines, logs and employs"
            raise UsageError(f"{source} is no archive of a legacy folder: it contains {found}.")
        depth = len(roots[0])
        inside = [Entry(info, parts[depth:]) for info, parts in entries if tuple(parts[:depth]) == roots[0]]
        for kind in KEYS:
            yield from _folder(archive, kind, [entry for entry in inside if entry.parts[0] == kind])
        if drafts:
            yield from _drafts(archive, [entry for entry in inside if tuple(entry.parts[:2]) == ("logs", DRAFTS)])


@contextmanager
def _opened(source: Path) -> Generator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except BROKEN as error:
        raise UsageError(f"{source} is damaged: it cannot be unpacked ({error}).") from None
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror or error}.") from error


def _entries(archive: zipfile.ZipFile) -> list[Entry]:
    """Return the files of an archive."""
    found = []
    for info in archive.infolist():
        name = _name(info)
        if not name.endswith("/") and not name.startswith(f"{MACOS}/"):
            found.append(Entry(info, [part for part in name.split("/") if part != "."]))
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """Return the path of a file. Older programs do not say how they encode it, and Windows may use backslashes."""
    name = info.orig_filename
    if not info.flag_bits & UTF_8_FLAG:
        # Python takes it for cp437. macOS and Linux write UTF-8, and Windows in Western Europe cp850.
        content = name.encode("cp437")
        try:
            name = content.decode()
        except UnicodeDecodeError:
            name = content.decode("cp850")
    return name if "/" in name else name.replace("\\", "/")


def _roots(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return the places of legacy folders: `()` is the root of the archive, else folders in it."""
    if any(len(parts) > 1 and parts[0] in KEYS for _, parts in entries):
        return [()]
    return sorted({(parts[0],) for _, parts in entries if len(parts) > 2 and parts[1] in KEYS})


def _check(source: Path, entries: Sequence[Entry]) -> None:
    """Raise `UsageError` for an archive that is too large, or has a path, a link or a compression that is not usual."""
    if len(entries) > MAX_FILES:
        raise UsageError(f"{source} has more than {MAX_FILES:,} files. Unpack it, and use `mm sync` with the folder.")
    for info, parts in entries:
        name = "/".join(parts)
        if "" in parts or ".." in parts or "\0" in name or ":" in parts[0]:
            raise UsageError(
                f"{source} is not the archive of a legacy folder: a file in it has the path {name!r:.120}."
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UsageError(f"{source} is not the archive of a legacy folder: {name!r:.120} in it is a link.")
        if info.flag_bits & ENCRYPTED_FLAG:
            raise UsageError(f"{source} is protected by a password. Make the archive without one.")
        if info.compress_type not in METHODS:
            raise UsageError(f"{source} is compressed in a way that cannot be read here. Make a usual .zip.")
    # Python reads no more of a file than the archive says that it has.
    if sum(info.file_size for info, _ in entries) > MAX_UNPACKED_BYTES:
        limit = f"{MAX_UNPACKED_BYTES // 1_000_000} MB"
        raise UsageError(f"{source} unpacks to more than {limit}. Unpack it, and use `mm sync` with the folder.")


def _folder(archive: zipfile.ZipFile, kind: Kind, entries: Sequence[Entry]) -> Iterator[Raw | None]:
    """Yield the records of one folder, by name; None for other files, and for folders in it."""
    files = [entry for entry in entries if len(entry.parts) == 2]
    for entry in sorted(files, key=lambda entry: entry.parts[1]):
        name = entry.parts[1]
        if name.lower().endswith(".json") and len(name) > len(".json"):
            yield _file(archive, entry, kind, name[: -len(".json")])
        else:
            yield None
    folders = {entry.parts[1] for entry in entries if len(entry.parts) > 2}
    yield from [None] * len(folders - ({DRAFTS} if kind == "logs" else set()))


def _drafts(archive: zipfile.ZipFile, entries: Sequence[Entry]) -> Iterator[Raw | None]:
    for entry in sorted(entries, key=lambda entry: entry.parts):
        if entry.parts[-1].lower().endswith(".json"):
            yield draft(_file(archive, entry, "logs", "/".join(entry.parts[1:])[: -len(".json")]))
        else:
            yield None


def _file(archive: zipfile.ZipFile, entry: Entry, kind: Kind, stem: str) -> Raw:
    with archive.open(entry.info) as file:
        return parse_file(kind, "/".join(entry.parts), stem, file.read(MAX_BYTES + 1))
