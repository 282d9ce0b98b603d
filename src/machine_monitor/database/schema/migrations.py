"""The schema of a database: where it stands, and how it is brought to where the code is."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DatabaseError

from machine_monitor.database.database_urls import DatabaseUrl
from machine_monitor.database.schema import head_revision, migrations_folder
from machine_monitor.errors import DatabaseBusy, SchemaMismatch, UsageError


@dataclass(frozen=True)
class Migration:
    """What a migration did: the revisions before and after, and the copy that the engine made of the database."""

    before: str | None
    after: str | None
    copy: Path | None = None


def current(url: DatabaseUrl) -> str | None:
    """The revision that the database is at; None if it is empty or not there yet. Does not wait for writers."""
    if not url.exists:
        return None
    with _connected(url, read_only=True) as connection:
        return _revision(connection)


def ensure_schema(url: DatabaseUrl) -> None:
    """Set up an empty database; raises `SchemaMismatch` if it is behind or ahead of the code."""
    found = current(url)
    if found is None:
        upgrade(url)
    elif found != head_revision():
        raise SchemaMismatch(revision_advice(found))


def upgrade(url: DatabaseUrl, revision: str = "head") -> Migration:
    """Bring the schema to the code; safe to run twice, and for two processes at once. The engine may copy it first."""
    with locked(url) as connection:
        before = _require_known_revision(connection)
        copy = url.engine.back_up(url.sqlalchemy_url, before) if before not in (None, head_revision()) else None
        command.upgrade(alembic_config(connection), revision)
        return Migration(before, _require_known_revision(connection), copy)


def downgrade(url: DatabaseUrl, revision: str) -> Migration:
    """Undo migrations. The engine may copy the database first."""
    with locked(url) as connection:
        before = _require_known_revision(connection)
        copy = url.engine.back_up(url.sqlalchemy_url, before) if before is not None else None
        command.downgrade(alembic_config(connection), revision)
        return Migration(before, _require_known_revision(connection), copy)


def require_empty(url: DatabaseUrl) -> None:
    """Raise `UsageError` if the database has any table."""
    if url.exists:
        with _connected(url, read_only=True) as connection:
            _require_no_tables(connection, url)


@contextmanager
def create_schema(url: DatabaseUrl) -> Generator[Any]:
    """The driver's cursor inside the transaction that gives an empty database its schema."""
    with locked(url) as connection:
        _require_no_tables(connection, url)
        command.upgrade(alembic_config(connection), "head")
        driver = connection.connection.driver_connection
        assert driver is not None
        yield driver.cursor()


def check(url: DatabaseUrl) -> None:
    """Raise Alembic's error if the tables are not those of the models."""
    with locked(url) as connection:
        command.check(alembic_config(connection))


@contextmanager
def locked(url: DatabaseUrl) -> Generator[Connection]:
    """A connection in a transaction that no other migration shares; committed at the end if references hold."""
    begin = url.engine.migration_transaction
    with _connected(url, read_only=False) as connection, begin(connection, url.sqlalchemy_url):
        yield connection


def _require_no_tables(connection: Connection, url: DatabaseUrl) -> None:
    if tables := inspect(connection).get_table_names():
        raise UsageError(f"{url.redacted} is not empty ({', '.join(sorted(tables)[:3])}): name an empty database.")


def _revision(connection: Connection) -> str | None:
    """The database's revision; raises `SchemaMismatch` if it has none but holds the tables of something else."""
    found = MigrationContext.configure(connection).get_current_revision()
    tables = {*inspect(connection).get_table_names()} - {"alembic_version"} if found is None else set()
    if tables:
        message = f"The database holds tables of another program ({', '.join(sorted(tables)[:3])}): name an empty one."
        raise SchemaMismatch(message)
    return found


def _require_known_revision(connection: Connection) -> str | None:
    """The database's revision; raises `SchemaMismatch` if this code has never heard of it."""
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaMismatch(revision_advice(found))
    return found


def revision_advice(found: str) -> str:
    """What to do about a database whose revision is not that of the code."""
    known = {script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions()}
    if found in known:
        return f"The database is at revision {found}, behind this version: run `mm migrate`."
    return (
        f"The database is at revision {found}, ahead of this version: install the newer version, "
        "`pip install --upgrade machine-monitor`."
    )


@contextmanager
def _connected(url: DatabaseUrl, *, read_only: bool) -> Generator[Connection]:
    engine = url.engine.migration_engine(url.sqlalchemy_url, read_only=read_only)
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        message = f"The database {url.redacted} cannot be used: {str(error.orig).strip()}"
        raise DatabaseBusy(message) from error
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Return what Alembic's commands need: the folder of the migrations, and a connection to run them on."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["connection"] = connection
    return config
