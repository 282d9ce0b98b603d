"""The kinds of metric that stats can compute. A resource declares its metrics in its `Summary`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Table, case, literal_column, true

from machine_monitor.database.kinds import INTEGER

ZERO, ONE = literal_column("0", INTEGER.column_type), literal_column("1", INTEGER.column_type)


@dataclass(frozen=True, eq=False)
class CounterSum:
    """A sum over counters that equals a sum over records.

    Each record adds `weights[counter](*columns)` for each counter that it is counted in. The columns are those of the
    fields named in `reads`.
    """

    reads: tuple[str, ...]
    weights: Mapping[str, Callable[..., ColumnElement]]


@dataclass(frozen=True, eq=False)
class SumMetric:
    """A sum over records. Each record adds `weight(*columns)`, an integer SQL expression.

    The columns are those of the fields named in `reads`. If they are fields without counters, `from_counters` says how
    to compute the sum from counters, if that is possible.
    """

    name: str
    description: str
    reads: tuple[str, ...]
    weight: Callable[..., ColumnElement]
    from_counters: CounterSum | None = None


@dataclass(frozen=True, eq=False)
class Condition:
    """Which records a metric is about: `holds(*columns)`, an SQL expression over the fields named in `reads`."""

    reads: tuple[str, ...] = ()
    holds: Callable[..., ColumnElement] = true


@dataclass(frozen=True, eq=False)
class IntervalMetric:
    """The seconds covered by the intervals from the field `start` to the field `end`.

    A null end means that the interval is still open. Overlapping intervals of one `subject` (a column, such as the
    machine) count once within a group. Only records that meet the `condition` count.
    """

    name: str
    description: str
    start: str
    end: str
    subject: str
    condition: Condition = Condition()


@dataclass(frozen=True, eq=False)
class DurationMetric:
    """The seconds from the field `start` to the field `end` of each record: their sum, or their mean if `is_mean`.

    Only records that have an end and meet the `condition` count. Without any, the sum is 0 and the mean is null.
    """

    name: str
    description: str
    start: str
    end: str
    condition: Condition = Condition()
    is_mean: bool = False


Metric = SumMetric | IntervalMetric | DurationMetric


@dataclass(frozen=True, eq=False)
class PartialCounters:
    """Counters of a counted field, over only those records that meet a condition on the fields named in `reads`.

    `column_holds` is the condition in SQL, `value_holds` the same in Python. They have the units of their `field`.
    """

    field: str
    reads: tuple[str, ...]
    column_holds: Callable[..., ColumnElement]
    value_holds: Callable[..., bool]


@dataclass(frozen=True, eq=False)
class Counters:
    """Counters of a resource: for each value of the fields in `units`, how many records have it.

    Each write updates them. There is one counter for all time and one for each period of the calendar units that
    `units` names; days begin in the zone that `derived` stores. `partial` has more counters by name, which metrics use.
    """

    table: Table
    derived: Table
    units: Mapping[str, tuple[str, ...]]
    partial: Mapping[str, PartialCounters] = field(default_factory=dict)

    def counted_field(self, counter: str) -> str:
        """Return the field whose values a counter counts."""
        return self.partial[counter].field if counter in self.partial else counter

    @cached_property
    def units_by_counter(self) -> dict[str, tuple[str, ...]]:
        """The calendar units of each counter, the partial ones included."""
        return {**self.units, **{name: self.units[partial.field] for name, partial in self.partial.items()}}

    def reads_of(self, counter: str) -> tuple[str, ...]:
        """Return the fields that decide whether a counter counts a record, and for which value."""
        return (self.counted_field(counter), *(self.partial[counter].reads if counter in self.partial else ()))

    def counts(self, counter: str, values: Mapping[str, Any]) -> bool:
        """Whether a counter counts a record with these values."""
        partial = self.partial.get(counter)
        return partial is None or partial.value_holds(*(values[name] for name in partial.reads))


@dataclass(frozen=True, eq=False)
class Summary:
    """The facets and stats of a resource: the time field `at` that places a record in time, and the `metrics`."""

    at: str
    metrics: Mapping[str, Metric]
    counters: Counters | None = None


def one_if(condition: ColumnElement) -> ColumnElement:
    """Return an SQL expression: 1 where the condition holds, else 0."""
    return case((condition, ONE), else_=ZERO)
