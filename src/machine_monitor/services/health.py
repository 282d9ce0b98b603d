"""Whether the database answers and is what this version of the code works with."""

from sqlalchemy import column, select, table

from machine_monitor.database import migrations
from machine_monitor.database.connect import Database
from machine_monitor.database.statements import compile_statement
from machine_monitor.errors import DatabaseBusy

_REVISION = select(column("version_num")).select_from(table("alembic_version"))


async def check(database: Database) -> None:
    """Raise `DatabaseBusy` unless the database answers at the revision of this code."""
    rows = await database.fetch(compile_statement(database.engine, _REVISION), {})
    if [tuple(row) for row in rows] != [(migrations.newest(),)]:
        message = "The database has the schema of another version: run `mm migrate`."
        raise DatabaseBusy(message)
