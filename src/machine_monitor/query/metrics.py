"""Metrics: what stats measure. A resource offers those that its `Summary` names; one row here is one metric."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, literal_column

from machine_monitor.database.kinds import INTEGER

ZERO, ONE = literal_column("0", INTEGER.column_type), literal_column("1", INTEGER.column_type)


@dataclass(frozen=True, eq=False)
class SumMetric:
    """A sum over records: each adds the integer `weight`, an expression of the columns of the fields in `reads`."""

    name: str
    description: str
    reads: tuple[str, ...]
    weight: Callable[..., ColumnElement]


@dataclass(frozen=True, eq=False)
class IntervalMetric:
    """The seconds covered by the spans between the fields `start` and `end`, where null means that a span goes on.

    Spans of one `subject` (a column) count once where they overlap.
    """

    name: str
    description: str
    start: str
    end: str
    subject: str


Metric = SumMetric | IntervalMetric


def one_if(condition: ColumnElement) -> ColumnElement:
    """1 where the condition holds, else 0."""
    return case((condition, ONE), else_=ZERO)
