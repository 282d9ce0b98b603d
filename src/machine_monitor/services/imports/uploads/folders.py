"""Where an uploaded table lies until it is imported: in a folder of its own in the file store (MM_FILES)."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from machine_monitor.models.fields import is_uuid
from machine_monitor.services.files.store import FolderStore

UPLOADS = "uploads"
# A folder that no import names is removed when it is older: its upload was interrupted.
STALE = timedelta(days=2)
# File systems allow 255 bytes in a name. The end of the name says the format.
MAX_NAME_BYTES = 200


@dataclass(frozen=True)
class UploadFolder:
    """The folder of one import, and the name of its file. `rejected` has the rows that the import refused."""

    store: FolderStore
    id: str
    name: str = ""

    @property
    def path(self) -> Path:
        """The path of the folder."""
        return self.store.folder / UPLOADS / self.id

    @property
    def table(self) -> Path:
        """The path of the uploaded file: its name shows in reports."""
        return self.path / "table" / self.name.encode()[-MAX_NAME_BYTES:].decode(errors="ignore")

    @property
    def rejected(self) -> Path:
        """The path of the file of refused rows."""
        return self.path / "rejected"

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def list_folders(store: FolderStore) -> Iterator[tuple[str, bool]]:
    """Yield the ids of the imports that have a folder, and whether it is older than any that is still being uploaded.

    Leaves out what is not named by an id: this service did not write it.
    """
    latest = time.time() - STALE.total_seconds()
    for path in (store.folder / UPLOADS).glob("*"):
        if is_uuid(path.name):
            yield path.name, path.stat().st_mtime < latest
