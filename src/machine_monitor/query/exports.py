"""Export statements: all matching records in order, as JSON documents or as table cells, or only their count.

Export statements are not cached. Compiling is cheap compared with reading the rows, and attribute columns differ from
export to export.
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
from machine_monitor.query.lists import LIMIT_PARAM, matching_rows, sort_keys
from machine_monitor.query.sql.access_paths import access_paths, limit_if_chosen, use_index
from machine_monitor.query.sql.documents import field_json, record_json, selected_fields
from machine_monitor.query.sql.filters import compile_filters, where

# The kind of an attribute column: any JSON value, as text.
ATTRIBUTE_VALUE = Kind("value", EXACT_TEXT)
ATTRIBUTES = "attributes"

# A compiled statement and its bind values.
BoundStatement = tuple[Statement, dict[str, Any]]
Cells = Sequence[str | None]


@dataclass(frozen=True)
class Column:
    """A column of an exported table. A cell is null or a value of this kind as text."""

    name: str
    kind: Kind


def compile_documents(engine: Engine, query: ListQuery) -> BoundStatement:
    """Compile a statement that yields each record as JSON, like the items of a list: rows of (document,)."""
    item = record_json(engine, query.resource, query.fields, query.expand)
    return _all_rows(engine, query, [item], query.fields, query.expand)


def compile_cells(
    engine: Engine, query: ListQuery, columns: Sequence[Column], expand: tuple[str, ...] = ()
) -> BoundStatement:
    """Compile a statement that yields each record as a row of texts and nulls.

    `row_flattener` turns the rows into cells. If `expand` is not empty, each row ends with a JSON document of the
    related records.
    """
    resource, fields = query.resource, _stored_fields(columns)
    expressions = [field_json(engine, resource, resource.fields[name]) for name in fields]
    if expand:
        expressions.append(record_json(engine, resource, (), expand))
    return _all_rows(engine, query, expressions, fields, expand)


def compile_count(engine: Engine, query: ListQuery, limit: int) -> BoundStatement:
    """Compile a statement that counts the matching records, up to `limit`."""
    matching, values = compile_filters(engine, query.resource, query.conditions, query.terms)
    rows = matching_rows(engine, matching).limit(LIMIT_PARAM).subquery()
    count = select(func.count()).select_from(rows)
    return compile_statement(engine, count, uses_fulltext=matching.search is not None), values | {"limit": limit}


def has_dotted_fields(query: ListQuery) -> bool:
    """Whether the query selects a related field or an attribute (a name with a dot)."""
    return any("." in name for name in query.fields)


def columns(query: ListQuery, expand: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Return the table's columns: the selected fields, then all fields of the records that `expand` names.

    Raises `Invalid` if `expand` names a computed member, which has no columns.
    """
    resource = query.resource
    if computed := [name for name in expand if name in resource.computed]:
        message = f"'{computed[0]}' cannot be exported as table columns: remove it from 'expand', or export as .ndjson."
        raise invalid([Fault(message, parameter="expand")])
    related = [field.name for name in expand for field in resource.expanded_fields(name)]
    names = dict.fromkeys([*query.fields, *related])
    fields = resource.single_valued_fields
    return tuple(Column(name, fields[name].kind if name in fields else ATTRIBUTE_VALUE) for name in names)


def row_flattener(columns: Sequence[Column]) -> Callable[[Sequence[Cells]], Sequence[Cells]]:
    """Return a function that turns the rows of `compile_cells` into table cells.

    It extracts the attributes from their JSON object.
    """
    fields = _stored_fields(columns)
    positions = [None if column.kind is ATTRIBUTE_VALUE else fields.index(column.name) for column in columns]
    if None not in positions:
        return lambda rows: rows
    source = fields.index(ATTRIBUTES)
    keys = [column.name.removeprefix(ATTRIBUTE) for column in columns]

    def flatten(row: Cells) -> list[str | None]:
        attributes = json.loads(row[source] or "{}")
        cells = [
            _json_or_none(attributes.get(key)) if position is None else row[position]
            for position, key in zip(positions, keys, strict=True)
        ]
        return [*cells, *row[len(fields) :]]

    return lambda rows: [flatten(row) for row in rows]


def _stored_fields(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the fields to read for these columns, each once."""
    return tuple(dict.fromkeys(ATTRIBUTES if column.kind is ATTRIBUTE_VALUE else column.name for column in columns))


def _json_or_none(value: Any) -> str | None:
    return None if value is None else canonical_json(value)


def _all_rows(
    engine: Engine, query: ListQuery, columns: list[ColumnElement], fields: tuple[str, ...], expand: tuple[str, ...]
) -> BoundStatement:
    """Compile the select of all rows in order. With two access paths it is a UNION of which one branch yields rows."""
    resource = query.resource
    matching, values = compile_filters(engine, resource, query.conditions, query.terms)
    order = [(resource.sort_key_fields[name], descending) for name, descending in query.order]
    source = resource.joined_table([*selected_fields(resource, fields, expand), *[field for field, _ in order]])
    cells = [as_text(column).label(f"c{i}") for i, column in enumerate(columns)]
    sorted_by = [field.column for field, _ in order if field.column is not None]
    keys = [column.label(f"k{i}") for i, column in enumerate(sorted_by)]
    paths, clauses = access_paths(engine, matching, query.order), where(engine, matching)
    uses_fulltext = matching.search is not None
    branches = [
        use_index(select(*cells, *(keys if len(paths) > 1 else [])).select_from(source), resource.table, path)
        .where(*clauses)
        .order_by(*sort_keys(sorted_by, order))
        for path in paths
    ]
    if len(branches) == 1:
        return compile_statement(engine, branches[0], uses_fulltext=uses_fulltext), values
    # Only SQLite has two access paths. There, LIMIT -1 means no limit.
    no_limit = literal_column("-1")
    limited = [branch.limit(limit_if_chosen(path, no_limit)) for branch, path in zip(branches, paths, strict=True)]
    rows = union_all(*[select(branch.subquery()) for branch in limited]).subquery()
    merged = select(*[rows.c[column.name] for column in cells])
    merged = merged.order_by(*sort_keys([rows.c[key.name] for key in keys], order))
    return compile_statement(engine, merged, uses_fulltext=uses_fulltext), values
