"""All records that match, in order: as documents, as the cells of a table, or only counted.

Compiled for each export: that costs little beside its rows, and anyone may name attributes that nobody else does.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, literal_column, select, union_all

from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.statements.conditions import where
from machine_monitor.query.statements.documents import document
from machine_monitor.query.statements.lists import LIMIT, direction, matches
from machine_monitor.query.statements.plans import follow, limit, plans
from machine_monitor.query.statements.shapes import Matching, Shape


def documents_statement(engine: Engine, shape: Shape) -> Statement:
    """Rows of (document,)."""
    return _statement(engine, shape, [document(engine, shape.resource, shape.fields, shape.expand)])


def cells_statement(engine: Engine, shape: Shape) -> Statement:
    """Rows of a text or null for each field, then (document,) of the related records if they are to be shown."""
    cells = [engine.show(known.column, known.kind) for name in shape.fields for known in [shape.resource.fields[name]]]
    if shape.expand:
        cells.append(document(engine, shape.resource, (), shape.expand))
    return _statement(engine, shape, cells)


def count_statement(engine: Engine, matching: Matching) -> Statement:
    """How many records match, counted up to `limit`."""
    rows = matches(engine, matching).limit(LIMIT).subquery()
    return compile_statement(engine, select(func.count()).select_from(rows), searching=bool(matching.searched))


def _statement(engine: Engine, shape: Shape, columns: list[ColumnElement]) -> Statement:
    """All rows in order; of two ways to read them, the one that is meant yields them."""
    resource = shape.resource
    order = [(resource.orderable[name], descending) for name, descending in shape.order]
    shown = [resource.fields[name] for name in shape.fields]
    source = resource.source([*shown, *[known for known, _ in order]], shape.expand)
    named = [as_text(column).label(f"c{i}") for i, column in enumerate(columns)]
    keys = [known.column.label(f"k{i}") for i, (known, _) in enumerate(order)]

    def directed(of: Sequence[ColumnElement]) -> list[ColumnElement]:
        return [
            direction(column, known, shape, descending=descending)
            for column, (known, descending) in zip(of, order, strict=True)
        ]

    ways = plans(engine, shape.matching, shape.order)
    parts = [
        follow(select(*named, *(keys if len(ways) > 1 else [])).select_from(source), resource.table, way)
        .where(*where(engine, shape.matching))
        .order_by(*directed([known.column for known, _ in order]))
        for way in ways
    ]
    searching = bool(shape.matching.searched)
    if len(parts) == 1:
        return compile_statement(engine, parts[0], searching=searching)
    every = literal_column("-1")
    limited = [part.limit(limit(way, every)) for part, way in zip(parts, ways, strict=True)]
    rows = union_all(*[select(part.subquery()) for part in limited]).subquery()
    query = select(*[rows.c[column.name] for column in named]).order_by(*directed([rows.c[key.name] for key in keys]))
    return compile_statement(engine, query, searching=searching)
