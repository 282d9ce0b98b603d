import pytest
import pytest_asyncio

from conftest import ENGINES, new_database, serving
from machine_monitor.api.serving.conditional import ResponseCache
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.access.authentication import anonymous_statement
from machine_monitor.services.audit.sealing import left_statement
from query import samples
from services.backup.full_database import verify_database


@pytest.fixture(scope="module", params=ENGINES)
def seeded_url(request, tmp_path_factory):
    """A database for a whole module. What its tests leave in it must be what its history says."""
    with new_database(request, request.param, tmp_path_factory.mktemp("seeded")) as url:
        yield url
        assert verify_database(url).faults == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeded(seeded_url):
    """A client of an API with the samples, in the time zone of Paris; for tests that only read."""
    async with serving(Settings(database_url=seeded_url, timezone="Europe/Paris")) as client:
        await samples.seed(client)
        yield client


@pytest.fixture
def sent_statements(monkeypatch):
    """The statements of requests, except the check whether accounts exist. No response is cached."""
    monkeypatch.setattr(ResponseCache, "find", lambda *_: None)
    sent = []
    fetch = Database.fetch

    async def fetch_and_remember(self, statement, *rest, **named):
        if statement not in (anonymous_statement(self.engine), left_statement(self.engine)):
            sent.append(statement)
        return await fetch(self, statement, *rest, **named)

    monkeypatch.setattr(Database, "fetch", fetch_and_remember)
    return sent
