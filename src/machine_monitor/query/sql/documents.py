"""A record's JSON as the engine builds it, and the statements that read records one by one or all."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import ColumnElement, Select, Text, bindparam, case, false, select, true

from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER, OBJECT
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.schema import ChildRows, Field, Resource, Selection, read_marks


@lru_cache(maxsize=256)
def record_statement(engine: Engine, resource: Resource, lookup_column: str, selection: Selection) -> Statement:
    """One record by the column `lookup_column`: (document, id, version, whether it is deleted)."""
    fields, expand = selection
    table = resource.table
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    query = (
        select(as_text(document(engine, resource, fields, expand)), table.c.id, table.c.version, deleted)
        .select_from(resource.source(shown_fields(resource, fields, expand)))
        .where(table.c[lookup_column] == bindparam("key", type_=table.c[lookup_column].type))
    )
    return compile_statement(engine, query)


@lru_cache(maxsize=64)
def several_statement(engine: Engine, resource: Resource) -> Statement:
    """Records whose `unique_column` is in the JSON array `keys`: (document, id, version, whether deleted, key)."""
    table, key = resource.table, resource.table.c[resource.unique_column]
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    query = all_records(engine, resource).add_columns(deleted, key)
    return compile_statement(
        engine, query.where(key.in_(engine.unnest_json_array(bindparam("keys", type_=Text()), key.type)))
    )


@lru_cache(maxsize=64)
def every_statement(engine: Engine, resource: Resource) -> Statement:
    """Every record that is not deleted, in the order of writing: (document, id, version)."""
    not_deleted = resource.table.c.deleted_at.is_(None) if resource.soft_delete else true()
    return compile_statement(engine, all_records(engine, resource).where(not_deleted))


@lru_cache(maxsize=64)
def chunk_statement(engine: Engine, resource: Resource) -> Statement:
    """The records after the id `after`, deleted ones too, at most `limit`: (document, id, version)."""
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("after", "limit")}
    query = all_records(engine, resource).where(resource.table.c.id > bound["after"]).limit(bound["limit"])
    return compile_statement(engine, query)


def all_records(engine: Engine, resource: Resource) -> Select:
    """All records, deleted ones too, in the order of writing: (document, id, version)."""
    table, fields = resource.table, tuple(resource.own_fields)
    return (
        select(as_text(document(engine, resource, fields, ())), table.c.id, table.c.version)
        .select_from(resource.source(resource.own_fields.values()))
        .order_by(table.c.id)
    )


def document(engine: Engine, resource: Resource, fields: tuple[str, ...], expand: tuple[str, ...]) -> ColumnElement:
    """The record's JSON as the engine builds it."""
    members = {name: shown(engine, resource, resource.fields[name]) for name in fields}
    if expand:
        members["expanded"] = engine.build_object({name: _expanded(engine, resource, name) for name in expand})
    return engine.build_object(members)


def shown(engine: Engine, resource: Resource, known: Field) -> ColumnElement:
    """The JSON value of a field, as an expression."""
    if known.column is not None:
        return engine.to_json_expr(known.column, known.kind)
    assert known.rows is not None
    return _array(engine, known.joins[-1].target.c.id if known.joins else resource.table.c.id, known.rows)


def shown_fields(resource: Resource, fields: Iterable[str], expand: Iterable[str]) -> list[Field]:
    """The fields that a document is made of: those that are named, and those of the records that `expand` names."""
    related = [known for name in expand if name in resource.references for known in resource.expansion(name)]
    # Even where all of its fields are ours: whether there is a related record, only its own row tells.
    return [*[resource.fields[name] for name in fields], *related]


def _array(engine: Engine, parent: ColumnElement, rows: ChildRows) -> ColumnElement:
    """The rows of a list as a JSON array, in their order."""
    table = rows.table
    kinds = {name: read_marks(info).kind for name, info in rows.item.model_fields.items()}
    item = engine.build_object({name: engine.to_json_expr(table.c[name], kind) for name, kind in kinds.items()})
    found = select().select_from(table).where(table.c[rows.on] == parent).correlate_except(table)
    return engine.build_array(item, found, table.c[rows.position])


def _expanded(engine: Engine, resource: Resource, name: str) -> ColumnElement:
    if name in resource.computed:
        return engine.build_object(resource.computed[name](engine))
    reference, fields = resource.references[name], resource.expansion(name)
    whole = engine.build_object(
        {known.name.removeprefix(f"{name}."): shown(engine, resource, known) for known in fields}
    )
    if not resource.table.c[reference.on].nullable:
        return whole
    there = fields[0].joins[0].target.c[reference.to]
    return engine.to_json_expr(case((there.is_not(None), whole)), OBJECT)
