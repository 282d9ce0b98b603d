"""A file store, a service that uses it, and the database of both."""

import pytest

from api.files.samples import new_log
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.files.store import FolderStore


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "files")


@pytest.fixture
async def site(database_url, store):
    """A client of a service on the database, and the path of a log."""
    async with serving(Settings(database_url=database_url, files=str(store.folder))) as client:
        log = await new_log(client)
        yield client, f"/logs/{log['uuid']}"


@pytest.fixture
def database(database_url):
    """The database of the service as commands use it: it is not opened."""
    database = Database(database_url)
    yield database
    database.close_writer()
