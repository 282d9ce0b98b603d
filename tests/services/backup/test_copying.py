"""A copy is the same database on whichever engine: rows, ids, history, answers."""

import sqlite3

import psycopg
import pytest
from sqlalchemy import Text

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls, tables
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import POSTGRESQL
from machine_monitor.database.kinds import EXACT_TEXT
from machine_monitor.database.schema import migrations
from machine_monitor.errors import MonitorError, SchemaMismatch, UsageError
from machine_monitor.services import backup
from machine_monitor.services.backup import transfer
from machine_monitor.services.backup.transfer import TABLES
from services.backup.plants import answers, fill, is_empty, kept, silent, verified


def copy(source: str, destination: str):
    database = Database(source)
    try:
        return backup.copy(database, database_urls.parse(destination), silent)
    finally:
        database.close_writer()


async def test_a_copy_has_the_same_rows_ids_history_and_answers(database_url, empty_url):
    await fill(database_url)
    before, said = kept(database_url), await answers(database_url)
    held = copy(database_url, empty_url)
    assert kept(database_url) == before
    assert kept(empty_url) == before
    assert held.tables == {table.name: len(before[table.name]) for table in TABLES}
    assert {"kept_answers", "legacy_imports", "log_counts", "history", "logs", "users_folded"} <= {
        table for table, count in held.tables.items() if count
    }
    verdict = verified(empty_url)
    assert (verdict.faults, str(verdict.head)) == ([], held.head)
    assert await answers(empty_url) == said
    migrations.check(database_urls.parse(empty_url))


async def test_there_and_back_again_is_the_same(sqlite_database_url, postgresql_database_url, tmp_path):
    await fill(sqlite_database_url)
    there = postgresql_database_url
    with migrations.locked(database_urls.parse(there)) as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    back = f"sqlite:///{tmp_path / 'back.db'}"
    assert copy(sqlite_database_url, there) == copy(there, back)
    assert kept(back) == kept(sqlite_database_url)
    assert await answers(back) == await answers(sqlite_database_url)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".back", "back.db-"))]


async def test_an_id_that_was_given_out_is_not_given_again(database_url, empty_url):
    await fill(database_url)
    given = {}
    copy(database_url, empty_url)
    for url in (database_url, empty_url):
        async with serving(Settings(database_url=url)) as client:
            await client.post("/machines", json={"name": "next"})
            given[url] = (await client.get("/machines/next")).json()["id"]
    assert given[empty_url] == given[database_url] == 7


async def test_the_history_of_a_copy_is_protected_as_ever(database_url, empty_url):
    copy(database_url, empty_url)
    database = Database(empty_url)
    for statement in ("UPDATE history SET note = 'x'", "DELETE FROM history"):
        with pytest.raises((MonitorError, sqlite3.Error, psycopg.Error)):
            database.transact(lambda tx, said=statement: tx.cursor.execute(said))
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
async def test_a_difference_is_an_error_and_taken_back(database_url, empty_url, monkeypatch, how):
    digest = transfer._digest

    def tampered(tx, table):
        if table.name in TAMPER[how]:
            tx.cursor.execute(TAMPER[how].format("Z" if tx.engine is POSTGRESQL else ""))
        return digest(tx, table)

    monkeypatch.setattr(transfer, "_digest", tampered)
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
def test_what_another_database_left_is_not_taken_for_part_of_the_copy(sqlite_database_url, tmp_path, tail):
    (tmp_path / f"empty.db{tail}").write_bytes(b"left")
    with pytest.raises(UsageError, match="Move it away"):
        copy(sqlite_database_url, f"sqlite:///{tmp_path / 'empty.db'}")
    assert not (tmp_path / "empty.db").exists()


def test_a_source_that_is_not_there_is_refused_and_not_made(empty_url, tmp_path):
    with pytest.raises(UsageError, match="no database"):
        copy(empty_url, f"sqlite:///{tmp_path / 'other.db'}")
    assert is_empty(empty_url)


def test_a_source_of_another_version_is_refused(database_url, empty_url):
    with migrations.locked(database_urls.parse(database_url)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")
    with pytest.raises(SchemaMismatch, match="mm migrate"):
        copy(database_url, empty_url)
    assert is_empty(empty_url)


def test_a_source_is_only_read(sqlite_database_url, tmp_path):
    path = database_urls.parse(sqlite_database_url).path
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    before = path.read_bytes()
    copy(sqlite_database_url, f"sqlite:///{tmp_path / 'other.db'}")
    assert path.read_bytes() == before


def test_keys_that_are_texts_have_one_order_on_both_engines():
    keys = [column for table in TABLES for column in table.primary_key.columns]
    texts = [column for column in keys if isinstance(column.type, Text)]
    assert len(texts) > 5
    collated = EXACT_TEXT.dialect_impl(POSTGRESQL.dialect).collation
    assert {column.type.dialect_impl(POSTGRESQL.dialect).collation for column in texts} == {collated}
