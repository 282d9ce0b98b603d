"""The history of one record, with the entries that still wait for their number."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import CODE, INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import HISTORY, PENDING_ENTRIES
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.lists import Page

# How long a reader waits until the entries of the record have their numbers.
MAX_WAIT_SECONDS = 1.0
POLL_SECONDS = 0.05
NAMES = tuple(name for name in HISTORY.own_fields if name != HISTORY.key)


async def fetch(database: Database, query: ListQuery, resource: str, record_id: int) -> Page:
    """Return a page of a record's history; the first one also has entries without a number, with `seq` null."""
    scope = {"resource": resource, "record_id": record_id}
    if not await _has_pending(database, scope):
        return await lists.fetch(database, query, scope)
    return await database.read(lambda tx: _read(tx, query, scope))


async def _has_pending(database: Database, scope: dict[str, Any]) -> bool:
    """Whether entries of the record have no number, after they had some time to get one."""
    if database.engine.single_writer:
        return False
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while await database.fetch(_pending_statement(database.engine), scope):
        if time.monotonic() > deadline:
            return True
        await asyncio.sleep(POLL_SECONDS)
    return False


def _read(tx: Transaction, query: ListQuery, scope: dict[str, Any]) -> Page:
    """Read a page in one snapshot with what is pending, which is only on the first page of the whole history."""
    shows_all = query.cursor is None and not query.offset and not query.conditions
    is_newest_first = query.order[0] == (HISTORY.key, True)
    rows = tx.execute(_pending_statement(tx.engine), scope) if shows_all and is_newest_first else []
    newest_first = [_document(tx.engine, row) for row in rows][: query.limit - 1]
    return lists.read(tx, replace(query, limit=query.limit - len(newest_first)), scope).preceded_by(newest_first)


def _document(engine: Engine, row: Sequence[Any]) -> bytes:
    values = dict(zip(NAMES, row, strict=True))
    values["at"] = engine.from_db(values["at"], TIME)
    values["changes"] = json.loads(values["changes"])
    return canonical_json({HISTORY.key: None, **values}).encode()


@cache
def _pending_statement(engine: Engine) -> Statement:
    """Compile: the pending entries of one record, newest first."""
    table = PENDING_ENTRIES
    of_record = (
        table.c.resource == bindparam("resource", type_=CODE.column_type),
        table.c.record_id == bindparam("record_id", type_=INTEGER.column_type),
    )
    query = select(*[table.c[name] for name in NAMES]).where(*of_record)
    return compile_statement(engine, query.order_by(table.c.id.desc()))
