"""A list, asked and answered: one statement, one hop, finished bytes."""

from dataclasses import dataclass, replace
from typing import Any

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import POSTGRESQL, Engine
from machine_monitor.database.statements import Statement
from machine_monitor.query import cursors, matching
from machine_monitor.query.cursors import Cursor
from machine_monitor.query.grammar import Listing
from machine_monitor.query.statements.keysets import Keyset
from machine_monitor.query.statements.lists import COUNT_CAP, list_statement
from machine_monitor.query.statements.shapes import Shape


@dataclass(frozen=True)
class Page:
    """One page of a list, as the JSON text that goes out, and what its headers say."""

    body: bytes
    next: str | None
    previous: str | None
    total: int | None


async def fetch(database: Database, listing: Listing) -> Page:
    """The page that a list's query string asks for."""
    statement, values = prepare(database.engine, listing)
    rows = await database.fetch(statement, values)
    return _page(database.engine, listing, rows)


def prepare(engine: Engine, listing: Listing) -> tuple[Statement, dict]:
    """The statement of a list, and its values."""
    cursor = listing.cursor
    shape = Shape(
        matching.shape(listing.resource, listing.conditions, listing.terms),
        listing.order,
        listing.fields,
        listing.expand,
        keyset=None if cursor is None else Keyset(_forms(cursor), cursor.backward, cursor.inclusive),
        count=listing.count,
        offset=listing.offset is not None,
        # A plan for any number of rows costs PostgreSQL so much that it makes a new one each time.
        limit=listing.limit + 1 if engine is POSTGRESQL else None,
    )
    return list_statement(engine, shape), _values(engine, listing)


def _values(engine: Engine, listing: Listing) -> dict[str, Any]:
    # One row more than the page tells whether there is another page.
    values: dict[str, Any] = {"limit": listing.limit + 1, "offset": listing.offset}
    values["reach"] = listing.limit + 1 + (listing.offset or 0)
    values |= {f"s_{name}": value for name, value in listing.scope.items()}
    values |= matching.values(engine, listing.resource, listing.conditions, listing.terms)
    if listing.cursor is not None:
        for i, (name, value) in enumerate(zip((name for name, _ in listing.order), listing.cursor.values, strict=True)):
            kind = listing.resource.orderable[name].kind
            values[f"k{i}"] = value[0] if isinstance(value, list) else engine.store(value, kind)
        if listing.terms and listing.resource.searched_in_order and listing.resource.is_in_order_of_ties(listing.order):
            instant, identity = listing.cursor.values
            descending = listing.order[0][1] != listing.cursor.backward
            matching.begin(values, (instant, identity), descending=descending)
    return values


def _page(engine: Engine, listing: Listing, rows: list[Any]) -> Page:
    total = rows[0][1] if rows and listing.count != "none" else None
    rows = [row for row in rows if row[0] is not None]
    more = len(rows) > listing.limit
    rows = rows[: listing.limit]
    backward = listing.cursor is not None and listing.cursor.backward
    if backward:
        rows.reverse()
    first, last = _ends(engine, listing, rows)
    before = more if backward else listing.cursor is not None or bool(listing.offset)
    after = backward or more
    following = cursors.encode(last) if last and after else None
    preceding = cursors.encode(first) if first and before else None
    capped = listing.count == "capped" and total is not None and total > COUNT_CAP
    total = COUNT_CAP if capped else total
    rest = (
        f'],"next":{_text(following)},"previous":{_text(preceding)},'
        f'"total":{"null" if total is None else total},"total_capped":{"true" if capped else "false"}}}'
    )
    body = b'{"items":[' + engine.join([row[0] for row in rows]) + rest.encode()
    return Page(body, following, preceding, total)


def _ends(engine: Engine, listing: Listing, rows: list[Any]) -> tuple[Cursor | None, Cursor | None]:
    """Where the page before and the page after begin."""
    if rows:
        return (
            Cursor(listing.basis, _place(engine, listing, rows[0]), backward=True, now=listing.relative_to),
            Cursor(listing.basis, _place(engine, listing, rows[-1]), now=listing.relative_to),
        )
    if listing.cursor is None:
        return None, None
    # All that was there has gone since: the way back includes the record that this page came from.
    place = replace(listing.cursor, inclusive=not listing.cursor.inclusive)
    return replace(place, backward=True), replace(place, backward=False)


def _place(engine: Engine, listing: Listing, row: tuple) -> tuple:
    return tuple(
        engine.load(value, listing.resource.orderable[name].kind)
        for (name, _), value in zip(listing.order, row[2:], strict=True)
    )


def _forms(cursor: Cursor) -> str:
    return "".join("n" if value is None else "a" if isinstance(value, list) else "v" for value in cursor.values)


def _text(cursor: str | None) -> str:
    return "null" if cursor is None else f'"{cursor}"'
