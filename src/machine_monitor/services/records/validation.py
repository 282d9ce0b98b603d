"""Validate bodies, and convert validation errors to faults with JSON pointers."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlmodel import SQLModel

from machine_monitor.errors import Fault, invalid
from machine_monitor.models.schemas import READ_ONLY
from machine_monitor.query.schema import Resource
from machine_monitor.services.records.messages import message_of
from machine_monitor.suggestions import MAX_LENGTH, did_you_mean_field

S = TypeVar("S", bound=SQLModel)
# Fault codes that clients can translate; every other fault has the code `invalid` and an English message.
CODES = {
    "missing": "required",
    "string_too_short": "too-short",
    "string_too_long": "too-long",
    "string_pattern_mismatch": "pattern",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
}
# The search for a similar name is slow, and a body may have many fields that are unknown.
MAX_SUGGESTIONS = 10


def faults(error: ValidationError, schema: type[SQLModel]) -> list[Fault]:
    """Convert a validation error to faults. They contain no submitted values; an unknown field gets a suggestion."""
    field_names = [name for name in schema.model_fields if name not in READ_ONLY]
    details = error.errors(include_url=False, include_input=False)
    return [
        _fault(dict(detail), schema, field_names if i < MAX_SUGGESTIONS else ()) for i, detail in enumerate(details)
    ]


def validate(schema: type[S], values: Mapping[str, Any]) -> S:
    """Validate values against a schema; raises `Invalid` with every fault."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise invalid(faults(error, schema)) from None


def as_json(body: SQLModel) -> dict[str, Any]:
    """Convert a body to JSON values, including defaults."""
    # The serializer directly: `model_dump` adds 50 % overhead.
    return body.__pydantic_serializer__.to_python(body, mode="json")


def defaults(resource: Resource) -> dict[str, Any]:
    """Return the default values of a new record's optional fields."""
    fields = resource.create.model_fields
    return {
        name: info.get_default(call_default_factory=True) for name, info in fields.items() if not info.is_required()
    }


def _fault(detail: dict[str, Any], schema: type[SQLModel], field_names: Collection[str]) -> Fault:
    kind = detail["type"]
    # A rule between fields reports the field that the user should correct.
    field = (detail.get("ctx") or {}).get("field")
    path: tuple[Any, ...] = detail["loc"] or (() if field is None else (field,))
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    if kind == "extra_forbidden" and path[-1] in READ_ONLY:
        return Fault(f"'{path[-1]}' is read-only.", "read-only", pointer=pointer)
    if kind == "extra_forbidden":
        name = str(path[-1])
        shown = name if len(name) <= MAX_LENGTH else f"{name[:MAX_LENGTH]}…"
        return Fault(f"There is no field '{shown}'.{did_you_mean_field(name, field_names)}", "unknown", pointer=pointer)
    return Fault(message_of(detail, schema), CODES.get(kind, "invalid"), pointer=pointer)


def key_faults(resource: Resource, key: str) -> list[Fault]:
    """Return the faults of a key; empty if it is valid."""
    try:
        _key_type(resource).validate_python(key, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
        messages = [message_of({**detail, "loc": (resource.key,)}, resource.create) for detail in details]
        return [Fault(message, pointer=f"/{resource.key}") for message in messages]
    return []


def new_key_faults(resource: Resource, key: str) -> list[Fault]:
    """Return the faults of a key for a new record. Some of these keys are valid for older records."""
    return key_faults(resource, key) or _rule_faults(resource, key)


def require_new_key(resource: Resource, key: str) -> None:
    """Raise `Invalid` if no record may be given this key, though it is a valid one."""
    if faults := _rule_faults(resource, key):
        raise invalid(faults)


def _rule_faults(resource: Resource, key: str) -> list[Fault]:
    message = resource.new_key_fault(key)
    return [Fault(f"'{resource.key}' {message}", pointer=f"/{resource.key}")] if message else []


@cache
def _key_type(resource: Resource) -> TypeAdapter[Any]:
    info = resource.create.model_fields[resource.key]
    return TypeAdapter(info.rebuild_annotation())
