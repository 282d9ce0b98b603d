"""An export, asked as a list is: all records that match, in order, as documents, as cells of a table, or counted.

Its statements are compiled for each export: that costs little beside its rows, and anyone may name attributes that
nobody else does.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select, union_all

from machine_monitor.database.engines import Engine, as_text, canonical_json
from machine_monitor.database.kinds import EXACT_TEXT, Kind
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.errors import Fault, invalid
from machine_monitor.query.language.parser import ATTRIBUTE, ListQuery
from machine_monitor.query.lists import LIMIT, matches, sort_keys
from machine_monitor.query.sql.access_paths import access_paths, limit_of, use_index
from machine_monitor.query.sql.documents import document, shown, shown_fields
from machine_monitor.query.sql.filters import compile_filters, where

# The value of an attribute, as JSON.
VALUE = Kind("value", EXACT_TEXT)
ATTRIBUTES = "attributes"

# A statement, and the values that it binds.
Bound = tuple[Statement, dict[str, Any]]
Cells = Sequence[str | None]


@dataclass(frozen=True)
class Column:
    """A column of a table; a cell of it is null or the text of a value of this kind."""

    name: str
    kind: Kind


def documents(engine: Engine, query: ListQuery) -> Bound:
    """Every record as the items of a list have it: rows of (document,)."""
    item = document(engine, query.resource, query.fields, query.expand)
    return _all_rows(engine, query, [item], query.fields, query.expand)


def cells(engine: Engine, query: ListQuery, columns: Sequence[Column], expand: tuple[str, ...] = ()) -> Bound:
    """Every record as a row of texts or nulls that `row_flattener` makes the cells of these columns of.

    Behind them stands, if `expand` names any, a document of the related records.
    """
    resource, fields = query.resource, _stored(columns)
    made = [shown(engine, resource, resource.fields[name]) for name in fields]
    if expand:
        made.append(document(engine, resource, (), expand))
    return _all_rows(engine, query, made, fields, expand)


def count(engine: Engine, query: ListQuery, limit: int) -> Bound:
    """How many records match, counted up to `limit`."""
    matching, values = compile_filters(engine, query.resource, query.conditions, query.terms)
    rows = matches(engine, matching).limit(LIMIT).subquery()
    counted = select(func.count()).select_from(rows)
    return compile_statement(engine, counted, uses_fulltext=matching.search is not None), values | {"limit": limit}


def has_dotted_fields(query: ListQuery) -> bool:
    """Whether it shows what no record has as a field of its own."""
    return any("." in name for name in query.fields)


def columns(query: ListQuery, expand: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """The columns of a table: the fields that were asked for, then all fields of the records that `expand` names.

    Raises the 422 of what `expand` may add to a document alone.
    """
    resource = query.resource
    if computed := [name for name in expand if name in resource.computed]:
        message = f"A table has no columns for '{computed[0]}': leave it out, or take .ndjson."
        raise invalid([Fault(message, parameter="expand")])
    related = [known.name for name in expand for known in resource.expansion(name)]
    names = dict.fromkeys([*query.fields, *related])
    known = resource.shown_fields
    return tuple(Column(name, known[name].kind if name in known else VALUE) for name in names)


def row_flattener(columns: Sequence[Column]) -> Callable[[Sequence[Cells]], Sequence[Cells]]:
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


def _all_rows(
    engine: Engine, query: ListQuery, columns: list[ColumnElement], fields: tuple[str, ...], expand: tuple[str, ...]
) -> Bound:
    """All rows in order; of two ways to read them, one yields them."""
    resource = query.resource
    matching, values = compile_filters(engine, resource, query.conditions, query.terms)
    order = [(resource.orderable[name], descending) for name, descending in query.order]
    source = resource.source([*shown_fields(resource, fields, expand), *[known for known, _ in order]])
    named = [as_text(column).label(f"c{i}") for i, column in enumerate(columns)]
    sorted_by = [known.column for known, _ in order if known.column is not None]
    keys = [column.label(f"k{i}") for i, column in enumerate(sorted_by)]
    paths, clauses, searching = (
        access_paths(engine, matching, query.order),
        where(engine, matching),
        bool(matching.search),
    )
    parts = [
        use_index(select(*named, *(keys if len(paths) > 1 else [])).select_from(source), resource.table, path)
        .where(*clauses)
        .order_by(*sort_keys(sorted_by, order))
        for path in paths
    ]
    if len(parts) == 1:
        return compile_statement(engine, parts[0], uses_fulltext=searching), values
    every = literal_column("-1")
    limited = [part.limit(limit_of(path, every)) for part, path in zip(parts, paths, strict=True)]
    rows = union_all(*[select(part.subquery()) for part in limited]).subquery()
    merged = select(*[rows.c[column.name] for column in named])
    merged = merged.order_by(*sort_keys([rows.c[key.name] for key in keys], order))
    return compile_statement(engine, merged, uses_fulltext=searching), values
