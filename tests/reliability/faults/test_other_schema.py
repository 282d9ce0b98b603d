"""Another version of the program migrates the database under a running service: no write in an unknown schema."""

import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import psycopg
import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import OTHER_SCHEMA, REVISION, head_revision, migrations
from machine_monitor.errors import DatabaseBusy
from reliability.clients.traffic import SUCCESS, Traffic, add_machine, status_of, stored_uuids
from servers import ForkedService


@contextmanager
def revision(url: str, name: str):
    """Change the revision as a migration does; give it back at the end."""
    set_revision(url, name)
    try:
        yield
    finally:
        set_revision(url, head_revision())


def set_revision(url: str, name: str) -> None:
    with migrations.transaction(database_urls.parse(url)) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{name}'")


@pytest.mark.parametrize("name", ["9999", "0001"], ids=["newer", "older"])
async def test_writes_are_refused_in_another_schema_and_work_again(client, database_url, caplog, name):
    assert (await client.put("/machines/Saw", json={})).status_code == 201
    with revision(database_url, name):
        for _ in range(3):
            refused = await client.put("/machines/Saw", json={"sector": "1A"})
            assert (refused.status_code, refused.json()["code"]) == (503, "database-busy")
            assert refused.json()["detail"] == OTHER_SCHEMA
            assert "retry-after" in refused.headers
        assert (await client.get("/readyz")).status_code == 503
    assert (await client.put("/machines/Saw", json={"sector": "1B"})).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    assert caplog.text.count(OTHER_SCHEMA) == 1
    assert "schema of this version again" in caplog.text


async def test_units_of_one_batch_are_refused_together(database_url):
    async with serving(Settings(database_url=database_url)) as client:
        with revision(database_url, "9999"):
            bulk = await client.post("/logs/bulk", json={"items": [{"machine": "Saw", "type": "info"}]})
        assert bulk.status_code == 503
        assert (await client.get("/logs")).json()["items"] == []


def test_a_migration_on_postgresql_waits_for_running_writes_and_holds_new_ones_back(postgresql_database_url):
    """A write that began in the old schema ends in it; one that waits for the migration sees the new revision."""
    database, inside, leave = Database(postgresql_database_url), threading.Event(), threading.Event()

    def write(tx):
        inside.set()
        assert leave.wait(20)
        tx.cursor.execute("INSERT INTO derived VALUES ('written', '')")

    writer = threading.Thread(target=database.transact, args=(write,))
    writer.start()
    assert inside.wait(20)
    order = []

    def migrate():
        with migrations.transaction(database_urls.parse(postgresql_database_url)) as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM derived WHERE name = 'written'").scalar_one()
            order.append(f"{count} written before")
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    migration = threading.Thread(target=migrate)
    migration.start()
    time.sleep(0.3)
    assert order == []
    leave.set()
    for thread in (writer, migration):
        thread.join(20)
    assert order == ["1 written before"]
    with pytest.raises(DatabaseBusy, match="schema of another version"):
        database.transact(lambda _: None)
    database.close_writer()


def test_the_check_takes_no_round_trip_on_postgresql(postgresql_database_url, monkeypatch):
    sent = []
    execute = psycopg.Cursor.execute

    def record(self, query, *arguments, **options):
        sent.append(query if isinstance(query, str) else query.decode())
        return execute(self, query, *arguments, **options)

    database = Database(postgresql_database_url)
    # A new connection gets its settings first.
    database.transact(lambda _: None)
    monkeypatch.setattr(psycopg.Cursor, "execute", record)
    database.transact(lambda tx: tx.cursor.execute("SELECT 1"))
    database.close_writer()
    begin, *others = sent
    assert (begin.startswith("BEGIN"), begin.endswith(REVISION), others) == (True, True, ["SELECT 1", "COMMIT"])


@pytest.mark.proof("the revision of the schema changed under 8 writers")
def test_no_write_is_acknowledged_in_another_schema(tmp_path, database_url, extent, record_counts):
    with ForkedService(tmp_path, database_url=database_url) as service:
        add_machine(service.port)
        with Traffic(service.port, writers=8, readers=2) as traffic:
            for _ in range(times := extent(short=1, long=10)):
                traffic.wait_for(20, *SUCCESS)
                with revision(database_url, "9999"):
                    # Responses of writes that were committed before may still arrive.
                    time.sleep(0.5)
                    before = len(traffic.acknowledged)
                    traffic.wait_for(20, 503)
                    assert status_of(service.port, "/readyz") == 503
                    assert len(traffic.acknowledged) == before
                traffic.wait_for(20, *SUCCESS)
        assert set(traffic.write_statuses) == {201, 503}
        assert set(traffic.read_statuses) == {200}
        assert traffic.acknowledged <= stored_uuids(service.port)
    record_counts(times, acknowledged=len(traffic.acknowledged), lost=0, status_503=traffic.write_statuses[503])


def test_the_check_takes_one_statement_on_sqlite(sqlite_database_url):
    database, sent = Database(sqlite_database_url), []
    database.transact(lambda tx: tx.cursor.connection.set_trace_callback(sent.append))
    sent.clear()
    database.transact(lambda _: None)
    database.close_writer()
    assert sent == ["BEGIN IMMEDIATE", "SELECT version_num FROM alembic_version", "COMMIT"]
    with closing(sqlite3.connect(database.url.path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(head_revision(),)]
