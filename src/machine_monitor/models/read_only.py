"""Forbid ORM writes to records outside units of work.

Writing a record also writes its history entry, search index and counters, which a plain session cannot know.
SQLAlchemy therefore refuses INSERT, UPDATE and DELETE on these tables, whether they come from a flush, a bulk method
or a statement, except in the session of a unit of work.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Table, event
from sqlalchemy import Engine as SqlEngine

from machine_monitor.database.sessions import is_unit
from machine_monitor.errors import MonitorError


class ReadOnlyRecord(MonitorError):
    """A program tried to write a record through its own SQLAlchemy session; nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "A session cannot write records, because it would skip their history, search index and counters: "
            "use the REST API or `machine_monitor.services.records`."
        )


def forbid_writes(tables: Collection[Table]) -> None:
    """Make every SQLAlchemy engine of this process reject writes to these tables."""

    def refuse_write(connection: Connection, statement: Any, *_parameters: Any) -> None:
        is_write = getattr(statement, "is_dml", False) and statement.table in tables
        if is_write and not is_unit(connection):
            raise ReadOnlyRecord

    event.listen(SqlEngine, "before_execute", refuse_write)
