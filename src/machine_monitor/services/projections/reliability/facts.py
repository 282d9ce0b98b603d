"""Read the facts from which the figures of machines are computed.

The facts of whole months are sums, see docs/internals/reliability-sums.md. Those of the other parts of the window, and
of the months that are not summed up, are the logs.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy import union_all as sql_union_all

from machine_monitor.database import instants
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE, INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement, statement_cache
from machine_monitor.models import DERIVED, HISTORY, LOG_TYPES, LOGS, MACHINES, RELIABILITY_MONTHS
from machine_monitor.models.log import CANCELLED, is_failure, stop_kind
from machine_monitor.query import calendar
from machine_monitor.query.language.times import EARLIEST
from machine_monitor.query.lists import LIMIT_PARAM
from machine_monitor.query.sql.counters import ZONE
from machine_monitor.query.sql.filters import FilterKey, where
from machine_monitor.services.projections.reliability import months
from machine_monitor.services.projections.reliability.figures import Sums
from machine_monitor.services.projections.reliability.rows import window_bound

# The kinds of facts.
SIGN_OF_LIFE, SERVICE_ENTRY, STOP, FAILURE, MONTH = range(5)
IN_SERVICE = "in_service"


class Fact(NamedTuple):
    """A row of `facts_statement`, about one machine.

    `start` and `end` are instants in microseconds since 1970; `end` is the entry's number in a SERVICE_ENTRY. `text` is
    the kind of a stop, the operation and the changes of an entry, or the sums and the carried stops at the start of a
    MONTH, separated by blanks.
    """

    machine_id: int
    kind: int
    start: int | None
    end: int | None
    text: str | None


class FactWindow(NamedTuple):
    """The window [start, end), and the span of whole months in it, [first_month, last_month).

    The sums of months are used for this span. If there is none, `last_month` is `start`, and `first_month` is `end`.
    """

    start: datetime
    end: datetime
    first_month: datetime
    last_month: datetime
    zone: ZoneInfo

    def binds(self, engine: Engine) -> dict[str, Any]:
        """Return the values of the binds of `facts_statement`, but for those of the filters and the limit."""
        bounds = {
            "from": self.start,
            "to": self.end,
            "first_month": self.first_month,
            "last_month": self.last_month,
            "beginning": EARLIEST,
        }
        times = {name: engine.to_db(instants.format_instant(instant), TIME) for name, instant in bounds.items()}
        return {**times, "zone": self.zone.key}

    @property
    def microseconds(self) -> tuple[int, int, int]:
        """The start, the end and the first month in microseconds since 1970."""
        start, end, first_month = map(calendar.epoch_microseconds, (self.start, self.end, self.first_month))
        return start, end, first_month


def fact_window(start: datetime, end: datetime, zone: ZoneInfo, *, uses_sums: bool) -> FactWindow:
    """Return the window with its whole months, or without any if their sums are of no use."""
    span = months.whole_months(start, end, zone) if uses_sums else None
    if span is None:
        return FactWindow(start, end, end, start, zone)
    return FactWindow(start, end, *map(months.to_datetime, span), zone)


@statement_cache(64)
def machines_statement(engine: Engine, filter_key: FilterKey, fields: tuple[str, ...]) -> Statement:
    """Compile the machines that the filters choose: id, whether in service now, and the values of these fields."""
    machines = MACHINES.table
    values = [machines.c[name].label(f"k{i}") for i, name in enumerate(fields)]
    query = select(machines.c.id, machines.c[IN_SERVICE], *values).where(*where(engine, filter_key))
    return compile_statement(engine, query)


@statement_cache(64)
def facts_statement(engine: Engine, filter_key: FilterKey, by_month: bool) -> Statement:  # noqa: FBT001 -- a cache key
    """Compile the facts of these machines in a `FactWindow`; `by_month` includes every month between its ends."""
    return _compile(engine, where(engine, filter_key), by_month=by_month)


@statement_cache(2)
def facts_of_machine_statement(engine: Engine) -> Statement:
    """Compile the facts of the machine with the id `machine` in a `FactWindow`."""
    is_machine = MACHINES.table.c.id == bindparam("machine", type_=INTEGER.column_type)
    return _compile(engine, [is_machine], by_month=False)


def _compile(engine: Engine, clauses: Sequence[ColumnElement], *, by_month: bool) -> Statement:
    bases = _bases(clauses)
    branches = [
        *_signs_of_life(engine, clauses),
        _service_entries(engine, bases),
        *_stops(engine, bases),
        *_failures(engine, bases),
        _months(engine, bases, by_month=by_month),
    ]
    return compile_statement(engine, sql_union_all(*branches).limit(LIMIT_PARAM))


def _fact(
    machine_id: ColumnElement,
    kind: int,
    start: ColumnElement | None,
    end: ColumnElement | None = None,
    text: ColumnElement | None = None,
) -> Select:
    columns = (
        machine_id,
        literal_column(str(kind)),
        cast(null(), BigInteger) if start is None else start,
        cast(null(), BigInteger) if end is None else end,
        cast(null(), Text) if text is None else text,
    )
    return select(*[column.label(name) for column, name in zip(columns, Fact._fields, strict=True)])


def _bases(clauses: Sequence[ColumnElement]) -> Subquery:
    """Select the machines, and between which times the logs of each are read, before and after the summed months.

    A base is the start of the last month whose row is to be used; its carried stops stand for all earlier logs. Without
    one, only a machine that is stopped when the window begins has earlier stops that matter: merged ones reach back.
    `first_summed` is the first month whose sums are used.

    The bounds are columns, not binds: SQLite would otherwise read all logs in them, and then look for their machine.
    They are in no CTE: SQLite 3.40 expects a million rows of the second use of one, and reads all logs to make a Bloom
    filter.
    """
    machines, kept = MACHINES.table, RELIABILITY_MONTHS
    zone = bindparam("zone", type_=CODE.column_type)
    is_stored_zone = and_(DERIVED.c.name == literal_column(f"'{ZONE}'"), DERIVED.c.value == zone)
    in_this_zone = select(DERIVED.c.name).where(is_stored_zone).exists()

    def one_start(function: Callable[[ColumnElement], ColumnElement], *conditions: ColumnElement) -> ColumnElement:
        is_usable = (kept.c.machine_id == machines.c.id, kept.c.is_claimed.is_(False), in_this_zone)
        return select(function(kept.c.start)).where(*is_usable, *conditions).correlate(machines).scalar_subquery()

    first_month, last_month = window_bound("first_month"), window_bound("last_month")
    found = select(
        machines.c.id,
        one_start(func.max, kept.c.start <= window_bound("from")).label("base_before"),
        one_start(func.max, kept.c.start <= last_month).label("base_after"),
        one_start(func.min, kept.c.start >= first_month, kept.c.start <= last_month).label("first_summed"),
    ).where(*clauses)
    base = found.subquery()
    after = case((base.c.base_after > first_month, base.c.base_after), else_=first_month)
    earliest = case((_is_stopped_at_start(base.c.id), window_bound("beginning")), else_=window_bound("from"))
    bounds = {
        "stops_before": func.coalesce(base.c.base_before, earliest),
        "failures_before": window_bound("from"),
        "before_ends": first_month,
        "after": after,
        "after_ends": window_bound("to"),
    }
    return select(*base.c, *[bound.label(name) for name, bound in bounds.items()]).subquery("bases")


def _is_stopped_at_start(machine_id: ColumnElement) -> ColumnElement:
    """Whether a stop that began before the window lasts until it begins, or longer."""
    logs = LOGS.table.alias("crossing")
    return exists().where(
        logs.c.machine_id == machine_id,
        *_counted_logs(logs),
        logs.c.down_from.is_not(None),
        logs.c.down_from < window_bound("from"),
        or_(logs.c.down_to.is_(None), logs.c.down_to >= window_bound("from")),
    )


def _signs_of_life(engine: Engine, clauses: Sequence[ColumnElement]) -> list[Select]:
    machines, logs = MACHINES.table, LOGS.table
    first_log, first_stop = (
        select(logs.c[name])
        .where(logs.c.machine_id == machines.c.id, logs.c[name].is_not(None), *_counted_logs(logs))
        .order_by(logs.c[name])
        .limit(literal_column("1"))
        .correlate(machines)
        .scalar_subquery()
        for name in ("started_at", "down_from")
    )
    return [
        _fact(machines.c.id, SIGN_OF_LIFE, engine.microseconds(instant)).where(*clauses)
        for instant in (machines.c.created_at, first_log, first_stop)
    ]


def _service_entries(engine: Engine, bases: Subquery) -> Select:
    history = HISTORY.table
    text = history.c.op.concat(literal_column("' '")).concat(cast(history.c.changes, Text))
    return _fact(history.c.record_id, SERVICE_ENTRY, engine.microseconds(history.c.at), history.c.seq, text).where(
        history.c.resource == literal_column(f"'{MACHINES.name}'"),
        history.c.record_id.in_(select(bases.c.id)),
        cast(history.c.changes, Text).like(literal_column(f"'%\"{IN_SERVICE}\"%'")),
    )


def _stops(engine: Engine, bases: Subquery) -> list[Select]:
    logs, types = LOGS.table, LOG_TYPES.table
    end = engine.microseconds(logs.c.down_to)
    kind = stop_kind(types.c.counts_as_failure, logs.c.down_kind)
    stops = (
        _fact(logs.c.machine_id, STOP, engine.microseconds(logs.c.down_from), end, kind)
        .select_from(bases.join(logs, logs.c.machine_id == bases.c.id).outerjoin(types, types.c.code == logs.c.type))
        .where(*_counted_logs(logs), logs.c.down_from.is_not(None))
    )
    at, since = logs.c.down_from, bases.c.stops_before
    return [stops.where(at >= since, at < bases.c.before_ends), stops.where(*_after_summed_months(bases, at))]


def _failures(engine: Engine, bases: Subquery) -> list[Select]:
    """Select the failures without a stop."""
    logs, types = LOGS.table, LOG_TYPES.table
    failures = (
        _fact(logs.c.machine_id, FAILURE, engine.microseconds(logs.c.started_at))
        .select_from(bases.join(logs, logs.c.machine_id == bases.c.id).outerjoin(types, types.c.code == logs.c.type))
        .where(
            logs.c.deleted_at.is_(None),
            logs.c.down_from.is_(None),
            is_failure(types.c.counts_as_failure, logs.c.status, logs.c.down_kind),
        )
    )
    at, since = logs.c.started_at, bases.c.failures_before
    return [failures.where(at >= since, at < bases.c.before_ends), failures.where(*_after_summed_months(bases, at))]


def _after_summed_months(bases: Subquery, at: ColumnElement) -> list[ColumnElement]:
    return [at >= bases.c.after, at < bases.c.after_ends]


def _months(engine: Engine, bases: Subquery, *, by_month: bool) -> Select:
    """Select the months at which sums and carried stops are read: the bases, and the first of the summed months.

    `by_month` selects all months between the bases.
    """
    kept = RELIABILITY_MONTHS
    if by_month:
        first = func.coalesce(bases.c.base_before, window_bound("first_month"))
        is_read = and_(kept.c.start >= first, kept.c.start <= bases.c.base_after)
    else:
        is_read = kept.c.start.in_([bases.c.base_before, bases.c.base_after, bases.c.first_summed])
    blank, text = literal_column("' '"), literal_column("''", Text)
    for name in Sums._fields:
        text = text.concat(cast(kept.c[name], Text)).concat(blank)
    text = text.concat(func.coalesce(kept.c.carried, literal_column("''")))
    return _fact(kept.c.machine_id, MONTH, engine.microseconds(kept.c.start), None, text).select_from(
        bases.join(kept, and_(kept.c.machine_id == bases.c.id, is_read, kept.c.is_claimed.is_(False)))
    )


def _counted_logs(logs: FromClause) -> list[ColumnElement]:
    """Return the clauses that leave out the logs that count for nothing."""
    return [logs.c.deleted_at.is_(None), logs.c.status != CANCELLED]
