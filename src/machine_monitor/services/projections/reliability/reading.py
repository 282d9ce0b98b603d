"""Read the machines that a query chooses, and the facts from which their figures are computed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    cast,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy import union_all as sql_union_all

from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement, statement_cache
from machine_monitor.models import HISTORY, LOG_TYPES, LOGS, MACHINES
from machine_monitor.models.log import CANCELLED, is_failure, stop_kind
from machine_monitor.query.lists import LIMIT_PARAM
from machine_monitor.query.sql.filters import FilterKey, where
from machine_monitor.services.projections.reliability.figures import Machine, Stop
from machine_monitor.services.projections.reliability.intervals import FOREVER, Interval, Intervals
from machine_monitor.services.projections.reliability.rows import window_bound

# The kinds of facts.
SIGN_OF_LIFE, SERVICE_ENTRY, STOP, FAILURE = range(4)
IN_SERVICE = "in_service"
CREATIONS = ("create", "import")


class Fact(NamedTuple):
    """A row of `facts_statement`: something known of a machine.

    `start` and `end` are instants in microseconds since 1970; `end` is the entry's number in a SERVICE_ENTRY. `text` is
    the kind of a stop, or the operation and the changes of an entry.
    """

    machine_id: int
    kind: int
    start: int | None
    end: int | None
    text: str | None


class ServiceEntry(NamedTuple):
    """An entry of a machine's history that says whether it is in service."""

    seq: int
    at: int
    is_creation: bool
    before: bool | None
    after: bool | None


@dataclass
class _MachineFacts:
    signs: list[int] = field(default_factory=list)
    entries: list[ServiceEntry] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)


@statement_cache(64)
def machines_statement(engine: Engine, filter_key: FilterKey, fields: tuple[str, ...]) -> Statement:
    """Compile the machines that the filters choose: id, whether in service now, and the values of these fields."""
    machines = MACHINES.table
    values = [machines.c[name].label(f"k{i}") for i, name in enumerate(fields)]
    query = select(machines.c.id, machines.c[IN_SERVICE], *values).where(*where(engine, filter_key))
    return compile_statement(engine, query)


@statement_cache(64)
def facts_statement(engine: Engine, filter_key: FilterKey) -> Statement:
    """Compile the facts of these machines in the window from `from` until just before `to`."""
    machines = MACHINES.table
    chosen = select(machines.c.id).where(*where(engine, filter_key)).correlate(None)
    branches = [
        *_signs_of_life(engine, where(engine, filter_key)),
        _service_entries(engine, chosen),
        _stops(engine, chosen),
        _failures(engine, chosen),
    ]
    return compile_statement(engine, sql_union_all(*branches).limit(LIMIT_PARAM))


def read_machines(facts: Iterable[Sequence], in_service_now: Mapping[int, bool | None]) -> dict[int, Machine]:
    """Return what the facts say of each machine."""
    found = {machine_id: _MachineFacts() for machine_id in in_service_now}
    for fact in map(Fact._make, facts):
        # A machine that was created after `machines_statement` ran is not known.
        if fact.machine_id in found:
            _add(found[fact.machine_id], fact)
    return {
        machine_id: Machine(
            min(each.signs, default=FOREVER),
            service_intervals(each.entries, is_in_service_now=in_service_now[machine_id] is not False),
            each.stops,
            each.failures,
        )
        for machine_id, each in found.items()
    }


def service_intervals(entries: Iterable[ServiceEntry], *, is_in_service_now: bool) -> Intervals:
    """Return when a machine was in service. Before its first entry it is as that entry says; null is in service."""
    ordered = sorted(entries)
    if not ordered:
        return [(0, FOREVER)] if is_in_service_now else []
    first = ordered[0]
    states = [(0, (first.after if first.is_creation else first.before) is not False)]
    states += [(entry.at, entry.after is not False) for entry in ordered]
    intervals: list[Interval] = []
    # A clock that was set back can give an entry an earlier time than the one before it.
    end = FOREVER
    for start, is_in_service in reversed(states):
        if is_in_service and start < end:
            intervals.append((start, end))
        end = min(start, end)
    return intervals[::-1]


def _add(machine: _MachineFacts, fact: Fact) -> None:
    if fact.start is None:
        return
    if fact.kind == SIGN_OF_LIFE:
        machine.signs.append(fact.start)
    elif fact.kind == FAILURE:
        machine.failures.append(fact.start)
    elif fact.kind == STOP and fact.text is not None:
        machine.stops.append(Stop(fact.start, FOREVER if fact.end is None else fact.end, fact.text))
    elif fact.text is not None and fact.end is not None:
        op, _, changes = fact.text.partition(" ")
        change = json.loads(changes).get(IN_SERVICE)
        if change is not None:
            machine.entries.append(ServiceEntry(fact.end, fact.start, op in CREATIONS, *change))


def _fact(
    machine_id: ColumnElement,
    kind: int,
    start: ColumnElement,
    end: ColumnElement | None = None,
    text: ColumnElement | None = None,
) -> Select:
    columns = (
        machine_id,
        literal_column(str(kind)),
        start,
        cast(null(), BigInteger) if end is None else end,
        cast(null(), Text) if text is None else text,
    )
    return select(*[column.label(name) for column, name in zip(columns, Fact._fields, strict=True)])


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


def _service_entries(engine: Engine, chosen: Select) -> Select:
    history = HISTORY.table
    text = history.c.op.concat(literal_column("' '")).concat(cast(history.c.changes, Text))
    return _fact(history.c.record_id, SERVICE_ENTRY, engine.microseconds(history.c.at), history.c.seq, text).where(
        history.c.resource == literal_column(f"'{MACHINES.name}'"),
        history.c.record_id.in_(chosen),
        cast(history.c.changes, Text).like(literal_column(f"'%\"{IN_SERVICE}\"%'")),
    )


def _stops(engine: Engine, chosen: Select) -> Select:
    """Select the stops of the window, and all earlier ones of the machines that stood when it began.

    Only those can belong to a merged stop that reaches into the window.
    """
    logs, types = LOGS.table, LOG_TYPES.table
    crossing = logs.alias("crossing")
    standing = select(crossing.c.machine_id).where(
        *_counted_logs(crossing),
        crossing.c.down_from.is_not(None),
        crossing.c.down_from < window_bound("from"),
        _ends_after_start(crossing),
    )
    end = engine.microseconds(logs.c.down_to)
    kind = stop_kind(types.c.counts_as_failure, logs.c.down_kind)
    return (
        _fact(logs.c.machine_id, STOP, engine.microseconds(logs.c.down_from), end, kind)
        .select_from(logs.outerjoin(types, types.c.code == logs.c.type))
        .where(
            *_counted_logs(logs),
            logs.c.machine_id.in_(chosen),
            logs.c.down_from.is_not(None),
            logs.c.down_from < window_bound("to"),
            or_(_ends_after_start(logs), logs.c.machine_id.in_(standing.correlate(None))),
        )
    )


def _failures(engine: Engine, chosen: Select) -> Select:
    """Select the failures without a stop in the window."""
    logs, types = LOGS.table, LOG_TYPES.table
    return (
        _fact(logs.c.machine_id, FAILURE, engine.microseconds(logs.c.started_at))
        .select_from(logs.outerjoin(types, types.c.code == logs.c.type))
        .where(
            logs.c.deleted_at.is_(None),
            logs.c.machine_id.in_(chosen),
            logs.c.down_from.is_(None),
            is_failure(types.c.counts_as_failure, logs.c.status, logs.c.down_kind),
            logs.c.started_at >= window_bound("from"),
            logs.c.started_at < window_bound("to"),
        )
    )


def _counted_logs(logs: Table | Any) -> list[ColumnElement]:
    """Return the clauses that leave out the logs that count for nothing."""
    return [logs.c.deleted_at.is_(None), logs.c.status != CANCELLED]


def _ends_after_start(logs: Table | Any) -> ColumnElement:
    """Whether a stop lasts until the window begins, or longer."""
    return or_(logs.c.down_to.is_(None), logs.c.down_to >= window_bound("from"))
