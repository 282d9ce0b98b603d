"""`make migration` generates a migration that works unchanged on both engines, even if SQLite rebuilds a table."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, create_engine, inspect
from sqlalchemy import text as sql

import machine_monitor.models
from machine_monitor.database import database_urls, schema
from machine_monitor.database.kinds import INTEGER, TEXT
from machine_monitor.database.schema import autogenerate, migrations, rendering
from machine_monitor.errors import SchemaMismatch, UsageError
from machine_monitor.models import METADATA

LAST = schema.head_revision()
NEXT = f"{int(LAST) + 1:04}"
MACHINE = """INSERT INTO machines (id, name, name_key, listed, attributes, version, created_at, updated_at)
VALUES ({0}, 'm{0}', 'm{0}', true, '{{}}', 1, '2025-01-01T00:00:00', '2025-01-01T00:00:00')"""
LOG = """INSERT INTO logs
(id, uuid, machine_id, type, severity, status, started_at, attributes, version, created_at, updated_at) VALUES
(1, '00000000-0000-4000-8000-000000000001', 1, 'info', 0, 'done', '2025-01-01T00:00:00', '{}', 1,
'2025-01-01T00:00:00', '2025-01-01T00:00:00')"""


@pytest.fixture
def versions(tmp_path, monkeypatch):
    """A copy of the folder of migrations, which a test may add to."""
    folder = shutil.copytree(
        schema.migrations_folder(), tmp_path / "alembic", ignore=shutil.ignore_patterns("__pycache__")
    )
    for module in (schema, migrations, autogenerate):
        monkeypatch.setattr(module, "migrations_folder", lambda: folder)
    schema.head_revision.cache_clear()
    yield folder / "versions"
    schema.head_revision.cache_clear()


@pytest.fixture
def models(monkeypatch) -> MetaData:
    """A copy of the models, which a test may change."""
    copy = MetaData(naming_convention=METADATA.naming_convention)
    for table in METADATA.tables.values():
        table.to_metadata(copy)
    monkeypatch.setattr(machine_monitor.models, "METADATA", copy)
    return copy


def add_sites(models):
    """Add a resource that machines refer to: SQLite cannot add a foreign key, so the migration rebuilds the table."""
    columns = [Column("id", INTEGER.column_type, primary_key=True), Column("name", TEXT.column_type, nullable=False)]
    Table("sites", models, *columns, sqlite_autoincrement=True)
    site = Column("site_id", INTEGER.column_type, ForeignKey("sites.id", ondelete="RESTRICT"))
    models.tables["machines"].append_column(site)
    Index("ix_machines_site_id", site)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}


def ruff(*words: str) -> str:
    command = [Path(sys.executable).with_name("ruff"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def index_text(index) -> str:
    """Return an index as text, including the condition of a partial index."""
    return str({**index, "dialect_options": {name: str(value) for name, value in index["dialect_options"].items()}})


def shape(url: str) -> dict[str, dict]:
    """Return the columns, indexes and constraints of each table, as reflected from the database."""
    parsed_url = database_urls.parse(url)
    drivers = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
    engine = create_engine(parsed_url.sqlalchemy_url.set(drivername=drivers[parsed_url.engine.name]))
    inspector = inspect(engine)
    tables = {
        table: {
            "columns": {column["name"]: str(column["type"]) for column in inspector.get_columns(table)},
            "references": sorted(map(str, inspector.get_foreign_keys(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": sorted(map(index_text, inspector.get_indexes(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "key": str(inspector.get_pk_constraint(table)),
        }
        for table in inspector.get_table_names()
        if "_search" not in table
    }
    if parsed_url.engine.name == "sqlite":
        with engine.connect() as connection:
            for name, definition in connection.execute(sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")):
                if name in tables:
                    tables[name]["ids"] = "AUTOINCREMENT" in definition
    engine.dispose()
    return tables


def execute(url: str, *statements: str) -> list[tuple]:
    with migrations.transaction(database_urls.parse(url)) as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def test_a_new_text_field_gets_a_column_and_a_folded_column(versions, models, tmp_path, monkeypatch):
    # Use the lint and format rules of the checkout.
    shutil.copy(Path(__file__).parents[2] / "pyproject.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    for table in ("machines", "machines_folded"):
        models.tables[table].append_column(Column("spare_field", TEXT.column_type))
    before = files(tmp_path)
    path = autogenerate.write_migration("add_location")
    assert path == versions / f"{NEXT}_add_location.py"
    assert files(tmp_path) == before | {path}
    text = path.read_text()
    assert text.startswith('"""Add location."""\n')
    assert f'revision = "{NEXT}"\ndown_revision = "{LAST}"\n' in text
    assert 'TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")\n' in text
    assert 'op.batch_alter_table("machines", table_kwargs={"sqlite_autoincrement": True})' in text
    assert 'op.batch_alter_table("machines_folded")' in text
    assert "###" not in text
    assert ruff("check", "--no-cache", str(path)) == "All checks passed!\n"
    assert "already formatted" in ruff("format", "--no-cache", "--check", str(path))
    assert schema.head_revision.__wrapped__() == NEXT


def test_no_file_is_written_without_a_difference(versions, monkeypatch, capsys):
    before = files(versions)
    monkeypatch.setattr(sys, "argv", ["autogenerate", "add_nothing"])
    autogenerate.main()
    assert "no file was written" in capsys.readouterr().out
    assert files(versions) == before
    monkeypatch.setattr(sys, "argv", ["autogenerate"])
    with pytest.raises(SystemExit, match="NAME=add_location"):
        autogenerate.main()


@pytest.mark.parametrize("name", ["", "Add location", "../x", "a" * 41, "_a", "0008_x"])
def test_an_invalid_migration_name_gives_a_clear_error(name):
    with pytest.raises(UsageError, match="NAME=add_location"):
        autogenerate.write_migration(name)


@pytest.mark.usefixtures("versions")
def test_rebuilding_a_table_preserves_its_rows(models, database_url):
    parsed_url = database_urls.parse(database_url)
    before = shape(database_url)
    execute(database_url, *[MACHINE.format(number) for number in (1, 2, 3)], LOG, "DELETE FROM machines WHERE id = 3")
    add_sites(models)
    path = autogenerate.write_migration("add_sites")
    schema.head_revision.cache_clear()
    migrations.upgrade(parsed_url)
    migrations.check(parsed_url)
    after = shape(database_url)
    assert {*after} == {*before, "sites"}
    for table in before:
        if table != "machines":
            assert after[table] == before[table]
    for part in ("checks", "unique", "key"):
        assert after["machines"][part] == before["machines"][part]
    assert "site_id" in str(after["machines"]["references"])
    assert "sites" in str(after["machines"]["references"])
    assert execute(database_url, "SELECT count(*) FROM logs JOIN machines ON machines.id = logs.machine_id") == [(1,)]
    if parsed_url.engine.name == "sqlite":
        assert after["sites"]["ids"] is after["machines"]["ids"] is True
        # The id of a deleted machine is not reused.
        assert execute(database_url, "SELECT seq FROM sqlite_sequence WHERE name = 'machines'") == [(3,)]
    migrations.downgrade(parsed_url, LAST)
    assert shape(database_url) == before
    assert "sqlite_autoincrement=True" in path.read_text()


@pytest.mark.usefixtures("versions")
def test_a_table_is_not_rebuilt_without_autoincrement(models, sqlite_database_url):
    parsed_url = database_urls.parse(sqlite_database_url)
    execute(sqlite_database_url, MACHINE.format(1))
    add_sites(models)
    path = autogenerate.write_migration("add_sites")
    path.write_text(path.read_text().replace(', table_kwargs={"sqlite_autoincrement": True}', ""))
    schema.head_revision.cache_clear()
    with pytest.raises(SchemaMismatch, match="table_kwargs"):
        migrations.upgrade(parsed_url)
    assert migrations.current_revision(parsed_url) == LAST


def test_the_named_types_of_migrations_match_the_types_of_the_models():
    for kind, definition in rendering.NAMED_TYPES.values():
        made = eval(definition, {"sa": __import__("sqlalchemy")})  # noqa: S307 -- our own code
        assert rendering.ddl(made) == rendering.ddl(kind.column_type)


def test_each_table_has_autoincrement_where_its_model_says_so(sqlite_database_url):
    expected = {name: bool(table.dialect_options["sqlite"]["autoincrement"]) for name, table in METADATA.tables.items()}
    actual = shape(sqlite_database_url)
    assert {name: actual[name]["ids"] for name in expected} == expected
