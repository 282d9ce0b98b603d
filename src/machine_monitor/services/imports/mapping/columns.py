"""Find the columns that a mapping names: by trimmed name, else case and accents ignored, else by position (`#3`)."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from machine_monitor.errors import Fault
from machine_monitor.services.imports.mapping.cells import CellFault, Nulls, cell_text, fold_text
from machine_monitor.services.imports.mapping.language import pointer
from machine_monitor.services.imports.reader import Cell
from machine_monitor.suggestions import did_you_mean

_POSITION = re.compile(r"#([1-9]\d{0,4})")
_WIDTH = re.compile(r":(0?)(\d{0,2})d\}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}(\.0*)?")
MAX_NAMES = 30


def display_names(header: Sequence[str]) -> list[str]:
    """Return the names of columns as a mapping writes them: the second of a name is `Name (2)`."""
    counts: Counter[str] = Counter()
    names = []
    for raw in header:
        name = raw.strip()
        counts[name] += 1
        names.append(name if counts[name] == 1 or not name else f"{name} ({counts[name]})")
    return names


def reference_names(header: Sequence[str], width: int) -> list[str]:
    """Return for each column a name by which a mapping finds it: its own, or `#3` if it has none of its own."""
    own = display_names(header)
    names: list[str] = []
    for place in range(width):
        name = own[place] if place < len(own) else ""
        names.append(name if name and name not in names else f"#{place + 1}")
    return names


@dataclass
class Columns:
    """The columns of a table. Names that are not there are collected as faults."""

    header: Sequence[str]
    width: int
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = display_names(self.header)
        self._exact = {name: place for place, name in reversed([*enumerate(self.names)]) if name}
        self._folded = {fold_text(name): place for name, place in reversed(self._exact.items())}

    def find(self, name: str, *path: object) -> int:
        """Return the position of a column. If there is none, add a fault at this place of the mapping, and return 0."""
        place = self._exact.get(name.strip(), self._folded.get(fold_text(name)))
        if place is None and (match := _POSITION.fullmatch(name.strip())) and int(match[1]) <= self.width:
            place = int(match[1]) - 1
        if place is None:
            known = [*self._exact]
            hint = did_you_mean(name, known)
            listed = ", ".join(f"'{each}'" for each in known[:MAX_NAMES]) or f"#1 to #{self.width}, by position only"
            message = f"The table has no column '{name}'.{hint} Its columns: {listed}."
            self.faults.append(Fault(message, "unknown-column", pointer(*path), allowed=known[:MAX_NAMES]))
            return 0
        return place

    def template(self, text: str, nulls: Nulls, *path: object) -> Callable[[Sequence[Cell]], Cell]:
        """Compile a template: a text with the cells of columns in braces."""
        parts: list[str | tuple[int, str | None]] = []
        position = 0
        while position < len(text):
            if text.startswith(("{{", "}}"), position):
                parts.append(text[position])
                position += 2
            elif text[position] == "{":
                part, position = self._placeholder(text, position, path)
                parts.append(part)
            else:
                parts.append(text[position])
                position += 1
        return lambda cells: _fill(parts, cells, nulls)

    def _placeholder(self, text: str, begin: int, path: tuple[object, ...]) -> tuple[tuple[int, str | None], int]:
        """Read `{Column}` or `{Column:04d}` with the longest column name that fits."""
        positions = [f"#{number}" for number in range(self.width, 0, -1)]
        for name in [*sorted(self._exact, key=len, reverse=True), *positions]:
            end = begin + 1 + len(name)
            if text[begin + 1 : end] != name:
                continue
            if text.startswith("}", end):
                return (self.find(name), None), end + 1
            if match := _WIDTH.match(text, end):
                return (self.find(name), f"{match[1]}{match[2]}d"), match.end()
        end = text.find("}", begin)
        name = text[begin + 1 : end if end > 0 else None]
        without_width = _WIDTH.sub("", name + "}").removesuffix("}")
        return (self.find(without_width, *path), None), end + 1 if end > 0 else len(text)


def _fill(parts: Sequence[str | tuple[int, str | None]], cells: Sequence[Cell], nulls: Nulls) -> Cell:
    texts, filled = [], False
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        cell, form = cells[part[0]], part[1]
        if nulls.covers(cell):
            continue
        text, filled = cell_text(cell).strip(), True
        if form is not None:
            if not _WHOLE.fullmatch(text):
                raise CellFault("not-an-integer", "The template needs a whole number.", text)
            text = format(int(float(text)) if "." in text else int(text), form)
        texts.append(text)
    return "".join(texts) if filled or not any(not isinstance(part, str) for part in parts) else None
