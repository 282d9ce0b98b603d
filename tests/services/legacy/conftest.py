"""A target database, and a copy of a legacy folder that a test may change."""

import shutil

import pytest

from machine_monitor.database.connect import Database
from services.backup.full_database import verify_database


@pytest.fixture
def target(database_url):
    """A database to import into. What a test leaves in it must be what its history says."""
    opened = Database(database_url)
    yield opened
    opened.close_writer()
    assert verify_database(database_url).faults == []


@pytest.fixture
def folder(tmp_path, shared):
    copy = tmp_path / "legacy"
    shutil.copytree(shared / "data/legacy-tricky", copy, copy_function=shutil.copyfile)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755)
    return copy
