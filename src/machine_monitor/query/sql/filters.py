"""Compile filters: conditions become WHERE clauses and bind values."""

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
from machine_monitor.query.language.attributes import FOLDED, AttributeOperand
from machine_monitor.query.language.operators import EQUAL, DayRangeBinds, Operand, Operator
from machine_monitor.query.language.parser import Condition, Terms
from machine_monitor.query.schema import Field, Join, Resource
from machine_monitor.query.sql.search import SearchBinds, bind_search, matches_search

VALUE, DAY = "value", "day"


class OperandBinds(NamedTuple):
    """The bind names of one operand.

    `form` is VALUE, DAY (two names: start and end), or the representation of an attribute.
    """

    form: str
    names: tuple[str, ...]


class Filter(NamedTuple):
    """A condition without its values: the part that the SQL text depends on.

    `key` is the bind name of an attribute's key.
    """

    field: Field
    operator: Operator
    operands: tuple[OperandBinds, ...]
    key: str | None


class FilterKey(NamedTuple):
    """The filters and search of a query without their values: the cache key of the compiled WHERE clause."""

    resource: Resource
    filters: tuple[Filter, ...] = ()
    search: SearchBinds | None = None
    finds_nothing: bool = False


def compile_filters(
    engine: Engine, resource: Resource, conditions: Sequence[Condition], terms: Terms, prefix: str = ""
) -> tuple[FilterKey, dict[str, Any]]:
    """Split conditions into the cache key and the bind values; every bind name starts with `prefix`."""
    values: dict[str, Any] = {}
    filters = [_bind(engine, condition, f"{prefix}f{i}", values) for i, condition in enumerate(conditions)]
    search = None
    if terms:
        search, bound = bind_search(engine, resource, conditions, terms, prefix)
        values |= bound
    return FilterKey(resource, tuple(filters), search, terms is None), values


def _bind(engine: Engine, condition: Condition, name: str, values: dict[str, Any]) -> Filter:
    kind, operands = condition.field.kind, []
    for i, value in enumerate(condition.values):
        bind_name = f"{name}_{i}"
        if isinstance(value, tuple):
            names = (f"{bind_name}_start", f"{bind_name}_end")
            values |= {bound: engine.to_db(instant, kind) for bound, instant in zip(names, value, strict=True)}
            operands.append(OperandBinds(DAY, names))
        elif isinstance(value, AttributeOperand):
            values[bind_name] = value.text
            operands.append(OperandBinds(value.representation, (bind_name,)))
        else:
            values[bind_name] = value if condition.operator.value_type == "folded" else engine.to_db(value, kind)
            operands.append(OperandBinds(VALUE, (bind_name,)))
    key = None
    if condition.key is not None:
        key = f"{name}_key"
        values[key] = condition.key
    return Filter(condition.field, condition.operator, tuple(operands), key)


def scope_param(column: str) -> str:
    """Return the bind name of a scope column."""
    return f"scope_{column}"


def where(engine: Engine, filter_key: FilterKey, *, include_search: bool = True) -> list[ColumnElement]:
    """Return the WHERE clauses, to be joined by AND.

    The condition of the search is left out if `include_search` is False.
    """
    resource = filter_key.resource
    table = resource.table
    clauses = [table.c[name] == bindparam(scope_param(name), type_=table.c[name].type) for name in resource.scope]
    if resource.soft_delete:
        clauses.append(table.c.deleted_at.is_not(None) if resource.deleted else table.c.deleted_at.is_(None))
    clauses += [filter_clause(engine, resource, filter_) for filter_ in filter_key.filters]
    if filter_key.finds_nothing:
        clauses.append(literal_column("1") == literal_column("0"))
    elif filter_key.search and include_search:
        clauses.append(matches_search(engine, resource, filter_key.search))
    return clauses


def filter_clause(engine: Engine, resource: Resource, filter_: Filter) -> ColumnElement:
    """Return one filter as a clause on the resource's table."""
    if filter_.field.any_of:
        return or_(*(filter_clause(engine, resource, filter_._replace(field=field)) for field in filter_.field.any_of))
    return _related_clause(engine, resource.table, filter_.field.joins, filter_)


def _related_clause(engine: Engine, table: Table, path: Sequence[Join], filter_: Filter) -> ColumnElement:
    """Return a filter on a related field as a clause on `table`: one subquery for each join of the path.

    A comparison with the referenced column itself needs no subquery: the reference holds the same value.
    """
    if not path:
        return (
            _child_row_clause(table, filter_)
            if filter_.field.is_of_child_row
            else _own_clause(engine, filter_, filter_.field.declared)
        )
    reference, operator, own = path[0].reference, filter_.operator, filter_.field.declared
    referencing, referenced = table.c[reference.on], reference.resource.table.c[reference.to]
    if own.column is referenced and len(path) == 1 and operator.value_type != "folded":
        return operator.build(referencing, _operands(filter_))
    matching = (
        select(referenced).where(_related_clause(engine, reference.resource.table, path[1:], filter_)).correlate(None)
    )
    if _is_single_value_equality(path, filter_):
        # `=` instead of IN: with one value, the composite index also yields the sort order.
        return referencing == matching.scalar_subquery()
    clause = referencing.in_(matching)
    return or_(referencing.is_(None), clause) if operator.keeps_null and referencing.nullable else clause


def _child_row_clause(parent: Table, filter_: Filter) -> ColumnElement:
    """Return a filter on child rows: some row matches, or NOT EXISTS if the operator is a complement (`ne`, `nin`)."""
    rows, operator = filter_.field.rows, filter_.operator.complement or filter_.operator
    assert rows is not None
    parents, clause = rows.table.c[rows.on], operator.build(_column(filter_.field, operator), _operands(filter_))
    if filter_.operator.complement:
        return not_(exists(select(literal_column("1")).where(parents == parent.c.id, clause).correlate(parent)))
    # IN instead of EXISTS: SQLite collects these ids once, instead of looking up the child rows of each record.
    return parent.c.id.in_(select(parents).where(clause).correlate(None))


def own_column_of(resource: Resource, filter_: Filter) -> Column | None:
    """Return the column of the resource's own table that the filter compares; None for child rows and several."""
    is_single = not filter_.field.any_of and (filter_.field.joins or not filter_.field.is_of_child_row)
    return resource.own_column(filter_.field) if is_single else None


def is_single_value_equality(filter_: Filter) -> bool:
    """Whether a filter fixes its column to one value.

    It is equality on an own column, or on a unique column of a related record.
    """
    return _is_single_value_equality(filter_.field.joins, filter_)


def _is_single_value_equality(path: Sequence[Join], filter_: Filter) -> bool:
    if (
        filter_.operator is not EQUAL
        or [operand.form for operand in filter_.operands] != [VALUE]
        or filter_.field.is_of_child_row
    ):
        return False
    if not path:
        return True
    reference, column = path[0].reference, filter_.field.declared.column
    return len(path) == 1 and column is not None and column.name in (reference.resource.key, reference.to)


def _own_clause(engine: Engine, filter_: Filter, own: Field) -> ColumnElement:
    if own.kind is OBJECT:
        return _attribute(engine, filter_, own)
    return filter_.operator.build(_column(own, filter_.operator), _operands(filter_))


def _column(field: Field, operator: Operator) -> ColumnElement:
    column = field.folded if operator.value_type == "folded" else field.column
    assert column is not None
    return column


def _attribute(engine: Engine, filter_: Filter, own: Field) -> ColumnElement:
    """Compare an attribute: each operand with the representation of its type.

    The clauses of positive operators are joined by OR, those of negative ones by AND. Without a key, compare the folded
    text of each attribute.
    """
    assert own.folded is not None
    if filter_.key is None:
        members = engine.members(own.folded)
        text = members.c.value.op("->>", return_type=EXACT_TEXT)(literal_column(f"'{FOLDED}'"))
        condition = filter_.operator.build(text, _operands(filter_))
        return exists(select(literal_column("1")).select_from(members).where(condition))
    member = engine.member(own.folded, bindparam(filter_.key, type_=Text()))
    if filter_.operator.value_type == "boolean":
        return filter_.operator.build(member, ())
    operands: dict[str, list[BindParameter]] = {}
    for operand in filter_.operands:
        operands.setdefault(operand.form, []).append(bindparam(operand.names[0], type_=EXACT_TEXT))
    clauses = [
        filter_.operator.build(member.op("->>", return_type=EXACT_TEXT)(literal_column(f"'{form}'")), binds)
        for form, binds in operands.items()
    ]
    return and_(*clauses) if filter_.operator.keeps_null else or_(*clauses)


def _operands(filter_: Filter) -> list[Operand]:
    kind = Text() if filter_.operator.value_type == "folded" else filter_.field.kind.column_type
    bound = [[bindparam(name, type_=kind) for name in operand.names] for operand in filter_.operands]
    return [DayRangeBinds(*names) if len(names) > 1 else names[0] for names in bound]
