"""Which records match: filters and words as conditions of a statement."""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Text,
    bindparam,
    literal_column,
    or_,
    select,
)

from machine_monitor.database.engines import Engine
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
        found.append(table.c.deleted_at.is_(None))
    found += [_filter(resource, part, f"f{i}") for i, part in enumerate(matching.filters)]
    if matching.searched is None:
        found.append(literal_column("1") == literal_column("0"))
    elif matching.searched and words:
        found.append(is_found(engine, resource))
    return found


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
