"""Where backups go, and one that is there."""

import pytest

from services.backup.full_database import save


@pytest.fixture
def folder(tmp_path):
    """Where backups go: a folder with nothing else in it."""
    path = tmp_path / "safe % ? é"
    path.mkdir()
    return path


@pytest.fixture
def saved(sqlite_database_url, folder):
    """A backup of a new database."""
    save(sqlite_database_url, folder / "b.db")
    return folder / "b.db"
