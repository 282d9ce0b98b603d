"""An SQLite file is full long before the ids of its logs reach into the times of their search keys."""

import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls, tables
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import SQLITE
from machine_monitor.database.fulltext import ID_MASK
from machine_monitor.errors import UsageError
from machine_monitor.models import LOGS
from machine_monitor.services import backup
from machine_monitor.services.checks import health
from services.backup.full_database import ignore_progress, is_empty

assert SQLITE.max_id is not None
LOG = {"machine": "Saw", "type": "info"}


def give_out_ids(url: str, until: int) -> None:
    """Make the next log get the id after `until`."""
    database = Database(url)
    database.transact(lambda tx: tables.set_last_ids(tx, {LOGS.name: until}, [LOGS.table]))
    database.close_writer()


def faults(url: str) -> list[str]:
    return health.examine(Settings(database_url=url)).faults


async def test_the_last_log_is_found_and_one_more_is_refused(sqlite_database_url):
    assert SQLITE.max_id < ID_MASK
    give_out_ids(sqlite_database_url, int(0.9 * SQLITE.max_id) - 1)
    assert faults(sqlite_database_url) == []
    give_out_ids(sqlite_database_url, SQLITE.max_id - 1)
    assert faults(sqlite_database_url) == [health.NEARLY_FULL.format(SQLITE.max_id, SQLITE.max_id - 1)]
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        await client.put("/machines/Saw", json={})
        last = await client.post("/logs", json={**LOG, "comment": "the last one"})
        assert last.status_code == 201
        full = await client.post("/logs", json=LOG)
        assert (full.status_code, full.json()["code"]) == (507, "storage-full")
        assert full.json()["detail"].startswith("An SQLite file has room for 1,000,000,000 logs, ")
        assert (await client.put("/machines/Lathe", json={})).status_code == 201
        found = (await client.get("/logs", params={"q": "last"})).json()["items"]
        assert [log["uuid"] for log in found] == [last.json()["uuid"]]


@pytest.mark.slow
async def test_a_database_with_more_logs_is_not_copied_to_a_file(postgresql_database_url, tmp_path):
    give_out_ids(postgresql_database_url, SQLITE.max_id + 1)
    assert faults(postgresql_database_url) == []
    destination, database = f"sqlite:///{tmp_path / 'copy.db'}", Database(postgresql_database_url)
    with pytest.raises(UsageError, match="An SQLite file has room for 1,000,000,000 logs"):
        backup.copy(database, database_urls.parse(destination), ignore_progress)
    with pytest.raises(UsageError, match="or back it up with pg_dump"):
        backup.save(database, tmp_path / "backup.db", replace=False, progress=ignore_progress)
    database.close_writer()
    assert is_empty(destination)
    assert [*tmp_path.glob("backup*")] == []
