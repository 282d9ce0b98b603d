"""A service with a folder for attachments, on each engine."""

import pytest

from conftest import serving
from machine_monitor.config import Settings


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "files"


@pytest.fixture
async def client(database_url, folder):
    """An in-process client of an open service that keeps its attachments in `folder`."""
    async with serving(Settings(database_url=database_url, files=str(folder))) as opened:
        yield opened
