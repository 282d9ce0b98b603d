"""Tables that this product wrote, or that have its column names: each row is a record, by its key."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.database.engines import canonical_json
from machine_monitor.errors import BadJson, UsageError
from machine_monitor.models import LOGS, RESOURCES
from machine_monitor.models.schemas import EXPANDED, READ_ONLY
from machine_monitor.query.schema import Resource
from machine_monitor.services.imports import identity
from machine_monitor.services.imports.candidates import ATTRIBUTE, Candidate
from machine_monitor.services.imports.mapping.cells import CellFault, cell_text
from machine_monitor.services.imports.mapping.dates import local_instant
from machine_monitor.services.imports.reader import Cell, Row, Table
from machine_monitor.services.imports.reader.table import WHY, WORKBOOKS
from machine_monitor.services.imports.report import RowProblem
from machine_monitor.services.records import strict_json
from machine_monitor.services.tabular import guarding
from machine_monitor.suggestions import did_you_mean

# How similar a column must be to a field's name to count as a misspelling.
SIMILAR = 0.75
BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]{1,16}")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?")
RELATED = "This column shows another record: it is not imported."
UNNAMED = "A column without a name has values: they are not imported."


@dataclass(frozen=True)
class OwnHeader:
    """The columns of a table that this service exports: the field of each, None for one that is not imported."""

    resource: Resource
    fields: Sequence[str | None]


def has_own_names(header: Sequence[str]) -> bool:
    """Whether the columns are nothing but fields of one resource."""
    names = [_canonical(name) for name in header]
    return bool(names) and any(all(_is_known(each, name) for name in names) for each in RESOURCES)


def recognise(table: Table, *, new: bool = False) -> OwnHeader | None:
    """Return what the columns mean if this service exports such a table, else None. Raises `UsageError` for a mistake.

    The columns have to be fields of one resource, or nearly, and the record's key has to be among them.
    """
    names = [_canonical(name) for name in table.names]
    if table.read.format == "ndjson":
        return _recognise_objects(table)
    given = {name for name in names if name}
    best = max(RESOURCES, key=lambda resource: len(given & resource.own_fields.keys()))
    unknown = [name for name in names if name and not _is_known(best, name)]
    if not given & {best.key, *best.references} or (unknown and best.key not in given):
        return None
    fields = [*best.create.model_fields]
    if unknown and any(not difflib.get_close_matches(name, fields, 1, SIMILAR) for name in unknown):
        return None
    _check(table, best, names, new=new)
    return OwnHeader(best, [None if not name or _is_ignored(best, name) else name for name in names])


def _recognise_objects(table: Table) -> OwnHeader | None:
    """Recognise NDJSON by its first line that is a record."""
    lines = 0
    for row in table.iterate():
        lines += 1
        given = {*(row.members or {})}
        best = max(RESOURCES, key=lambda resource: len(given & resource.own_fields.keys()))
        if given & {best.key, *best.references} and sum(_is_known(best, name) for name in given) > 0.5 * len(given):
            return OwnHeader(best, ())
    if lines and not table.names:
        raise UsageError(f"{table.path} contains no record: each line must be a JSON object.")
    return None if lines else OwnHeader(LOGS, ())


def _canonical(name: str) -> str:
    """Return the name of a column as it is declared: case and blanks around it do not matter, except in attributes."""
    name = name.strip()
    return name if name.startswith(ATTRIBUTE) or "." in name else name.lower()


def _is_known(resource: Resource, name: str) -> bool:
    return name in resource.create.model_fields or _is_ignored(resource, name) or name.startswith(ATTRIBUTE)


def _is_ignored(resource: Resource, name: str) -> bool:
    """Whether a column is exported, but not imported: read-only fields, and fields of related records."""
    is_related = "." in name and not (name.startswith(ATTRIBUTE) and "attributes" in resource.create.model_fields)
    return name in (*READ_ONLY, *resource.read_only, EXPANDED, WHY) or is_related


def _check(table: Table, resource: Resource, names: Sequence[str], *, new: bool) -> None:
    known = [*resource.create.model_fields, *resource.read_only]
    for name in filter(None, names):
        if not _is_known(resource, name):
            hint = did_you_mean(name, known)
            raise UsageError(f"{table.path}: {resource.name} have no field '{name}', so it cannot be a column.{hint}")
        if names.count(name) > 1:
            raise UsageError(f"{table.path} has two columns '{name}'.")
    if resource.key not in names and not (new and resource is LOGS):
        hint = " With --new, rows without a uuid become new logs." if resource is LOGS else ""
        raise UsageError(
            f"{table.path} has no column '{resource.key}', which identifies {resource.name}. "
            f"Columns of {resource.name}: {', '.join(resource.create.model_fields)}.{hint}"
        )


class OwnRows:
    """Reads the rows of an exported table. `new`: a log without a `uuid` gets one that its content determines."""

    def __init__(self, table: Table, header: OwnHeader, zone: ZoneInfo, *, new: bool = False) -> None:
        self.resource, self.skipped = header.resource, 0
        self._is_workbook, self._zone, self._new = table.read.format in WORKBOOKS, zone, new
        # What a spreadsheet program wrote; our own plain CSV has no mark, commas, and both signs at the ends of lines.
        spreadsheet = table.is_marked or table.read.delimiter != "," or not table.has_crlf
        if table.with_cells is not None:
            table = replace(table, iterate=table.with_cells(partial(_unguarded, spreadsheet=spreadsheet)))
        self.table = table
        self.notes = self._notes()
        self._places = {name: place for place, name in enumerate(header.fields) if name is not None}
        self._converters = [self._converter(name) for name in header.fields]
        self._unnamed = [place for place in range(table.width) if not [*table.names, *[""] * table.width][place]]

    def candidates(self) -> Iterator[Candidate]:
        """Yield a candidate for each row."""
        with identity.RowStore() as seen:
            for row in self.table.rows():
                if row.fault is not None:
                    yield Candidate(row, problems=[RowProblem(None, row.fault[0], "error", None, row.fault[1])])
                    continue
                candidate = self._of_object(row, row.members) if row.members is not None else self._of_cells(row)
                self._identify(candidate, seen)
                yield candidate

    def _notes(self) -> list[RowProblem]:
        """Name the columns that are not imported though they have a name that says something."""
        related = [name for name in self.table.names if "." in name and _is_ignored(self.resource, _canonical(name))]
        return [RowProblem(name, "ignored-column", "note", None, RELATED) for name in related]

    def _of_object(self, row: Row, members: Mapping[str, Any]) -> Candidate:
        candidate = Candidate(row, source=lambda name: _shown(members.get(name)))
        for name, value in members.items():
            if name.startswith(ATTRIBUTE) and not _is_ignored(self.resource, name):
                candidate.attributes[name.removeprefix(ATTRIBUTE)] = value
            elif not _is_ignored(self.resource, name):
                candidate.fields[name] = value
        return candidate

    def _of_cells(self, row: Row) -> Candidate:
        candidate = Candidate(row, source=partial(self._source, row), shows=partial(self._shows, row))
        if any(row.cells[place] is not None for place in self._unnamed):
            candidate.problems.append(RowProblem(None, "ignored-column", "note", None, UNNAMED))
        for (name, convert), cell in zip(self._converters, row.cells, strict=False):
            if name is None:
                continue
            try:
                value = None if cell is None else convert(cell)
            except BadJson as error:
                candidate.problems.append(RowProblem(name, "row-shape", "error", cell_text(cell), error.detail))
                continue
            except CellFault as fault:
                candidate.problems.append(RowProblem(name, fault.code, "error", cell_text(cell), fault.message))
                continue
            if name.startswith(ATTRIBUTE):
                candidate.attributes[name.removeprefix(ATTRIBUTE)] = value
            else:
                candidate.fields[name] = value
        return candidate

    def _identify(self, candidate: Candidate, seen: identity.RowStore) -> None:
        key = candidate.fields.get(self.resource.key)
        if key is None and self._new and self.resource is LOGS:
            known = candidate.row.cells[:-1] if self.table.has_why else candidate.row.cells
            texts = [cell_text(cell).strip() or None for cell in known]
            occurrence = seen.next_occurrence(identity.digest(texts))
            candidate.fields[self.resource.key] = identity.row_uuid("", texts, occurrence)
        elif not isinstance(key, str):
            message = f"'{self.resource.key}' is missing: it identifies the {self.resource.noun}."
            candidate.problems.append(RowProblem(self.resource.key, "missing", "error", None, message))

    def _converter(self, name: str | None) -> tuple[str | None, Callable[[Cell], Any]]:
        """Return how a cell becomes a JSON value; invalid cells are left for the schema to refuse."""
        if name is None or name.startswith(ATTRIBUTE):
            return name, _attribute
        kind = self.resource.own_fields[name].kind.name
        converters: dict[str, Callable[[Cell], Any]] = {
            "integer": _integer,
            "boolean": lambda cell: BOOLEANS.get(cell.lower(), cell) if isinstance(cell, str) else cell,
            "object": lambda cell: strict_json.parse(cell_text(cell).encode(), "cell"),
            "list": lambda cell: strict_json.parse(cell_text(cell).encode(), "cell"),
            "time": self._time,
        }
        return name, converters.get(kind, cell_text)

    def _time(self, cell: Cell) -> Any:
        """Return a time: a date cell is local, and so is a day alone, which is its midnight."""
        if isinstance(cell, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell.strip()):
            try:
                cell = date.fromisoformat(cell.strip())
            except ValueError:
                return cell
        if isinstance(cell, date) and not isinstance(cell, datetime):
            cell = datetime.combine(cell, time())
        if isinstance(cell, datetime):
            return local_instant(cell, self._zone)
        return cell_text(cell)

    def _source(self, row: Row, name: str) -> str | None:
        """Return the text of a field's cell, for reports."""
        place = self._places.get(name)
        cell = None if place is None else row.cells[place]
        return None if cell is None else cell_text(cell)

    def _shows(self, row: Row, name: str, stored: Any) -> bool:
        """Whether a field's cell shows this stored value, though it reads as another one."""
        if name not in self._places:
            return False
        cell = row.cells[self._places[name]]
        if name.startswith(ATTRIBUTE):
            return stored is not None and cell is not None and cell_text(cell) == _shown(stored)
        if not self._is_workbook:
            return False
        if isinstance(cell, datetime) and isinstance(stored, str):
            local = datetime.fromisoformat(stored).astimezone(self._zone).replace(tzinfo=None)
            return abs((local - cell).total_seconds()) < 1
        return cell is None and stored == ""


def _unguarded(text: str, quoted: bool, *, spreadsheet: bool) -> Cell:  # noqa: FBT001 -- the signature of CellReader
    if not text and not quoted:
        return None
    return text if quoted and not spreadsheet else guarding.unguard(text)


def _integer(cell: Cell) -> Any:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return int(cell) if isinstance(cell, str) and _INTEGER.fullmatch(cell) else cell


def _attribute(cell: Cell) -> Any:
    """Return the value of an attribute's cell: a JSON number, true or false, or else a text."""
    if isinstance(cell, str):
        if cell in BOOLEANS:
            return BOOLEANS[cell]
        return strict_json.parse(cell.encode(), "cell") if _JSON_NUMBER.fullmatch(cell) else cell
    return cell if isinstance(cell, bool | int | float) or cell is None else cell_text(cell)


def _shown(value: Any) -> str | None:
    """Return a value as an export shows it in a cell."""
    return None if value is None else value if isinstance(value, str) else canonical_json(value)
