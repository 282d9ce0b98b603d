"""Derived data: what it was built with, the last backup, and the counters of logs."""

from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT
from machine_monitor.models.fields import Schema


class Derived(Schema, table=True):
    """Table of values about the database itself, by name.

    New rules for words, or a new Unicode version, make the next command rebuild the search index; a new time zone the
    counters.
    `mm backup` writes `last_backup`.
    """

    __tablename__ = "derived"

    name: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(sa_type=CODE.column_type)


class LogCount(Schema, table=True):
    """Table of counters: for each value of a field, the number of logs of all time or of a month or day.

    Each write updates them: counting millions of logs per request would take seconds.
    All time has the `unit` all and an empty `period`. `value` is `=` and the column's text, or empty for null.
    """

    __tablename__ = "log_counts"
    __table_args__: ClassVar[Any] = (
        # Finds the most frequent values of a field.
        Index(None, "field", "count", sqlite_where=text("unit = 'all'"), postgresql_where=text("unit = 'all'")),
        {"sqlite_with_rowid": False},
    )

    field: str = Field(primary_key=True, sa_type=CODE.column_type)
    unit: str = Field(primary_key=True, sa_type=CODE.column_type)
    period: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(primary_key=True, sa_type=TEXT.column_type)
    count: int = Field(sa_type=INTEGER.column_type)


DERIVED = Derived.metadata.tables["derived"]
LOG_COUNTS = LogCount.metadata.tables["log_counts"]
