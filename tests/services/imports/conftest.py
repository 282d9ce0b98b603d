"""Databases and files for tests of imports."""

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.services.imports import ImportOptions, import_file
from machine_monitor.services.imports.mapping import parse
from services.backup.full_database import verify_database
from services.tabular.files import UTC


@pytest.fixture
def target(database_url):
    """A database to import into. What a test leaves in it must be what its history says."""
    opened = Database(database_url)
    yield opened
    opened.close_writer()
    assert verify_database(database_url).faults == []


@pytest.fixture
def import_text(target, tmp_path):
    """A function that imports a text as a file with a given name."""

    def import_text(name, text, zone=UTC, **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_file(target, path, ImportOptions(zone, **options)).to_dict()

    return import_text


@pytest.fixture
def import_table(target, tmp_path):
    """A function that imports a text with a mapping, of which some parts are given."""

    def import_table(text, mapping, name="table.csv", **options):
        path = tmp_path / name
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        given = parse({"name": "test", "zone": "UTC", **mapping})
        return import_file(target, path, ImportOptions(UTC, **options), given).to_dict()

    return import_table
