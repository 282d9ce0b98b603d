"""Run migrations: find the database's revision, upgrade and downgrade."""

from collections.abc import Generator
from contextlib import closing, contextmanager
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
from machine_monitor.errors import SchemaMismatch, UsageError


@dataclass(frozen=True)
class MigrationResult:
    """The result of a migration: the revisions before and after, and the backup of the database file."""

    before: str | None
    after: str | None
    backup: Path | None = None


def current_revision(url: DatabaseUrl) -> str | None:
    """Return the database's revision; None if it is empty or does not exist. Does not wait for writers."""
    if not url.exists:
        return None
    with _connect(url, read_only=True) as connection:
        return _revision(connection)


def ensure_schema(url: DatabaseUrl) -> None:
    """Create the schema in an empty database; raises `SchemaMismatch` if the revision is not the head."""
    revision = current_revision(url)
    if revision is None:
        upgrade(url)
    elif revision != head_revision():
        raise SchemaMismatch(revision_advice(revision))


def require_head(url: DatabaseUrl) -> None:
    """Raise `UsageError` if the database does not exist, `SchemaMismatch` if it is not at the head revision."""
    revision = current_revision(url)
    if revision is None:
        raise UsageError(
            f"There is no database at {url.redacted}. Run the command in the folder of the database, "
            "or set MM_DATABASE_URL. `mm migrate` creates a new database."
        )
    if revision != head_revision():
        raise SchemaMismatch(f"{url.redacted}: {revision_advice(revision)}")


def upgrade(url: DatabaseUrl, revision: str = "head") -> MigrationResult:
    """Upgrade to a revision. Idempotent, and safe to run in two processes at once. SQLite is backed up first."""
    with transaction(url) as connection:
        before = _require_known_revision(connection)
        backup = url.engine.back_up(url.sqlalchemy_url, before) if before not in (None, head_revision()) else None
        command.upgrade(alembic_config(connection), revision)
        return MigrationResult(before, _require_known_revision(connection), backup)


def downgrade(url: DatabaseUrl, revision: str) -> MigrationResult:
    """Downgrade to a revision. SQLite is backed up first."""
    with transaction(url) as connection:
        before = _require_known_revision(connection)
        backup = url.engine.back_up(url.sqlalchemy_url, before) if before is not None else None
        command.downgrade(alembic_config(connection), revision)
        return MigrationResult(before, _require_known_revision(connection), backup)


def require_empty(url: DatabaseUrl) -> None:
    """Raise `UsageError` if the database has any table."""
    if url.exists:
        with _connect(url, read_only=True) as connection:
            _require_no_tables(connection, url)


@contextmanager
def create_schema(url: DatabaseUrl) -> Generator[Any]:
    """Create the schema in an empty database, and yield a cursor of the driver in the same transaction."""
    with transaction(url) as connection:
        _require_no_tables(connection, url)
        command.upgrade(alembic_config(connection), "head")
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        with closing(url.engine.transaction_cursor(driver_connection)) as cursor:
            yield cursor
            url.engine.send_waiting(cursor)


def check(url: DatabaseUrl) -> None:
    """Raise Alembic's error if the models differ from the migrated schema."""
    with transaction(url) as connection:
        command.check(alembic_config(connection))


@contextmanager
def transaction(url: DatabaseUrl) -> Generator[Connection]:
    """Yield a connection in a transaction that excludes other migrations; commit at the end if foreign keys hold."""
    begin = url.engine.migration_transaction
    with _connect(url, read_only=False) as connection, begin(connection, url.sqlalchemy_url):
        yield connection


def _require_no_tables(connection: Connection, url: DatabaseUrl) -> None:
    if tables := inspect(connection).get_table_names():
        raise UsageError(f"{url.redacted} is not empty ({', '.join(sorted(tables)[:3])}). Give an empty database.")


def _revision(connection: Connection) -> str | None:
    """Return the database's revision; raises `SchemaMismatch` if it has none but has tables of another program."""
    # In this order: another process may set up the database between the two, and its tables have a revision.
    tables = {*inspect(connection).get_table_names()} - {"alembic_version"}
    revision = MigrationContext.configure(connection).get_current_revision()
    if tables and revision is None:
        message = f"The database has tables of another program ({', '.join(sorted(tables)[:3])}). Use an empty one."
        raise SchemaMismatch(message)
    return revision


def _require_known_revision(connection: Connection) -> str | None:
    """Return the database's revision; raises `SchemaMismatch` if no migration has it."""
    revision = _revision(connection)
    revisions = {script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions()}
    if revision is not None and revision not in revisions:
        raise SchemaMismatch(revision_advice(revision))
    return revision


def revision_advice(revision: str) -> str:
    """Return the message that tells an operator how to fix a wrong revision."""
    revisions = {script.revision for script in ScriptDirectory(str(migrations_folder())).walk_revisions()}
    if revision in revisions:
        return f"The database is at revision {revision}, behind this version: run `mm migrate`."
    return (
        f"The database is at revision {revision}, ahead of this version: a newer version of the program made it. "
        "Install that version from where you got it: its wheel, checkout or image."
    )


@contextmanager
def _connect(url: DatabaseUrl, *, read_only: bool) -> Generator[Connection]:
    engine = url.engine.migration_engine(url.sqlalchemy_url, read_only=read_only)
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        raise url.unusable(url.engine.explain(url.sqlalchemy_url, error.orig)) from error
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Return the configuration of Alembic's commands: the folder of the migrations, and the connection to use."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["connection"] = connection
    return config
