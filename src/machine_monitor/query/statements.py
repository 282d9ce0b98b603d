"""One statement a list, one a record: built and compiled once for each shape, then only bound."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Text,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.expression import case

from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER, OBJECT
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.keysets import Keyset, Order, branches
from machine_monitor.query.operators import EQUAL, Between, Operand, Operator
from machine_monitor.query.vocabulary import Field, Resource

COUNT_CAP = 10_000

# The fields of a document, and the related records to add to it.
Selection = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Filter:
    """The shape of one condition: `operands` has a `d` for each day among its values, else a `v`."""

    field: Field
    operator: Operator
    operands: str


@dataclass(frozen=True)
class Shape:
    """All that a list's statement depends on; values are bound later.

    `terms` says of each word whether it is excluded, None that nothing can be found.
    """

    resource: Resource
    filters: tuple[Filter, ...]
    terms: tuple[bool, ...] | None
    order: tuple[tuple[str, bool], ...]
    fields: tuple[str, ...]
    expand: tuple[str, ...]
    keyset: Keyset | None = None
    count: str = "none"
    offset: bool = False

    @property
    def backward(self) -> bool:
        """Whether the page is read against the list's order."""
        return self.keyset is not None and self.keyset.backward


@lru_cache(maxsize=1024)
def list_statement(engine: Engine, shape: Shape) -> Statement:
    """One page: rows of (document, total, value of each field of the order); without rows one of nulls if counted."""
    where = _filters(shape)
    order = [(shape.resource.orderable[name], descending != shape.backward) for name, descending in shape.order]
    pages = [_page(engine, shape, [*where, branch], order) for branch in branches(shape.resource, shape.keyset, order)]
    keys = [f"k{i}" for i in range(len(order))]
    if len(pages) == 1 and shape.count == "none":
        return compile_statement(engine, pages[0], prepare=not shape.terms)
    rows = (pages[0] if len(pages) == 1 else union_all(*[select(page.subquery()) for page in pages])).subquery("page")
    columns = [rows.c[key] for key in keys]
    total = _total(shape, where) if shape.count != "none" else None
    if total is None:
        merged = select(rows)
    else:
        merged = select(rows.c.item, total.c.total, *columns).select_from(total.outerjoin(rows, true()))
    merged = merged.order_by(
        *[
            _direction(column, known, shape, descending=descending)
            for column, (known, descending) in zip(columns, order, strict=True)
        ]
    ).limit(bindparam("limit", type_=INTEGER.column_type))
    return compile_statement(engine, merged, prepare=not shape.terms)


@lru_cache(maxsize=256)
def record_statement(engine: Engine, resource: Resource, find_by: str, selection: Selection) -> Statement:
    """One record by the column `find_by`: (document, id, version, whether it is deleted)."""
    fields, expand = selection
    table = resource.table
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    shown = [resource.fields[name] for name in fields]
    query = (
        select(as_text(_document(engine, resource, fields, expand)), table.c.id, table.c.version, deleted)
        .select_from(resource.source(shown, expand))
        .where(table.c[find_by] == bindparam("key", type_=table.c[find_by].type))
    )
    return compile_statement(engine, query)


@lru_cache(maxsize=64)
def every_statement(engine: Engine, resource: Resource) -> Statement:
    """Every living record in the order of writing: (document, id, version)."""
    table, fields = resource.table, tuple(resource.own_fields)
    query = (
        select(as_text(_document(engine, resource, fields, ())), table.c.id, table.c.version)
        .select_from(resource.source(resource.own_fields.values()))
        .where(table.c.deleted_at.is_(None) if resource.soft_delete else true())
        .order_by(table.c.id)
    )
    return compile_statement(engine, query)


def _page(engine: Engine, shape: Shape, where: list[ColumnElement], order: Order) -> Select:
    shown = [shape.resource.fields[name] for name in shape.fields]
    item = as_text(_document(engine, shape.resource, shape.fields, shape.expand)).label("item")
    keys = [known.column.label(f"k{i}") for i, (known, _) in enumerate(order)]
    page = (
        select(item, null().label("total"), *keys)
        .select_from(shape.resource.source([*shown, *[known for known, _ in order]], shape.expand))
        .where(*where)
        .order_by(*[_direction(known.column, known, shape, descending=descending) for known, descending in order])
        .limit(bindparam("limit", type_=INTEGER.column_type))
    )
    return page.offset(bindparam("offset", type_=INTEGER.column_type)) if shape.offset else page


def _direction(column: ColumnElement, known: Field, shape: Shape, *, descending: bool) -> ColumnElement:
    """Nulls come last in either direction, and so first on the way back."""
    directed = column.desc() if descending else column.asc()
    if not known.nullable:
        return directed
    return directed.nulls_first() if shape.backward else directed.nulls_last()


def _document(engine: Engine, resource: Resource, fields: tuple[str, ...], expand: tuple[str, ...]) -> ColumnElement:
    """The record's JSON as the engine builds it."""
    members = {name: engine.show(known.column, known.kind) for name in fields for known in [resource.fields[name]]}
    if expand:
        members["expanded"] = engine.build_object({name: _expanded(engine, resource, name) for name in expand})
    return engine.build_object(members)


def _expanded(engine: Engine, resource: Resource, name: str) -> ColumnElement:
    related = resource.relations[name]
    theirs = related.resource
    document = _document(engine, theirs, tuple(theirs.own_fields), ())
    if not resource.table.c[related.on].nullable:
        return document
    return engine.show(case((theirs.table.c[related.to].is_not(None), document)), OBJECT)


def _total(shape: Shape, where: list[ColumnElement]) -> FromClause:
    table = shape.resource.table
    if shape.count == "exact":
        return select(func.count().label("total")).select_from(table).where(*where).subquery("counted")
    rows = select(literal_column("1")).select_from(table).where(*where).limit(literal_column(str(COUNT_CAP + 1)))
    return select(func.count().label("total")).select_from(rows.subquery()).subquery("counted")


def _filters(shape: Shape) -> list[ColumnElement]:
    table = shape.resource.table
    where = [table.c[name] == bindparam(f"s_{name}", type_=table.c[name].type) for name in shape.resource.scope]
    if shape.resource.soft_delete:
        where.append(table.c.deleted_at.is_(None))
    where += [_filter(shape.resource, part, f"f{i}") for i, part in enumerate(shape.filters)]
    if shape.terms is None:
        where.append(literal_column("1") == literal_column("0"))
    elif shape.terms and shape.resource.folded is not None:
        where.append(_words(shape.resource.table, shape.resource.folded, shape.terms))
    return where


def _words(table: FromClause, folded: FromClause, terms: tuple[bool, ...]) -> ColumnElement:
    """Each term is a LIKE over the record's words: it scans, and means the same on both engines."""
    patterns = [bindparam(f"q{i}", type_=Text()) for i in range(len(terms))]
    likes = [
        folded.c.words.not_like(pattern) if excluded else folded.c.words.like(pattern)
        for pattern, excluded in zip(patterns, terms, strict=True)
    ]
    return exists(select(literal_column("1")).select_from(folded).where(folded.c.id == table.c.id, *likes))


def _filter(resource: Resource, part: Filter, name: str) -> ColumnElement:
    field, operator = part.field, part.operator
    operands = [_operand(field, form, f"{name}_{i}", operator) for i, form in enumerate(part.operands)]
    column = field.folded if operator.takes == "folded" else field.column
    assert column is not None
    clause = operator.build(column, operands)
    if field.relation is None:
        return clause
    related = resource.relations[field.relation]
    ours, theirs = resource.table.c[related.on], related.resource.table.c[related.to]
    found = select(theirs).where(clause).correlate(None)
    if operator is EQUAL and len(operands) == 1 and field.column.name == related.resource.key:
        # A key finds one record: compared as one value, the index on ours also gives the order.
        return ours == found.scalar_subquery()
    reached = ours.in_(found)
    return or_(ours.is_(None), reached) if operator.keeps_null and ours.nullable else reached


def _operand(field: Field, form: str, name: str, operator: Operator) -> Operand:
    if operator.takes == "folded":
        return bindparam(name, type_=Text())
    if form == "d":
        return Between(_bind(field, f"{name}_start"), _bind(field, f"{name}_end"))
    return _bind(field, name)


def _bind(field: Field, name: str) -> BindParameter[Any]:
    return bindparam(name, type_=field.kind.column_type)
