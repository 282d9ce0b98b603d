"""The history of one record, with its pending entries (see `hash_chain`)."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import CODE, INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import DatabaseBusy
from machine_monitor.models import HISTORY, PENDING_ENTRIES
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.lists import Page

# How long a reader waits until no entry of the record is pending.
MAX_WAIT_SECONDS = 1.0
POLL_SECONDS = 0.05
NAMES = tuple(name for name in HISTORY.own_fields if name != HISTORY.key)


async def fetch(database: Database, query: ListQuery, resource: str, record_id: int) -> Page:
    """Return a page of a record's history.

    The first page of the whole history, newest first, also has the pending entries, with `seq` null; other queries are
    about those that have a number. Raises `DatabaseBusy` if the pending ones do not fit.
    """
    scope = {"resource": resource, "record_id": record_id}
    if not await _has_pending(database, scope):
        return await lists.fetch(database, query, scope)
    return await database.read(lambda tx: _read(tx, query, scope))


async def _has_pending(database: Database, scope: Mapping[str, Any]) -> bool:
    """Whether entries of the record are pending, after they had some time to get a number."""
    if database.engine.single_writer:
        return False
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while await database.fetch(_pending_statement(database.engine), scope):
        if time.monotonic() > deadline:
            return True
        await asyncio.sleep(POLL_SECONDS)
    return False


def _read(tx: Transaction, query: ListQuery, scope: Mapping[str, Any]) -> Page:
    """Read a page and the pending entries in one snapshot."""
    is_first = query.cursor is None and not query.offset and query.order[0] == (HISTORY.key, True)
    if not is_first or query.conditions or query.count != "none":
        return lists.read(tx, query, scope)
    items = [_document(tx.engine, query.fields, row) for row in tx.execute(_pending_statement(tx.engine), scope)]
    if len(items) >= query.limit:
        raise DatabaseBusy
    return lists.read(tx, replace(query, limit=query.limit - len(items)), scope).preceded_by(items)


def _document(engine: Engine, fields: Sequence[str], row: Sequence[Any]) -> bytes:
    values = {HISTORY.key: None, **dict(zip(NAMES, row, strict=True))}
    values["at"] = engine.from_db(values["at"], TIME)
    values["changes"] = json.loads(str(values["changes"]))
    return canonical_json({name: values[name] for name in fields}).encode()


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
