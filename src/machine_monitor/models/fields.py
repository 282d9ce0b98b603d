"""Field types of the schemas, with their validation rules.

The query engine reads the `Kind` in an annotation; Pydantic runs the validators on bodies. The message of a validator
begins with "must": `services.records.validation` puts the name of the field before it.
"""

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, PydanticUndefined
from sqlmodel import Field, SQLModel

from machine_monitor.database import instants
from machine_monitor.database.kinds import (
    BOOLEAN,
    CODE,
    INTEGER,
    OBJECT,
    TEXT,
    TIME,
    UUID,
    Kind,
    choice,
    rank,
)
from machine_monitor.query.language import attributes
from machine_monitor.query.language.times import INSTANT_PATTERN, BadTime, parse_instant
from machine_monitor.query.language.values import MAX_INTEGER

SEVERITY = rank("info", "minor", "major", "critical")
ROLE = rank("viewer", "operator", "lead", "supervisor", "admin")
STATUS = choice("open", "in_progress", "done", "cancelled")
DOWN_KIND = choice("failure", "planned", "external")

MAX_NAME = 120
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_TEXT = 1_000

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
# Unicode's category Cc.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Schema(SQLModel):
    """Base of all schemas: strict JSON types, unknown fields are errors."""

    # True for PATCH schemas, where an absent field means "unchanged". Validators across fields check this.
    partial: ClassVar[bool] = False
    max_bytes: ClassVar[int] = 1024 * 1024
    # The part of a form that is this body as JSON, beside files; None if only JSON is accepted.
    form_part: ClassVar[str | None] = None

    model_config = ConfigDict(strict=True, extra="forbid")  # ty: ignore[invalid-assignment] -- SQLModel narrows it to its own subtype


class AccountSchema(Schema):
    """Base of the bodies of sign-in, passwords and tokens: small, because some need no credential."""

    max_bytes: ClassVar[int] = 4 * 1024


def kind_field(kind: Kind, description: str, default: Any = PydanticUndefined, **options: Any) -> Any:
    """Declare a field of this kind; in a table class it becomes a column."""
    return Field(default=default, sa_type=kind.column_type, description=description, **options)


def _storable(text: str) -> str:
    if _NOT_STORABLE.search(text):
        code, message = "text", "must not contain NUL characters or unpaired surrogates."
        raise PydanticCustomError(code, message)
    return text


def _machine_name(name: str) -> str:
    bad = "/" in name or name != name.strip() or name in (".", "..")
    if bad or _CONTROL.search(name):
        code = "machine_name"
        message = (
            "must not contain '/' or control characters, must not start or end with a space, "
            "and must not be '.' or '..'."
        )
        raise PydanticCustomError(code, message)
    return name


def _composed_name(name: str) -> str:
    if len(unicodedata.normalize("NFC", name)) > MAX_NAME:
        raise PydanticCustomError("machine_name", "must have at most 120 characters.")
    return _machine_name(name)


def _instant(value: object, info: ValidationInfo) -> datetime:
    if isinstance(value, datetime):
        return value
    zone = (info.context or {}).get("zone") or ZoneInfo("UTC")
    try:
        if isinstance(value, str):
            return parse_instant(value, zone)
    except BadTime as error:
        code = "time"
        raise PydanticCustomError(code, str(error)) from None  # ty: ignore[invalid-argument-type] -- a sentence of our own, not a template
    code, message = "time", "must be a time as text, such as 2025-07-25T13:18:25Z."
    raise PydanticCustomError(code, message)


def _attributes(value: object) -> dict[str, Any]:
    return _checked_attributes(value, removable=False)


def _attributes_patch(value: object) -> dict[str, Any]:
    return _checked_attributes(value, removable=True)


def _checked_attributes(value: object, *, removable: bool) -> dict[str, Any]:
    code = "attributes"
    # No limit for a patch here: it may both add and remove keys. The merged object is checked later.
    if not isinstance(value, dict) or (len(value) > MAX_ATTRIBUTES and not removable):
        message = f"must be an object with at most {MAX_ATTRIBUTES} keys."
        raise PydanticCustomError(code, message)
    for key, content in value.items():
        fault = _key_fault(key) or _content_fault(content, removable=removable)
        if fault:
            raise PydanticCustomError(code, fault)  # ty: ignore[invalid-argument-type] -- our own message, not a template
        if isinstance(content, str):
            _storable(content)
    return value


def _key_fault(key: str) -> str | None:
    _storable(key)
    return None if attributes.is_valid_key(key) else attributes.KEY_RULE


def _content_fault(content: object, *, removable: bool) -> str | None:
    if isinstance(content, str):
        return "must not contain a text of more than 1,000 characters." if len(content) > MAX_ATTRIBUTE_TEXT else None
    if isinstance(content, int) and not isinstance(content, bool) and abs(content) > MAX_INTEGER:
        return "must not contain an integer beyond ±9007199254740991 (53 bits)."
    if isinstance(content, int | float) or (content is None and removable):
        return None
    return "must contain only texts, numbers, true and false as values."


def _code_pattern(length: int) -> str:
    return rf"^[A-Za-z0-9][A-Za-z0-9_.-]{{0,{length - 1}}}$"


def _code(length: int) -> StringConstraints:
    return StringConstraints(pattern=_code_pattern(length), max_length=length)


_CODE_LENGTH, _TRIGRAM_LENGTH = 40, 12
_UUID_PATTERN = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID of 32 hexadecimal digits in five groups."""
    return re.fullmatch(_UUID_PATTERN, text) is not None


# The meaning of each pattern, for messages: the rest of a sentence that begins with the field's name.
PATTERN_RULES = {
    _code_pattern(length): (
        f"must have 1 to {length} characters: letters, digits, '_', '.' and '-', beginning with a letter or a digit."
    )
    for length in (_CODE_LENGTH, _TRIGRAM_LENGTH)
} | {_UUID_PATTERN: "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057."}


_ATTRIBUTE_VALUE = [
    {"type": "string", "maxLength": MAX_ATTRIBUTE_TEXT},
    {"type": "number"},
    {"type": "boolean"},
]


def _attributes_schema(values: list[dict[str, Any]], **bounds: int) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "object",
            **bounds,
            "propertyNames": {"minLength": 1, "maxLength": attributes.MAX_KEY_LENGTH},
            "additionalProperties": {"anyOf": values},
        }
    )


Name = Annotated[
    str,
    TEXT,
    StringConstraints(min_length=1, max_length=MAX_NAME),
    AfterValidator(_machine_name),
    AfterValidator(_storable),
]
# A machine name in a reference. In decomposed Unicode form the same name can be up to four times as long.
NamedMachine = Annotated[
    str,
    TEXT,
    StringConstraints(min_length=1, max_length=4 * MAX_NAME),
    AfterValidator(_composed_name),
    AfterValidator(_storable),
]
ShortText = Annotated[str, TEXT, StringConstraints(max_length=200), AfterValidator(_storable)]
LongText = Annotated[str, TEXT, StringConstraints(max_length=20_000), AfterValidator(_storable)]
Code = Annotated[str, CODE, _code(_CODE_LENGTH)]
Trigram = Annotated[str, CODE, _code(_TRIGRAM_LENGTH)]
Severity = Annotated[Literal["info", "minor", "major", "critical"], SEVERITY]
Status = Annotated[Literal["open", "in_progress", "done", "cancelled"], STATUS]
DownKind = Annotated[Literal["failure", "planned", "external"], DOWN_KIND]
Role = Annotated[Literal["viewer", "operator", "lead", "supervisor", "admin"], ROLE]
Identity = Annotated[int, INTEGER, Field(ge=0, le=MAX_INTEGER)]
Year = Annotated[int, INTEGER, Field(ge=1900, le=2100)]
Flag = Annotated[bool, BOOLEAN]
Instant = Annotated[
    datetime,
    TIME,
    BeforeValidator(_instant),
    PlainSerializer(instants.format_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}, mode="validation"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
Uuid = Annotated[
    str,
    UUID,
    StringConstraints(pattern=_UUID_PATTERN),
    AfterValidator(str.lower),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
Attributes = Annotated[
    dict[str, Any],
    OBJECT,
    BeforeValidator(_attributes),
    _attributes_schema(_ATTRIBUTE_VALUE, maxProperties=MAX_ATTRIBUTES),
]
AttributesPatch = Annotated[
    dict[str, Any],
    OBJECT,
    BeforeValidator(_attributes_patch),
    _attributes_schema([*_ATTRIBUTE_VALUE, {"type": "null"}]),
]
