"""Read a file of records: the fields of each record, or the reason why its line is unreadable."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from machine_monitor.errors import BadJson, UsageError
from machine_monitor.models import LOGS, RESOURCES
from machine_monitor.models.schemas import EXPANDED, READ_ONLY
from machine_monitor.query.schema import Resource
from machine_monitor.services.records import strict_json
from machine_monitor.services.tabular import lines
from machine_monitor.services.tabular.separated import DIALECTS, Dialect
from machine_monitor.suggestions import did_you_mean

# Fields that an export has and an import ignores: the read-only fields of every resource.
IGNORED = frozenset(READ_ONLY).union(*(resource.read_only for resource in RESOURCES))
BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]{1,16}")

Values = dict[str, Any]
Converter = Callable[[str], Any]


class UnreadableLine(ValueError):
    """A line is not a record; the text is the message for the report."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One record of the file, or why its line is unreadable (`fault`); `end` is the file position after it."""

    line: int
    end: int
    members: Values
    fault: str = ""


@dataclass(frozen=True)
class ImportFile:
    """A file with records of one resource; `parse` returns the fields of a line, `header` skips the first line."""

    path: Path
    resource: Resource
    parse: Callable[[bytes], Values]
    is_continued: Callable[[bytes], bool] = lines.never_continued
    header: bool = False

    def entries(self) -> Iterator[ImportRow]:
        """Yield every record, in the order of the file."""
        with self.path.open("rb") as file:
            records = lines.records(file, self.is_continued)
            if self.header:
                next(records)
            for record in records:
                try:
                    yield ImportRow(record.number, record.end, self._members(record.raw))
                except UnreadableLine as error:
                    yield ImportRow(record.number, record.end, {}, str(error))

    def _members(self, raw: bytes) -> Values:
        members = self.parse(raw)
        if not isinstance(members.get(self.resource.key), str):
            raise UnreadableLine(f"'{self.resource.key}' is missing: it identifies the {self.resource.noun}.")
        return members


def open_file(path: Path) -> ImportFile:
    """Open a file. The suffix determines the format, the content the resource. Raises `UsageError` for other files."""
    openers = {".ndjson": _open_ndjson, ".csv": _open_csv}
    open_format = openers.get(path.suffix.lower())
    if open_format is None:
        raise UsageError(f"{path} cannot be imported: the file name must end with .ndjson or .csv.")
    return open_format(path)


def _open_ndjson(path: Path) -> ImportFile:
    """Open NDJSON: the first line that is a log or a machine determines the resource of all lines."""
    with path.open("rb") as file:
        resource: Resource | None = LOGS  # of an empty file
        for record in lines.records(file):
            try:
                resource = _detect_resource(_parse_object(record.raw))
            except UnreadableLine:
                resource = None
            if resource is not None:
                break
    if resource is None:
        raise UsageError(f"{path} contains no log and no machine.")
    return ImportFile(path, resource, _parse_object)


def _parse_object(raw: bytes) -> Values:
    _check_length(raw)
    try:
        members = strict_json.parse(raw, "line")
    except BadJson as error:
        raise UnreadableLine(error.detail) from None
    if not isinstance(members, dict):
        raise UnreadableLine("The line must be a JSON object.")
    return {name: value for name, value in members.items() if not _is_read_only(name)}


def _open_csv(path: Path) -> ImportFile:
    """Open CSV: the header determines the dialect and the resource. With one column, the byte order mark decides."""
    with path.open("rb") as file:
        has_bom = file.read(len(lines.BOM)) == lines.BOM
    for dialect in sorted(DIALECTS.values(), key=lambda dialect: dialect.spreadsheet != has_bom):
        names = _read_header(path, dialect)
        resource = _detect_resource(names)
        if resource is not None:
            _check_columns(path, resource, names)
            columns = [(name, _converter(dialect, resource, name)) for name in names]
            return ImportFile(path, resource, partial(_parse_row, dialect, columns), dialect.is_continued, header=True)
    raise UsageError(
        f"The first line of {path} must be a header with columns of logs, machines, log types or users,"
        " such as 'uuid', 'machine' and 'type'. Rename the columns first."
    )


def _read_header(path: Path, dialect: Dialect) -> list[str]:
    with path.open("rb") as file:
        record = next(lines.records(file, dialect.is_continued), None)
    try:
        return [cell or "" for cell in _split_cells(dialect, record.raw)] if record else []
    except UnreadableLine:
        return []


def _check_columns(path: Path, resource: Resource, names: Sequence[str]) -> None:
    field_names = [*resource.create.model_fields, *resource.read_only]
    for name in names:
        if name not in field_names and not _is_read_only(name):
            raise UsageError(
                f"{path}: {resource.name} have no field '{name}', so it cannot be a column."
                f"{did_you_mean(name, field_names)}"
            )
        if names.count(name) > 1:
            raise UsageError(f"{path} has two columns '{name}'.")
    if resource.key not in names:
        raise UsageError(f"{path} has no column '{resource.key}', which identifies {resource.name}.")


def _detect_resource(names: Iterable[str]) -> Resource | None:
    """Return the resource with the most of these fields, if its key or one of its references is among them."""
    given = {*names}
    best = max(RESOURCES, key=lambda resource: len(given & resource.own_fields.keys()))
    return best if given & {best.key, *best.references} else None


def _is_read_only(name: str) -> bool:
    """Whether the field is exported but ignored by an import: read-only fields, and fields of related records."""
    return name in IGNORED or "." in name or name == EXPANDED


def _parse_row(dialect: Dialect, columns: Sequence[tuple[str, Converter | None]], raw: bytes) -> Values:
    cells = _split_cells(dialect, raw)
    if len(cells) != len(columns):
        raise UnreadableLine(f"The header has {len(columns)} cells, but this line has {len(cells)}.")
    return {
        name: None if cell is None else convert(cell)
        for (name, convert), cell in zip(columns, cells, strict=True)
        if convert is not None
    }


def _split_cells(dialect: Dialect, raw: bytes) -> list[str | None]:
    _check_length(raw)
    try:
        return dialect.split(raw.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise UnreadableLine("The line is not UTF-8. Save the file in UTF-8.") from None
    except ValueError as error:
        raise UnreadableLine(str(error)) from None


def _check_length(raw: bytes) -> None:
    if len(raw) > lines.MAX_RECORD_BYTES:
        raise UnreadableLine("The line is too long for a record, or a quote in it is not closed.")


def _converter(dialect: Dialect, resource: Resource, name: str) -> Converter | None:
    """Return the function that converts a cell to a JSON value; invalid cells are left for the schema to reject."""
    if _is_read_only(name):
        return None
    kind = resource.own_fields[name].kind.name
    converters = {
        "integer": _integer,
        "boolean": lambda cell: BOOLEANS.get(cell.lower(), cell),
        "object": _json,
        "list": _json,
    }
    return converters.get(kind, dialect.text)


def _integer(cell: str) -> int | str:
    return int(cell) if _INTEGER.fullmatch(cell) else cell


def _json(cell: str) -> Any:
    try:
        return strict_json.parse(cell.encode(), "cell")
    except BadJson as error:
        raise UnreadableLine(error.detail) from None
