"""Common fields of all records, and the schemas derived from the create and read schemas: PUT, PATCH, partial read."""

from collections.abc import Iterable
from copy import copy
from functools import cache
from typing import Any

from pydantic import create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlmodel import Field

from machine_monitor.database.kinds import INTEGER, OBJECT, TIME
from machine_monitor.models.fields import AttributesPatch, Identity, Instant, Schema, kind_field


class Versioned(Schema):
    """The read-only fields of every record."""

    version: Identity = kind_field(INTEGER, "The number of the record's version, from 1; also its ETag.")
    created_at: Instant = kind_field(TIME, "When the record was created.")
    updated_at: Instant = kind_field(TIME, "When the record was last changed.")


# Read-only fields of all resources. `Resource.read_only` adds the counts of child rows.
READ_ONLY = ("id", *Versioned.model_fields)
# The member that holds expanded records in a response. Ignored in bodies.
EXPANDED = "expanded"


def replace_schema(create: type[Schema], read: type[Schema], preserved: Iterable[str]) -> type[Schema]:
    """Derive the PUT schema from the create schema.

    Preserved fields are optional, and the read-only fields of a GET response are accepted.
    """
    absent = {name: _optional(info) for name, info in read.model_fields.items() if name not in create.model_fields}
    absent |= {name: _optional(create.model_fields[name]) for name in preserved}
    return _derive(create, "Replace", "Replaces", absent)


def patch_schema(replace: type[Schema]) -> type[Schema]:
    """Derive the PATCH schema: every field of PUT, optional; a null in `attributes` removes its key."""
    fields = {name: _optional(info) for name, info in replace.model_fields.items()}
    if "attributes" in fields:
        description = replace.model_fields["attributes"].description or ""
        fields["attributes"] = (AttributesPatch, kind_field(OBJECT, description, default_factory=type(None)))
    update = _derive(replace, "Update", "Changes", fields)
    update.partial = True
    return update


def _derive(base: type[Schema], suffix: str, verb: str, fields: dict[str, Any]) -> type[Schema]:
    noun = base.__name__.removesuffix("Create").removesuffix("Replace").removesuffix("Values").removesuffix("Body")
    return create_model(
        f"{noun}{suffix}",
        __base__=base,
        __doc__=f"{verb} a record. Absent fields and null are different.",
        **fields,
    )


def _optional(info: FieldInfo) -> tuple[Any, FieldInfo]:
    """Make a field optional. The default is a factory, because OpenAPI shows no default for it."""
    optional = copy(info)
    optional.default = PydanticUndefined
    optional.default_factory = type(None)
    return info.annotation, optional


@cache
def partial_read_schema(read: type[Schema], *, expandable: bool) -> type[Schema]:
    """Derive the response schema of a GET with `fields`: every field is optional."""
    noun = read.__name__.removesuffix("Read")
    fields: dict[str, Any] = {name: _optional(info) for name, info in read.model_fields.items()}
    if expandable:
        fields[EXPANDED] = (
            dict[str, Any],
            Field(default_factory=dict, description="The records and values that `expand` requested."),
        )
    return create_model(
        f"{noun}Part", __base__=Schema, __doc__="A record, or the fields of it that were requested.", **fields
    )
