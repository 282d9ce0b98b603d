"""Reading a file of records: what each says in the API's terms, or why it cannot be read."""

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
from machine_monitor.suggestions import nearest

BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]{1,16}")

Members = dict[str, Any]
Converter = Callable[[str], Any]


class Unreadable(ValueError):
    """A line that is no record; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as it was read, or the fault that keeps it from being one; `end` counts the bytes up to here."""

    line: int
    end: int
    members: Members
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """A file of records of one resource; `parse` gives what a line wants written, `header` passes over the first."""

    path: Path
    resource: Resource
    parse: Callable[[bytes], Members]
    goes_on: Callable[[bytes], bool] = lines.stands_alone
    header: bool = False

    def entries(self) -> Iterator[Entry]:
        """Every record, in the order of the file."""
        with self.path.open("rb") as file:
            records = lines.records(file, self.goes_on)
            if self.header:
                next(records)
            for record in records:
                try:
                    yield Entry(record.number, record.end, self._members(record.raw))
                except Unreadable as error:
                    yield Entry(record.number, record.end, {}, str(error))

    def _members(self, raw: bytes) -> Members:
        members = self.parse(raw)
        if not isinstance(members.get(self.resource.key), str):
            raise Unreadable(f"It has no {self.resource.key}, which tells {self.resource.name} apart.")
        return members


def table(path: Path) -> Table:
    """The file's records, told by its suffix and by what it holds; raises `UsageError` if it is no such file."""
    kinds = {".ndjson": _ndjson, ".csv": _csv}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path} cannot be imported: its name ends with neither .ndjson nor .csv.")
    return kind(path)


def _ndjson(path: Path) -> Table:
    """The first line that is a log or a machine tells what all are."""
    with path.open("rb") as file:
        resource: Resource | None = LOGS
        for record in lines.records(file):
            try:
                resource = _resource(_object(record.raw))
            except Unreadable:
                resource = None
            if resource is not None:
                break
    if resource is None:
        raise UsageError(f"{path} has no line that is a log or a machine.")
    return Table(path, resource, _object)


def _object(raw: bytes) -> Members:
    _check_length(raw)
    try:
        members = strict_json.parse(raw, "line")
    except BadJson as error:
        raise Unreadable(error.detail) from None
    if not isinstance(members, dict):
        raise Unreadable("The line is not a JSON object.")
    return {name: value for name, value in members.items() if not _is_shown_only(name)}


def _csv(path: Path) -> Table:
    """The header tells the dialect, and what the records are; where a table has one column the mark does."""
    with path.open("rb") as file:
        marked = file.read(len(lines.MARK)) == lines.MARK
    for dialect in sorted(DIALECTS.values(), key=lambda dialect: dialect.spreadsheet != marked):
        names = _header(path, dialect)
        resource = _resource(names)
        if resource is not None:
            _check_columns(path, resource, names)
            columns = [(name, _converter(dialect, resource, name)) for name in names]
            return Table(path, resource, partial(_row, dialect, columns), dialect.goes_on, header=True)
    raise UsageError(f"{path} has no header of logs or machines.")


def _header(path: Path, dialect: Dialect) -> list[str]:
    with path.open("rb") as file:
        record = next(lines.records(file, dialect.goes_on), None)
    try:
        return [cell or "" for cell in _cells(dialect, record.raw)] if record else []
    except Unreadable:
        return []


def _check_columns(path: Path, resource: Resource, names: Sequence[str]) -> None:
    known = [*resource.create.model_fields, *resource.read_only]
    for name in names:
        if name not in known and not _is_shown_only(name):
            raise UsageError(f"{path}: {resource.name} have no column '{name}'.{nearest(name, known)}")
        if names.count(name) > 1:
            raise UsageError(f"{path} has the column '{name}' twice.")
    if resource.key not in names:
        raise UsageError(f"{path} has no column '{resource.key}', and that is what tells {resource.name} apart.")


def _resource(names: Iterable[str]) -> Resource | None:
    """The resource that most of these names are fields of, if its key or a record that it names is among them."""
    given = {*names}
    best = max(RESOURCES, key=lambda resource: len(given & resource.own_fields.keys()))
    return best if given & {best.key, *best.references} else None


def _is_shown_only(name: str) -> bool:
    """Whether an export has it and no body: what only the product writes, and fields of related records."""
    return name in READ_ONLY or "." in name or name == EXPANDED


def _row(dialect: Dialect, columns: Sequence[tuple[str, Converter | None]], raw: bytes) -> Members:
    cells = _cells(dialect, raw)
    if len(cells) != len(columns):
        raise Unreadable(f"The header has {len(columns)} cells, and this line {len(cells)}.")
    return {
        name: None if cell is None else convert(cell)
        for (name, convert), cell in zip(columns, cells, strict=True)
        if convert is not None
    }


def _cells(dialect: Dialect, raw: bytes) -> list[str | None]:
    _check_length(raw)
    try:
        return dialect.split(raw.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise Unreadable("The line is not UTF-8.") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _check_length(raw: bytes) -> None:
    if len(raw) > lines.MAX_LINE:
        raise Unreadable("The line is longer than any record, or a quote in it is never closed.")


def _converter(dialect: Dialect, resource: Resource, name: str) -> Converter | None:
    """What makes the JSON value of a cell, if one is wanted; what it is not is left to the schema to refuse."""
    if _is_shown_only(name):
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
        raise Unreadable(error.detail) from None
