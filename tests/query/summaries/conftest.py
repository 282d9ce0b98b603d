import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import instants
from query import samples
from query.summaries import brute_force


@pytest.fixture(scope="module")
def plant_url(seeded_url):
    """A database with random logs, for a module that only reads."""
    brute_force.fill(seeded_url, seed=7, logs=120)
    return seeded_url


@pytest.fixture
def at_now(monkeypatch):
    monkeypatch.setattr(instants, "now", lambda: brute_force.NOW)


@pytest.fixture
async def plant(plant_url, timezone, at_now):  # noqa: ARG001 -- sets the end of running downtimes
    """A client of an API on `plant_url`."""
    async with serving(Settings(database_url=plant_url, timezone=timezone)) as client:
        yield client


@pytest.fixture
async def logs(plant):
    return await samples.collect(plant, "logs", expand="machine,type,user")
