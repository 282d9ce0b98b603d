"""Derived data: what it was built with, the last backup, the counters of logs, and the sums of reliability."""

from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from machine_monitor.database.kinds import BOOLEAN, CODE, INTEGER, TEXT, TIME
from machine_monitor.models.fields import Instant, Schema

IS_DIFFERENCE = text("transaction_id <> 0")


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
    On PostgreSQL, a transaction writes differences under its `transaction_id`. They are added to the row of 0 later;
    the counter is the sum of all.
    """

    __tablename__ = "log_counts"
    __table_args__: ClassVar[Any] = (
        Index(None, "transaction_id", sqlite_where=IS_DIFFERENCE, postgresql_where=IS_DIFFERENCE),
        {"sqlite_with_rowid": False},
    )

    field: str = Field(primary_key=True, sa_type=CODE.column_type)
    unit: str = Field(primary_key=True, sa_type=CODE.column_type)
    period: str = Field(primary_key=True, sa_type=CODE.column_type)
    value: str = Field(primary_key=True, sa_type=TEXT.column_type)
    transaction_id: int = Field(primary_key=True, sa_type=INTEGER.column_type)
    count: int = Field(sa_type=INTEGER.column_type)


class ReliabilityMonth(Schema, table=True):
    """Table of the sums of the stops and failures of a machine before a month: times in microseconds, and counts.

    `start` is the start of the month; the sums are those of all time before it, and `carried` has the stops that began
    before it. A month without stops and failures may have no row. What came after the last row of a machine is not
    summed up yet. See docs/internals/reliability-sums.md.
    """

    __tablename__ = "reliability_months"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    machine_id: int = Field(primary_key=True, sa_type=INTEGER.column_type)
    start: Instant = Field(primary_key=True, sa_type=TIME.column_type)
    is_claimed: bool = Field(sa_type=BOOLEAN.column_type)
    down: int = Field(sa_type=INTEGER.column_type)
    unplanned: int = Field(sa_type=INTEGER.column_type)
    failure: int = Field(sa_type=INTEGER.column_type)
    failures: int = Field(sa_type=INTEGER.column_type)
    repairs: int = Field(sa_type=INTEGER.column_type)
    repair: int = Field(sa_type=INTEGER.column_type)
    carried: str | None = Field(default=None, sa_type=CODE.column_type)


DERIVED = Derived.metadata.tables["derived"]
LOG_COUNTS = LogCount.metadata.tables["log_counts"]
RELIABILITY_MONTHS = ReliabilityMonth.metadata.tables["reliability_months"]
