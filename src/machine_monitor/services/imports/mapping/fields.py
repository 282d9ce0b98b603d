"""Compile the rule of a field into a reader: source, trim, part, null, when, map, else, dates or as, min and max."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.errors import Fault
from machine_monitor.models.fields import MAX_ATTRIBUTE_TEXT
from machine_monitor.services.imports.mapping.cells import CellFault, Nulls, cell_text, fold_text
from machine_monitor.services.imports.mapping.columns import Columns
from machine_monitor.services.imports.mapping.dates import DateReader, DayMonthEvidence
from machine_monitor.services.imports.mapping.durations import DurationReader
from machine_monitor.services.imports.mapping.language import FieldRule, ReadRules, pointer
from machine_monitor.services.imports.mapping.numbers import NumberReader
from machine_monitor.services.imports.mapping.words import CODE_LENGTH, code_of, read_boolean
from machine_monitor.services.imports.reader import Cell

Cells = Sequence[Cell]
Converter = Callable[[Cell, str | None], Any]
TRIGRAM_LENGTH = 12


@dataclass(frozen=True)
class FieldContext:
    """What the rules of a mapping share: the columns, how cells are read, and the zone of local times."""

    columns: Columns
    read: ReadRules
    zone: ZoneInfo | None


@dataclass(frozen=True)
class FieldReading:
    """What a field reads in a row: the value, and the text that it was converted from, None for a fixed value."""

    value: Any
    text: str | None = None


class FieldReader:
    """Reads one field of the rows. `kind` is the kind of the field, None for an attribute."""

    def __init__(
        self, name: str, rule: FieldRule, kind: str | None, context: FieldContext, path: Sequence[object]
    ) -> None:
        self.name, self.rule, self.kind = name, rule, kind
        self._path, self._context = path, context
        self._file_nulls = Nulls(context.read.null)
        self.nulls = Nulls((*context.read.null, *rule.null))
        self._dates = DateReader(rule.dates or ("iso",), context.zone)
        self._source = self._compile_source()
        self._when = None if rule.when is None else context.columns.find(rule.when, *path, "when")
        self._map = {fold_text(key): self._final(value, "map", key) for key, value in (rule.map or {}).items()}
        self._const = self._final(rule.const, "const") if rule.has("const") else None
        self._else = self._final(rule.else_, "else") if rule.has("else_") else None
        self._default = self._final(rule.default, "default") if rule.has("default") else None
        self._read_as = self._what_is_read()
        # A field that holds a text takes the text of what is read.
        self._becomes_text = kind not in (None, "time", "integer", "boolean") and self._read_as != "text"
        self._convert = self._converter()
        self._bounds = [self._bound(word) for word in ("min", "max")]

    @property
    def evidence(self) -> DayMonthEvidence | None:
        """How many cells decide between day and month, if the field has a format in which that matters."""
        return self._dates.evidence if {"dmy", "mdy"} & {*(self.rule.dates or ())} else None

    def text(self, cells: Cells) -> str | None:
        """Return the text of the source, for reports."""
        try:
            cell = self._source(cells)
        except CellFault as fault:
            return fault.text
        return None if cell is None else cell_text(cell).strip()

    def read(self, cells: Cells, started_at: str | None) -> FieldReading:
        """Return the field's value in a row, None if it gives nothing; raises `CellFault`."""
        rule = self.rule
        if self._when is not None and self._file_nulls.covers(cells[self._when]):
            return FieldReading(self._default)
        if rule.has("const"):
            return FieldReading(self._const)
        cell = self._prepare(self._source(cells))
        if self.nulls.covers(cell):
            return FieldReading(self._default)
        if rule.map is not None or rule.has("else_"):
            key = fold_text(cell_text(cell))
            if key in self._map:
                return FieldReading(self._map[key])
            if rule.has("else_"):
                return FieldReading(self._else)
        value = self._convert(cell, started_at)
        return FieldReading(None if value is None else self._checked(value), cell_text(cell).strip())

    def _checked(self, value: Any) -> Any:
        """Return a value that was read in the form of the field; raises `CellFault` if the field cannot have it."""
        self._check_bounds(value)
        if self._becomes_text:
            value = cell_text(value)
        if self.kind is None and isinstance(value, str) and len(value) > MAX_ATTRIBUTE_TEXT:
            raise CellFault("too-long", f"An attribute has at most {MAX_ATTRIBUTE_TEXT:,} characters.")
        return value

    def _prepare(self, cell: Cell) -> Cell:
        """Trim a text, and take a part of it."""
        if isinstance(cell, str) and self.rule.trim and not isinstance(cell, JoinedDate):
            cell = cell.strip()
        if self.rule.part is None or cell is None:
            return cell
        words = cell_text(cell).split()
        place = self.rule.part - 1 if self.rule.part > 0 else self.rule.part
        return words[place] if -len(words) <= place < len(words) else None

    def _compile_source(self) -> Callable[[Cells], Cell]:
        rule, columns = self.rule, self._context.columns
        if rule.has("const"):
            return lambda _: rule.const
        if rule.template is not None:
            return columns.template(rule.template, self.nulls, *self._path, "template")
        if rule.columns is not None:
            places = [columns.find(name, *self._path, "columns", i) for i, name in enumerate(rule.columns)]
            return lambda cells: self._join([cells[place] for place in places])
        if rule.first_of is not None:
            places = [columns.find(name, *self._path, "first_of", i) for i, name in enumerate(rule.first_of)]
            return lambda cells: self._first_of(cells, places)
        word = "column" if rule.column is not None else "start_plus"
        place = columns.find(rule.column or rule.start_plus or "", *self._path, word)
        return lambda cells: cells[place]

    def _join(self, cells: Cells) -> Cell:
        if self.nulls.covers(cells[0]):
            return None
        texts = [cell_text(cell).strip() for cell in cells if not self.nulls.covers(cell)]
        if len(texts) == 1:
            return cells[0]
        joined = " ".join(texts)
        return JoinedDate(joined) if isinstance(cells[0], datetime) else joined

    def _first_of(self, cells: Cells, places: Sequence[int]) -> Cell:
        for place in places:
            if not self.nulls.covers(cells[place]):
                return self._context.columns.names[place] if self.rule.take == "name" else cells[place]
        return None

    def _what_is_read(self) -> str:
        """Return what a cell is read as: what the rule says, or else what the field needs."""
        if self.rule.dates is not None or self.rule.start_plus is not None:
            return "time"
        return self.rule.as_ or (self.kind if self.kind in ("time", "integer", "boolean") else "text")

    def _converter(self) -> Converter:
        """Return the function that converts a cell."""
        rule, read = self.rule, self._context.read
        numbers = NumberReader(rule.decimal or read.decimal, rule.thousands or read.thousands, rule.unit)
        if rule.start_plus is not None:
            durations = DurationReader(rule.durations or ("h",))
            return lambda cell, started_at: _later(started_at, durations.read(cell))
        length = TRIGRAM_LENGTH if self.name in ("user", "trigram") else CODE_LENGTH
        converters: dict[str, Converter] = {
            "time": lambda cell, _: self._dates.read(cell, is_joined_date=isinstance(cell, JoinedDate)),
            "number": lambda cell, _: numbers.read(cell),
            "integer": lambda cell, _: numbers.read_integer(cell),
            "boolean": lambda cell, _: read_boolean(cell),
            "code": lambda cell, _: code_of(cell_text(cell), length),
            "text": lambda cell, _: cell_text(cell),
        }
        return converters[self._read_as]

    def _final(self, value: Any, *path: object) -> Any:
        """Check a value of the mapping itself: a time is an instant, or local in the mapping's zone."""
        return value if value is None or self.kind != "time" else self._instant(value, *path)

    def _instant(self, value: Any, *path: object) -> str | None:
        """Return a time of the mapping itself as an instant; if it is none, add a fault."""
        try:
            return DateReader(("iso",), self._context.zone).read(value)
        except CellFault as fault:
            self._fault(fault.message.replace("the formats of the mapping", "ISO 8601"), *path)
            return None

    def _bound(self, word: str) -> Any:
        """Return `min` or `max` in the form of the values that it is compared with."""
        bound = getattr(self.rule, word)
        if bound is None:
            return None
        if self._read_as == "time" and isinstance(bound, str):
            instant = self._instant(bound, word)
            return None if instant is None else datetime.fromisoformat(instant)
        if self._read_as in ("number", "integer") and not isinstance(bound, str):
            return bound
        expected = {"time": "a time, such as 2001-01-01,", "number": "a number", "integer": "a number"}
        if self._read_as in expected:
            self._fault(f"'{word}' must be {expected[self._read_as]} here.", word)
        else:
            self._fault(f"'{word}' is for numbers and times: give the field an 'as', such as number.", word)
        return None

    def _check_bounds(self, value: Any) -> None:
        least, most = self._bounds
        if least is None and most is None:
            return
        compared = datetime.fromisoformat(value) if isinstance(value, str) else value
        if (least is not None and compared < least) or (most is not None and compared > most):
            raise CellFault("out-of-range", f"The value must be {self._range()}.")

    def _range(self) -> str:
        """Return the bounds in words."""
        least, most = self.rule.min, self.rule.max
        if least is None or most is None:
            return f"at most {most}" if least is None else f"at least {least}"
        return f"between {least} and {most}"

    def _fault(self, message: str, *path: object) -> None:
        self._context.columns.faults.append(Fault(message, "invalid", pointer(*self._path, *path)))


class JoinedDate(str):
    """A date cell of a workbook that is joined with other cells: year first, whatever the formats of the mapping."""

    __slots__ = ()


def _later(started_at: str | None, duration: timedelta) -> str | None:
    """Return the instant after this time has elapsed; None if the start is not known."""
    if started_at is None:
        return None
    try:
        return instants.format_instant(datetime.fromisoformat(started_at) + duration)
    except OverflowError:
        raise CellFault("out-of-range", "The time must be between 1970 and 2100.") from None
