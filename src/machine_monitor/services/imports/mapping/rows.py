"""Turn the rows of a table into candidates, as a mapping says."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.errors import Fault, Invalid
from machine_monitor.models import LOGS, MACHINES, RESOURCES
from machine_monitor.query.language.attributes import KEY_RULE, MAX_KEY_LENGTH, is_valid_key
from machine_monitor.query.schema import Resource
from machine_monitor.services.imports import identity
from machine_monitor.services.imports.candidates import ATTRIBUTE, Candidate
from machine_monitor.services.imports.mapping.cells import CellFault, MappingFault, Nulls, cell_text
from machine_monitor.services.imports.mapping.columns import Columns
from machine_monitor.services.imports.mapping.fields import FieldContext, FieldReader
from machine_monitor.services.imports.mapping.language import TableMapping, pointer
from machine_monitor.services.imports.reader import Cell, Row, Table
from machine_monitor.services.imports.reader.table import WORKBOOKS
from machine_monitor.services.imports.report import RowProblem
from machine_monitor.suggestions import did_you_mean

# How a date cell of a workbook is written in a file of refused rows.
_DATE_CELL = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{6})?)?", re.ASCII)
# Kinds of fields that can keep the text of a cell that cannot be read.
TEXT_KINDS = ("text",)
NO_KEY = (
    "The mapping has no 'key': a row is recognised by its whole content. A row that is changed in the table becomes a "
    "new log."
)


class RowMapper:
    """Reads the rows of a table as a mapping says. Raises `Invalid` if the mapping does not fit the table."""

    def __init__(self, table: Table, mapping: TableMapping, zone: ZoneInfo | None) -> None:
        self.table, self.mapping, self.skipped = table, mapping, 0
        self.resource = next(each for each in RESOURCES if each.name == mapping.resource)
        self.columns = Columns(table.names, table.width)
        context = FieldContext(self.columns, mapping.read, zone)
        self._check_names()
        self.readers = self._compile("fields", self.resource, context)
        self.machine_readers = self._compile("machine_fields", MACHINES, context)
        # `started_at` first, since durations begin there.
        self._in_order = sorted(self.readers.values(), key=lambda reader: reader.name != "started_at")
        self._nulls = Nulls(mapping.read.null)
        self._key = [self.columns.find(name, "key", i) for i, name in enumerate(mapping.key)]
        self._skips = [self._skip(i) for i in range(len(mapping.skip))]
        filled = [self.columns.find(name, "read", "fill_down", i) for i, name in enumerate(mapping.read.fill_down)]
        self._filled: dict[int, Cell] = dict.fromkeys(filled)
        if self.columns.faults:
            raise Invalid(faults=self.columns.faults)
        self._restore = self._restores_dates()
        readers = {**self.readers, **{f"machine.{name}": each for name, each in self.machine_readers.items()}}
        self._bad = {name: reader.rule.bad for name, reader in readers.items() if reader.rule.bad != "refuse"}

    def candidates(self) -> Iterator[Candidate]:
        """Yield a candidate for each row that is not skipped."""
        self.skipped = 0
        with identity.RowStore() as seen:
            for row in self.table.rows():
                if row.fault is not None:
                    code, message = row.fault
                    yield Candidate(row, problems=[RowProblem(None, code, "error", None, message)])
                    continue
                row = self._fill(row)  # noqa: PLW2901 -- the row as it is meant
                if any(skip(row.cells) for skip in self._skips):
                    self.skipped += 1
                    continue
                candidate = self._read(row)
                self._identify(candidate, seen)
                yield candidate

    @property
    def notes(self) -> list[RowProblem]:
        """What the report says about the mapping as a whole."""
        if self.resource is LOGS and not self._key and "uuid" not in self.readers:
            return [RowProblem(None, "no-key", "note", None, NO_KEY)]
        return []

    def _fill(self, row: Row) -> Row:
        """Fill empty cells from above."""
        cells = list(row.cells)
        if self._restore:
            cells = [_date_cell(cell) for cell in cells]
        for place in self._filled:
            if self._nulls.covers(cells[place]):
                cells[place] = self._filled[place]
            else:
                self._filled[place] = cells[place]
        return row._replace(cells=cells)

    def _read(self, row: Row) -> Candidate:
        candidate = Candidate(row, source=lambda name: self._text(name, row.cells), bad=self._bad)
        started_at: str | None = None
        for reader in self._in_order:
            value = self._value(reader, candidate, reader.name, started_at)
            if reader.name == "started_at":
                started_at = value
            self._set(candidate, reader.name, value)
        for name, reader in self.machine_readers.items():
            candidate.machine_fields[name] = self._value(reader, candidate, f"machine.{name}", None)
        candidate.derives_down_from = "down_to" in self.readers and "down_from" not in self.readers
        if candidate.derives_down_from:
            candidate.fields["down_from"] = None if candidate.fields["down_to"] is None else started_at
        return candidate

    def _value(self, reader: FieldReader, candidate: Candidate, name: str, started_at: str | None) -> Any:
        """Read a field; a cell that cannot be read becomes a problem, or is treated as `bad` says."""
        try:
            reading = reader.read(candidate.row.cells, started_at)
        except CellFault as fault:
            bad, text = reader.rule.bad, reader.text(candidate.row.cells)
            level = "error" if bad == "refuse" else "note"
            value = None if isinstance(fault, MappingFault) else text
            candidate.problems.append(RowProblem(name, fault.code, level, value, fault.message))
            return text if bad == "keep" else None
        if name == "type" and reader.rule.as_ == "code":
            candidate.type_label = reading.text
        return reading.value

    def _set(self, candidate: Candidate, name: str, value: Any) -> None:
        if name.startswith(ATTRIBUTE):
            candidate.attributes[name.removeprefix(ATTRIBUTE)] = value
        else:
            candidate.fields[name] = value

    def _text(self, name: str, cells: Sequence[Cell]) -> str | None:
        """Return what a field was read from, for reports."""
        reader = self.readers.get(name) or self.machine_readers.get(name.removeprefix("machine."))
        return None if reader is None else reader.text(cells)

    def _identify(self, candidate: Candidate, seen: identity.RowStore) -> None:
        """Give the record its key, and compare it with the earlier rows of the file."""
        texts = self._texts(candidate.row.cells)
        if self._key:
            names = [texts[place] if place < len(texts) else None for place in self._key]
            if not any(names):
                message = "All columns of the key are empty."
                candidate.problems.append(RowProblem("key", "missing", "error", None, message))
                return
            candidate.fields["uuid"] = identity.key_uuid(self.mapping.name, names)
        elif self.resource is LOGS and "uuid" not in self.readers:
            occurrence = seen.next_occurrence(identity.digest(texts))
            candidate.fields["uuid"] = identity.row_uuid(self.mapping.name, texts, occurrence)
            return
        key = candidate.fields.get(self.resource.key)
        if isinstance(key, str):
            self._compare(candidate, key, texts, seen)

    def _compare(self, candidate: Candidate, key: str, texts: Sequence[str | None], seen: identity.RowStore) -> None:
        """Refuse a row whose key an earlier row has; equal rows are one."""
        unique, digest = self.resource.unique_key_of(key), identity.digest(texts)
        before = seen.get(unique)
        if before is None:
            seen.put(unique, digest)
        elif before == digest:
            candidate.problems = [RowProblem("key", "duplicate-key", "note", key, "The same row comes again.")]
            candidate.is_repetition = True
        else:
            field = "key" if self._key else self.resource.key
            shown = " / ".join(filter(None, (texts[place] for place in self._key))) if self._key else key
            message = "An earlier row has the same key, and says something else."
            candidate.problems.append(RowProblem(field, "duplicate-key", "error", shown, message))

    def _texts(self, cells: Sequence[Cell]) -> list[str | None]:
        """Return the trimmed texts of a row, without the column that says why it was refused and without empty ends."""
        known = cells[:-1] if self.table.has_why else cells
        texts = [None if self._nulls.covers(cell) else cell_text(cell).strip() for cell in known]
        while texts and texts[-1] is None:
            texts.pop()
        return texts

    def _skip(self, number: int) -> Callable[[Sequence[Cell]], bool]:
        entry = self.mapping.skip[number]
        place = self.columns.find(entry.column, "skip", number, "column")
        texts = frozenset(text.strip() for text in (entry.in_ if entry.in_ is not None else entry.not_in) or ())
        wanted = entry.in_ is not None

        def skips(cells: Sequence[Cell]) -> bool:
            cell = cells[place]
            is_listed = cell_text(cell).strip() in texts or ("" in texts and self._nulls.covers(cell))
            return is_listed == wanted

        return skips

    def _compile(self, word: str, resource: Resource, context: FieldContext) -> dict[str, FieldReader]:
        readers = {}
        for name, rule in getattr(self.mapping, word).items():
            is_attribute = name.startswith(ATTRIBUTE) and "attributes" in resource.create.model_fields
            if not is_attribute and (name not in resource.create.model_fields or name == "attributes"):
                known = [each for each in resource.create.model_fields if each != "attributes"]
                message = f"{resource.name} have no field '{name}'.{did_you_mean(name, known)}"
                self._fault(message, word, name)
                continue
            if is_attribute and not is_valid_key(name.removeprefix(ATTRIBUTE)):
                self._fault(f"An attribute {KEY_RULE} At most {MAX_KEY_LENGTH} characters.", word, name)
                continue
            kind = None if is_attribute else resource.own_fields[name].kind.name
            if rule.bad == "keep" and kind not in (None, *TEXT_KINDS):
                self._fault("'bad': 'keep' is for texts and attributes: not for this field.", word, name)
            if (rule.dates or rule.start_plus) and kind not in (None, "time"):
                self._fault(f"'{name}' is not a time.", word, name)
            readers[name] = FieldReader(name, rule, kind, context, (word, name))
        return readers

    def _check_names(self) -> None:
        """Check what belongs together: a key to logs, and the fields that each record needs."""
        mapping, fields = self.mapping, self.mapping.fields
        if mapping.key and self.resource is not LOGS:
            self._fault(f"{self.resource.name} are told apart by '{self.resource.key}': leave 'key' out.", "key")
        if mapping.key and "uuid" in fields:
            self._fault("A log has either a 'key' or a 'uuid'.", "key")
        if mapping.machine_fields and self.resource is not LOGS:
            self._fault("'machine_fields' belongs to a table of logs.", "machine_fields")
        if "name" in mapping.machine_fields:
            self._fault("The machine's name is the field 'machine'.", "machine_fields", "name")
        required = {LOGS.name: ("machine", "type")}.get(self.resource.name, (self.resource.key,))
        for name in required:
            if name not in fields:
                self._fault(f"The field '{name}' is missing.", "fields")
        if "started_at" in fields and fields["started_at"].start_plus:
            self._fault("'start_plus' adds to 'started_at', so it cannot be its source.", "fields", "started_at")

    def _fault(self, message: str, *path: object) -> None:
        self.columns.faults.append(Fault(message, "invalid", pointer(*path)))

    def _restores_dates(self) -> bool:
        """Whether the table is a file of refused rows of a workbook, in which date cells are texts."""
        table, given = self.table, self.mapping.read.format
        is_ours = table.has_why and table.is_marked and table.read.delimiter == ";"
        return is_ours and (given is None or given in WORKBOOKS)


def _date_cell(cell: Cell) -> Cell:
    if not isinstance(cell, str) or not _DATE_CELL.fullmatch(cell):
        return cell
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return cell
