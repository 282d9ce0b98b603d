"""A backup's manifest: what the file beside it holds, and the checksum that tells whether it still does."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine_monitor.database import instants, schema
from machine_monitor.errors import UsageError
from machine_monitor.services.backup.transfer import Contents

PRODUCT = "machine-monitor"


@dataclass(frozen=True)
class Manifest:
    """What a backup is: by which version, of which schema, from which engine, when, and what is in the file."""

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

    def document(self) -> dict[str, Any]:
        """The manifest as JSON."""
        return asdict(self)


def path_of(file: Path) -> Path:
    """Where the manifest of a file is."""
    return file.with_name(f"{file.name}.json")


def describe(made: Path, engine: str, held: Contents) -> Manifest:
    """The manifest of a file that is finished."""
    at = instants.format_instant(instants.now().replace(microsecond=0))
    return Manifest(
        product=PRODUCT,
        version=version(PRODUCT),
        schema=schema.head_revision(),
        engine=engine,
        created_at=at,
        tables=held.tables,
        head=held.head,
        faults=held.faults,
        sha256=digest(made),
        size=made.stat().st_size,
    )


def write(manifest: Manifest, path: Path) -> None:
    """Write it as JSON for people too."""
    path.write_text(json.dumps(manifest.document(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(file: Path) -> Manifest:
    """The manifest beside a file; raises `UsageError` if there is none that can be read."""
    path = path_of(file)
    try:
        found = json.loads(path.read_text("utf-8"))
        manifest = Manifest(**found)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): a backup is restored with its manifest beside it."
        raise UsageError(message) from None
    except (ValueError, TypeError):
        raise UsageError(f"{path} is not the manifest of a backup.") from None
    if manifest.product != PRODUCT:
        raise UsageError(f"{path} is the manifest of another product.")
    return manifest


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
