"""The manifest of a backup: a JSON file beside it with its contents, versions and checksum."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine_monitor.database import instants, schema
from machine_monitor.errors import UsageError
from machine_monitor.services.backup.transfer import Contents
from machine_monitor.services.files.store import FolderStore
from machine_monitor.services.files.upkeep import CopiedFiles

PRODUCT = "machine-monitor"


@dataclass(frozen=True)
class Manifest:
    """A backup's program version, schema revision, engine, time, row counts, head of the hash chain and checksum.

    Also how many attachments are beside it, and the digests of those that could not be copied.
    """

    product: str
    version: str
    schema: str
    engine: str
    created_at: str
    tables: Mapping[str, int]
    head: str
    faults: list[str]
    sha256: str
    size: int
    # The attachments in the folder beside the backup. An older manifest has none.
    files: int = 0
    file_bytes: int = 0
    missing_files: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as a JSON object."""
        return asdict(self)


def path_of(file: Path) -> Path:
    """Return the path of a backup file's manifest."""
    return file.with_name(f"{file.name}.json")


def files_of(file: Path) -> FolderStore:
    """Return the store of the attachments of a backup: the folder FILE.files beside it."""
    return FolderStore(file.with_name(f"{file.name}.files"))


def newest_files_beside(file: Path) -> FolderStore | None:
    """Return the store of the attachments of the newest other backup in the same folder; None if there is none."""
    own = path_of(file)
    others = [each for each in file.parent.glob("*.json") if each != own and each.with_suffix(".files").is_dir()]
    newest = max(others, key=lambda each: each.stat().st_mtime, default=None)
    return None if newest is None else FolderStore(newest.with_suffix(".files"))


def describe(file: Path, engine: str, contents: Contents, copied: CopiedFiles) -> Manifest:
    """Build the manifest of a finished backup file."""
    at = instants.format_instant(instants.now().replace(microsecond=0))
    return Manifest(
        product=PRODUCT,
        version=version(PRODUCT),
        schema=schema.head_revision(),
        engine=engine,
        created_at=at,
        tables=contents.tables,
        head=contents.head,
        faults=contents.faults,
        sha256=digest(file),
        size=file.stat().st_size,
        files=copied.files,
        file_bytes=copied.bytes,
        missing_files=copied.missing,
    )


def write(manifest: Manifest, path: Path) -> None:
    """Write the manifest as indented JSON."""
    path.write_text(json.dumps(manifest.to_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(file: Path) -> Manifest:
    """Read the manifest of a backup file; raises `UsageError` if it is missing or invalid."""
    path = path_of(file)
    try:
        members = json.loads(path.read_text("utf-8"))
        manifest = Manifest(**members)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}). A backup needs its manifest beside it."
        raise UsageError(message) from None
    except (ValueError, TypeError):
        raise UsageError(f"{path} is not a backup manifest.") from None
    if manifest.product != PRODUCT:
        raise UsageError(f"{path} is the manifest of another product.")
    return manifest


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
