"""The columns of a record's row, each with the value that it has according to the history.

Values are compared in portable form, which is SQLite's storage form, so that both engines give the same result.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column

from machine_monitor.database.engines import SQLITE
from machine_monitor.database.kinds import INTEGER, LIST, OBJECT, TEXT, TIME, Kind
from machine_monitor.query.schema import ChildRows, Resource, field_annotations
from machine_monitor.services.audit.history import values_equal
from machine_monitor.services.checks.key_timeline import KeyTimeline
from machine_monitor.services.checks.replay import RecordState

MAX_SHOWN = 80


class StoredValue(NamedTuple):
    """A column, and the functions that give its expected value and show a value to people as the API does."""

    name: str
    column: Column
    expected: Callable[[RecordState], Any]
    show: Callable[[Any], Any]

    def equals(self, expected: Any, found: Any) -> bool:
        """Whether the row has the expected value. JSON objects are equal whatever the order of their members."""
        if expected == found:
            return True
        is_object = self.column.type is OBJECT.column_type
        return is_object and values_equal(_parse(expected), _parse(found))


def stored_values(resource: Resource, timelines: Mapping[str, KeyTimeline]) -> list[StoredValue]:
    """Return the columns of a resource that its history covers; the first is the id."""
    table = resource.table
    stored = [StoredValue("id", table.c.id, lambda _: None, str), *_attributes_of_state(resource)]
    for name, known in resource.own_fields.items():
        if (reference := resource.references.get(name)) is not None and not reference.is_natural:
            stored.append(_reference(name, table.c[reference.on], timelines[reference.resource.name]))
        elif name in resource.child_counts:
            stored.append(_count(name, table.c[name], resource.child_counts[name]))
        elif name in resource.create.model_fields and known.kind is not LIST:
            stored.append(_field(name, table.c[name], known.kind))
    if resource.unique_column != resource.key:
        stored.append(_unique_key(resource))
    return stored


def child_row_kinds(rows: ChildRows) -> dict[str, Kind]:
    """Return the kinds of the fields of a child row."""
    return {name: field_annotations(info).kind for name, info in rows.item.model_fields.items()}


def to_portable(value: Any, kind: Kind) -> Any:
    """Convert an API value to portable form; a value that the kind does not have stays as it is."""
    try:
        return SQLITE.to_db(value, kind)
    except (TypeError, ValueError):
        return value


def show(value: Any) -> str:
    """Return a value as it is shown in a message: JSON, which has no control characters, and cut off if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _attributes_of_state(resource: Resource) -> Iterator[StoredValue]:
    columns = resource.table.c
    yield StoredValue("version", columns.version, lambda state: state.version, _shower(INTEGER))
    yield StoredValue("created_at", columns.created_at, lambda state: state.created_at, _shower(TIME))
    yield StoredValue("updated_at", columns.updated_at, lambda state: state.updated_at, _shower(TIME))
    if resource.soft_delete:
        yield StoredValue("deleted_at", columns.deleted_at, lambda state: state.deleted_at, _shower(TIME))


def _field(name: str, column: Column, kind: Kind) -> StoredValue:
    convert = SQLITE.db_converters.get(kind.name)
    if convert is None:
        return StoredValue(name, column, lambda state: state.values[name], _shower(kind))
    return StoredValue(name, column, lambda state: to_portable(state.values[name], kind), _shower(kind))


def _reference(name: str, column: Column, timeline: KeyTimeline) -> StoredValue:
    def show_key(record_id: Any) -> Any:
        return record_id if record_id is None else timeline.key_of(record_id) or f"record {record_id}"

    return StoredValue(name, column, lambda state: state.referenced[name], show_key)


def _count(name: str, column: Column, list_name: str) -> StoredValue:
    return StoredValue(name, column, lambda state: len(state.values[list_name] or ()), _shower(INTEGER))


def _unique_key(resource: Resource) -> StoredValue:
    column, key, unique_key_of = resource.table.c[resource.unique_column], resource.key, resource.unique_key_of
    return StoredValue(column.name, column, lambda state: unique_key_of(str(state.values[key])), _shower(TEXT))


def _shower(kind: Kind) -> Callable[[Any], Any]:
    """Return the function from the portable form to the API's; a value that is not of the kind stays as it is."""

    def shown(value: Any) -> Any:
        if kind is TIME and isinstance(value, str):
            return f"{value}Z"
        if kind.name == "rank" and isinstance(value, int) and 0 <= value < len(kind.choices):
            return kind.choices[value]
        if kind.name == "boolean" and value in (0, 1):
            return bool(value)
        return _parse(value) if kind is OBJECT else value

    return shown


def _parse(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
