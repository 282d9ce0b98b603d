"""`GET /service`: the state of the service, for administrators."""

from importlib.metadata import version

import psycopg
import pytest

from api.access.site import opened
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import head_revision
from machine_monitor.services import backup
from machine_monitor.services.checks import last_backup
from query import samples


def save(url, target, *, replace=False):
    database = Database(url)
    try:
        return backup.save(database, target, replace=replace, progress=lambda *_: None)
    finally:
        database.close_writer()


async def test_the_state_shows_versions_sizes_settings_and_the_last_change(client, database_url):
    await samples.seed(client)
    await client.delete(f"/logs/{samples.uuid_of(1)}")
    state = (await client.get("/service")).json()
    engine = database_urls.parse(database_url).engine.name
    assert state["version"] == version("machine-monitor")
    assert state["health"] == {"status": "ready", "faults": []}
    assert state["database"].pop("bytes") > 100_000
    assert state["database"] == {"engine": engine, "revision": head_revision()}
    assert state["settings"] == {
        "timezone": "UTC",
        "unlisted": "on",
        "anonymous": "off",
        "require_if_match": False,
        "query_timeout": 5.0,
    }
    assert state["sign_in_limits"] == {"window_seconds": 900, "per_account": 10, "per_address": 50}
    lists = {"machines": "machines", "logs": "logs", "log_types": "log-types", "users": "users"}
    for resource, path in lists.items():
        total = (await client.get(f"/{path}", params={"count": "exact"})).json()["total"]
        assert state["records"].pop(resource) == total
    assert state["records"] == {}
    last = (await client.get("/changes", params={"limit": 1000})).json()["items"][-1]
    assert state["last_change"] == {name: last[name] for name in state["last_change"]}
    assert (last["op"], last["key"]) == ("delete", samples.uuid_of(1))
    assert state["last_backup"] is None


async def test_the_state_never_shows_the_url_of_the_database(client, database_url):
    text = (await client.get("/service")).text
    parsed = database_urls.parse(database_url).sqlalchemy_url
    for part in (database_url, parsed.database, parsed.password):
        assert not part or part not in text


async def test_an_unknown_parameter_is_refused(client):
    assert (await client.get("/service?x=1")).json()["code"] == "unknown-parameter"


async def test_another_time_zone_of_the_counters_is_a_fault(database_url):
    async with serving(Settings(database_url=database_url, timezone="Europe/Paris")) as other:
        health = (await other.get("/service")).json()["health"]
    assert health["status"] == "failing"
    assert ["mm migrate" in fault for fault in health["faults"]] == [True]


async def test_another_schema_is_a_fault(client, database_url):
    database = Database(database_url)
    database.transact(lambda tx: tx.cursor.execute("UPDATE alembic_version SET version_num = '9999'"))
    database.close_writer()
    state = (await client.get("/service")).json()
    assert (state["database"]["revision"], state["health"]["status"]) == ("9999", "failing")
    assert (await client.get("/readyz")).json()["detail"] in state["health"]["faults"]


async def test_the_last_backup_is_shown(client, database_url, tmp_path):
    target = tmp_path / "machines.backup"
    for replace in (False, True):
        saved = save(database_url, target, replace=replace)
        state = (await client.get("/service")).json()
        assert state["last_backup"] == {"at": saved.created_at, "bytes": target.stat().st_size}
    # The second backup contains the note of the first one.
    assert Database(f"sqlite:///{target}").snapshot(last_backup.read) is not None


async def test_only_an_admin_sees_the_state(database_url):
    async with opened(database_url) as site:
        await site.add_users()
        assert (await site.anonymous().get("/service")).status_code == 401
        assert (await (await site.by_token("SUP")).get("/service")).status_code == 403
        assert (await (await site.by_token("ADM", "read")).get("/service")).status_code == 200


def test_a_database_that_cannot_be_written_is_backed_up_all_the_same(database_url, tmp_path, caplog):
    database = Database(database_url)
    if database.engine.name == "postgresql":
        name = database.url.sqlalchemy_url.database
        with psycopg.connect(database.url.conninfo, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    else:
        refuse = "CREATE TRIGGER read_only BEFORE INSERT ON derived BEGIN SELECT RAISE(ABORT, 'read-only'); END"
        database.transact(lambda tx: tx.cursor.execute(refuse))
    database.close_writer()
    target = tmp_path / "machines.backup"
    save(database_url, target)
    assert target.exists()
    assert "the backup is complete" in caplog.text
    reopened = Database(database_url)
    assert reopened.snapshot(last_backup.read) is None
    reopened.close_writer()


@pytest.mark.parametrize("error", [PermissionError("denied"), OSError("read-only file system")])
def test_an_error_of_the_file_system_does_not_fail_the_backup(sqlite_database_url, tmp_path, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(Database, "transact", refuse)
    assert save(sqlite_database_url, tmp_path / "machines.backup").size > 0
