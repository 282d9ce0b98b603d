"""Build a record's JSON in SQL, and the statements that read one record, some or all."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import ColumnElement, Select, Text, bindparam, case, false, literal_column, select, true

from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER, OBJECT
from machine_monitor.database.statements import Statement, compile_statement, statement_cache
from machine_monitor.query.schema import ChildRows, Field, Resource, Selection, field_annotations


@statement_cache(256)
def record_statement(engine: Engine, resource: Resource, lookup_column: str, selection: Selection) -> Statement:
    """Compile the query for one record by its `lookup_column`, bound as `key`. Row: (JSON, id, version, is deleted)."""
    fields, expand = selection
    table = resource.table
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    query = (
        select(as_text(record_json(engine, resource, fields, expand)), table.c.id, table.c.version, deleted)
        .select_from(resource.joined_table(selected_fields(resource, fields, expand)))
        .where(table.c[lookup_column] == bindparam("key", type_=table.c[lookup_column].type))
    )
    return compile_statement(engine, query)


@lru_cache(maxsize=64)
def records_by_key_statement(engine: Engine, resource: Resource) -> Statement:
    """Compile the query for records by their unique keys. Bind `keys`, a JSON array.

    Rows: (JSON, id, version, is deleted, key).
    """
    table, key = resource.table, resource.table.c[resource.unique_column]
    deleted = table.c.deleted_at.is_not(None) if resource.soft_delete else false()
    query = all_records(engine, resource).add_columns(deleted, key)
    return compile_statement(
        engine, query.where(key.in_(engine.unnest_json_array(bindparam("keys", type_=Text()), key.type)))
    )


@lru_cache(maxsize=64)
def undeleted_records_statement(engine: Engine, resource: Resource) -> Statement:
    """Compile the query for all records that are not deleted, in the order of their ids. Rows: (JSON, id, version)."""
    not_deleted = resource.table.c.deleted_at.is_(None) if resource.soft_delete else true()
    return compile_statement(engine, all_records(engine, resource).where(not_deleted))


@lru_cache(maxsize=64)
def records_after_id_statement(engine: Engine, resource: Resource) -> Statement:
    """Compile the query for `limit` records after the id `after`, deleted ones too. Rows: (JSON, id, version)."""
    bound = {name: bindparam(name, type_=INTEGER.column_type) for name in ("after", "limit")}
    query = all_records(engine, resource).where(resource.table.c.id > bound["after"]).limit(bound["limit"])
    return compile_statement(engine, query)


def all_records(engine: Engine, resource: Resource) -> Select:
    """Select all records, deleted ones too, in the order of their ids. Rows: (JSON, id, version)."""
    table, fields = resource.table, tuple(resource.own_fields)
    return (
        select(as_text(record_json(engine, resource, fields, ())), table.c.id, table.c.version)
        .select_from(resource.joined_table(resource.own_fields.values()))
        .order_by(table.c.id)
    )


def record_json(engine: Engine, resource: Resource, fields: tuple[str, ...], expand: tuple[str, ...]) -> ColumnElement:
    """Return an SQL expression for the record's JSON."""
    members = {name: field_json(engine, resource, resource.fields[name]) for name in fields}
    if expand:
        members["expanded"] = engine.build_object({name: _expanded_member(engine, resource, name) for name in expand})
    return engine.build_object(members)


def field_json(engine: Engine, resource: Resource, field: Field) -> ColumnElement:
    """Return an SQL expression for the field's JSON value."""
    if field.column is not None:
        return engine.to_json_expr(field.column, field.kind)
    assert field.rows is not None
    declaring = field.joins[-1].reference.resource if field.joins else resource
    record = (field.joins[-1].target if field.joins else resource.table).c
    array = _array(engine, record.id, field.rows)
    for name, counted in declaring.child_counts.items():
        if counted == field.name.rpartition(".")[2]:
            # Most records have no rows: they cost no subquery.
            is_empty = record[name] == literal_column("0")
            return engine.to_json_expr(case((is_empty, literal_column("'[]'")), else_=array), OBJECT)
    return array


def selected_fields(resource: Resource, fields: Iterable[str], expand: Iterable[str]) -> list[Field]:
    """Return the fields that a document needs: those named, and all fields of the expanded records."""
    related = [field for name in expand if name in resource.references for field in resource.expanded_fields(name)]
    # Join the related table even if every field is stored here: only its row tells whether the record exists.
    return [*[resource.fields[name] for name in fields], *related]


def _array(engine: Engine, parent: ColumnElement, rows: ChildRows) -> ColumnElement:
    """Return an SQL expression for the child rows as a JSON array, by position."""
    table = rows.table
    kinds = {name: field_annotations(info).kind for name, info in rows.item.model_fields.items()}
    item = engine.build_object({name: engine.to_json_expr(table.c[name], kind) for name, kind in kinds.items()})
    children = select().select_from(table).where(table.c[rows.on] == parent).correlate_except(table)
    return engine.build_array(item, children, table.c[rows.position])


def _expanded_member(engine: Engine, resource: Resource, name: str) -> ColumnElement:
    if name in resource.computed:
        return engine.build_object(resource.computed[name](engine))
    reference, fields = resource.references[name], resource.expanded_fields(name)
    related = engine.build_object(
        {field.name.removeprefix(f"{name}."): field_json(engine, resource, field) for field in fields}
    )
    if not resource.table.c[reference.on].nullable:
        return related
    referenced_column = fields[0].joins[0].target.c[reference.to]
    return engine.to_json_expr(case((referenced_column.is_not(None), related)), OBJECT)
