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

from machine_monitor.database.addresses import Address
from machine_monitor.database.schema import location, newest
from machine_monitor.errors import DatabaseBusy, SchemaMismatch, UsageError


@dataclass(frozen=True)
class Migration:
    """What a migration did: the revisions before and after, and the copy that the engine made of the database."""

    before: str | None
    after: str | None
    copy: Path | None = None


def current(address: Address) -> str | None:
    """The revision that the database is at; None if it is empty or not there yet. Does not wait for writers."""
    if not address.exists:
        return None
    with _connected(address, read_only=True) as connection:
        return _revision(connection)


def prepare(address: Address) -> None:
    """Set up an empty database; raises `SchemaMismatch` if it is behind or ahead of the code."""
    found = current(address)
    if found is None:
        upgrade(address)
    elif found != newest():
        raise SchemaMismatch(advice(found))


def upgrade(address: Address, revision: str = "head") -> Migration:
    """Bring the schema to the code; safe to run twice, and for two processes at once. The engine may copy it first."""
    with locked(address) as connection:
        before = _known(connection)
        copy = address.engine.back_up(address.url, before) if before not in (None, newest()) else None
        command.upgrade(alembic_config(connection), revision)
        return Migration(before, _known(connection), copy)


def downgrade(address: Address, revision: str) -> Migration:
    """Undo migrations. The engine may copy the database first."""
    with locked(address) as connection:
        before = _known(connection)
        copy = address.engine.back_up(address.url, before) if before is not None else None
        command.downgrade(alembic_config(connection), revision)
        return Migration(before, _known(connection), copy)


def refuse_occupied(address: Address) -> None:
    """Raise `UsageError` if the database has any table."""
    if address.exists:
        with _connected(address, read_only=True) as connection:
            _refuse_tables(connection, address)


@contextmanager
def set_up(address: Address) -> Generator[Any]:
    """The driver's cursor inside the transaction that gives an empty database its schema."""
    with locked(address) as connection:
        _refuse_tables(connection, address)
        command.upgrade(alembic_config(connection), "head")
        driver = connection.connection.driver_connection
        assert driver is not None
        yield driver.cursor()


def check(address: Address) -> None:
    """Raise Alembic's error if the tables are not those of the models."""
    with locked(address) as connection:
        command.check(alembic_config(connection))


@contextmanager
def locked(address: Address) -> Generator[Connection]:
    """A connection in a transaction that no other migration shares; committed at the end if references hold."""
    begin = address.engine.migration_transaction
    with _connected(address, read_only=False) as connection, begin(connection, address.url):
        yield connection


def _refuse_tables(connection: Connection, address: Address) -> None:
    if tables := inspect(connection).get_table_names():
        raise UsageError(f"{address.shown} is not empty ({', '.join(sorted(tables)[:3])}): name an empty database.")


def _revision(connection: Connection) -> str | None:
    """The database's revision; raises `SchemaMismatch` if it has none but holds the tables of something else."""
    found = MigrationContext.configure(connection).get_current_revision()
    tables = {*inspect(connection).get_table_names()} - {"alembic_version"} if found is None else set()
    if tables:
        message = f"The database holds tables of another program ({', '.join(sorted(tables)[:3])}): name an empty one."
        raise SchemaMismatch(message)
    return found


def _known(connection: Connection) -> str | None:
    """The database's revision; raises `SchemaMismatch` if this code has never heard of it."""
    found = _revision(connection)
    known = {script.revision for script in ScriptDirectory(str(location())).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaMismatch(advice(found))
    return found


def advice(found: str) -> str:
    """What to do about a database whose revision is not that of the code."""
    known = {script.revision for script in ScriptDirectory(str(location())).walk_revisions()}
    if found in known:
        return f"The database is at revision {found}, behind this version: run `mm migrate`."
    return (
        f"The database is at revision {found}, ahead of this version: install the newer version, "
        "`pip install --upgrade machine-monitor`."
    )


@contextmanager
def _connected(address: Address, *, read_only: bool) -> Generator[Connection]:
    engine = address.engine.migration_engine(address.url, read_only=read_only)
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        message = f"The database {address.shown} cannot be used: {str(error.orig).strip()}"
        raise DatabaseBusy(message) from error
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Return what Alembic's commands need: the folder of the migrations, and a connection to run them on."""
    config = Config()
    config.set_main_option("script_location", str(location()))
    config.attributes["connection"] = connection
    return config
