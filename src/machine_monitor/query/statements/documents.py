"""A record's JSON as the engine builds it, and the statements that read records one by one or all."""

from functools import lru_cache

from sqlalchemy import ColumnElement, Select, Text, bindparam, case, false, select, true

from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER, OBJECT
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.query.statements.shapes import Selection
from machine_monitor.query.vocabulary import Resource


@lru_cache(maxsize=256)
def record_statement(engine: Engine, resource: Resource, find_by: str, selection: Selection) -> Statement:
    """One record by the column `find_by`: (document, id, version, whether it is deleted)."""
    fields, expand = selection
    table = resource.table
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    shown = [resource.fields[name] for name in fields]
    query = (
        select(as_text(document(engine, resource, fields, expand)), table.c.id, table.c.version, deleted)
        .select_from(resource.source(shown, expand))
        .where(table.c[find_by] == bindparam("key", type_=table.c[find_by].type))
    )
    return compile_statement(engine, query)


@lru_cache(maxsize=64)
def several_statement(engine: Engine, resource: Resource) -> Statement:
    """The records whose `unique_by` is among the JSON array `keys`: (document, id, version, whether deleted, key)."""
    table, key = resource.table, resource.table.c[resource.unique_by]
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    query = all_records(engine, resource).add_columns(deleted, key)
    return compile_statement(engine, query.where(key.in_(engine.values_of(bindparam("keys", type_=Text()), key.type))))


@lru_cache(maxsize=64)
def every_statement(engine: Engine, resource: Resource) -> Statement:
    """Every living record in the order of writing: (document, id, version)."""
    living = resource.table.c.deleted_at.is_(None) if resource.soft_delete else true()
    return compile_statement(engine, all_records(engine, resource).where(living))


@lru_cache(maxsize=64)
def chunk_statement(engine: Engine, resource: Resource) -> Statement:
    """The records past the id `after`, deleted ones too, at most `limit`: (document, id, version)."""
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
    members = {name: engine.show(known.column, known.kind) for name in fields for known in [resource.fields[name]]}
    if expand:
        members["expanded"] = engine.build_object({name: _expanded(engine, resource, name) for name in expand})
    return engine.build_object(members)


def _expanded(engine: Engine, resource: Resource, name: str) -> ColumnElement:
    if name in resource.computed:
        return engine.build_object(resource.computed[name](engine))
    related = resource.relations[name]
    theirs = related.resource
    whole = document(engine, theirs, tuple(theirs.own_fields), ())
    if not resource.table.c[related.on].nullable:
        return whole
    return engine.show(case((theirs.table.c[related.to].is_not(None), whole)), OBJECT)
