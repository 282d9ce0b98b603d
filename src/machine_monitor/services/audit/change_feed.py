"""The change feed: history entries of all records in commit order, by polling or as server-sent events (SSE)."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cache

from sqlalchemy import bindparam, func, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.models import CHANGES
from machine_monitor.query.language import values
from machine_monitor.query.language.parser import QueryPairs, QueryParser
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.query.lists import fit_page
from machine_monitor.query.sql.documents import document

MAX_CHANGES = 1_000
DEFAULT_CHANGES = 100
PARAMETERS = frozenset({"since", "limit"})
POLL_SECONDS = 0.5
# Interval of SSE keep-alive comments, for clients and proxies.
KEEPALIVE_SECONDS = 15.0


@dataclass(frozen=True)
class ChangesQuery:
    """A query of the change feed: entries after number `since`; None means only new ones."""

    since: int | None
    limit: int = MAX_CHANGES


def parse_changes_query(pairs: QueryPairs) -> ChangesQuery:
    """Parse the query string of `/changes`; raises `Invalid`, which lists every fault."""
    return _parse_query(QueryParser(CHANGES, pairs, PARAMETERS), 0)


def parse_events_query(pairs: QueryPairs, last_event_id: str | None) -> ChangesQuery:
    """Parse the query string of `/events`. A reconnecting browser sends the last id it received (Last-Event-ID)."""
    if last_event_id is not None:
        pairs = [("since", last_event_id), *((name, value) for name, value in pairs if name != "since")]
    return _parse_query(QueryParser(CHANGES, pairs, PARAMETERS - {"limit"}), None)


def _parse_query(parser: QueryParser, since: int | None) -> ChangesQuery:
    parser.reject_filters()
    query = ChangesQuery(
        parser.parse_reserved("since", values.integer_between(0, MAX_INTEGER), since),
        parser.parse_reserved("limit", values.integer_between(1, MAX_CHANGES), DEFAULT_CHANGES),
    )
    parser.raise_faults()
    return query


async def fetch(database: Database, query: ChangesQuery) -> bytes:
    """Return the next changes as a JSON body; its `next` is the `since` of the next request."""
    rows = await _rows(database, query.since or 0, query.limit)
    last = rows[-1][1] if rows else query.since
    items = database.engine.join_json([row[0] for row in rows])
    return b"".join((b'{"items":[', items, f'],"next":{last}}}'.encode()))


async def stream_events(database: Database, query: ChangesQuery) -> AsyncGenerator[bytes]:
    """Yield server-sent events forever. Empty chunks in between let the sender notice a disconnected client."""
    since = query.since
    if since is None:
        since = (await database.fetch(_newest(database.engine), {}))[0][0] or 0
    yield b": changes follow\n\n"
    quiet = 0.0
    while True:
        rows = await _rows(database, since, MAX_CHANGES)
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


async def _rows(database: Database, since: int, limit: int) -> list:
    return fit_page(await database.fetch(_after(database.engine), {"since": since, "limit": limit}))


@cache
def _after(engine: Engine) -> Statement:
    table, bound = CHANGES.table, {name: bindparam(name, type_=INTEGER.column_type) for name in ("since", "limit")}
    item = engine.driver_json(document(engine, CHANGES, tuple(CHANGES.own_fields), ()))
    entries = select(item.label("item"), table.c.seq).where(table.c.seq > bound["since"]).order_by(table.c.seq)
    return compile_statement(engine, engine.limit_bytes(entries.limit(bound["limit"]), lambda rows: [rows.c.seq]))


@cache
def _newest(engine: Engine) -> Statement:
    return compile_statement(engine, select(func.max(CHANGES.table.c.seq)))
