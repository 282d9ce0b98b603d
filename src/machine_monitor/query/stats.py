"""Stats: metrics grouped by fields and calendar buckets, read from counters if they suffice, else from the records.

Downtime is a sweep line: a stop is +1 when it starts and -1 when it ends. SQL sums the deltas, and the deltas times
their instants, per bucket; Python carries the number of open intervals from one bucket to the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    SelectBase,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import Statement, compile_statement, statement_cache
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.grouping import bind_keys, group_fields
from machine_monitor.query.language.summaries import StatsQuery
from machine_monitor.query.lists import LIMIT_PARAM
from machine_monitor.query.metrics import ONE, ZERO, Condition, DurationMetric, IntervalMetric
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import attribute_sums, counters
from machine_monitor.query.sql.filters import FilterKey, compile_filters, where
from machine_monitor.query.stats_groups import (
    COUNTER_UNIT_OF,
    MAX_GROUPS,
    MICROSECONDS_PER_SECOND,
    AttributeSums,
    Rows,
    StatsKey,
    duration_columns,
    interval_columns,
    to_json,
)

BOUNDS = ("from", "to")
SECOND = literal_column(str(MICROSECONDS_PER_SECOND), BigInteger())


async def fetch(database: Database, query: StatsQuery) -> bytes:
    """Return the response body."""
    stats_key, values = _compile(database.engine, query)
    rows = await _fetch(database, query, stats_key, values)
    attributes = await _fetch_attributes(database, query, stats_key, values)
    # In a thread: serializing 10,000 groups takes 0.1 s and would block the event loop.
    return await database.compute(to_json, query, stats_key, rows, attributes)


def _compile(engine: Engine, query: StatsQuery) -> tuple[StatsKey, dict[str, Any]]:
    resource, filter_key, values = query.resource, None, {}
    if query.conditions or query.terms != ():
        filter_key, values = compile_filters(engine, resource, query.conditions, query.terms)
    assert resource.summary is not None
    metrics = tuple(metric for name, metric in resource.summary.metrics.items() if name in query.metrics)
    zone = query.time_context.zone if set(query.group_by) & set(UNITS) else None
    bounds = {name: instant for name, instant in zip(BOUNDS, query.window, strict=True) if instant is not None}
    values |= {name: engine.to_db(instants.format_instant(instant), TIME) for name, instant in bounds.items()}
    names = [name for name in query.group_by if name not in UNITS]
    fields = group_fields(engine, resource, names)
    values |= bind_keys(resource, names)
    return StatsKey(resource, filter_key, query.group_by, metrics, zone, tuple(bounds), fields), values


async def _fetch(database: Database, query: StatsQuery, stats_key: StatsKey, values: Mapping[str, Any]) -> Rows:
    # Attributes are read from the records in any case.
    if stats_key.counter_field is not None and not query.attribute_metrics:
        statement = await database.get_statement(counters_statement, database.engine, stats_key)
        bound = {**values, "zone": query.time_context.zone.key, "limit": MAX_GROUPS + 1}
        rows = await database.fetch(statement, bound)
        zone_index, total_index = (statement.columns.index(name) for name in ("zone", "total"))
        if rows and (stats_key.unit is None or rows[0][zone_index] == query.time_context.zone.key):
            return Rows(statement.columns, [row for row in rows if row[total_index] is not None])
    # In a thread: the first statement for a zone computes all of its offset transitions.
    statement = await database.get_statement(scan_statement, database.engine, stats_key)
    now = database.engine.to_db(instants.format_instant(query.time_context.now), TIME)
    # Up to half of the rows make no group: a row that only ends intervals exactly at a bucket's start adds nothing to
    # that bucket, while the bucket before it is a group. Hence twice the limit.
    rows = await database.fetch(statement, {**values, "now": now, "limit": 2 * (MAX_GROUPS + 1)})
    return Rows(statement.columns, rows)


async def _fetch_attributes(
    database: Database, query: StatsQuery, stats_key: StatsKey, values: Mapping[str, Any]
) -> AttributeSums:
    """Return the sums of each attribute that a metric names, by its key and then by group."""
    found: AttributeSums = {}
    for key in dict.fromkeys(metric.key for metric in query.attribute_metrics.values()):
        # The metrics are no part of this statement.
        statement = await database.get_statement(attribute_statement, database.engine, replace(stats_key, metrics=()))
        bound = {**values, "attribute": key, "limit": 2 * (MAX_GROUPS + 1)}
        rows = await database.fetch(statement, bound)
        found[key] = await database.compute(attribute_sums.read, rows)
    return found


@statement_cache(256)
def attribute_statement(engine: Engine, stats_key: StatsKey) -> Statement:
    """Compile the sums of the attribute `attribute`: a row for each group with a number in it, in the groups' order."""
    resource, filter_key = stats_key.resource, stats_key.filter_key or FilterKey(stats_key.resource)
    keys = _label_columns(stats_key, _record_keys(engine, stats_key))
    number = attribute_sums.number_column(engine, resource, bindparam("attribute", type_=Text()))
    clauses = [*where(engine, filter_key), *_window_clauses(stats_key), *attribute_sums.is_finite(number)]
    records = select(*keys, number.label("number"))
    records = records.select_from(resource.joined_table(stats_key.fields, outer=True)).where(*clauses)
    names = [key.name for key in keys]
    query = attribute_sums.aggregate(engine, records.subquery(), names)
    query = query.order_by(*_ascending_nulls_last([query.selected_columns[name] for name in names]))
    return compile_statement(engine, query.limit(LIMIT_PARAM), uses_fulltext=filter_key.search is not None)


@statement_cache(256)
def counters_statement(engine: Engine, stats_key: StatsKey) -> Statement:
    """Compile the statement that reads the counters; `zone` in each row is the time zone that they were built for.

    There is a single row, null except for `zone`, if no group has records, or if a calendar unit is requested and the
    counters were built for another time zone.
    """
    resource, counter_field = stats_key.resource, stats_key.counter_field
    assert counter_field is not None
    resource_counters = counters.counters_of(resource)
    table, fields = resource_counters.table, [*stats_key.fields, *stats_key.counter_fields_read]
    columns = {field.name: counters.column(resource, field) for field in fields}
    keys = {field.name: columns[field.name] for field in stats_key.fields}
    if stats_key.unit:
        keys[stats_key.unit] = UNITS[stats_key.unit].name_column(engine, table.c.period)
    names = stats_key.counters_read(counter_field)
    weights = {"total": {counter_field: ONE}, **stats_key.counter_weights(counter_field, columns)}
    sums = {name: _sum_counters(resource, by_counter, names) for name, by_counter in weights.items()}
    found = (
        select(*_label_columns(stats_key, keys), *[column.label(name) for name, column in sums.items()])
        .select_from(counters.join_related(resource, fields))
        .where(*counters.row_clauses(resource, names, COUNTER_UNIT_OF[stats_key.unit]))
        .group_by(*keys.values())
        .having(sums["total"] > ZERO)
    )
    rows, derived = found.subquery(), resource_counters.derived
    same_zone = derived.c.value == bindparam("zone", type_=Text()) if stats_key.unit else true()
    query = (
        select(derived.c.value.label("zone"), *rows.c)
        .select_from(derived.outerjoin(rows, same_zone))
        .where(derived.c.name == literal_column(f"'{counters.ZONE}'"))
        .order_by(*_ascending_nulls_last([rows.c[f"k{i}"] for i in range(len(stats_key.names))]))
        .limit(LIMIT_PARAM)
    )
    return compile_statement(engine, query)


def _sum_counters(resource: Resource, weights: Mapping[str, ColumnElement], selected: Sequence[str]) -> ColumnElement:
    """Sum the selected counters, each times the weight of its name; a counter without a weight adds nothing."""
    count = counters.counters_of(resource).table.c.count
    products = {name: count if weight is ONE else weight * count for name, weight in weights.items()}
    if len(selected) == 1:
        return func.sum(products[selected[0]])
    return func.sum(case(*[(counters.is_counter(resource, name), each) for name, each in products.items()], else_=ZERO))


@statement_cache(256)
def scan_statement(engine: Engine, stats_key: StatsKey) -> Statement:
    """Compile the scan of records: one row for each combination of group keys, in key order."""
    filter_key = stats_key.filter_key or FilterKey(stats_key.resource)
    branches: list[SelectBase] = [_record_events(engine, stats_key, filter_key)]
    for metric in stats_key.interval_metrics:
        intervals = _merged_intervals(engine, stats_key, filter_key, metric)
        branches += [_interval_events(engine, stats_key, intervals, metric, side) for side in ("start", "end")]
    events = (union_all(*branches) if len(branches) > 1 else branches[0]).subquery("events")
    keys = [events.c[f"k{i}"] for i in range(len(stats_key.names))]
    sums: dict[str, ColumnElement] = {name: events.c[name] for name in ["total", *stats_key.record_columns]}
    for metric in stats_key.interval_metrics:
        delta, seconds, microseconds = interval_columns(metric)
        # Two sums, because SQLite's 64-bit SUM would overflow at about 5,000 instants in microseconds.
        instant = events.c[f"{metric.name}_at"]
        sums[delta] = events.c[delta]
        sums[seconds] = events.c[delta] * (instant // SECOND)
        sums[microseconds] = events.c[delta] * (instant % SECOND)
    query = select(*keys, *[func.sum(column).label(name) for name, column in sums.items()])
    query = query.group_by(*keys).order_by(*_ascending_nulls_last(keys)).limit(LIMIT_PARAM)
    return compile_statement(engine, query, uses_fulltext=filter_key.search is not None)


def _record_events(engine: Engine, stats_key: StatsKey, filter_key: FilterKey) -> Select:
    """Select each record with its group keys; the bucket comes from the summary's time field."""
    resource, fields = stats_key.resource, stats_key.fields_read
    keys, columns = _record_keys(engine, stats_key), _columns_of(fields)
    given = stats_key.weights(columns)
    for metric in stats_key.duration_metrics:
        given |= _duration_columns(engine, resource, metric)
    found = select(*_label_columns(stats_key, keys), *_metric_columns(stats_key, given, ONE))
    # LEFT JOIN although the related record always exists: with an inner join SQLite makes the related table the outer
    # loop, and looks up the records of each related record.
    found = found.select_from(resource.joined_table(fields, outer=True))
    return found.where(*where(engine, filter_key), *_window_clauses(stats_key))


def _columns_of(fields: Iterable[Field]) -> dict[str, ColumnElement]:
    return {field.name: field.column for field in fields if field.column is not None}


def _record_keys(engine: Engine, stats_key: StatsKey) -> dict[str, ColumnElement]:
    """Return the group keys of a record by name."""
    return _columns_of(stats_key.fields) | _bucket(engine, stats_key, _time_column(stats_key))


def _time_column(stats_key: StatsKey) -> ColumnElement:
    """Return the column that places a record in time."""
    at = stats_key.resource.fields[stats_key.summary.at].column
    assert at is not None
    return at


def _window_clauses(stats_key: StatsKey) -> list[ColumnElement]:
    """Return the clauses that hold for records in the requested window."""
    at, bounds = _time_column(stats_key), stats_key.bounds
    clauses = {"from": at >= _bound("from"), "to": at < _bound("to")}
    return [clauses[name] for name in bounds]


def _bound(name: str) -> ColumnElement:
    """Return a bound of the requested window, or `now`."""
    return bindparam(name, type_=TIME.column_type)


def _duration_columns(engine: Engine, resource: Resource, metric: DurationMetric) -> dict[str, ColumnElement]:
    """Return what a record adds to the columns of a duration metric."""
    start, end = (resource.fields[name].column for name in (metric.start, metric.end))
    assert start is not None
    assert end is not None
    is_counted = and_(end.is_not(None), _holds(resource, metric.condition))
    duration = engine.microseconds(end) - engine.microseconds(start)
    columns = (duration // SECOND, duration % SECOND, ONE)
    return {
        name: case((is_counted, column), else_=ZERO)
        for name, column in zip(duration_columns(metric), columns, strict=True)
    }


def _holds(resource: Resource, condition: Condition) -> ColumnElement:
    return condition.holds(*_columns_of(resource.fields[name] for name in condition.reads).values())


def _metric_columns(
    stats_key: StatsKey, given: Mapping[str, ColumnElement], total: ColumnElement = ZERO
) -> list[ColumnElement]:
    """Return the metric columns of an event, 0 where not given, in the same order for every branch of the UNION."""
    names = [*stats_key.record_columns]
    names += [name for metric in stats_key.interval_metrics for name in (f"{metric.name}_delta", f"{metric.name}_at")]
    return [total.label("total"), *[given.get(name, ZERO).label(name) for name in names]]


def _merged_intervals(engine: Engine, stats_key: StatsKey, filter_key: FilterKey, metric: IntervalMetric) -> CTE:
    """Select the intervals of each subject and group, cut to the window, with overlaps removed.

    An interval that starts before an earlier one ends is cut to start at that end, or dropped if nothing is left.
    """
    resource, bounds = stats_key.resource, stats_key.bounds
    first, end_column = (resource.fields[name].column for name in (metric.start, metric.end))
    assert first is not None
    last = func.coalesce(end_column, _bound("now"))
    start = case((first < _bound("from"), _bound("from")), else_=first) if "from" in bounds else first
    end = case((last > _bound("to"), _bound("to")), else_=last) if "to" in bounds else last
    columns = [field.column for field in stats_key.fields]
    keys = {f"k{i}": column for i, column in enumerate(columns) if column is not None}
    latest_end_so_far = func.max(end).over(
        partition_by=[*keys.values(), resource.table.c[metric.subject]], order_by=start, rows=(None, -1)
    )
    intervals = (
        select(
            *[column.label(name) for name, column in keys.items()],
            start.label("start"),
            end.label("end"),
            latest_end_so_far.label("latest_end_so_far"),
        )
        .select_from(resource.joined_table(stats_key.fields, outer=True))
        # The comparison of the columns themselves lets SQLite use the partial index of intervals.
        .where(*where(engine, filter_key), _holds(resource, metric.condition), last > first, end > start)
        .subquery(f"{metric.name}_intervals")
    )
    covered_to = intervals.c.latest_end_so_far
    uncovered_start = case((covered_to > intervals.c.start, covered_to), else_=intervals.c.start)
    return (
        select(*[intervals.c[name] for name in keys], uncovered_start.label("start"), intervals.c.end)
        .where(intervals.c.end > uncovered_start)
        .cte(f"{metric.name}_merged")
    )


def _interval_events(engine: Engine, stats_key: StatsKey, intervals: CTE, metric: IntervalMetric, side: str) -> Select:
    """Select the start events (+1) or the end events (-1) of the merged intervals."""
    at, delta = intervals.c[side], ONE if side == "start" else -ONE
    keys = {field.name: intervals.c[f"k{i}"] for i, field in enumerate(stats_key.fields)} | _bucket(
        engine, stats_key, at
    )
    given = {f"{metric.name}_delta": delta, f"{metric.name}_at": engine.microseconds(at)}
    return select(*_label_columns(stats_key, keys), *_metric_columns(stats_key, given))


def _label_columns(stats_key: StatsKey, keys: Mapping[str, ColumnElement]) -> list[ColumnElement]:
    return [keys[name].label(f"k{i}") for i, name in enumerate(stats_key.names)]


def _ascending_nulls_last(keys: Iterable[ColumnElement]) -> list[ColumnElement]:
    return [key.asc().nulls_last() for key in keys]


def _bucket(engine: Engine, stats_key: StatsKey, at: ColumnElement) -> dict[str, ColumnElement]:
    if stats_key.unit is None or stats_key.zone is None:
        return {}
    return {
        stats_key.unit: UNITS[stats_key.unit].name_column(
            engine, calendar.local_date_column(engine, at, stats_key.zone)
        )
    }
