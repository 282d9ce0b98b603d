"""The fields that facets and stats group by: every field with one value per record, except long texts and times.

An attribute is one too, such as `attributes.cost` or `machine.attributes.site`. Its values are compared by their stored
representations (`language/attributes`), which both engines sort alike: booleans first, then numbers, then texts.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Text, bindparam, func, literal_column

from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import EXACT_TEXT, OBJECT, Kind
from machine_monitor.query.language import attributes
from machine_monitor.query.schema import Field, Resource
from machine_monitor.query.sql import counters
from machine_monitor.query.sql.attribute_sums import json_number

# Longer texts cannot be grouped by.
MAX_LENGTH = 200
GROUPED_KINDS = frozenset({"text", "code", "choice", "rank", "boolean", "integer", "uuid", "object"})
ATTRIBUTE = Kind("attribute", EXACT_TEXT)


class GroupName(NamedTuple):
    """What a name to group by stands for: a field, and the key of the attribute if the field is an object."""

    field: Field
    key: str | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the values."""
        return self.field.kind if self.key is None else ATTRIBUTE


@cache
def groupable_fields(resource: Resource) -> dict[str, Field]:
    """Return the fields to group by, by parameter name; `<key>` in a name stands for any attribute key.

    Those that are counted by counters come first.
    """
    if resource.summary is None:
        return {}
    fields = [field for field in resource.single_valued_fields.values() if _is_groupable(resource, field)]
    fields.sort(key=lambda field: counters.counter_field_of(resource, field) is None)
    return {field.parameter: field for field in fields}


def find(resource: Resource, name: str) -> GroupName | None:
    """Return what a name to group by stands for; None if it is not one."""
    fields = groupable_fields(resource)
    if name in fields and fields[name].kind is not OBJECT:
        return GroupName(fields[name])
    any_key, key = attributes.split_parameter(name)
    return GroupName(fields[any_key], key) if any_key in fields and attributes.is_valid_key(key) else None


def resolve(resource: Resource, name: str) -> GroupName:
    """Return what a validated name to group by stands for."""
    named = find(resource, name)
    assert named is not None
    return named


def group_fields(engine: Engine, resource: Resource, names: Iterable[str]) -> list[Field]:
    """Return the fields of these names in their order; the columns of attributes need the values of `bind_keys`."""
    fields = []
    for number, name in enumerate(names):
        field, key = resolve(resource, name)
        if key is not None:
            assert field.folded is not None
            field = replace(field, name=name, kind=ATTRIBUTE, column=attribute_column(engine, field.folded, number))
        fields.append(field)
    return fields


def bind_keys(resource: Resource, names: Iterable[str]) -> dict[str, str]:
    """Return the bind values of the columns that `group_fields` returns for the same names."""
    keys = [resolve(resource, name).key for name in names]
    return {_bind_name(number): key for number, key in enumerate(keys) if key is not None}


def attribute_column(engine: Engine, stored: ColumnElement, number: int) -> ColumnElement:
    """Return the value of an attribute from its representations in `stored`, as the name of one and its text.

    It is null if the record has no such attribute.
    """
    member = engine.member(stored, bindparam(_bind_name(number), type_=Text()))
    # A text that is a number has both representations.
    names = [literal_column(f"'{name}'") for name in (attributes.TEXT, attributes.NUMBER, attributes.BOOLEAN)]
    texts = [name.concat(member.op("->>", return_type=Text())(name)) for name in names]
    return engine.exact_text(func.coalesce(*texts))


def json_value(kind: Kind) -> Callable[[Any], Any]:
    """Return a function that converts a group's value to its JSON value, from the driver's type or from text."""
    if kind.name == "rank":
        return lambda value: None if value is None else kind.choices[int(value)]
    convert = _CONVERSIONS.get(kind.name, str)
    return lambda value: None if value is None else convert(value)


def sort_key(kind: Kind) -> Callable[[str], Any]:
    """Return a function of a group's value as text, by which the values of a field are sorted."""
    return int if kind.name in ("integer", "rank") else str


def _is_groupable(resource: Resource, field: Field) -> bool:
    if field.kind.name not in GROUPED_KINDS or field.column is None:
        return False
    declaring = field.joins[-1].reference.resource if field.joins else resource
    length = declaring.annotations[field.column.name].max_length
    return length is None or length <= MAX_LENGTH


def _bind_name(number: int) -> str:
    return f"group_key{number}"


def _boolean(value: Any) -> bool:
    """SQLite has no boolean type; as text, the engines write 1 and true."""
    return str(value).lower() in ("1", "true")


def _attribute(value: str) -> Any:
    name, text = value[0], value[1:]
    if name == attributes.NUMBER:
        return json_number(attributes.parse_sortable_hex(text))
    return _boolean(text) if name == attributes.BOOLEAN else text


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"integer": int, "boolean": _boolean, ATTRIBUTE.name: _attribute}
