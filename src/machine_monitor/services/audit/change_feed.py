"""The change feed: history entries of all records in commit order, page by page.

A follower's position is the number of the last entry that it has, and its epoch: the start of that entry's hash. The
hash covers all entries before it (see `hash_chain`), so a history that was replaced, for example by a restored backup,
has another epoch at that number or does not reach it. Nothing has to be remembered for that.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, literal, literal_column, or_, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import CODE, INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.errors import HistoryReplaced
from machine_monitor.models import CHANGES, MACHINES
from machine_monitor.models.audit import ACCOUNTS
from machine_monitor.query.language import values
from machine_monitor.query.language.parser import QueryPairs, QueryParser
from machine_monitor.query.language.values import MAX_INTEGER
from machine_monitor.query.lists import fit_page
from machine_monitor.query.sql.documents import record_json

MAX_CHANGES = 1_000
DEFAULT_CHANGES = 100
EVENTS_PARAMETERS = frozenset({"since", "epoch"})
CHANGES_PARAMETERS = EVENTS_PARAMETERS | {"limit", "machine_id"}
EPOCH_DIGITS = 16
EPOCH_PATTERN = f"[0-9a-f]{{{EPOCH_DIGITS}}}"


class Position(NamedTuple):
    """A place in the history: an entry's number, and its epoch or None if the follower did not send it."""

    seq: int
    epoch: str | None

    def __str__(self) -> str:
        """Format as the id of an event."""
        return f"{self.seq}-{self.epoch}"


class Entry(NamedTuple):
    """A history entry: its position, its JSON as the driver returned it, and whether only admins may see it."""

    position: Position
    item: Any
    is_about_account: bool


@dataclass(frozen=True)
class ChangesQuery:
    """A query of the change feed: entries after a position; None means only new ones.

    `is_resumed` is true if the position is the Last-Event-ID of a client that connects again. Without `with_accounts`,
    entries about accounts are passed over. With `machine_id`, only the entries of that machine count, which may have
    been deleted or merged.
    """

    after: Position | None
    limit: int = MAX_CHANGES
    is_resumed: bool = False
    with_accounts: bool = False
    machine_id: int | None = None


def parse_changes_query(pairs: QueryPairs) -> ChangesQuery:
    """Parse the query string of `/changes`; raises `Invalid`, which lists every fault."""
    return _parse_query(QueryParser(CHANGES, pairs, CHANGES_PARAMETERS), START)


def parse_events_query(pairs: QueryPairs, last_event_id: str | None) -> ChangesQuery:
    """Parse the query string of `/events`; a Last-Event-ID takes the place of `since` and `epoch`."""
    if last_event_id is not None:
        seq, *epoch = last_event_id.split("-", 1)
        pairs = [("since", seq), *(("epoch", value) for value in epoch), *_without_position(pairs)]
    return _parse_query(QueryParser(CHANGES, pairs, EVENTS_PARAMETERS), None, is_resumed=last_event_id is not None)


async def fetch(database: Database, query: ChangesQuery) -> bytes:
    """Return the next changes as a JSON body; its `next` and `epoch` are the position of the next request."""
    after = query.after or START
    if query.machine_id is None:
        position, entries = await entries_after(database, after, query.limit, with_accounts=query.with_accounts)
    else:
        position, _ = await entries_after(database, after, 1)
        binds = {"since": after.seq, "limit": query.limit, "machine_id": query.machine_id}
        entries = _entries(await database.fetch(_entries_of_machine(database.engine), binds))
    last = entries[-1].position if entries else position
    items = database.engine.join_json([entry.item for entry in entries])
    return b"".join((b'{"items":[', items, f'],"next":{last.seq},"epoch":"{last.epoch}"}}'.encode()))


async def entries_after(
    database: Database, after: Position, limit: int, *, with_accounts: bool = True
) -> tuple[Position, list[Entry]]:
    """Return the position with its epoch, and the entries after it; raises `HistoryReplaced` if it is not there."""
    # One statement also reads the entry at the position, so that both come from one state of the history.
    statement = _entries_from(database.engine, with_accounts)
    rows = await database.fetch(statement, {"since": after.seq, "limit": limit + 1})
    if after.seq == 0:
        return START, _entries(rows[:limit])
    current = _position(*rows[0][1:3]) if rows else START
    if current.seq != after.seq or after.epoch not in (None, current.epoch):
        raise HistoryReplaced
    return current, _entries(rows[1:])


async def newest_position(database: Database) -> Position:
    """Return the position of the last entry."""
    rows = await database.fetch(_newest_statement(database.engine), {})
    return _position(*rows[0]) if rows else START


def _parse_query(parser: QueryParser, after: Position | None, *, is_resumed: bool = False) -> ChangesQuery:
    parser.reject_filters()
    since = parser.parse_reserved("since", values.integer_between(0, MAX_INTEGER), None)
    epoch = parser.parse_reserved("epoch", values.regex_parser(EPOCH_PATTERN, "16 hexadecimal digits"), None)
    limit = parser.parse_reserved("limit", values.integer_between(1, MAX_CHANGES), DEFAULT_CHANGES)
    machine_id = parser.parse_reserved("machine_id", values.integer_between(1, MAX_INTEGER), None)
    if epoch is not None and "since" not in parser.reserved:
        parser.add_fault("epoch", "'epoch' belongs to 'since': send both.")
    parser.raise_faults()
    position = after if since is None else Position(since, epoch)
    return ChangesQuery(position, limit, is_resumed, machine_id=machine_id)


def _entries(rows: list[Any]) -> list[Entry]:
    return [Entry(_position(seq, digest), item, resource == ACCOUNTS) for item, seq, digest, resource in fit_page(rows)]


def _without_position(pairs: QueryPairs) -> QueryPairs:
    return [(name, value) for name, value in pairs if name not in ("since", "epoch")]


def _position(seq: int, digest: bytes | None) -> Position:
    return Position(seq, bytes(digest or b"").hex()[:EPOCH_DIGITS].ljust(EPOCH_DIGITS, "0"))


# Before the first entry, which follows an empty hash.
START = _position(0, b"")


@cache
def _entries_from(engine: Engine, with_accounts: bool) -> Statement:  # noqa: FBT001 -- a key of the cache
    """Compile: the entry at the position, without its document, and those after it.

    Rows of (document, number, hash, resource).
    """
    table, bound = CHANGES.table, {name: bindparam(name, type_=INTEGER.column_type) for name in ("since", "limit")}
    stored = record_json(engine, CHANGES, tuple(CHANGES.own_fields), ())
    item = engine.driver_json(case((table.c.seq > bound["since"], stored), else_=literal_column("'null'")))
    columns = (item.label("item"), table.c.seq, table.c.hash, table.c.resource)
    entries = select(*columns).where(table.c.seq >= bound["since"]).order_by(table.c.seq)
    if not with_accounts:
        entries = entries.where(or_(table.c.resource != ACCOUNTS, table.c.seq == bound["since"]))
    return compile_statement(engine, engine.limit_bytes(entries.limit(bound["limit"]), lambda rows: [rows.c.seq]))


@cache
def _entries_of_machine(engine: Engine) -> Statement:
    """Compile: the entries of one machine after a number, as rows like those of `_entries_from`."""
    names = ("since", "limit", "machine_id")
    table, binds = CHANGES.table, {name: bindparam(name, type_=INTEGER.column_type) for name in names}
    item = engine.driver_json(record_json(engine, CHANGES, tuple(CHANGES.own_fields), ()))
    entries = select(item.label("item"), table.c.seq, table.c.hash, table.c.resource).where(
        table.c.resource == literal(MACHINES.name, CODE.column_type),
        table.c.record_id == binds["machine_id"],
        table.c.seq > binds["since"],
    )
    entries = entries.order_by(table.c.seq).limit(binds["limit"])
    return compile_statement(engine, engine.limit_bytes(entries, lambda rows: [rows.c.seq]))


@cache
def _newest_statement(engine: Engine) -> Statement:
    table = CHANGES.table
    return compile_statement(engine, select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1))
