"""The words of a mapping. Its JSON Schema is docs/reference/mapping.schema.json."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from machine_monitor.errors import MAX_FAULTS, BadJson, Fault, Invalid, UsageError
from machine_monitor.models.fields import ShortText
from machine_monitor.services.imports.mapping import dates, durations
from machine_monitor.services.imports.reader import ReadOptions
from machine_monitor.services.records import strict_json
from machine_monitor.suggestions import did_you_mean

SOURCES = ("column", "columns", "const", "template", "first_of", "start_plus")
Scalar = str | int | float | bool | None
Column = Annotated[str, StringConstraints(min_length=1)]
Character = Annotated[str, StringConstraints(min_length=1, max_length=1)]


class MappingPart(BaseModel):
    """Base of the parts of a mapping: unknown words are faults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def has(self, name: str) -> bool:
        """Whether the mapping says this word."""
        return name in self.model_fields_set


class ReadRules(MappingPart):
    """How an import reads the file. It recognises the settings that are missing here."""

    format: Literal["csv", "tsv", "xlsx", "xls", "ods", "ndjson"] | None = Field(None, description="The format.")
    sheet: int | str | None = Field(None, description="The sheet of a workbook: its number from 1, or its name.")
    encoding: str | None = Field(None, description="The encoding of a text file, such as utf-8, utf-16 or cp1252.")
    delimiter: Character | None = Field(None, description="The sign between cells.")
    quote: Character | None = Field(None, description='The sign around cells; null: none. Default: `"`.')
    escape: Character | None = Field(None, description="The sign before a quote that belongs to a cell, such as `\\`.")
    header: int | None = Field(None, ge=0, description="The line of the header; 0: there is none. Default 1.")
    null: list[str] = Field(default_factory=list, description="Texts that mean an empty cell.")
    decimal: Literal[".", ",", "any"] = Field(".", description="The decimal sign of numbers.")
    thousands: Character | None = Field(None, description="The sign between groups of three digits; null: none.")
    fill_down: list[Column] = Field(default_factory=list, description="Columns whose empty cells repeat the one above.")

    def explicit_options(self) -> ReadOptions:
        """Return what the rules say, without defaults: the reader recognises the rest, also the line of the header."""
        return replace(self.options(), header=self.header)

    def options(self) -> ReadOptions:
        """Return the options of the reader."""
        tabs = self.format == "tsv"
        return ReadOptions(
            "csv" if tabs else self.format,
            self.sheet,
            self.encoding,
            self.delimiter or ("\t" if tabs else None),
            (self.quote or "") if self.has("quote") else None,
            (self.escape or "") if self.has("escape") else None,
            1 if self.header is None else self.header,
        )


class FieldRule(MappingPart):
    """How an import makes a field: one source, and what it does with the cell. A text stands for `{"column": text}`."""

    column: Column | None = Field(None, description="Source: the cell of a column.")
    columns: list[Column] | None = Field(None, min_length=1, description="Source: cells, joined by a blank.")
    const: Scalar = Field(None, description="Source: this value.")
    template: str | None = Field(None, description="Source: a text with cells, such as `sys{System}-{Node:02d}`.")
    first_of: list[Column] | None = Field(None, min_length=1, description="Source: the first that is filled.")
    start_plus: Column | None = Field(None, description="Source: a duration, which is added to `started_at`.")
    take: Literal["name", "value"] = Field("value", description="What `first_of` gives: column name, or cell.")
    trim: bool = Field(default=True, description="Whether blanks at both ends are dropped.")
    part: int | None = Field(None, description="The n-th word of the cell; -1 is the last one.")
    null: list[str] = Field(default_factory=list, description="Further texts that mean an empty cell.")
    when: Column | None = Field(None, description="A column: only where it has a value.")
    map: dict[str, Scalar] | None = Field(None, description="Values for cells; case and accents do not matter.")
    else_: Scalar = Field(None, alias="else", description="The value of cells that `map` does not have.")
    default: Scalar = Field(None, description="The value of empty cells.")
    dates: list[str] | None = Field(
        None, min_length=1, description="Formats of times, tried in order: iso, ymd, dmy, mdy, excel, or strptime."
    )
    durations: list[str] | None = Field(
        None, min_length=1, description="Formats of durations, tried in order: h, min, HhM, H:M, H heures M min."
    )
    as_: Literal["text", "number", "integer", "boolean", "code"] | None = Field(
        None, alias="as", description="What the cell is read as. Default: text, or what the field needs."
    )
    unit: str | None = Field(None, description="A unit that is dropped from the end of numbers.")
    decimal: Literal[".", ",", "any"] | None = Field(None, description="As in `read`, for this field.")
    thousands: Character | None = Field(None, description="As in `read`, for this field.")
    min: int | float | str | None = Field(None, description="The least number or time.")
    max: int | float | str | None = Field(None, description="The greatest number or time.")
    bad: Literal["refuse", "null", "keep"] = Field(
        "refuse", description="What a cell that cannot be read does: refuse its row, empty the field, keep the text."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_column(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in SOURCES if self.has(name)]
        if len(given) != 1:
            found = f"Found {' and '.join(given)}." if given else "Found none."
            _refuse(f"A field needs exactly one source, of {', '.join(SOURCES)}. {found}")
        if self.part == 0:
            _refuse("'part' counts words from 1, or from the end: -1 is the last one.")
        if self.durations and not self.start_plus:
            _refuse("'durations' belongs to 'start_plus'.")
        if self.has("take") and not self.first_of:
            _refuse("'take' belongs to 'first_of'.")
        for name in self.dates or ():
            if not dates.is_format(name):
                known = ", ".join(dates.FORMATS)
                hint = did_you_mean(name, dates.FORMATS)
                _refuse(f"'dates': '{name}' is no format: use {known}, or one of strptime.{hint}")
        for name in self.durations or ():
            if durations.format_of(name) is None:
                known, hint = ", ".join(durations.NAMES), did_you_mean(name, durations.NAMES)
                _refuse(f"'durations': '{name}' is no format: use {known}.{hint}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the two forms of a rule."""
        document = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [{"type": "string", "minLength": 1}, dict(document)]}


class SkipRule(MappingPart):
    """Which rows an import leaves out: those whose cell is one of `in`, or none of `not_in`; "" is an empty cell."""

    column: Column = Field(description="The column.")
    in_: list[str] | None = Field(None, alias="in", description="The texts that skip the row.")
    not_in: list[str] | None = Field(None, description="The texts that do not skip it.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.in_ is None) == (self.not_in is None):
            _refuse("An entry of 'skip' needs either 'in' or 'not_in'.")
        return self


class TypeMeaning(MappingPart):
    """The values that an import gives a log type."""

    label: ShortText | None = None
    counts_as_failure: bool | None = None
    active: bool | None = None


class UserMeaning(MappingPart):
    """The values that an import gives a user."""

    first_name: ShortText | None = None
    last_name: ShortText | None = None
    role: Literal["viewer", "operator", "lead", "supervisor", "admin"] | None = None
    active: bool | None = None


class TableMapping(MappingPart):
    """How a table becomes records of one resource."""

    model_config = ConfigDict(title="Mapping")

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f/]+$")] = Field(
        description="The mapping's name. Logs are recognised by it and their key, so it must not change."
    )
    resource: Literal["logs", "machines", "log_types", "users"] = Field("logs", description="What the rows become.")
    read: ReadRules = Field(default_factory=lambda: ReadRules(), description="How the file is read.")  # noqa: PLW0108 -- defined above
    zone: str | None = Field(None, description="The time zone of times without an offset, such as Europe/Paris.")
    key: list[Column] = Field(
        default_factory=list, description="The columns that tell rows apart, such as an order's number."
    )
    fields: dict[str, FieldRule] = Field(
        description="The fields, each with its rule; `attributes.NAME` for custom fields."
    )
    machine_fields: dict[str, FieldRule] = Field(
        default_factory=dict,
        description="Values for the machines that the rows name, by field. Only empty fields get them.",
    )
    types: dict[str, TypeMeaning] = Field(default_factory=dict, description="The meaning of log types, by code.")
    users: dict[str, UserMeaning] = Field(default_factory=dict, description="The users' names and roles, by trigram.")
    skip: list[SkipRule] = Field(default_factory=list, description="Rows that are left out.")
    absent: Literal["keep", "reset"] = Field("keep", description="What fields that are not mapped do on update.")
    unknown_machine: Literal["create", "refuse"] = "create"
    unknown_type: Literal["create", "refuse"] = "create"
    unknown_user: Literal["refuse", "create", "null"] = "refuse"


def read_file(path: Path) -> TableMapping:
    """Read a mapping from a file; raises `UsageError` or `Invalid`."""
    return parse(read_document(path))


def read_document(path: Path) -> Any:
    """Read the JSON of a mapping from a file; raises `UsageError`."""
    try:
        return strict_json.parse(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), "mapping")
    except OSError as error:
        raise UsageError(f"The mapping {path} cannot be read: {error.strerror}.") from error
    except BadJson as error:
        raise UsageError(f"{path}: {error}") from None


def parse(document: object) -> TableMapping:
    """Read a mapping from JSON; raises `Invalid` with a pointer to each fault."""
    try:
        return TableMapping.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_FAULTS]
        raise Invalid(faults=[_fault(dict(detail)) for detail in details]) from None


def parse_read(document: object) -> ReadRules:
    """Read how a file is to be read, from JSON; raises `Invalid` with a pointer to each fault, below `/read`."""
    return parse({"name": "read", "fields": {}, "read": document}).read


def pointer(*parts: object) -> str:
    """Return a JSON pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def _refuse(message: str) -> None:
    raise PydanticCustomError("mapping", message)  # ty: ignore[invalid-argument-type] -- our own message, not a template


def _fault(detail: dict[str, Any]) -> Fault:
    path = list(detail["loc"])
    # A union of types adds their names to the path.
    place = [part for part in path if part not in ("str", "int", "float", "bool", "function-wrap")]
    if detail["type"] == "extra_forbidden":
        names = [*_words_at(place[:-1])]
        message = f"A mapping has no word '{place[-1]}' here.{did_you_mean(str(place[-1]), names)}"
        return Fault(message, "unknown", pointer(*place), allowed=names)
    if detail["type"] == "missing":
        return Fault(f"'{place[-1]}' is missing.", "required", pointer(*place))
    message = detail["msg"]
    if detail["type"] == "literal_error":
        given, expected = detail["input"], detail["ctx"]["expected"]
        names = expected.replace("'", "").replace(" or ", ", ").split(", ")
        hint = did_you_mean(given, names) if isinstance(given, str) else ""
        message = f"'{place[-1]}' must be {expected}.{hint}"
    elif detail["type"] != "mapping":
        message = f"{'.'.join(map(str, place)) or 'The mapping'}: {message}."
    return Fault(message, "invalid", pointer(*place))


def _words_at(path: Sequence[Any]) -> Iterator[str]:
    """Yield the words that a mapping may have at a place."""
    model: type[BaseModel] = TableMapping
    for part in path:
        info = next((info for name, info in model.model_fields.items() if part in (name, info.alias)), None)
        inner = _model_of(info.annotation) if info is not None else None
        model = inner or model
    for name, info in model.model_fields.items():
        yield info.alias or name


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_of(part))), None)
