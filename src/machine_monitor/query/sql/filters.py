"""Which records match: the conditions of a query as clauses of a statement, and the values that they bind."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    literal_column,
    not_,
    or_,
    select,
)

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import EXACT_TEXT, OBJECT
from machine_monitor.query.language.attributes import AttributeOperand
from machine_monitor.query.language.operators import EQUAL, Between, Operand, Operator
from machine_monitor.query.language.parser import Condition, Terms
from machine_monitor.query.schema import Field, Join, Resource
from machine_monitor.query.sql.search import SearchBinds, bind_search, is_found

VALUE, DAY = "value", "day"


class Placeholder(NamedTuple):
    """An operand in the text of a statement: its form, and the names that its values are bound under.

    The form is `VALUE`, `DAY`, which has a start and an end, or the representation of an attribute.
    """

    form: str
    names: tuple[str, ...]


class Filter(NamedTuple):
    """A condition as the text of a statement depends on it; an attribute's key is bound under the name `key`."""

    field: Field
    operator: Operator
    operands: tuple[Placeholder, ...]
    key: str | None


class Matching(NamedTuple):
    """Which records match, apart from the values: one such key, one compiled statement."""

    resource: Resource
    filters: tuple[Filter, ...] = ()
    search: SearchBinds | None = None
    finds_nothing: bool = False


def compile_filters(
    engine: Engine, resource: Resource, conditions: Sequence[Condition], terms: Terms, prefix: str = ""
) -> tuple[Matching, dict[str, Any]]:
    """What a statement's text depends on, and the values it binds, all under names that begin with `prefix`."""
    values: dict[str, Any] = {}
    filters = [_bind(engine, condition, f"{prefix}f{i}", values) for i, condition in enumerate(conditions)]
    search = None
    if terms:
        search, bound = bind_search(engine, resource, conditions, terms, prefix)
        values |= bound
    return Matching(resource, tuple(filters), search, terms is None), values


def _bind(engine: Engine, condition: Condition, name: str, values: dict[str, Any]) -> Filter:
    kind, operands = condition.field.kind, []
    for i, value in enumerate(condition.values):
        place = f"{name}_{i}"
        if isinstance(value, tuple):
            names = (f"{place}_start", f"{place}_end")
            values |= {bound: engine.to_db(part, kind) for bound, part in zip(names, value, strict=True)}
            operands.append(Placeholder(DAY, names))
        elif isinstance(value, AttributeOperand):
            values[place] = value.text
            operands.append(Placeholder(value.representation, (place,)))
        else:
            values[place] = value if condition.operator.takes == "folded" else engine.to_db(value, kind)
            operands.append(Placeholder(VALUE, (place,)))
    key = None
    if condition.key is not None:
        key = f"{name}_key"
        values[key] = condition.key
    return Filter(condition.field, condition.operator, tuple(operands), key)


def scope_name(column: str) -> str:
    """The name that the value of a scope's column is bound under."""
    return f"scope_{column}"


def where(engine: Engine, matching: Matching, *, words: bool = True) -> list[ColumnElement]:
    """The clauses that all must hold; without `words`, those of the fields alone."""
    resource = matching.resource
    table = resource.table
    clauses = [table.c[name] == bindparam(scope_name(name), type_=table.c[name].type) for name in resource.scope]
    if resource.soft_delete:
        clauses.append(table.c.deleted_at.is_not(None) if resource.deleted else table.c.deleted_at.is_(None))
    clauses += [filter_clause(engine, resource, part) for part in matching.filters]
    if matching.finds_nothing:
        clauses.append(literal_column("1") == literal_column("0"))
    elif matching.search and words:
        clauses.append(is_found(engine, resource, matching.search))
    return clauses


def filter_clause(engine: Engine, resource: Resource, part: Filter) -> ColumnElement:
    """One filter as a clause."""
    return _through(engine, resource.table, part.field.joins, part)


def _through(engine: Engine, table: Table, path: Sequence[Join], part: Filter) -> ColumnElement:
    """The filter on the records that the path leads to, as a clause on the table that it begins at."""
    if not path:
        return _of_any_row(table, part) if part.field.is_of_item else _compared(engine, part, part.field.declared)
    reference, operator, own = path[0].reference, part.operator, part.field.declared
    ours, theirs = table.c[reference.on], reference.resource.table.c[reference.to]
    if own.column is theirs and len(path) == 1 and operator.takes != "folded":
        return operator.build(ours, _operands(part))
    found = select(theirs).where(_through(engine, reference.resource.table, path[1:], part)).correlate(None)
    if _names_one(path, part):
        # Compared as one value: the index on ours also gives the order.
        return ours == found.scalar_subquery()
    reached = ours.in_(found)
    return or_(ours.is_(None), reached) if operator.keeps_null and ours.nullable else reached


def _of_any_row(parent: Table, part: Filter) -> ColumnElement:
    """A filter on the rows of a list: any of them passes; of an operator that is a complement, none has the value."""
    rows, operator = part.field.rows, part.operator.complement or part.operator
    assert rows is not None
    parents, clause = rows.table.c[rows.on], operator.build(_column(part.field, operator), _operands(part))
    if part.operator.complement:
        return not_(exists(select(literal_column("1")).where(parents == parent.c.id, clause).correlate(parent)))
    # SQLite collects these ids once; with EXISTS it would look up the rows of each record that it passes.
    return parent.c.id.in_(select(parents).where(clause).correlate(None))


def own_column_of(resource: Resource, part: Filter) -> Column | None:
    """The column of the resource's own table that the filter compares; None for a list's rows."""
    return None if part.field.is_of_item and not part.field.joins else resource.own_column(part.field)


def names_one(part: Filter) -> bool:
    """Whether a filter fixes its column to one value: equality, with a related record by what is unique of it."""
    return _names_one(part.field.joins, part)


def _names_one(path: Sequence[Join], part: Filter) -> bool:
    if part.operator is not EQUAL or [operand.form for operand in part.operands] != [VALUE] or part.field.is_of_item:
        return False
    if not path:
        return True
    reference, column = path[0].reference, part.field.declared.column
    return len(path) == 1 and column is not None and column.name in (reference.resource.key, reference.to)


def _compared(engine: Engine, part: Filter, own: Field) -> ColumnElement:
    if own.kind is OBJECT:
        return _attribute(engine, part, own)
    return part.operator.build(_column(own, part.operator), _operands(part))


def _column(known: Field, operator: Operator) -> ColumnElement:
    column = known.folded if operator.takes == "folded" else known.column
    assert column is not None
    return column


def _attribute(engine: Engine, part: Filter, own: Field) -> ColumnElement:
    """Each value is compared with its own representation of the attribute: it is any of them, or none of them."""
    assert own.folded is not None
    member = engine.member(own.folded, bindparam(part.key, type_=Text()))
    if part.operator.takes == "boolean":
        return part.operator.build(member, ())
    operands: dict[str, list[BindParameter]] = {}
    for operand in part.operands:
        operands.setdefault(operand.form, []).append(bindparam(operand.names[0], type_=EXACT_TEXT))
    clauses = [
        part.operator.build(member.op("->>", return_type=EXACT_TEXT)(literal_column(f"'{form}'")), asked)
        for form, asked in operands.items()
    ]
    return and_(*clauses) if part.operator.keeps_null else or_(*clauses)


def _operands(part: Filter) -> list[Operand]:
    kind = Text() if part.operator.takes == "folded" else part.field.kind.column_type
    bound = [[bindparam(name, type_=kind) for name in operand.names] for operand in part.operands]
    return [Between(*names) if len(names) > 1 else names[0] for names in bound]
