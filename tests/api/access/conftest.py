import pytest
import pytest_asyncio

from api.access import site as sites
from query.conftest import seeded_url

__all__ = ["seeded_url"]


@pytest.fixture
async def site(database_url):
    """A site with people of every role."""
    async with sites.opened(database_url) as opened:
        await opened.people()
        yield opened


@pytest.fixture
async def bare(database_url):
    """A site with nobody."""
    async with sites.opened(database_url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(seeded_url):
    """A site with people of every role, for tests that change nothing."""
    async with sites.opened(seeded_url) as opened:
        await opened.people()
        yield opened


@pytest.fixture
def clock(monkeypatch):
    return sites.TimeContext(monkeypatch)
