"""Seal pending history entries and add up the differences of counters, in the background.

On PostgreSQL, transactions leave both, so that they need not wait for each other (`hash_chain`,
`projections/counters`). Each service does this for all services, so nothing is left if one of them dies. See
docs/internals/hash-chain.md.
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
# How soon a service seals what its transactions have left. Usually the next write does it earlier.
SEAL_SECONDS = 0.05
# How often a service looks for pending entries of other services, and adds up the differences of counters.
INTERVAL_SECONDS = 1.0
# Wait longer after a failure, since each writes a line to the log.
RETRY_SECONDS = 5.0
# Rows that were sealed slow down each request until PostgreSQL has removed them, which it cannot while an export or a
# backup reads an earlier state. With more than these, transactions wait for each other instead.
MAX_DEAD_ROWS = 20_000


async def seal_periodically(database: Database) -> None:
    """Let transactions leave entries pending, and seal them, until cancelled.

    Returns after the first time if the database has a single writer. Then entries are pending only if they were so in
    the database of which it is a backup or a copy.
    """
    loop, left = asyncio.get_running_loop(), asyncio.Event()
    failing = LastingCondition(logger, "History entries are sealed again.")
    try:
        while True:
            try:
                had_entries, dead_rows = await seal_and_add(database)
            except MonitorError as error:
                failing.report(f"History entries could not be sealed: {error}")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            failing.end()
            if database.engine.single_writer:
                return
            is_allowed = dead_rows <= MAX_DEAD_ROWS
            database.allow_pending_entries((lambda: loop.call_soon_threadsafe(left.set)) if is_allowed else None)
            if not had_entries:
                with suppress(TimeoutError):
                    await asyncio.wait_for(left.wait(), INTERVAL_SECONDS)
            left.clear()
            await asyncio.sleep(SEAL_SECONDS)
    finally:
        database.allow_pending_entries(None)


async def seal_and_add(database: Database) -> tuple[bool, int]:
    """Seal the pending entries and add up the differences; return whether there were entries, and the dead rows.

    If another transaction has the lock, the entries may still be pending.
    """
    ((has_entries, has_differences, dead_rows),) = await database.fetch(left_statement(database.engine), {})
    if has_entries:
        await database.write(hash_chain.seal)
    if has_differences:
        await database.write(counters.add_differences)
    return has_entries, dead_rows


def seal_and_add_now(database: Database) -> None:
    """Seal the pending entries and add up the differences, if the database can be written; for commands."""
    ((has_entries, has_differences, _),) = database.snapshot(lambda tx: tx.execute(left_statement(tx.engine), {}))
    if has_entries or has_differences:
        with suppress(DatabaseReadOnly):
            database.transact(_seal_and_add)


def _seal_and_add(tx: Transaction) -> None:
    hash_chain.seal(tx)
    counters.add_differences(tx)


@cache
def left_statement(engine: Engine) -> Statement:
    """Compile: whether there are pending entries, whether there are differences, and the dead rows of the former."""
    has_entries = exists(select(literal_column("1")).select_from(PENDING_ENTRIES))
    is_difference = LOG_COUNTS.c.transaction_id != literal_column("0")
    has_differences = exists(select(literal_column("1")).select_from(LOG_COUNTS).where(is_difference))
    dead_rows = engine.dead_rows(PENDING_ENTRIES.name)
    return compile_statement(engine, select(has_entries, has_differences, dead_rows))
