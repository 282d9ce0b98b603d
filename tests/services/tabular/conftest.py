"""A database that files are written from, and one that they are read into, of the other engine."""

import pytest

from conftest import ENGINES
from machine_monitor.database.connect import Database


@pytest.fixture(params=ENGINES)
def urls(request):
    """The URLs of a source and of a target."""
    other = next(engine for engine in ENGINES if engine != request.param)
    return [request.getfixturevalue(f"{engine}_database_url") for engine in (request.param, other)]


@pytest.fixture
def target(database_url):
    opened = Database(database_url)
    yield opened
    opened.close_writer()
