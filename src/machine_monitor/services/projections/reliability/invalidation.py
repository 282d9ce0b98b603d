"""Delete the monthly sums of reliability that a write makes wrong, in the transaction of the write.

A log counts from the start of its stop on, or else from `started_at` on. So all sums of its machine that end later are
deleted; the months before keep theirs. See docs/internals/reliability-sums.md.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, select

from machine_monitor.database import instants
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, RELIABILITY_MONTHS
from machine_monitor.query.language.times import EARLIEST
from machine_monitor.query.schema import Resource

Values = Mapping[str, Any]
BEGINNING = instants.format_instant(EARLIEST)
# What decides how a log counts, besides its status.
COUNTED_FIELDS = ("machine", "type", "down_from", "down_to", "down_kind")


class WrongFrom(NamedTuple):
    """The sums of a machine are wrong from this time on. The machine is that of a log if its id is given."""

    machine_id: int | None
    log_id: int | None
    at: str


def enqueue_change(
    tx: Transaction, resource: Resource, record_id: int, before: Values | None, after: Values | None
) -> None:
    """At the end of the transaction, delete the sums that this change of a record makes wrong.

    Values are in API format; None is a record that is missing or deleted. `after` has `machine_id` if that has changed.
    """
    if resource is LOGS:
        _enqueue_log(tx, record_id, before, after)
    elif resource is MACHINES and before and after and before["in_service"] != after["in_service"]:
        _enqueue(tx, WrongFrom(record_id, None, BEGINNING))
    elif resource is LOG_TYPES and before and after and before["counts_as_failure"] != after["counts_as_failure"]:
        tx.defer(_clear, None)


def enqueue_merge(tx: Transaction, resource: Resource, source: int, receiver: int) -> None:
    """At the end of the transaction, delete the sums that a merge of two records makes wrong."""
    if resource is MACHINES:
        for machine_id in (source, receiver):
            _enqueue(tx, WrongFrom(machine_id, None, BEGINNING))
    elif resource is LOG_TYPES:
        tx.defer(_clear, None)


def clear(tx: Transaction) -> None:
    """Delete all sums."""
    tx.acquire_sums_lock()
    tx.execute_later(_clear_statement(tx.engine), {})


def _clear(tx: Transaction, _changes: Sequence[None]) -> None:
    clear(tx)


def merge_pending(tx: Transaction) -> None:
    """Merge the pending deletions to save memory."""
    changes = tx.deferred_items(_apply)
    changes[:] = _merge(changes)


def _enqueue_log(tx: Transaction, log_id: int, before: Values | None, after: Values | None) -> None:
    was, now = _counted(before), _counted(after)
    if was == now:
        return
    moved_to = after.get("machine_id") if after else None
    if before and moved_to is not None and was is not None:
        machine_id = tx.execute(_find_machine_statement(tx.engine), {"name": before["machine"]})[0][0]
        _enqueue(tx, WrongFrom(machine_id, None, was[-1]))
        was = None
    times = [counted[-1] for counted in (was, now) if counted is not None]
    if times:
        _enqueue(tx, WrongFrom(moved_to, None if moved_to is not None else log_id, min(times)))


def _counted(log: Values | None) -> tuple | None:
    """Return what counts of a log, with the time from which it counts at the end; None if the log does not count."""
    if log is None or log["status"] == "cancelled":
        return None
    return *(log[name] for name in COUNTED_FIELDS), log["down_from"] or log["started_at"]


def _enqueue(tx: Transaction, change: WrongFrom) -> None:
    # Not `last`: all take the lock of the sums before that of the history.
    tx.defer(_apply, change)


def _merge(changes: Sequence[WrongFrom]) -> list[WrongFrom]:
    """Return the earliest change of each machine, and of each log."""
    earliest: dict[tuple[int | None, int | None], str] = {}
    for machine_id, log_id, at in changes:
        known = earliest.get((machine_id, log_id), at)
        earliest[machine_id, log_id] = min(known, at)
    return [WrongFrom(*key, at) for key, at in earliest.items()]


def _apply(tx: Transaction, changes: Sequence[WrongFrom]) -> None:
    # The summing holds this lock when it begins and when it writes. So it sees each change, or this deletes its rows.
    tx.acquire_sums_lock(shared=True)
    merged = sorted(_merge(changes), key=lambda change: (change.machine_id or 0, change.log_id or 0))
    by_machine = [{"id": change.machine_id, "at": change.at} for change in merged if change.log_id is None]
    by_log = [{"id": change.log_id, "at": change.at} for change in merged if change.log_id is not None]
    for rows, of_log in ((by_machine, False), (by_log, True)):
        if rows:
            stored = [{**row, "at": tx.engine.to_db(row["at"], TIME)} for row in rows]
            tx.execute_many(_delete_statement(tx.engine, of_log=of_log), stored)


@cache
def _delete_statement(engine: Engine, *, of_log: bool) -> Statement:
    kept, logs = RELIABILITY_MONTHS, LOGS.table
    machine_id: ColumnElement = bindparam("id", type_=INTEGER.column_type)
    if of_log:
        machine_id = select(logs.c.machine_id).where(logs.c.id == machine_id).scalar_subquery()
    later = kept.c.start > bindparam("at", type_=TIME.column_type)
    return compile_statement(engine, delete(kept).where(kept.c.machine_id == machine_id, later))


@cache
def _clear_statement(engine: Engine) -> Statement:
    return compile_statement(engine, delete(RELIABILITY_MONTHS))


@cache
def _find_machine_statement(engine: Engine) -> Statement:
    machines = MACHINES.table
    name = machines.c[MACHINES.key]
    return compile_statement(engine, select(machines.c.id).where(name == bindparam("name", type_=name.type)))
