"""What every record has, and the schemas that follow from the one for creation."""

from collections.abc import Iterable
from copy import copy
from functools import cache
from typing import Any

from pydantic import create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlmodel import Field

from machine_monitor.database.kinds import INTEGER, OBJECT, TIME
from machine_monitor.models.fields import AttributesPatch, Identity, Instant, Schema, stored


class Versioned(Schema):
    """What the product writes into every record, and no client can."""

    version: Identity = stored(INTEGER, "Counts the record's changes; also its ETag.")
    created_at: Instant = stored(TIME, "When the record was written.")
    updated_at: Instant = stored(TIME, "When the record was last changed.")


# What no body of a create schema has; a list's count is another, which `Resource.read_only` knows.
READ_ONLY = ("id", *Versioned.model_fields)
# Where `expand` shows what belongs to others; nothing of it is ever written.
EXPANDED = "expanded"


def replacement(create: type[Schema], read: type[Schema], preserved: Iterable[str]) -> type[Schema]:
    """The body of a PUT: that of a POST, without the fields that are preserved; what GET gave may come back."""
    absent = {name: _optional(info) for name, info in read.model_fields.items() if name not in create.model_fields}
    absent |= {name: _optional(create.model_fields[name]) for name in preserved}
    return _derive(create, "Replace", "Replaces", absent)


def patch(replace: type[Schema]) -> type[Schema]:
    """The body of a PATCH: any of what PUT takes; a null among the attributes removes its key."""
    fields = {name: _optional(info) for name, info in replace.model_fields.items()}
    if "attributes" in fields:
        description = replace.model_fields["attributes"].description or ""
        fields["attributes"] = (AttributesPatch, stored(OBJECT, description, default_factory=type(None)))
    update = _derive(replace, "Update", "Changes", fields)
    update.partial = True
    return update


def _derive(base: type[Schema], suffix: str, verb: str, fields: dict[str, Any]) -> type[Schema]:
    noun = base.__name__.removesuffix("Create").removesuffix("Replace")
    return create_model(
        f"{noun}{suffix}",
        __base__=base,
        __doc__=f"{verb} a record; a field that is absent is not null.",
        **fields,
    )


def _optional(info: FieldInfo) -> tuple[Any, FieldInfo]:
    """The same field, which may be absent; a factory says so without showing a default."""
    optional = copy(info)
    optional.default = PydanticUndefined
    optional.default_factory = type(None)
    return info.annotation, optional


@cache
def read_part(read: type[Schema], *, expandable: bool) -> type[Schema]:
    """What a GET answers: the fields that `fields` names, all of them if it is absent."""
    noun = read.__name__.removesuffix("Read")
    fields: dict[str, Any] = {name: _optional(info) for name, info in read.model_fields.items()}
    if expandable:
        fields[EXPANDED] = (
            dict[str, Any],
            Field(default_factory=dict, description="What `expand` names."),
        )
    return create_model(
        f"{noun}Part", __base__=Schema, __doc__="A record, or the fields of it that were asked for.", **fields
    )
