import sqlite3
import subprocess
import sys
import unicodedata

import psycopg
import pytest
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite.files import COMPANION_SUFFIXES
from machine_monitor.database.kinds import OBJECT, TIME, VERBATIM_JSON
from machine_monitor.database.schema import migrations, rendering
from machine_monitor.errors import MonitorError, SchemaMismatch
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.models.fields import SEVERITY
from machine_monitor.services.accounts import invitations, known_devices, rate_limit, sessions, tokens
from machine_monitor.services.audit.history import ChangeContext
from query import samples

SET_UP = """
import sys
from machine_monitor.database import database_urls
from machine_monitor.database.schema import migrations, rendering
from machine_monitor.services.audit.history import ChangeContext
migrations.{}(database_urls.parse(sys.argv[1]))
"""


def execute(url: str, *statements: str) -> list[tuple]:
    parsed_url = database_urls.parse(url)
    if parsed_url.engine.name == "sqlite":
        connection = sqlite3.connect(parsed_url.path, isolation_level=None)
    else:
        connection = psycopg.connect(parsed_url.conninfo, autocommit=True)
    try:
        for statement in statements:
            cursor = connection.execute(statement)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


def files(url: str) -> set[str]:
    """Return the files next to an SQLite database that do not belong to it."""
    parsed_url = database_urls.parse(url)
    if parsed_url.engine.name != "sqlite":
        return set()
    own = {f"{parsed_url.path.name}{tail}" for tail in ("", *COMPANION_SUFFIXES)}
    return {path.name for path in parsed_url.path.parent.iterdir()} - own


def counts(url: str) -> dict[str, int]:
    tables = ("machines", "logs", "log_types", "users", "machines_folded", "logs_folded", "history")
    return {table: execute(url, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


async def fill(url: str) -> list[dict]:
    async with serving(Settings(database_url=url)) as client:
        await samples.seed(client)
        return await samples.collect(client, "logs", expand="machine,type,user")


def test_an_empty_database_is_migrated_to_the_newest_revision_once(empty_url):
    parsed_url = database_urls.parse(empty_url)
    assert migrations.current_revision(parsed_url) is None
    done = migrations.upgrade(parsed_url)
    assert (done.before, done.after, done.backup) == (None, migrations.head_revision(), None)
    assert migrations.current_revision(parsed_url) == migrations.head_revision()
    again = migrations.upgrade(parsed_url)
    assert (again.before, again.after, again.backup) == (migrations.head_revision(), migrations.head_revision(), None)
    migrations.ensure_schema(parsed_url)
    migrations.check(parsed_url)
    assert files(empty_url) == set()
    assert counts(empty_url)["log_types"] == 7


async def test_downgrade_and_upgrade_keep_existing_rows(empty_url):
    parsed_url = database_urls.parse(empty_url)
    await fill(empty_url)
    before = counts(empty_url)
    down = migrations.downgrade(parsed_url, "base")
    assert (down.before, down.after, migrations.current_revision(parsed_url)) == (
        migrations.head_revision(),
        None,
        None,
    )
    if parsed_url.engine.name == "sqlite":
        assert down.backup is not None
        assert counts(f"sqlite:///{down.backup}") == before
        assert execute(f"sqlite:///{down.backup}", "PRAGMA integrity_check") == [("ok",)]
        assert files(empty_url) == {down.backup.name}
    migrations.upgrade(parsed_url)
    migrations.check(parsed_url)
    assert counts(empty_url)["logs"] == 0
    assert len(await fill(empty_url)) == len(samples.LOGS)


async def test_existing_attributes_can_be_filtered_after_a_migration(empty_url):
    await fill(empty_url)
    parsed_url = database_urls.parse(empty_url)
    queries = [f"SELECT id, CAST(attributes AS text) FROM {table}_folded ORDER BY id" for table in ("logs", "machines")]
    before = [execute(empty_url, query) for query in queries]
    migrations.downgrade(parsed_url, "0003-1")
    migrations.upgrade(parsed_url)
    assert [execute(empty_url, query) for query in queries] == before
    assert sum(document is not None for rows in before for _, document in rows) == 8


async def test_an_index_of_older_rules_is_made_again_after_the_migration(empty_url):
    await fill(empty_url)
    migrations.downgrade(database_urls.parse(empty_url), "0009")
    assert execute(empty_url, "SELECT name FROM derived WHERE name IN ('search', 'unicode')") == []
    execute(empty_url, f"INSERT INTO derived VALUES ('unicode', '{unicodedata.unidata_version}')")
    execute(empty_url, "UPDATE logs_folded SET comment = 'old'")
    migrations.upgrade(database_urls.parse(empty_url))
    async with serving(Settings(database_url=empty_url)) as client:
        assert len(await samples.collect(client, "logs", comment__contains="huile")) == 6
    assert execute(empty_url, "SELECT name FROM derived WHERE name IN ('search', 'unicode')") == [("search",)]


async def test_downgrading_accounts_keeps_the_users(empty_url):
    await fill(empty_url)
    parsed_url = database_urls.parse(empty_url)

    def open_accounts(tx):
        context = ChangeContext("test")
        tokens.issue(tx, "ABC", TokenCreate(name="x", scope="read"), context)
        invitations.set_password(tx, "ABC", "hash", context)
        invitations.invite(tx, "DEF", context)
        sessions.begin(tx, "ABC")
        known_devices.remember(tx, "ABC", None)
        rate_limit.register(tx, rate_limit.counters_of_sign_in("ABC", "127.0.0.1", None))

    database = Database(empty_url)
    database.transact(open_accounts)
    database.close_writer()
    tables = ("tokens", "credentials", "invitations", "sessions", "known_devices", "attempts")
    held = [execute(empty_url, f"SELECT count(*) FROM {table}") for table in tables]
    assert held == [[(1,)], [(1,)], [(1,)], [(1,)], [(1,)], [(2,)]]
    before = counts(empty_url)
    migrations.downgrade(parsed_url, "0004")
    assert counts(empty_url) == before
    migrations.upgrade(parsed_url)
    migrations.check(parsed_url)
    assert counts(empty_url) == before
    assert execute(empty_url, "SELECT count(*) FROM tokens") == [(0,)]


async def test_a_second_upgrade_changes_no_row(empty_url):
    logs = await fill(empty_url)
    migrations.upgrade(database_urls.parse(empty_url))
    assert files(empty_url) == set()
    async with serving(Settings(database_url=empty_url)) as client:
        assert await samples.collect(client, "logs", expand="machine,type,user") == logs


def test_a_new_migration_uses_database_types_not_model_types(database_url):
    options = {"sqlalchemy_module_prefix": "sa.", "user_module_prefix": None, "render_item": None}
    with migrations.transaction(database_urls.parse(database_url)) as connection:
        context = AutogenContext(MigrationContext.configure(connection), opts=options)
        written = [
            rendering.render_item("type", kind.column_type, context) for kind in (TIME, OBJECT, VERBATIM_JSON, SEVERITY)
        ]
    assert written == ["TIME", "OBJECT", "TEXT", "sa.SmallInteger()"]
    assert {line.partition(" = ")[0] for line in context.imports} == {"TIME", "OBJECT", "TEXT"}


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["upgrade", "ensure_schema"])
def test_concurrent_processes_set_up_a_database_once(empty_url, verb):
    command = [sys.executable, "-c", SET_UP.format(verb), empty_url]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], errors
    assert counts(empty_url)["log_types"] == 7
    migrations.check(database_urls.parse(empty_url))


@pytest.mark.slow
def test_a_database_that_is_set_up_while_it_is_looked_at_is_not_that_of_another_program(empty_url, monkeypatch):
    read, parsed_url = MigrationContext.get_current_revision, database_urls.parse(empty_url)

    def set_up_after(context):
        revision = read(context)
        monkeypatch.undo()
        code = SET_UP.format("upgrade")
        subprocess.run([sys.executable, "-c", code, empty_url], check=True, timeout=60)
        return revision

    # On SQLite a file must be there to be looked at.
    if parsed_url.path is not None:
        sqlite3.connect(parsed_url.path).close()
    monkeypatch.setattr(MigrationContext, "get_current_revision", set_up_after)
    assert migrations.current_revision(parsed_url) is None
    assert migrations.current_revision(parsed_url) == migrations.head_revision()


def test_a_newer_database_is_refused_with_advice(empty_url):
    parsed_url = database_urls.parse(empty_url)
    migrations.upgrade(parsed_url)
    execute(empty_url, "UPDATE alembic_version SET version_num = 'ffff'")
    for refuse in (migrations.ensure_schema, migrations.upgrade, lambda place: migrations.downgrade(place, "base")):
        with pytest.raises(SchemaMismatch) as refused:
            refuse(parsed_url)
        assert "ffff" in str(refused.value)
        assert "its wheel, checkout or image" in str(refused.value)
    assert counts(empty_url)["log_types"] == 7
    assert files(empty_url) == set()


def test_an_older_database_is_refused_with_the_migrate_command(empty_url, monkeypatch):
    parsed_url = database_urls.parse(empty_url)
    migrations.upgrade(parsed_url)
    monkeypatch.setattr(migrations, "head_revision", lambda: "9999")
    with pytest.raises(SchemaMismatch, match="mm migrate"):
        migrations.ensure_schema(parsed_url)
    if parsed_url.engine.name == "sqlite":
        done = migrations.upgrade(parsed_url)
        assert done.backup is not None
        assert counts(f"sqlite:///{done.backup}")["log_types"] == 7


async def test_an_api_does_not_start_on_another_schema(empty_url):
    migrations.upgrade(database_urls.parse(empty_url))
    execute(empty_url, "UPDATE alembic_version SET version_num = 'ffff'")
    with pytest.raises(SchemaMismatch, match="its wheel, checkout or image"):
        async with serving(Settings(database_url=empty_url)):
            pass


async def test_an_api_is_not_ready_on_another_schema(database_url):
    async with serving(Settings(database_url=database_url)) as client:
        assert (await client.get("/readyz")).status_code == 200
        execute(database_url, "UPDATE alembic_version SET version_num = 'ffff'")
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["code"]) == (503, "database-busy")
        assert (await client.get("/healthz")).status_code == 200


ORPHAN = """
INSERT INTO logs
(uuid, machine_id, type, severity, status, started_at, attributes, version, created_at, updated_at) VALUES
('x', 999, 'info', 0, 'done', '2025-01-01T00:00:00', '{}', 1, '2025-01-01T00:00:00', '2025-01-01T00:00:00')
"""


def test_a_migration_that_would_leave_orphans_is_rolled_back(sqlite_database_url):
    parsed_url = database_urls.parse(sqlite_database_url)
    with pytest.raises(SchemaMismatch, match="rolled back"), migrations.transaction(parsed_url) as connection:
        connection.exec_driver_sql(ORPHAN)
    assert counts(sqlite_database_url)["logs"] == 0


def test_a_migration_that_fails_leaves_the_database_as_it_was(database_url):
    parsed_url = database_urls.parse(database_url)
    before = counts(database_url)

    def fail() -> None:
        with migrations.transaction(parsed_url) as connection:
            connection.exec_driver_sql("DELETE FROM log_types_folded")
            connection.exec_driver_sql("ALTER TABLE history ADD COLUMN extra TEXT")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert counts(database_url) == before
    migrations.check(parsed_url)


@pytest.mark.parametrize("statement", [ORPHAN, "DELETE FROM log_types WHERE code = 'info'"])
async def test_the_database_itself_refuses_orphans(database, statement):
    async def violate_constraint():
        await database.write(lambda tx: tx.cursor.execute(statement.replace("'x'", f"'{samples.uuid_of(1)}'")))

    with pytest.raises(MonitorError):
        await violate_constraint()


def test_a_file_that_is_not_a_database_gives_a_clear_error_and_is_not_changed(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(MonitorError):
        migrations.ensure_schema(database_urls.parse(f"sqlite:///{path}"))
    assert path.read_text() == "not a database, " * 100


def test_a_database_with_tables_of_another_program_is_not_changed(empty_url):
    parsed_url = database_urls.parse(empty_url)
    with migrations.transaction(parsed_url) as connection:
        connection.exec_driver_sql("CREATE TABLE customers (id integer)")
    for attempt in (migrations.current_revision, migrations.ensure_schema, migrations.upgrade):
        with pytest.raises(SchemaMismatch, match="customers"):
            attempt(parsed_url)


def test_the_revision_is_read_while_another_writes(sqlite_database_url):
    parsed_url = database_urls.parse(sqlite_database_url)
    with migrations.transaction(parsed_url):
        assert migrations.current_revision(parsed_url) == migrations.head_revision()
