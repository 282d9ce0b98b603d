"""A copy on either engine equals the original: rows, ids, history, API responses."""

import sqlite3

import psycopg
import pytest
from sqlalchemy import Text

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls, tables
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import POSTGRESQL
from machine_monitor.database.kinds import EXACT_TEXT, UUID
from machine_monitor.database.schema import migrations
from machine_monitor.errors import MonitorError, SchemaMismatch, UsageError
from machine_monitor.services import backup
from machine_monitor.services.backup import transfer
from machine_monitor.services.backup.transfer import TABLES
from services.backup.full_database import api_responses, fill, ignore_progress, is_empty, stored_rows, verify_database


def copy(source: str, destination: str):
    database = Database(source)
    try:
        return backup.copy(database, database_urls.parse(destination), ignore_progress)
    finally:
        database.close_writer()


async def test_a_copy_has_the_same_rows_ids_history_and_api_responses(database_url, empty_url):
    await fill(database_url)
    before, responses = stored_rows(database_url), await api_responses(database_url)
    contents = copy(database_url, empty_url)
    assert stored_rows(database_url) == before
    assert stored_rows(empty_url) == before
    assert contents.tables == {table.name: len(before[table.name]) for table in TABLES}
    assert {"kept_answers", "legacy_imports", "log_counts", "history", "logs", "users_folded"} <= {
        table for table, count in contents.tables.items() if count
    }
    verdict = verify_database(empty_url)
    assert (verdict.faults, str(verdict.head)) == ([], contents.head)
    assert await api_responses(empty_url) == responses
    migrations.check(database_urls.parse(empty_url))


async def test_copying_to_the_other_engine_and_back_preserves_everything(
    sqlite_database_url, postgresql_database_url, tmp_path
):
    await fill(sqlite_database_url)
    there = postgresql_database_url
    with migrations.transaction(database_urls.parse(there)) as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    back = f"sqlite:///{tmp_path / 'back.db'}"
    assert copy(sqlite_database_url, there) == copy(there, back)
    assert stored_rows(back) == stored_rows(sqlite_database_url)
    assert await api_responses(back) == await api_responses(sqlite_database_url)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".back", "back.db-"))]


async def test_a_copy_does_not_reuse_ids(database_url, empty_url):
    await fill(database_url)
    given = {}
    copy(database_url, empty_url)
    for url in (database_url, empty_url):
        async with serving(Settings(database_url=url)) as client:
            await client.post("/machines", json={"name": "next"})
            given[url] = (await client.get("/machines/next")).json()["id"]
    assert given[empty_url] == given[database_url] == 9


async def test_the_history_of_a_copy_is_append_only(database_url, empty_url):
    copy(database_url, empty_url)
    database = Database(empty_url)
    for statement in ("UPDATE history SET note = 'x'", "DELETE FROM history"):
        with pytest.raises((MonitorError, sqlite3.Error, psycopg.Error)):
            database.transact(lambda tx, statement=statement: tx.cursor.execute(statement))
    database.close_writer()


@pytest.mark.parametrize("fails", ["write", "set_last_ids", "rebuild"])
async def test_a_copy_that_fails_leaves_the_destination_empty(database_url, empty_url, monkeypatch, fails):
    def fail(*_, **__):
        raise UsageError("no further")

    module, name = {
        "write": (tables, "write"),
        "set_last_ids": (tables, "set_last_ids"),
        "rebuild": (transfer.maintenance, "rebuild_search"),
    }[fails]
    monkeypatch.setattr(module, name, fail)
    with pytest.raises(UsageError, match="no further"):
        copy(database_url, empty_url)
    assert is_empty(empty_url)


TAMPER = {
    "a row": "UPDATE log_types_folded SET label = 'x' WHERE id = 1",
    "a time": "UPDATE log_types SET updated_at = '2001-01-01T00:00:00{}' WHERE id = 1",
    "less": "DELETE FROM log_types_folded WHERE id = 1",
}


@pytest.mark.parametrize("how", TAMPER)
async def test_a_copy_that_differs_is_rolled_back(database_url, empty_url, monkeypatch, how):
    digest = transfer._digest

    def tamper_and_digest(tx, table):
        if table.name in TAMPER[how]:
            tx.cursor.execute(TAMPER[how].format("Z" if tx.engine is POSTGRESQL else ""))
        return digest(tx, table)

    monkeypatch.setattr(transfer, "_digest", tamper_and_digest)
    with pytest.raises(UsageError, match=r"differs .*log_types"):
        copy(database_url, empty_url)
    assert is_empty(empty_url)


async def test_ids_that_differ_are_an_error(database_url, empty_url, monkeypatch):
    monkeypatch.setattr(tables, "set_last_ids", lambda *_: None)
    await fill(database_url)
    with pytest.raises(UsageError, match="ids"):
        copy(database_url, empty_url)
    assert is_empty(empty_url)


def test_a_destination_with_tables_is_refused(database_url, empty_url):
    migrations.upgrade(database_urls.parse(empty_url))
    for destination in (database_url, empty_url):
        with pytest.raises(UsageError, match="not empty"):
            copy(database_url, destination)


@pytest.mark.parametrize("tail", ["-wal", "-journal"])
def test_leftover_files_of_another_database_are_refused(sqlite_database_url, tmp_path, tail):
    (tmp_path / f"empty.db{tail}").write_bytes(b"left")
    with pytest.raises(UsageError, match="Move it away"):
        copy(sqlite_database_url, f"sqlite:///{tmp_path / 'empty.db'}")
    assert not (tmp_path / "empty.db").exists()


def test_a_missing_source_is_refused_and_not_created(empty_url, tmp_path):
    with pytest.raises(UsageError, match="no database"):
        copy(empty_url, f"sqlite:///{tmp_path / 'other.db'}")
    assert is_empty(empty_url)


def test_a_source_of_another_version_is_refused(database_url, empty_url):
    with migrations.transaction(database_urls.parse(database_url)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")
    with pytest.raises(SchemaMismatch, match="mm migrate"):
        copy(database_url, empty_url)
    assert is_empty(empty_url)


def test_the_source_is_not_changed(sqlite_database_url, tmp_path):
    path = database_urls.parse(sqlite_database_url).path
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    before = path.read_bytes()
    copy(sqlite_database_url, f"sqlite:///{tmp_path / 'other.db'}")
    assert path.read_bytes() == before


def test_text_keys_sort_alike_on_both_engines():
    keys = [column for table in TABLES for column in table.primary_key.columns]
    # UUIDs sort alike as they are: PostgreSQL compares their bytes, SQLite their lower-case digits.
    texts = [column for column in keys if isinstance(column.type, Text) and column.type is not UUID.column_type]
    assert len(texts) > 5
    collated = EXACT_TEXT.dialect_impl(POSTGRESQL.dialect).collation
    assert {column.type.dialect_impl(POSTGRESQL.dialect).collation for column in texts} == {collated}
