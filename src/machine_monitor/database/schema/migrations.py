"""The schema of a database: where it stands, and how it is brought to where the code is."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, inspect, pool, text
from sqlalchemy.exc import DatabaseError

from machine_monitor.database.addresses import Address
from machine_monitor.database.drivers import sqlite
from machine_monitor.database.drivers.lock_file import LockFile
from machine_monitor.database.engines import SQLITE
from machine_monitor.database.schema import location, newest
from machine_monitor.errors import DatabaseBusy, SchemaMismatch, UsageError

# Any number that nothing else locks; two migrations of one PostgreSQL database wait for each other on it.
LOCK_KEY = 7_262_353
LOCK_SECONDS = 600


@dataclass(frozen=True)
class Migration:
    """What `upgrade` did: the revisions before and after, and the copy that it made of an SQLite file."""

    before: str | None
    after: str | None
    copy: Path | None = None


def current(address: Address) -> str | None:
    """The revision that the database is at; None if it is empty or not there yet. Waits for no writer."""
    if address.engine is SQLITE and not address.path.exists():
        return None
    with _connected(address, reading=True) as connection:
        return _revision(connection)


def prepare(address: Address) -> None:
    """Set up an empty database; raises `SchemaMismatch` if it is behind or ahead of the code."""
    found = current(address)
    if found is None:
        upgrade(address)
    elif found != newest():
        raise SchemaMismatch(advice(found))


def upgrade(address: Address, revision: str = "head") -> Migration:
    """Bring the schema to the code; safe to run twice, and for two at once. An SQLite file is copied first."""
    with locked(address) as connection:
        before = _known(connection)
        copy = None
        if before is not None and before != newest() and address.engine is SQLITE:
            copy = _copy(address.path, before)
        command.upgrade(alembic_config(connection), revision)
        return Migration(before, _known(connection), copy)


def downgrade(address: Address, revision: str) -> Migration:
    """Take migrations back; an SQLite file is copied first."""
    with locked(address) as connection:
        before = _known(connection)
        copy = _copy(address.path, before) if address.engine is SQLITE and before else None
        command.downgrade(alembic_config(connection), revision)
        return Migration(before, _known(connection), copy)


def refuse_occupied(address: Address) -> None:
    """Raise `UsageError` if the database has a table of anybody's."""
    if address.engine is SQLITE and not address.path.exists():
        return
    with _connected(address, reading=True) as connection:
        _refuse_occupied(connection, address)


@contextmanager
def set_up(address: Address) -> Generator[Any]:
    """The driver's cursor inside the transaction that gives an empty database its schema."""
    with locked(address) as connection:
        _refuse_occupied(connection, address)
        command.upgrade(alembic_config(connection), "head")
        driver = connection.connection.driver_connection
        assert driver is not None
        cursor = driver.cursor()
        if address.engine is not SQLITE:
            cursor.execute("SET LOCAL TimeZone = 'UTC'")
            cursor.execute("SET LOCAL DateStyle = 'ISO'")
        yield cursor


def check(address: Address) -> None:
    """Raise Alembic's error if the tables are not those of the models."""
    with locked(address) as connection:
        command.check(alembic_config(connection))


@contextmanager
def locked(address: Address) -> Generator[Connection]:
    """A connection in a transaction that no other migration shares; committed at the end if references hold."""
    with _connected(address) as connection, _alone(address), connection.begin():
        if address.engine is SQLITE:
            yield connection
            if broken := connection.execute(text("PRAGMA foreign_key_check")).fetchall():
                message = f"The migration would leave {len(broken)} records that refer to nothing; it was taken back."
                raise SchemaMismatch(message)
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            yield connection


@contextmanager
def _alone(address: Address) -> Generator[None]:
    """Let no other process write to an SQLite file."""
    if address.engine is not SQLITE:
        yield
        return
    with closing(LockFile(address.path)) as lock, lock.held(LOCK_SECONDS):
        yield


def _refuse_occupied(connection: Connection, address: Address) -> None:
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
def _connected(address: Address, *, reading: bool = False) -> Generator[Connection]:
    url = "sqlite://" if address.engine is SQLITE else address.url
    connect = _read_sqlite if reading else _sqlite
    creator = {"creator": lambda: connect(address.path)} if address.engine is SQLITE else {}
    engine = create_engine(url, poolclass=pool.NullPool, hide_parameters=True, **creator)
    if address.engine is SQLITE and not reading:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        message = f"The database {address.shown} cannot be used: {str(error.orig).strip()}"
        raise DatabaseBusy(message) from error
    finally:
        engine.dispose()


def _sqlite(path: Path) -> sqlite3.Connection:
    connection = sqlite.connect(path, LOCK_SECONDS)
    # A table that is rebuilt would take its children along, or be refused.
    connection.execute("PRAGMA foreign_keys=OFF")
    return connection


def _read_sqlite(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=sqlite.BUSY_SECONDS, uri=True)


def _copy(path: Path, revision: str) -> Path:
    """Copy the database as it is committed to a file beside it, which appears when it is whole."""
    target = path.with_name(f"{path.name}.{revision}.backup")
    partial = target.with_name(f"{target.name}.partial")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as copy:
        source.backup(copy)
    partial.replace(target)
    return target


def alembic_config(connection: Connection) -> Config:
    """What Alembic's commands need: the folder of the migrations, and a connection for them."""
    config = Config()
    config.set_main_option("script_location", str(location()))
    config.attributes["connection"] = connection
    return config
