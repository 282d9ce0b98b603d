"""Which records match: filters and words as conditions of a statement."""

from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Text,
    and_,
    bindparam,
    literal_column,
    or_,
    select,
)

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import EXACT_TEXT, OBJECT
from machine_monitor.query.operators import EQUAL, Between, Operand, Operator
from machine_monitor.query.statements.search import is_found
from machine_monitor.query.statements.shapes import Filter, Matching
from machine_monitor.query.vocabulary import Field, Resource


def where(engine: Engine, matching: Matching, *, words: bool = True) -> list[ColumnElement]:
    """The conditions that all must hold; without `words`, those of the fields alone."""
    resource = matching.resource
    table = resource.table
    found = [table.c[name] == bindparam(f"s_{name}", type_=table.c[name].type) for name in resource.scope]
    if resource.soft_delete:
        found.append(table.c.deleted_at.is_not(None) if resource.deleted else table.c.deleted_at.is_(None))
    found += [condition(engine, resource, part, f"f{i}") for i, part in enumerate(matching.filters)]
    if matching.searched is None:
        found.append(literal_column("1") == literal_column("0"))
    elif matching.searched and words:
        found.append(is_found(engine, resource))
    return found


def condition(engine: Engine, resource: Resource, part: Filter, name: str) -> ColumnElement:
    """One filter, whose values are bound under names that begin with `name`."""
    field, operator = part.field, part.operator
    if field.relation is None:
        return _compared(engine, part, name, field.column)
    related = resource.relations[field.relation]
    ours, theirs = column_of(resource, field), related.resource.table.c[related.to]
    if field.column is theirs and operator.takes != "folded":
        return _compared(engine, part, name, ours)
    found = select(theirs).where(_compared(engine, part, name, field.column)).correlate(None)
    if names_one(resource, part):
        # Compared as one value: the index on ours also gives the order.
        return ours == found.scalar_subquery()
    reached = ours.in_(found)
    return or_(ours.is_(None), reached) if operator.keeps_null and ours.nullable else reached


def column_of(resource: Resource, field: Field) -> Column:
    """The column of the resource's own table that a filter on the field compares, or through which it is reached."""
    return resource.table.c[field.column.name if field.relation is None else resource.relations[field.relation].on]


def names_one(resource: Resource, part: Filter) -> bool:
    """Whether a filter fixes its column to one value: equality, with a related record by what is unique of it."""
    if part.operator is not EQUAL or part.operands != "v":
        return False
    if part.field.relation is None:
        return True
    related = resource.relations[part.field.relation]
    return part.field.column.name in (related.resource.key, related.to)


def _compared(engine: Engine, part: Filter, name: str, column: ColumnElement) -> ColumnElement:
    if part.field.kind is OBJECT:
        return _attribute(engine, part, name)
    if part.operator.takes == "folded":
        assert part.field.folded is not None
        column = part.field.folded
    operands = [_operand(part.field, form, f"{name}_{i}", part.operator) for i, form in enumerate(part.operands)]
    return part.operator.build(column, operands)


def _attribute(engine: Engine, part: Filter, name: str) -> ColumnElement:
    """Each value is compared with its own aspect of the attribute: it is any of them, or none of them."""
    assert part.field.folded is not None
    member = engine.member(part.field.folded, bindparam(f"{name}_key", type_=Text()))
    if part.operator.takes == "boolean":
        return part.operator.build(member, ())
    operands: dict[str, list[BindParameter]] = {}
    for i, aspect in enumerate(part.operands):
        operands.setdefault(aspect, []).append(bindparam(f"{name}_{i}", type_=EXACT_TEXT))
    clauses = [
        part.operator.build(member.op("->>", return_type=EXACT_TEXT)(literal_column(f"'{aspect}'")), asked)
        for aspect, asked in operands.items()
    ]
    return and_(*clauses) if part.operator.keeps_null else or_(*clauses)


def _operand(field: Field, form: str, name: str, operator: Operator) -> Operand:
    if operator.takes == "folded":
        return bindparam(name, type_=Text())
    if form == "d":
        return Between(_bind(field, f"{name}_start"), _bind(field, f"{name}_end"))
    return _bind(field, name)


def _bind(field: Field, name: str) -> BindParameter[Any]:
    return bindparam(name, type_=field.kind.column_type)
