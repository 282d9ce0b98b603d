"""The change feed: history entries of all records in commit order, by polling or as server-sent events (SSE)."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cache

from sqlalchemy import bindparam, func, literal, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE, INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.models import CHANGES, MACHINES
from machine_monitor.query.language import values
from machine_monitor.query.language.parser import QueryPairs, QueryParser
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.query.sql.documents import document

MAX_CHANGES = 1_000
DEFAULT_CHANGES = 100
EVENTS_PARAMETERS = frozenset({"since"})
CHANGES_PARAMETERS = EVENTS_PARAMETERS | {"limit", "machine_id"}
POLL_SECONDS = 0.5
# Interval of SSE keep-alive comments, for clients and proxies.
KEEPALIVE_SECONDS = 15.0


@dataclass(frozen=True)
class ChangesQuery:
    """A query of the change feed: entries after number `since`; None means only new ones.

    With `machine_id`, only the entries of that machine, which may have been deleted or merged.
    """

    since: int | None
    limit: int = MAX_CHANGES
    machine_id: int | None = None


def parse_changes_query(pairs: QueryPairs) -> ChangesQuery:
    """Parse the query string of `/changes`; raises `Invalid`, which lists every fault."""
    return _parse_query(QueryParser(CHANGES, pairs, CHANGES_PARAMETERS), 0)


def parse_events_query(pairs: QueryPairs, last_event_id: str | None) -> ChangesQuery:
    """Parse the query string of `/events`. A reconnecting browser sends the last id it received (Last-Event-ID)."""
    if last_event_id is not None:
        pairs = [("since", last_event_id), *((name, value) for name, value in pairs if name != "since")]
    return _parse_query(QueryParser(CHANGES, pairs, EVENTS_PARAMETERS), None)


def _parse_query(parser: QueryParser, since: int | None) -> ChangesQuery:
    parser.reject_filters()
    query = ChangesQuery(
        parser.parse_reserved("since", values.integer_between(0, MAX_INTEGER), since),
        parser.parse_reserved("limit", values.integer_between(1, MAX_CHANGES), DEFAULT_CHANGES),
        parser.parse_reserved("machine_id", values.integer_between(1, MAX_INTEGER), None),
    )
    parser.raise_faults()
    return query


async def fetch(database: Database, query: ChangesQuery) -> bytes:
    """Return the next changes as a JSON body; its `next` is the `since` of the next request."""
    binds = {"since": query.since or 0, "limit": query.limit, "machine_id": query.machine_id}
    rows = await database.fetch(_after(database.engine, of_machine=query.machine_id is not None), binds)
    last = rows[-1][1] if rows else query.since
    return b'{"items":[' + database.engine.join_json([row[0] for row in rows]) + f'],"next":{last}}}'.encode()


async def stream_events(database: Database, query: ChangesQuery) -> AsyncGenerator[bytes]:
    """Yield server-sent events forever. Empty chunks in between let the sender notice a disconnected client."""
    since = query.since
    if since is None:
        since = (await database.fetch(_newest(database.engine), {}))[0][0] or 0
    yield b": changes follow\n\n"
    quiet = 0.0
    while True:
        rows = await database.fetch(_after(database.engine), {"since": since, "limit": MAX_CHANGES})
        for item, since in rows:
            yield b"event: change\nid: %d\ndata: %b\n\n" % (since, database.engine.join_json([item]))
        if rows:
            quiet = 0.0
            continue
        await asyncio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS
        if quiet >= KEEPALIVE_SECONDS:
            yield b": still here\n\n"
            quiet = 0.0
        else:
            yield b""


@cache
def _after(engine: Engine, *, of_machine: bool = False) -> Statement:
    """Compile the query for the entries after `since`: of all records, or of the machine with the id `machine_id`."""
    names = ("since", "limit", "machine_id")
    table, binds = CHANGES.table, {name: bindparam(name, type_=INTEGER.column_type) for name in names}
    item = engine.driver_json(document(engine, CHANGES, tuple(CHANGES.own_fields), ()))
    entries = select(item, table.c.seq).where(table.c.seq > binds["since"]).order_by(table.c.seq)
    if of_machine:
        resource = literal(MACHINES.name, CODE.column_type)
        entries = entries.where(table.c.resource == resource, table.c.record_id == binds["machine_id"])
    return compile_statement(engine, entries.limit(binds["limit"]))


@cache
def _newest(engine: Engine) -> Statement:
    return compile_statement(engine, select(func.max(CHANGES.table.c.seq)))
