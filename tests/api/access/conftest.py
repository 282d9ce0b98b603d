import pytest
import pytest_asyncio

from api.access import site as sites
from query.conftest import seeded_url

__all__ = ["seeded_url"]


@pytest.fixture
async def site(database_url):
    """A site with a user of every role."""
    async with sites.opened(database_url) as opened:
        await opened.add_users()
        yield opened


@pytest.fixture
async def empty_site(database_url):
    """A site without users."""
    async with sites.opened(database_url) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(seeded_url):
    """A site with a user of every role, shared by the read-only tests of a module."""
    async with sites.opened(seeded_url) as opened:
        await opened.add_users()
        yield opened


@pytest.fixture
def clock(monkeypatch):
    return sites.AdjustableClock(monkeypatch)
