"""The feed of all changes, in the order in which they were committed."""

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
from machine_monitor.query.sql.documents import document

MAX_CHANGES = 1_000
DEFAULT_CHANGES = 100
PARAMETERS = frozenset({"since", "limit"})
POLL_SECONDS = 0.5
# So often a comment tells a client, and whatever stands between, that the stream is alive.
COMMENT_SECONDS = 15.0


@dataclass(frozen=True)
class Changes:
    """Which changes are wanted: those after the one numbered `since`, None for those yet to come."""

    since: int | None
    limit: int = MAX_CHANGES


def read_changes(pairs: QueryPairs) -> Changes:
    """Parse what a query string asks for; raises the 422 that names every fault of it."""
    return _read(QueryParser(CHANGES, pairs, PARAMETERS), 0)


def read_events(pairs: QueryPairs, last_event_id: str | None) -> Changes:
    """Where a stream begins; a browser that connects again sends the last id that it saw."""
    if last_event_id is not None:
        pairs = [("since", last_event_id), *((name, value) for name, value in pairs if name != "since")]
    return _read(QueryParser(CHANGES, pairs, PARAMETERS - {"limit"}), None)


def _read(parser: QueryParser, since: int | None) -> Changes:
    parser.reject_filters()
    asked = Changes(
        parser.parse_reserved("since", values.integer_between(0, MAX_INTEGER), since),
        parser.parse_reserved("limit", values.integer_between(1, MAX_CHANGES), DEFAULT_CHANGES),
    )
    parser.raise_faults()
    return asked


async def fetch(database: Database, asked: Changes) -> bytes:
    """The next changes as JSON, and the number to ask from after them."""
    rows = await _rows(database, asked.since or 0, asked.limit)
    last = rows[-1][1] if rows else asked.since
    return b'{"items":[' + database.engine.join([row[0] for row in rows]) + f'],"next":{last}}}'.encode()


async def follow(database: Database, asked: Changes) -> AsyncGenerator[bytes]:
    """Server-sent events without end; an empty one between them lets the sender see whether anybody is still there."""
    since = asked.since
    if since is None:
        since = (await database.fetch(_newest(database.engine), {}))[0][0] or 0
    yield b": changes follow\n\n"
    quiet = 0.0
    while True:
        rows = await _rows(database, since, MAX_CHANGES)
        for item, since in rows:
            yield b"event: change\nid: %d\ndata: %b\n\n" % (since, database.engine.join([item]))
        if rows:
            quiet = 0.0
            continue
        await asyncio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS
        if quiet >= COMMENT_SECONDS:
            yield b": still here\n\n"
            quiet = 0.0
        else:
            yield b""


async def _rows(database: Database, since: int, limit: int) -> list:
    return await database.fetch(_after(database.engine), {"since": since, "limit": limit})


@cache
def _after(engine: Engine) -> Statement:
    table, bound = CHANGES.table, {name: bindparam(name, type_=INTEGER.column_type) for name in ("since", "limit")}
    item = engine.item(document(engine, CHANGES, tuple(CHANGES.own_fields), ()))
    query = select(item, table.c.seq).where(table.c.seq > bound["since"]).order_by(table.c.seq)
    return compile_statement(engine, query.limit(bound["limit"]))


@cache
def _newest(engine: Engine) -> Statement:
    return compile_statement(engine, select(func.max(CHANGES.table.c.seq)))
