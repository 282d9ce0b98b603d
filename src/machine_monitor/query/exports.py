"""An export, asked as a list is: the statements of its documents, of its table's cells, of their number."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import EXACT_TEXT, Kind
from machine_monitor.database.statements import Statement
from machine_monitor.errors import Fault, invalid
from machine_monitor.query import matching
from machine_monitor.query.grammar import ATTRIBUTE, Listing
from machine_monitor.query.statements.exports import cells_statement, count_statement, documents_statement
from machine_monitor.query.statements.shapes import Shape

# The value of an attribute, as JSON.
VALUE = Kind("value", EXACT_TEXT)
ATTRIBUTES = "attributes"

Bound = tuple[Statement, dict[str, Any]]
Cells = Sequence[str | None]


@dataclass(frozen=True)
class Column:
    """A column of a table; a cell of it is null or the text of a value of this kind."""

    name: str
    kind: Kind


def documents(engine: Engine, listing: Listing) -> Bound:
    """Every record as the items of a list have it."""
    shape = _shape(listing, listing.fields, listing.expand)
    return documents_statement(engine, shape), _values(engine, listing)


def cells(engine: Engine, listing: Listing, columns: Sequence[Column], expand: tuple[str, ...] = ()) -> Bound:
    """Every record as rows that `spread` makes the cells of these columns of; then the records that `expand` names."""
    return cells_statement(engine, _shape(listing, _stored(columns), expand)), _values(engine, listing)


def count(engine: Engine, listing: Listing, limit: int) -> Bound:
    """How many records there are, counted up to `limit`."""
    shape = matching.shape(listing.resource, listing.conditions, listing.terms)
    return count_statement(engine, shape), _values(engine, listing) | {"limit": limit}


def is_flat(listing: Listing) -> bool:
    """Whether it shows what no record has as a field of its own."""
    return any("." in name for name in listing.fields)


def columns(listing: Listing, expand: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """The columns of a table: the fields that were asked for, then all fields of the records that `expand` names.

    Raises the 422 of what `expand` may add to a document alone.
    """
    known = listing.resource.fields
    if computed := [name for name in expand if name in listing.resource.computed]:
        message = f"A table has no columns for '{computed[0]}': leave it out, or take .ndjson."
        raise invalid([Fault(message, parameter="expand")])
    related = [name for name in known if "." in name and name.partition(".")[0] in expand]
    names = dict.fromkeys([*listing.fields, *related])
    return tuple(Column(name, known[name].kind if name in known else VALUE) for name in names)


def spread(columns: Sequence[Column]) -> Callable[[Sequence[Cells]], Sequence[Cells]]:
    """What makes rows of `cells` the cells of the columns: attributes are taken out of their object."""
    stored = _stored(columns)
    places = [None if column.kind is VALUE else stored.index(column.name) for column in columns]
    if None not in places:
        return lambda rows: rows
    source = stored.index(ATTRIBUTES)
    keys = [column.name.removeprefix(ATTRIBUTE) for column in columns]

    def row(stored: Cells) -> list[str | None]:
        attributes = json.loads(stored[source] or "{}")
        taken = [
            _fragment(attributes.get(key)) if place is None else stored[place]
            for place, key in zip(places, keys, strict=True)
        ]
        return [*taken, *stored[width:]]

    width = len(stored)
    return lambda rows: [row(stored) for stored in rows]


def _stored(columns: Sequence[Column]) -> tuple[str, ...]:
    """The fields that the columns are made of."""
    return tuple(dict.fromkeys(ATTRIBUTES if column.kind is VALUE else column.name for column in columns))


def _fragment(value: Any) -> str | None:
    return None if value is None else canonical_json(value)


def _shape(listing: Listing, fields: tuple[str, ...], expand: tuple[str, ...]) -> Shape:
    shape = matching.shape(listing.resource, listing.conditions, listing.terms)
    return Shape(shape, listing.order, fields, expand)


def _values(engine: Engine, listing: Listing) -> dict[str, Any]:
    return matching.values(engine, listing.resource, listing.conditions, listing.terms)
