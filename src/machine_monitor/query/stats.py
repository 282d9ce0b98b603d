"""Stats: metrics of records by fields and by the calendar, from counters where they tell, else from the records.

A span such as a stop is two events: it adds one to what runs when it begins, and takes one away when it ends. The
statement sums these deltas and their instants by bucket; Python carries what still runs from one bucket to the next.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    SelectBase,
    Text,
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
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query import calendar
from machine_monitor.query.calendar import UNITS
from machine_monitor.query.language.summaries import StatsQuery
from machine_monitor.query.metrics import ONE, ZERO, Metric, SpanMetric, Summary, SumMetric
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import counters
from machine_monitor.query.sql.filters import Matching, compile_filters, where

MAX_GROUPS = 10_000
SECOND = 1_000_000
# The unit whose counters make up those of another.
SOURCES = {None: counters.ALL_TIME, "day": "day", "week": "day", "month": "month", "year": "month"}
LIMIT = bindparam("limit", type_=INTEGER.column_type)
MICROSECONDS = literal_column(str(SECOND), BigInteger())


@dataclass(frozen=True)
class Grouping:
    """All that a statement of stats depends on; `matching` is None for all records, `zone` where no unit is named."""

    resource: Resource
    matching: Matching | None
    names: tuple[str, ...]
    metrics: tuple[Metric, ...]
    zone: ZoneInfo | None

    @property
    def summary(self) -> Summary:
        """How the resource is summarised."""
        assert self.resource.summary is not None
        return self.resource.summary

    @property
    def unit(self) -> str | None:
        """The unit of the calendar."""
        return next((name for name in self.names if name in UNITS), None)

    @property
    def fields(self) -> list[Field]:
        """The fields, in their order."""
        return [self.resource.fields[name] for name in self.names if name not in UNITS]

    @property
    def sums(self) -> list[SumMetric]:
        """The metrics that each record adds to."""
        return [metric for metric in self.metrics if isinstance(metric, SumMetric)]

    @property
    def spans(self) -> list[SpanMetric]:
        """The metrics that measure time."""
        return [metric for metric in self.metrics if isinstance(metric, SpanMetric)]

    @property
    def read(self) -> list[Field]:
        """The fields that the sums are made of."""
        return [self.resource.fields[name] for metric in self.sums for name in metric.reads]

    @property
    def counter_field(self) -> str | None:
        """The field whose counters answer, if any do: there is one for all fields, and it has the unit."""
        if self.matching is not None or self.spans or self.summary.counters is None:
            return None
        units, source = self.summary.counters.units, SOURCES[self.unit]
        fields = {counters.counted_field(self.resource, known) for known in (*self.fields, *self.read)}
        known = [name for name in units if fields <= {name} and (source == counters.ALL_TIME or source in units[name])]
        # Of those that tell the number of all records, one with few values: it has the most units.
        return max(known, key=lambda name: len(units[name]), default=None)

    def weights(self, columns: Mapping[str, ColumnElement]) -> dict[str, ColumnElement]:
        """What one record adds to each sum."""
        return {metric.name: metric.weight(*(columns[name] for name in metric.reads)) for metric in self.sums}


# A row of a statement, by the names of its columns: `k0`, `k1` ... for the keys, `total` for the number of records, the
# name of a sum for its value; of a span its delta, and the sum of the instants at which it ends less those at which it
# begins, in whole seconds and the microseconds beyond them.
Row = Mapping[str, Any]


class Rows(NamedTuple):
    """The rows of a statement, and the names of their columns; there may be thousands, so they stay tuples."""

    columns: tuple[str, ...]
    rows: Sequence[tuple]

    def pick(self, names: Sequence[str]) -> Iterator[tuple]:
        """Of each row the values of these columns."""
        places = [self.columns.index(name) for name in names]
        return (tuple([row[place] for place in places]) for row in self.rows)


def _span_columns(span: SpanMetric) -> tuple[str, str, str]:
    return f"{span.name}_delta", f"{span.name}_seconds", f"{span.name}_microseconds"


class Group(NamedTuple):
    """One group: its keys in the order that was asked, and its metrics by name; those of time in microseconds."""

    keys: Sequence[Any]
    measured: Mapping[str, int]


async def fetch(database: Database, query: StatsQuery) -> bytes:
    """The groups, as the JSON text that goes out."""
    grouping, values = _compile(database.engine, query)
    rows = await _fetch(database, query, grouping, values)
    # Ten thousand groups take a tenth of a second.
    return await asyncio.to_thread(_document, query, grouping, rows)


def _compile(engine: Engine, query: StatsQuery) -> tuple[Grouping, dict[str, Any]]:
    resource, matching, values = query.resource, None, {}
    if query.conditions or query.terms != ():
        matching, values = compile_filters(engine, resource, query.conditions, query.terms)
    assert resource.summary is not None
    metrics = tuple(metric for name, metric in resource.summary.metrics.items() if name in query.metrics)
    zone = query.clock.zone if set(query.group_by) & set(UNITS) else None
    return Grouping(resource, matching, query.group_by, metrics, zone), values


async def _fetch(database: Database, query: StatsQuery, grouping: Grouping, values: Mapping[str, Any]) -> Rows:
    if grouping.counter_field is not None:
        statement = await asyncio.to_thread(counters_statement, database.engine, grouping)
        rows = await database.fetch(statement, {"zone": query.clock.zone.key, "limit": MAX_GROUPS + 1})
        zone, total = (statement.columns.index(name) for name in ("zone", "total"))
        if rows and (grouping.unit is None or rows[0][zone] == query.clock.zone.key):
            return Rows(statement.columns, [row for row in rows if row[total] is not None])
    # In a thread: the first statement in a zone looks for all changes of its clock.
    statement = await asyncio.to_thread(scan_statement, database.engine, grouping)
    now = database.engine.store(instants.text(query.clock.now), TIME)
    # A row without a group is where all spans end just as a bucket begins: the bucket before it is a group.
    rows = await database.fetch(statement, {**values, "now": now, "limit": 2 * (MAX_GROUPS + 1)})
    return Rows(statement.columns, rows)


@lru_cache(maxsize=256)
def counters_statement(engine: Engine, grouping: Grouping) -> Statement:
    """Rows of the counters, each with the zone that they are of; one row of nulls if it is not the one asked for."""
    resource, field = grouping.resource, grouping.counter_field
    assert field is not None
    kept = counters.counters_of(resource)
    table, shown = kept.table, [*grouping.fields, *grouping.read]
    columns = {known.name: counters.column(resource, known) for known in shown}
    keys = {known.name: columns[known.name] for known in grouping.fields}
    if grouping.unit:
        keys[grouping.unit] = UNITS[grouping.unit].column(engine, table.c.period)
    total = func.sum(table.c.count)
    weights = grouping.weights(columns).items()
    sums = [(total if weight is ONE else func.sum(weight * table.c.count)).label(name) for name, weight in weights]
    found = (
        select(*_labelled(grouping, keys), total.label("total"), *sums)
        .select_from(counters.joined(resource, shown))
        .where(*counters.rows_of(resource, field, SOURCES[grouping.unit]))
        .group_by(*keys.values())
        .having(total > ZERO)
    )
    rows, zone = found.subquery(), kept.derived
    same_zone = zone.c.value == bindparam("zone", type_=Text()) if grouping.unit else true()
    query = (
        select(zone.c.value.label("zone"), *rows.c)
        .select_from(zone.outerjoin(rows, same_zone))
        .where(zone.c.name == literal_column(f"'{counters.ZONE}'"))
        .order_by(*_in_order([rows.c[f"k{i}"] for i in range(len(grouping.names))]))
        .limit(LIMIT)
    )
    return compile_statement(engine, query)


@lru_cache(maxsize=256)
def scan_statement(engine: Engine, grouping: Grouping) -> Statement:
    """A row for each combination of keys, which are fields and the unit's bucket, in their order."""
    matching = grouping.matching or Matching(grouping.resource)
    parts: list[SelectBase] = [_records(engine, grouping, matching)]
    for span in grouping.spans:
        pieces = _pieces(engine, grouping, matching, span)
        parts += [_events(engine, grouping, pieces, span, side) for side in ("beginning", "end")]
    events = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("events")
    keys = [events.c[f"k{i}"] for i in range(len(grouping.names))]
    sums: dict[str, ColumnElement] = {
        name: events.c[name] for name in ["total", *[metric.name for metric in grouping.sums]]
    }
    for span in grouping.spans:
        delta, seconds, microseconds = _span_columns(span)
        instant = events.c[f"{span.name}_at"]
        sums[delta] = events.c[delta]
        sums[seconds] = events.c[delta] * (instant // MICROSECONDS)
        sums[microseconds] = events.c[delta] * (instant % MICROSECONDS)
    query = select(*keys, *[func.sum(column).label(name) for name, column in sums.items()])
    query = query.group_by(*keys).order_by(*_in_order(keys)).limit(LIMIT)
    return compile_statement(engine, query, searching=matching.search is not None)


def _records(engine: Engine, grouping: Grouping, matching: Matching) -> Select:
    """Each record in its group, placed by the instant that places it."""
    resource = grouping.resource
    shown = [*grouping.fields, *grouping.read]
    columns = {known.name: known.column for known in shown if known.column is not None}
    keys = {known.name: columns[known.name] for known in grouping.fields}
    at = resource.fields[grouping.summary.at].column
    assert at is not None
    keys |= _bucket(engine, grouping, at)
    found = select(*_labelled(grouping, keys), *_measured(grouping, grouping.weights(columns), ONE))
    # Outer joins, though each record is there: SQLite would go through the related records and look up ours one by one.
    return found.select_from(resource.source(shown, outer=True)).where(*where(engine, matching))


def _measured(
    grouping: Grouping, given: Mapping[str, ColumnElement], total: ColumnElement = ZERO
) -> list[ColumnElement]:
    """The columns of an event beside its keys, in one order for all kinds: what is given, else 0."""
    names = [metric.name for metric in grouping.sums]
    names += [name for span in grouping.spans for name in (f"{span.name}_delta", f"{span.name}_at")]
    return [total.label("total"), *[given.get(name, ZERO).label(name) for name in names]]


def _pieces(engine: Engine, grouping: Grouping, matching: Matching, span: SpanMetric) -> CTE:
    """The spans of each subject in a group without their overlaps: each from where those before it end."""
    resource = grouping.resource
    beginning, last = (resource.fields[name].column for name in (span.start, span.end))
    assert beginning is not None
    end = func.coalesce(last, bindparam("now", type_=TIME.column_type))
    columns = [known.column for known in grouping.fields]
    keys = {f"k{i}": column for i, column in enumerate(columns) if column is not None}
    reached = func.max(end).over(
        partition_by=[*keys.values(), resource.table.c[span.subject]], order_by=beginning, rows=(None, -1)
    )
    spans = (
        select(
            *[column.label(name) for name, column in keys.items()],
            beginning.label("beginning"),
            end.label("end"),
            reached.label("reached"),
        )
        .select_from(resource.source(grouping.fields, outer=True))
        .where(*where(engine, matching), end > beginning)
        .subquery(f"{span.name}_spans")
    )
    start = case((spans.c.reached > spans.c.beginning, spans.c.reached), else_=spans.c.beginning)
    return (
        select(*[spans.c[name] for name in keys], start.label("beginning"), spans.c.end)
        .where(spans.c.end > start)
        .cte(f"{span.name}_pieces")
    )


def _events(engine: Engine, grouping: Grouping, pieces: CTE, span: SpanMetric, side: str) -> Select:
    """The instants at which spans begin, or end."""
    at, delta = pieces.c[side], ONE if side == "beginning" else -ONE
    keys = {known.name: pieces.c[f"k{i}"] for i, known in enumerate(grouping.fields)} | _bucket(engine, grouping, at)
    given = {f"{span.name}_delta": delta, f"{span.name}_at": engine.microseconds(at)}
    return select(*_labelled(grouping, keys), *_measured(grouping, given))


def _labelled(grouping: Grouping, keys: Mapping[str, ColumnElement]) -> list[ColumnElement]:
    return [keys[name].label(f"k{i}") for i, name in enumerate(grouping.names)]


def _in_order(keys: Iterable[ColumnElement]) -> list[ColumnElement]:
    return [key.asc().nulls_last() for key in keys]


def _bucket(engine: Engine, grouping: Grouping, at: ColumnElement) -> dict[str, ColumnElement]:
    if grouping.unit is None or grouping.zone is None:
        return {}
    return {grouping.unit: UNITS[grouping.unit].column(engine, calendar.day_column(engine, at, grouping.zone))}


def _document(query: StatsQuery, grouping: Grouping, found: Rows) -> bytes:
    if not found.rows and not query.group_by:
        # Nothing is one group, too.
        found = Rows((*found.columns,), [(0,) * len(found.columns)])
    groups = _groups(grouping, found)
    shown = list(map(_shown(query, grouping), islice(groups, MAX_GROUPS)))
    return canonical_json({"groups": shown, "truncated": next(groups, None) is not None}).encode()


def _groups(grouping: Grouping, found: Rows) -> Iterator[Group]:
    """The groups in their order, one by one: a long stop makes one of every day."""
    keys = list(found.pick([f"k{i}" for i in range(len(grouping.names))]))
    if not grouping.spans:
        sums = [metric.name for metric in grouping.sums]
        for key, values in zip(keys, found.pick(sums), strict=True):
            yield Group(key, dict(zip(sums, map(_integer, values), strict=True)))
        return
    rows: list[Row] = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    if grouping.unit is None or grouping.zone is None:
        for key, row in zip(keys, rows, strict=True):
            yield Group(key, _sums(grouping, row) | {span.name: -_moments(span, row) for span in grouping.spans})
        return
    place, unit = grouping.names.index(grouping.unit), UNITS[grouping.unit]
    lines: dict[tuple[tuple, tuple], dict[date, Row]] = {}
    for key, row in zip(keys, rows, strict=True):
        lines.setdefault((key[:place], key[place + 1 :]), {})[unit.first_day(key[place])] = row
    groups = [_line(grouping, unit, around, line) for around, line in lines.items()]
    yield from heapq.merge(*groups, key=lambda group: [(key is None, key) for key in group.keys])


def _sums(grouping: Grouping, row: Row) -> dict[str, int]:
    return {metric.name: _integer(row.get(metric.name)) for metric in grouping.sums}


def _integer(value: Any) -> int:
    """A sum as an integer: PostgreSQL's are decimals, and a sum of nothing is null."""
    return int(value or 0)


def _line(
    grouping: Grouping, unit: calendar.Unit, around: tuple[tuple, tuple], line: dict[date, Row]
) -> Iterator[Group]:
    """The groups of all buckets that have the same other keys, `around` the bucket's, in the order of time."""
    before, after = around
    zone = grouping.zone
    assert zone is not None
    running, first = dict.fromkeys([span.name for span in grouping.spans], 0), date.min
    while line or any(running.values()):
        if not any(running.values()):
            first = next(iter(line))
        following, row = unit.following(first), line.pop(first, {})
        begin, end = calendar.beginning(first, zone), calendar.beginning(following, zone)
        measured = _sums(grouping, row)
        for span in grouping.spans:
            delta = _integer(row.get(f"{span.name}_delta"))
            # What runs from before does so to the end, what begins here from then on; what ends here not to the end.
            measured[span.name] = running[span.name] * (end - begin) + delta * end - _moments(span, row)
            running[span.name] += delta
        if row.get("total") or any(measured[span.name] for span in grouping.spans):
            yield Group((*before, unit.name(first), *after), measured)
        first = following


def _moments(span: SpanMetric, row: Row) -> int:
    _, seconds, microseconds = _span_columns(span)
    return _integer(row.get(seconds)) * SECOND + _integer(row.get(microseconds))


def _seconds(microseconds: int) -> int | float:
    seconds, fraction = divmod(microseconds, SECOND)
    return microseconds / SECOND if fraction else seconds


def _shown(query: StatsQuery, grouping: Grouping) -> Callable[[Group], dict[str, Any]]:
    """What shows a group; made once, for there may be thousands."""
    spans = {span.name for span in grouping.spans}
    kinds = {name: query.resource.fields[name].kind for name in query.group_by if name not in UNITS}
    ranks = [
        (i, kinds[name].choices)
        for i, name in enumerate(query.group_by)
        if name in kinds and kinds[name].name == "rank"
    ]

    def show(group: Group) -> dict[str, Any]:
        keys = list(group.keys)
        for i, choices in ranks:
            keys[i] = None if keys[i] is None else choices[int(keys[i])]
        shown = dict(zip(query.group_by, keys, strict=True))
        for name in query.metrics:
            shown[name] = _seconds(group.measured[name]) if name in spans else group.measured[name]
        return shown

    return show
