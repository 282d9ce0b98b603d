"""Metrics: what stats measure. A resource offers those that its `Summary` names; one row here is one metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, case, literal_column

from machine_monitor.database.kinds import INTEGER

ZERO, ONE = literal_column("0", INTEGER.column_type), literal_column("1", INTEGER.column_type)


@dataclass(frozen=True, eq=False)
class SumMetric:
    """A sum over records: each adds the integer `weight`, an expression of the columns of the fields in `reads`."""

    name: str
    sentence: str
    reads: tuple[str, ...]
    weight: Callable[..., ColumnElement]


@dataclass(frozen=True, eq=False)
class SpanMetric:
    """The seconds covered by the spans between the fields `start` and `end`, where null means that a span goes on.

    Spans of one `subject` (a column) count once where they overlap.
    """

    name: str
    sentence: str
    start: str
    end: str
    subject: str


Metric = SumMetric | SpanMetric


@dataclass(frozen=True, eq=False)
class Counters:
    """Counts of a resource's records that each write maintains: of all, for each value of the fields in `units`.

    They are kept for all time and for the units of the calendar named there, in the zone that `derived` stores.
    """

    table: Table
    derived: Table
    units: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Summary:
    """How a resource's records are counted: by which `fields`, `at` which instant, in which `metrics`."""

    fields: tuple[str, ...]
    at: str
    metrics: Mapping[str, Metric]
    counters: Counters | None = None


def one_if(condition: ColumnElement) -> ColumnElement:
    """1 where the condition holds, else 0."""
    return case((condition, ONE), else_=ZERO)
