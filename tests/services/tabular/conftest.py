"""A source database for exports, and a target database on the other engine for imports."""

import pytest

from conftest import ENGINES
from machine_monitor.database.connect import Database


@pytest.fixture(params=ENGINES)
def urls(request):
    """The URLs of the source and the target."""
    other = next(engine for engine in ENGINES if engine != request.param)
    return [request.getfixturevalue(f"{engine}_database_url") for engine in (request.param, other)]


@pytest.fixture
def target(database_url):
    opened = Database(database_url)
    yield opened
    opened.close_writer()
