"""Databases for tests of imports and exports."""

import pytest

from conftest import ENGINES
from machine_monitor.database.connect import Database
from services.backup.full_database import verify_database


@pytest.fixture(params=ENGINES)
def source_and_target_urls(request):
    """The URLs of a database to export from, and of one on the other engine to import into."""
    other = next(engine for engine in ENGINES if engine != request.param)
    return [request.getfixturevalue(f"{engine}_database_url") for engine in (request.param, other)]


@pytest.fixture
def target(database_url):
    """A database to import into. What a test leaves in it must be what its history says."""
    opened = Database(database_url)
    yield opened
    opened.close_writer()
    assert verify_database(database_url).faults == []
