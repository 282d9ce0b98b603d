"""Counters of logs, updated by each write: counting millions of logs per request would take seconds."""

from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT
from machine_monitor.models.fields import Schema


class LogCount(Schema, table=True):
    """Table of counters: for each value of a field, the number of logs of all time or of a month or day.

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


LOG_COUNTS = LogCount.metadata.tables["log_counts"]
