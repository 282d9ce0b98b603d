"""Finish in the background what transactions leave undone on PostgreSQL, where several write at once.

They leave history entries without a number (`hash_chain`), and differences of counters (`projections/counters`).
Every service does this; if one dies, another one does its part. See docs/internals/hash-chain.md.
"""

import asyncio
import logging
from contextlib import suppress
from functools import cache

from sqlalchemy import exists, literal_column, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.engines.engine import DatabaseReadOnly
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import MonitorError
from machine_monitor.lasting_condition import LastingCondition
from machine_monitor.models import LOG_COUNTS, PENDING_ENTRIES
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.projections import counters

logger = logging.getLogger(__name__)
# Entries are sealed at most half a second late: so the API promises. Usually the next write seals them.
SEAL_SECONDS = 0.05
# How often a service looks for what others have left, and adds up the differences of counters.
INTERVAL_SECONDS = 1.0
# Wait longer after a failure, since each writes a line to the log.
RETRY_SECONDS = 5.0


async def seal_periodically(database: Database) -> None:
    """Let transactions leave entries, and seal them, until cancelled.

    Returns at once if the database has a single writer, which leaves none; a backup of another database may have some.
    """
    loop, left = asyncio.get_running_loop(), asyncio.Event()
    failing = LastingCondition(logger, "History entries are sealed again.")
    database.let_entries_wait(lambda: loop.call_soon_threadsafe(left.set))
    try:
        while True:
            had_entries = False
            try:
                had_entries = await finish(database)
                failing.end()
            except MonitorError as error:
                failing.report(f"History entries could not be sealed: {error}")
                await asyncio.sleep(RETRY_SECONDS)
            if database.engine.single_writer:
                return
            if not had_entries:
                with suppress(TimeoutError):
                    await asyncio.wait_for(left.wait(), INTERVAL_SECONDS)
            left.clear()
            await asyncio.sleep(SEAL_SECONDS)
    finally:
        database.let_entries_wait(None)


async def finish(database: Database) -> bool:
    """Seal the entries and add up the differences that are left; return whether there were entries.

    If another transaction has the lock, they may still be there.
    """
    ((has_entries, has_differences),) = await database.fetch(_undone_statement(database.engine), {})
    if has_entries:
        await database.write(hash_chain.seal)
    if has_differences:
        await database.write(counters.fold)
    return has_entries


def finish_now(database: Database) -> None:
    """Seal the entries and add up the differences that are left, if the database can be written; for commands."""
    (undone,) = database.snapshot(lambda tx: tx.execute(_undone_statement(tx.engine), {}))
    if any(undone):
        with suppress(DatabaseReadOnly):
            database.transact(_finish)


def _finish(tx: Transaction) -> None:
    hash_chain.seal(tx)
    counters.fold(tx)


@cache
def _undone_statement(engine: Engine) -> Statement:
    has_entries = exists(select(literal_column("1")).select_from(PENDING_ENTRIES))
    is_difference = LOG_COUNTS.c.transaction_id != literal_column("0")
    has_differences = exists(select(literal_column("1")).select_from(LOG_COUNTS).where(is_difference))
    return compile_statement(engine, select(has_entries, has_differences))
