"""How many logs there are: counts that each write keeps, for what is too much to count when it is asked."""

from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from machine_monitor.database.kinds import CODE, INTEGER, TEXT
from machine_monitor.models.fields import Schema


class LogCount(Schema, table=True):
    """The table of counts, for each value of a field, ever (`unit` all, `period` empty) or in a month or day.

    `value` is the column's text after `=`, or empty for null.
    """

    __tablename__ = "log_counts"
    __table_args__: ClassVar[Any] = (
        # The most frequent values of a field.
        Index(None, "field", "count", sqlite_where=text("unit = 'all'"), postgresql_where=text("unit = 'all'")),
        {"sqlite_with_rowid": False},
    )

    field: str = Field(primary_key=True, sa_type=CODE.column_type)
    unit: str = Field(primary_key=True, sa_type=CODE.column_type)
    period: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(primary_key=True, sa_type=TEXT.column_type)
    count: int = Field(sa_type=INTEGER.column_type)


LOG_COUNTS = LogCount.metadata.tables["log_counts"]
