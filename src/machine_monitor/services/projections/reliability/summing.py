"""Sum up the reliability of machines by month, in the background. See docs/internals/reliability-sums.md."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from secrets import token_hex
from time import monotonic
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, and_, bindparam, delete, func, insert, select

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE, INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import MonitorError
from machine_monitor.lasting_condition import LastingCondition
from machine_monitor.models import MACHINES, RELIABILITY_MONTHS
from machine_monitor.query import calendar
from machine_monitor.query.language.times import EARLIEST
from machine_monitor.services.projections import counters
from machine_monitor.services.projections.reliability import carried, facts, months
from machine_monitor.services.projections.reliability.carried import NOTHING
from machine_monitor.services.projections.reliability.facts import Fact, FactWindow
from machine_monitor.services.projections.reliability.figures import FigureSums, Sums
from machine_monitor.services.projections.reliability.intervals import Windows
from machine_monitor.services.projections.reliability.reading import MachineFacts, MonthRow, is_in_service
from machine_monitor.services.projections.reliability.rows import MAX_ROWS

logger = logging.getLogger(__name__)
# How many machines are summed up between two pauses.
BATCH = 20
INTERVAL_SECONDS = 60.0
NO_LIMIT = 1 << 62
NOTHING_YET = MonthRow(0, Sums(), NOTHING)


class Summed(NamedTuple):
    """The rows of a machine from `base` on; they replace those that it has."""

    machine_id: int
    base: datetime
    rows: list[MonthRow]


class Batch(NamedTuple):
    """Machines whose months before `until` are to be summed up, and the text by which their claims are known."""

    machine_ids: tuple[int, ...]
    until: datetime
    zone: ZoneInfo
    claim: str


async def sum_periodically(database: Database) -> None:
    """Sum up the months that have ended, and those whose logs have changed since, until cancelled."""
    failing = LastingCondition(logger, "The months of machines are summed up again.")
    found, took = 0, 0.0
    while True:
        # Half of the time is for others.
        await asyncio.sleep(took if found else INTERVAL_SECONDS)
        began = monotonic()
        try:
            found = await sum_batch(database, instants.now())
            failing.end()
        except MonitorError as error:
            found = 0
            failing.report(f"The months of machines could not be summed up: {error}")
        took = monotonic() - began


async def sum_batch(database: Database, now: datetime) -> int:
    """Sum up the past months of some machines; return how many machines there were."""
    batch = await database.read(lambda tx: _find_batch(tx, now))
    if batch.machine_ids:
        await sum_machines(database, batch)
    return len(batch.machine_ids)


async def sum_machines(database: Database, batch: Batch) -> None:
    """Sum up the months of machines. A machine of which a log is written meanwhile is left as it is."""
    # Claimed before the logs are read: a log that is written later than that deletes the claim.
    await database.write(lambda tx: tx.defer(_claim, batch))
    summed = await database.read(lambda tx: [_sum_up(tx, one, batch.until, batch.zone) for one in batch.machine_ids])
    await database.write(lambda tx: tx.defer(_write, (batch, summed)))


def find_wrong_sums(tx: Transaction) -> list[int]:
    """Return the ids of the machines whose sums do not match their logs."""
    zone, stored = ZoneInfo(counters.counter_zone(tx)), {}
    for machine_id, *row in tx.execute(_stored_rows_statement(tx.engine), {}):
        stored.setdefault(machine_id, []).append(tuple(row))
    return [
        machine_id
        for machine_id, rows in stored.items()
        if rows != _right_rows(tx, machine_id, months.to_datetime(rows[-1][0]), zone)
    ]


def _right_rows(tx: Transaction, machine_id: int, until: datetime, zone: ZoneInfo) -> list[tuple]:
    found = _read_facts(tx, machine_id, FactWindow(EARLIEST, until, until, EARLIEST, zone), limit=None)
    assert found is not None
    rows = _month_rows(found, calendar.epoch_microseconds(until), zone)
    return [(row.start, *row.sums, row.carried.to_text()) for row in rows]


def _sum_up(tx: Transaction, machine_id: int, until: datetime, zone: ZoneInfo) -> Summed:
    """Sum up the months from the last row on, until just before `until`, or less if there are too many logs."""
    rows = tx.execute(_last_start_statement(tx.engine), {"machine": machine_id})
    base = EARLIEST if rows[0][0] is None else months.to_datetime(rows[0][0])
    later_months = [*months.months_between(base, until, zone)][1:]
    while (found := _read_facts(tx, machine_id, FactWindow(base, until, until, base, zone), limit=MAX_ROWS)) is None:
        later_months = later_months[: len(later_months) // 2 + 1]
        until = months.to_datetime(later_months.pop())
    return Summed(machine_id, base, [*_month_rows(found, calendar.epoch_microseconds(until), zone)])


def _read_facts(tx: Transaction, machine_id: int, window: FactWindow, *, limit: int | None) -> MachineFacts | None:
    """Return the facts of a machine; None if there are more than `limit`, and the window has more than one month."""
    is_one_month = len([*islice(months.months_between(window.start, window.end, window.zone), 2)]) < 2
    most = NO_LIMIT if limit is None or is_one_month else limit
    binds = {**window.binds(tx.engine), "machine": machine_id, "limit": most + 1}
    rows = tx.execute(facts.facts_of_machine_statement(tx.engine), binds)
    if len(rows) > most:
        return None
    found = MachineFacts(is_in_service_now=is_in_service(*tx.execute(_in_service_statement(tx.engine), binds)[0]))
    for fact in map(Fact._make, rows):
        found.add(fact)
    return found


def _month_rows(found: MachineFacts, until: int, zone: ZoneInfo) -> Iterator[MonthRow]:
    """Yield the rows of the months that have stops or failures, and the last one, that of `until`."""
    base = found.last_row(until)
    first = base.start if base else min([*found.failures, *(stop.start for stop in found.stops)], default=until)
    starts = [*months.months_between(months.to_datetime(first), months.to_datetime(until), zone), until]
    sums, stops_before = (base or NOTHING_YET)[1:]
    carried_over = carried.carry(stops_before, found.stops, starts)
    for start, of_month, stops in zip(starts, _sums_by_month(found, starts), carried_over, strict=True):
        if start == until or (of_month, stops) != (Sums(), NOTHING):
            yield MonthRow(start, sums, stops)
        sums = sums.plus(of_month)


def _sums_by_month(found: MachineFacts, starts: Sequence[int]) -> Iterator[Sums]:
    """Yield the sums of each month, and none for the last one, which is not over."""
    if len(starts) > 1:
        added = FigureSums(Windows(starts))
        added.add(found.machine_in(starts[0], starts[-1]))
        yield from (figures.sums for figures in added.figures())
    yield Sums()


def _find_batch(tx: Transaction, now: datetime) -> Batch:
    zone = ZoneInfo(counters.counter_zone(tx))
    until = months.to_datetime(months.start_of_month(now, zone))
    binds = {"until": _to_db(tx.engine, until), "limit": BATCH}
    rows = tx.execute(_stale_machines_statement(tx.engine), binds)
    return Batch(tuple(row[0] for row in rows), until, zone, token_hex(8))


def _claim(tx: Transaction, batches: Sequence[Batch]) -> None:
    tx.acquire_sums_lock()
    claim = {"is_claimed": True, **Sums()._asdict()}
    rows = [
        {"machine_id": machine_id, "start": _to_db(tx.engine, batch.until), "carried": batch.claim, **claim}
        for batch in batches
        for machine_id in batch.machine_ids
    ]
    tx.execute_many(_claim_statement(tx.engine), rows)


def _write(tx: Transaction, results: Sequence[tuple[Batch, Sequence[Summed]]]) -> None:
    """Write the rows of the machines whose claim is still there."""
    tx.acquire_sums_lock()
    for batch, summed in results:
        claim = {"until": _to_db(tx.engine, batch.until), "claim": batch.claim}
        claimed = {row[0] for row in tx.execute(_claimed_statement(tx.engine), claim)}
        for machine_id, base, rows in summed:
            if machine_id in claimed:
                tx.execute(_delete_statement(tx.engine), {"machine": machine_id, "base": _to_db(tx.engine, base)})
                tx.execute_many(_insert_statement(tx.engine), [_columns(tx.engine, machine_id, row) for row in rows])


def _columns(engine: Engine, machine_id: int, row: MonthRow) -> dict[str, Any]:
    kept = {"machine_id": machine_id, "start": _to_db(engine, months.to_datetime(row.start)), "is_claimed": False}
    return {**kept, **row.sums._asdict(), "carried": row.carried.to_text()}


def _to_db(engine: Engine, instant: datetime) -> Any:
    return engine.to_db(instants.format_instant(instant), TIME)


@cache
def _stale_machines_statement(engine: Engine) -> Statement:
    """Compile the machines that are not summed up until `until`, in any order: several services take different ones."""
    kept, machine_id = RELIABILITY_MONTHS, MACHINES.table.c.id
    is_summed_up = and_(kept.c.machine_id == machine_id, kept.c.is_claimed.is_(False), kept.c.start >= _time("until"))
    stale = select(machine_id).where(~select(kept.c.machine_id).where(is_summed_up).exists())
    return compile_statement(engine, stale.order_by(func.random()).limit(_integer("limit")))


@cache
def _last_start_statement(engine: Engine) -> Statement:
    kept = RELIABILITY_MONTHS
    last = func.max(kept.c.start).label("last")
    found = select(last).where(kept.c.machine_id == _integer("machine"), kept.c.is_claimed.is_(False)).subquery()
    return compile_statement(engine, select(engine.microseconds(found.c.last)))


@cache
def _stored_rows_statement(engine: Engine) -> Statement:
    kept = RELIABILITY_MONTHS
    columns = [kept.c.machine_id, engine.microseconds(kept.c.start), *(kept.c[name] for name in Sums._fields)]
    query = select(*columns, kept.c.carried).where(kept.c.is_claimed.is_(False))
    return compile_statement(engine, query.order_by(kept.c.machine_id, kept.c.start))


@cache
def _in_service_statement(engine: Engine) -> Statement:
    machines = MACHINES.table
    return compile_statement(engine, select(machines.c.in_service).where(machines.c.id == _integer("machine")))


@cache
def _claim_statement(engine: Engine) -> Statement:
    row = engine.insert(RELIABILITY_MONTHS).values(_row_binds())
    taken_over = {"is_claimed": row.excluded.is_claimed, "carried": row.excluded.carried}
    key = RELIABILITY_MONTHS.primary_key.columns
    return compile_statement(engine, row.on_conflict_do_update(index_elements=key, set_=taken_over))


@cache
def _claimed_statement(engine: Engine) -> Statement:
    kept = RELIABILITY_MONTHS
    claim = bindparam("claim", type_=CODE.column_type)
    is_claim = and_(kept.c.start == _time("until"), kept.c.is_claimed.is_(True), kept.c.carried == claim)
    return compile_statement(engine, select(kept.c.machine_id).where(is_claim))


@cache
def _delete_statement(engine: Engine) -> Statement:
    kept = RELIABILITY_MONTHS
    gone = delete(kept).where(kept.c.machine_id == _integer("machine"), kept.c.start >= _time("base"))
    return compile_statement(engine, gone)


@cache
def _insert_statement(engine: Engine) -> Statement:
    return compile_statement(engine, insert(RELIABILITY_MONTHS).values(_row_binds()))


def _row_binds() -> dict[str, BindParameter]:
    return {column.name: bindparam(column.name, type_=column.type) for column in RELIABILITY_MONTHS.columns}


def _integer(name: str) -> BindParameter:
    return bindparam(name, type_=INTEGER.column_type)


def _time(name: str) -> BindParameter:
    return bindparam(name, type_=TIME.column_type)
