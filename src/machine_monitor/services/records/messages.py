"""Messages of validation faults: each names the field and says what was expected.

Pydantic's own messages name no field, show regular expressions, and speak of Python's types.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core.core_schema import ErrorType
from sqlmodel import SQLModel

from machine_monitor.models.fields import PATTERN_RULES

_BUILTIN_ERRORS = frozenset(get_args(ErrorType))
# The expected type, by Pydantic's type of error.
_EXPECTED_TYPES = {
    "string_type": "a text",
    "string_unicode": "a text",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}


def message_of(detail: Mapping[str, Any], schema: type[SQLModel]) -> str:
    """Return the message for one error of Pydantic's `errors()`."""
    path = detail["loc"]
    if not path:
        return detail["msg"] if _is_ours(detail) else "The body must be a JSON object."
    name = f"'{'.'.join(map(str, path))}'"
    if _is_ours(detail):
        message = detail["msg"]
        return f"{name} {message}" if message[0].islower() else f"{name}: {message}"
    info = schema.model_fields.get(path[0]) if len(path) == 1 else None
    return f"{name} {_rule(detail['type'], detail.get('ctx') or {}, info)}"


def _is_ours(detail: Mapping[str, Any]) -> bool:
    """Whether a validator of this product raised the error, with a message of its own."""
    return detail["type"] not in _BUILTIN_ERRORS


def _rule(kind: str, context: Mapping[str, Any], info: FieldInfo | None) -> str:
    """Return the rule that the value breaks, as the rest of a sentence that begins with the field's name."""
    if kind in _EXPECTED_TYPES:
        nullable = info is not None and type(None) in get_args(info.annotation)
        return f"must be {_EXPECTED_TYPES[kind]}{', or null' if nullable else ''}."
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"must be {_range(context, info)}."
    if kind == "string_too_short":
        least = context["min_length"]
        return "must not be empty." if least == 1 else f"must have at least {least:,} characters."
    rules = {
        "missing": "is missing.",
        "string_too_long": "must have at most {max_length:,} characters.",
        "too_long": "must have at most {max_length:,} items.",
        "too_short": "must have at least {min_length:,} items.",
        "literal_error": "must be {expected}.",
        "string_pattern_mismatch": PATTERN_RULES.get(context.get("pattern", ""), "does not have the required form."),
        "value_error": "is not valid: {error}",
    }
    return rules.get(kind, "is not valid.").format(**context)


def _range(context: Mapping[str, Any], info: FieldInfo | None) -> str:
    least, most = context.get("ge"), context.get("le")
    for constraint in _constraints(info):
        least = getattr(constraint, "ge", least)
        most = getattr(constraint, "le", most)
    if least is None or most is None:
        return f"at most {most}" if least is None else f"at least {least}"
    return f"{'an integer' if isinstance(least, int) else 'a number'} from {least} to {most}"


def _constraints(annotation: Any) -> Iterator[Any]:
    """Yield the constraints of a field, also of one that may be null."""
    if isinstance(annotation, FieldInfo):
        yield from annotation.metadata
        yield from _constraints(annotation.annotation)
    for part in get_args(annotation):
        yield part
        yield from _constraints(part)
