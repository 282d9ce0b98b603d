"""SQLAlchemy sessions on test databases, as an external program would open them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from machine_monitor.database import database_urls
from query.conftest import seeded, seeded_url

__all__ = ["seeded", "seeded_url", "session_on"]


@asynccontextmanager
async def session_on(url: str, **options) -> AsyncIterator[AsyncSession]:
    """Open an async session on a database."""
    engine = create_async_engine(database_urls.parse(url).sqlalchemy_url, **options)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()
