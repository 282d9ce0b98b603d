"""Groups of stats: from the rows of a statement to the response, with the open intervals of each time series."""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement

from machine_monitor.database.engines import canonical_json
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.grouping import json_value
from machine_monitor.query.language.summaries import StatsQuery
from machine_monitor.query.metrics import DurationMetric, IntervalMetric, Metric, Summary, SumMetric
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import counters
from machine_monitor.query.sql.attribute_sums import NO_NUMBERS, AttributeSum
from machine_monitor.query.sql.filters import FilterKey

MAX_GROUPS = 10_000
MICROSECONDS_PER_SECOND = 1_000_000
# Which stored counter unit each requested calendar unit is summed from.
COUNTER_UNIT_OF = {None: counters.ALL_TIME, "day": "day", "week": "day", "month": "month", "year": "month"}


@dataclass(frozen=True)
class StatsKey:
    """The cache key of a stats statement.

    `filter_key` is None without filters, `zone` is None without a calendar unit. `bounds` names the given bounds of the
    window, `from` and `to`. `fields` are those of `names` in their order, calendar units left out.
    """

    resource: Resource
    filter_key: FilterKey | None
    names: tuple[str, ...]
    metrics: tuple[Metric, ...]
    zone: ZoneInfo | None
    bounds: tuple[str, ...] = ()
    fields: Sequence[Field] = dataclass_field(default=(), compare=False)

    @property
    def summary(self) -> Summary:
        """The resource's summary; it must have one."""
        assert self.resource.summary is not None
        return self.resource.summary

    @property
    def unit(self) -> str | None:
        """The requested calendar unit, if any."""
        return next((name for name in self.names if name in UNITS), None)

    @property
    def sum_metrics(self) -> list[SumMetric]:
        """The requested metrics that are sums over records."""
        return [metric for metric in self.metrics if isinstance(metric, SumMetric)]

    @property
    def interval_metrics(self) -> list[IntervalMetric]:
        """The requested metrics that are times covered by intervals."""
        return [metric for metric in self.metrics if isinstance(metric, IntervalMetric)]

    @property
    def duration_metrics(self) -> list[DurationMetric]:
        """The requested metrics that are durations of records."""
        return [metric for metric in self.metrics if isinstance(metric, DurationMetric)]

    @property
    def record_columns(self) -> list[str]:
        """The columns of a row to which each record adds: one for each sum metric, and those of the durations."""
        return [
            *(metric.name for metric in self.sum_metrics),
            *(name for metric in self.duration_metrics for name in duration_columns(metric)),
        ]

    @property
    def fields_read(self) -> list[Field]:
        """The fields to group by, and those that the sum metrics read."""
        return [*self.fields, *(self.resource.fields[name] for metric in self.sum_metrics for name in metric.reads)]

    @property
    def counter_fields_read(self) -> list[Field]:
        """The fields that the sum metrics read if they are computed from counters."""
        reads = ((metric.from_counters or metric).reads for metric in self.sum_metrics)
        return [self.resource.fields[name] for names in reads for name in names]

    @property
    def counter_field(self) -> str | None:
        """The field whose counters can answer the query; None if records must be scanned.

        It must cover all fields that are grouped by and read, and have counters of the calendar unit.
        """
        needs_records = self.filter_key is not None or self.bounds or len(self.sum_metrics) < len(self.metrics)
        if needs_records or self.summary.counters is None:
            return None
        units, counter_unit = self.summary.counters.units, COUNTER_UNIT_OF[self.unit]
        fields = {
            counters.counter_field_of(self.resource, field) for field in (*self.fields, *self.counter_fields_read)
        }
        candidates = [
            name
            for name in units
            if fields <= {name} and (counter_unit == counters.ALL_TIME or counter_unit in units[name])
        ]
        # Without any field, each counted field gives the total. Take the one with the most units: it has the fewest
        # values.
        return max(candidates, key=lambda name: len(units[name]), default=None)

    def counters_read(self, counter_field: str) -> list[str]:
        """Return the names of the counters that answer the query."""
        sums = [metric.from_counters for metric in self.sum_metrics if metric.from_counters is not None]
        return [*dict.fromkeys([counter_field, *(name for each in sums for name in each.weights)])]

    def weights(self, columns: Mapping[str, ColumnElement]) -> dict[str, ColumnElement]:
        """Return what one record adds to each sum metric, as SQL expressions."""
        return {metric.name: metric.weight(*(columns[name] for name in metric.reads)) for metric in self.sum_metrics}

    def counter_weights(
        self, counter_field: str, columns: Mapping[str, ColumnElement]
    ) -> dict[str, dict[str, ColumnElement]]:
        """Return for each sum metric what one counted record adds, by the name of its counter."""
        found: dict[str, dict[str, ColumnElement]] = {}
        for metric in self.sum_metrics:
            reads, weights = metric.reads, {counter_field: metric.weight}
            if metric.from_counters is not None:
                reads, weights = metric.from_counters.reads, metric.from_counters.weights
            read = [columns[name] for name in reads]
            found[metric.name] = {name: weight(*read) for name, weight in weights.items()}
        return found


# A result row by column name: `k0`, `k1` ... are the group keys, `total` is the number of records, then one column for
# each sum metric. An interval metric has three columns: the sum of delta (starts minus ends), and the sum of delta *
# instant (start instants minus end instants), split into whole seconds and the remaining microseconds. A duration
# metric has three too: the sum of the durations, split likewise, and how many records have one.
Row = Mapping[str, Any]
# The sums of attributes by key, and then by group.
AttributeSums = dict[str, dict[tuple, AttributeSum]]


class Rows(NamedTuple):
    """The rows of a statement and their column names; there can be thousands of rows, so they stay tuples."""

    columns: tuple[str, ...]
    rows: Sequence[tuple]

    def pick(self, names: Sequence[str]) -> Iterator[tuple]:
        """Return the values of these columns for each row."""
        positions = [self.columns.index(name) for name in names]
        return (tuple([row[position] for position in positions]) for row in self.rows)


def interval_columns(metric: IntervalMetric) -> tuple[str, str, str]:
    """Return the names of an interval metric's columns: the delta, and the sum of its signed instants in two parts."""
    return f"{metric.name}_delta", f"{metric.name}_seconds", f"{metric.name}_microseconds"


def duration_columns(metric: DurationMetric) -> tuple[str, str, str]:
    """Return the names of a duration metric's columns: the sum in two parts, and the number of records."""
    return f"{metric.name}_seconds", f"{metric.name}_microseconds", f"{metric.name}_records"


class StatsGroup(NamedTuple):
    """One group: its keys in the requested order, and its metric values by name."""

    keys: Sequence[Any]
    values: Mapping[str, int | float | None]


def to_json(query: StatsQuery, stats_key: StatsKey, found: Rows, attributes: AttributeSums) -> bytes:
    """Return the response body: the groups in order, and whether there are more than MAX_GROUPS."""
    if not found.rows and not query.group_by:
        # Without group_by there is always one group, even if no record matches.
        found = Rows((*found.columns,), [(0,) * len(found.columns)])
    groups = _groups(stats_key, found)
    serialized = list(map(_group_serializer(query, stats_key, attributes), islice(groups, MAX_GROUPS)))
    return canonical_json({"groups": serialized, "truncated": next(groups, None) is not None}).encode()


def _groups(stats_key: StatsKey, found: Rows) -> Iterator[StatsGroup]:
    """Yield the groups in order, lazily: a stop of ten years makes a group for each of its days."""
    keys = list(found.pick([f"k{i}" for i in range(len(stats_key.names))]))
    if len(stats_key.sum_metrics) == len(stats_key.metrics):
        sums = [metric.name for metric in stats_key.sum_metrics]
        for key, values in zip(keys, found.pick(sums), strict=True):
            yield StatsGroup(key, dict(zip(sums, map(_integer, values), strict=True)))
        return
    rows: list[Row] = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    if stats_key.unit is None or stats_key.zone is None:
        for key, row in zip(keys, rows, strict=True):
            yield StatsGroup(
                key,
                _record_values(stats_key, row)
                | {
                    metric.name: seconds(-_sum_of_signed_instants(metric, row)) for metric in stats_key.interval_metrics
                },
            )
        return
    unit_position, unit = stats_key.names.index(stats_key.unit), UNITS[stats_key.unit]
    series_by_key: dict[tuple[tuple, tuple], dict[date, Row]] = {}
    for key, row in zip(keys, rows, strict=True):
        series_by_key.setdefault((key[:unit_position], key[unit_position + 1 :]), {})[
            unit.first_day(key[unit_position])
        ] = row
    groups = [_series(stats_key, unit, other_keys, rows_by_day) for other_keys, rows_by_day in series_by_key.items()]
    yield from heapq.merge(*groups, key=lambda group: [(key is None, key) for key in group.keys])


def _record_values(stats_key: StatsKey, row: Row) -> dict[str, int | float | None]:
    """Return the values of the metrics to which each record adds."""
    values: dict[str, int | float | None] = {
        metric.name: _integer(row.get(metric.name)) for metric in stats_key.sum_metrics
    }
    for metric in stats_key.duration_metrics:
        whole, rest, records = (_integer(row.get(name)) for name in duration_columns(metric))
        total = whole * MICROSECONDS_PER_SECOND + rest
        values[metric.name] = seconds(total) if not metric.is_mean else seconds(total, records) if records else None
    return values


def _integer(value: Any) -> int:
    """Convert a sum to an integer: PostgreSQL returns decimals, and the sum of no rows is null."""
    return int(value or 0)


def _series(
    stats_key: StatsKey, unit: calendar.CalendarUnit, other_keys: tuple[tuple, tuple], rows_by_day: dict[date, Row]
) -> Iterator[StatsGroup]:
    """Yield the groups of one time series: all buckets that share the other keys, oldest first.

    `other_keys` are the keys before and after the bucket's.
    """
    before, after = other_keys
    zone = stats_key.zone
    assert zone is not None
    running, first = dict.fromkeys([metric.name for metric in stats_key.interval_metrics], 0), date.min
    while rows_by_day or any(running.values()):
        if not any(running.values()):
            first = next(iter(rows_by_day))
        next_first, row = unit.next_start(first), rows_by_day.pop(first, {})
        begin, end = calendar.start_of_day(first, zone), calendar.start_of_day(next_first, zone)
        values = _record_values(stats_key, row)
        for metric in stats_key.interval_metrics:
            delta = _integer(row.get(f"{metric.name}_delta"))
            # Intervals open at the bucket's start count for the whole bucket. Each start in it adds (end - instant),
            # each end subtracts (end - instant): together delta * end - sum(delta * instant).
            values[metric.name] = seconds(
                running[metric.name] * (end - begin) + delta * end - _sum_of_signed_instants(metric, row)
            )
            running[metric.name] += delta
        if row.get("total") or any(values[metric.name] for metric in stats_key.interval_metrics):
            yield StatsGroup((*before, unit.name(first), *after), values)
        first = next_first


def _sum_of_signed_instants(metric: IntervalMetric, row: Row) -> int:
    _, seconds, microseconds = interval_columns(metric)
    return _integer(row.get(seconds)) * MICROSECONDS_PER_SECOND + _integer(row.get(microseconds))


def seconds(microseconds: int, divisor: int = 1) -> int | float:
    """Return microseconds, divided by `divisor`, as seconds: an integer if there is no fraction."""
    whole, rest = divmod(microseconds, MICROSECONDS_PER_SECOND * divisor)
    return microseconds / (MICROSECONDS_PER_SECOND * divisor) if rest else whole


def _group_serializer(
    query: StatsQuery, stats_key: StatsKey, attributes: AttributeSums
) -> Callable[[StatsGroup], dict[str, Any]]:
    """Return a function that converts a group to its JSON object; built once for thousands of groups."""
    fields = [name for name in query.group_by if name not in UNITS]
    to_json = {name: json_value(field.kind) for name, field in zip(fields, stats_key.fields, strict=True)}
    converted = [(i, to_json[name]) for i, name in enumerate(query.group_by) if name in to_json]
    of_attributes = query.attribute_metrics

    def serialize(group: StatsGroup) -> dict[str, Any]:
        keys = list(group.keys)
        for i, convert in converted:
            keys[i] = convert(keys[i])
        members = dict(zip(query.group_by, keys, strict=True))
        for name in query.metrics:
            if name in of_attributes:
                function, key = of_attributes[name]
                members[name] = attributes[key].get(tuple(group.keys), NO_NUMBERS).value_of(function)
            else:
                members[name] = group.values[name]
        return members

    return serialize
