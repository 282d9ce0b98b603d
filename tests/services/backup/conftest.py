"""A folder for backups, and a backup."""

import pytest

from services.backup.full_database import save


@pytest.fixture
def folder(tmp_path):
    """An empty folder for backups."""
    path = tmp_path / "safe % ? é"
    path.mkdir()
    return path


@pytest.fixture
def saved(sqlite_database_url, folder):
    """A backup of a new database."""
    save(sqlite_database_url, folder / "b.db")
    return folder / "b.db"
