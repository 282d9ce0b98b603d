"""Records are read through any SQLAlchemy session, and written by the service alone.

A write of a record also writes its history entry, its words in the search index and the counts. A session knows none of
that, so SQLAlchemy refuses to execute an INSERT, UPDATE or DELETE on the tables of records, whether it comes from a
flush, a bulk method or a statement. The session of a unit of work is excepted.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Table, event
from sqlalchemy import Engine as SqlEngine

from machine_monitor.database.sessions import is_unit
from machine_monitor.errors import MonitorError


class ReadOnlyRecord(MonitorError):
    """A program wrote a record through a SQLAlchemy session of its own; nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "A session cannot write records, because it would skip their history, search index and counts: "
            "use the REST API or `machine_monitor.services.records`."
        )


def protect(tables: Collection[Table]) -> None:
    """Let SQLAlchemy refuse every write to these tables, whichever engine of the process it comes from."""

    def refuse_write(connection: Connection, statement: Any, *_parameters: Any) -> None:
        is_write = getattr(statement, "is_dml", False) and statement.table in tables
        if is_write and not is_unit(connection):
            raise ReadOnlyRecord

    event.listen(SqlEngine, "before_execute", refuse_write)
