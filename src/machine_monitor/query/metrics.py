"""The kinds of metric that stats can compute. A resource declares its metrics in its `Summary`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, case, literal_column

from machine_monitor.database.kinds import INTEGER

ZERO, ONE = literal_column("0", INTEGER.column_type), literal_column("1", INTEGER.column_type)


@dataclass(frozen=True, eq=False)
class SumMetric:
    """A sum over records. Each record adds `weight(*columns)`, an integer SQL expression.

    The columns are those of the fields named in `reads`.
    """

    name: str
    description: str
    reads: tuple[str, ...]
    weight: Callable[..., ColumnElement]


@dataclass(frozen=True, eq=False)
class IntervalMetric:
    """The seconds covered by the intervals from the field `start` to the field `end`.

    A null end means that the interval is still open. Overlapping intervals of one `subject` (a column, such as the
    machine) count once within a group.
    """

    name: str
    description: str
    start: str
    end: str
    subject: str


Metric = SumMetric | IntervalMetric


@dataclass(frozen=True, eq=False)
class Counters:
    """Counters of a resource: for each value of the fields in `units`, how many records have it.

    Each write updates them. There is one counter for all time and one for each period of the calendar units that
    `units` names; days begin in the zone that `derived` stores.
    """

    table: Table
    derived: Table
    units: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Summary:
    """The facets and stats of a resource: the `fields` to group by, the time field `at`, and the `metrics`."""

    fields: tuple[str, ...]
    at: str
    metrics: Mapping[str, Metric]
    counters: Counters | None = None


def one_if(condition: ColumnElement) -> ColumnElement:
    """Return an SQL expression: 1 where the condition holds, else 0."""
    return case((condition, ONE), else_=ZERO)
