"""Propose a mapping for a table: by the words of its header, and by the shapes of its values."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from machine_monitor.models.fields import MAX_ATTRIBUTES
from machine_monitor.query.language.attributes import derive_key
from machine_monitor.services.imports.mapping.cells import CellFault, cell_text, fold_text
from machine_monitor.services.imports.mapping.columns import reference_names
from machine_monitor.services.imports.mapping.dates import DateReader
from machine_monitor.services.imports.mapping.durations import DurationReader
from machine_monitor.services.imports.mapping.header_words import HEADERS, MACHINE_HEADERS, SEVERITIES, STATUSES
from machine_monitor.services.imports.mapping.numbers import NumberReader
from machine_monitor.services.imports.reader import Cell, Table
from machine_monitor.services.imports.reader.table import WHY, WORKBOOKS

SAMPLE_ROWS = 2_000
# How many cells of a column must have a shape.
MOST = 0.8
DATE_FORMATS = ("iso", "dmy", "mdy", "ymd")
DURATION_FORMATS = ("H:M", "HhM", "H heures M min", "h")
_WORDS = re.compile(r"[^\W_]+")
_UTC = ZoneInfo("UTC")
# A sign that says nothing about a cell except that it is empty.
NULLS = ("NA", "N/A", "#N/A", "NULL", "-", "--")


@dataclass
class Profile:
    """What the cells of a column look like."""

    name: str
    cells: Sequence[Cell]
    size: int

    @property
    def texts(self) -> list[str]:
        """The filled cells as texts."""
        return [cell_text(cell).strip() for cell in self.cells]

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.texts))

    def is_key(self) -> bool:
        """Whether the column tells all rows apart."""
        return self.size > 0 and len(self.cells) == self.size == self.distinct

    def is_mostly(self, read: Any) -> bool:
        """Whether most of the cells can be read so."""
        good = sum(_reads(read, cell) for cell in self.cells)
        return bool(self.cells) and good >= MOST * len(self.cells)

    def date_formats(self) -> list[str] | None:
        """Return the formats of dates that the cells have; None if the column is no date."""
        if all(isinstance(cell, date) for cell in self.cells):
            return [] if self.cells else None
        found: list[str] = []
        left: list[Cell] = [cell for cell in self.cells if not isinstance(cell, date)]
        if not self.is_mostly(DateReader(DATE_FORMATS, _UTC).read):
            return None
        while left:
            counts = {name: sum(_reads(DateReader([name], _UTC).read, cell) for cell in left) for name in DATE_FORMATS}
            best = max(DATE_FORMATS, key=lambda name: counts[name])
            if not counts[best]:
                break
            found.append(best)
            left[:] = [cell for cell in left if not _reads(DateReader([best], _UTC).read, cell)]
        return found


def _reads(read: Any, cell: Cell) -> bool:
    try:
        read(cell)
    except CellFault:
        return False
    return True


def propose(table: Table, name: str, zone: str) -> dict[str, Any]:
    """Return a mapping as JSON, to be checked by a person."""
    return Proposal(table).document(name, zone)


def _profile(name: str, place: int, rows: Sequence[Sequence[Cell]]) -> Profile:
    found = [row[place] for row in rows]
    filled = [cell for cell in found if cell is not None and cell_text(cell).strip() not in ("", *NULLS)]
    return Profile(name, filled, len(rows))


class Proposal:
    """The proposal for one table: each column is used once. `left_out` names those that the mapping does not use."""

    def __init__(self, table: Table) -> None:
        rows = [row.cells for row in islice(table.rows(), SAMPLE_ROWS) if row.fault is None]
        names = reference_names(table.names, table.width)
        profiles = [_profile(names[place], place, rows) for place in range(table.width)]
        self._table, self._rows = table, rows
        self._left = [profile for profile in profiles if profile.cells and profile.name != WHY]
        self._decimal = self._decimal_sign(self._left)
        self._number = NumberReader(self._decimal).read
        self.left_out: list[str] = []

    def document(self, name: str, zone: str) -> dict[str, Any]:
        """Return the mapping."""
        dates = {profile.name: profile.date_formats() for profile in self._left}
        self._dates = {name: formats for name, formats in dates.items() if formats is not None}
        started_at = self._take("started_at", lambda profile: profile.name in self._dates) or self._first_date()
        mapping: dict[str, Any] = {"name": name, "resource": "logs", "read": self._read(), "zone": zone}
        if started_at is None and self._looks_like_machines():
            return self._machines(mapping)
        key = self._take("key", Profile.is_key)
        if key is not None:
            mapping["key"] = [key.name]
        fields: dict[str, Any] = {}
        machine = self._take("machine", lambda profile: profile.name not in self._dates)
        fields["machine"] = machine.name if machine else {"const": "Machine 1"}
        if started_at is not None:
            fields["started_at"] = self._start(started_at)
        kind = self._take("type", lambda profile: profile.distinct <= max(200, 0.1 * profile.size))
        fields["type"] = {"column": kind.name, "as": "code", "default": "info"} if kind else {"const": "info"}
        self._add_end(fields)
        self._add_texts(fields)
        self._add_words(fields)
        mapping["fields"] = fields | self._attributes()
        if "user" in fields:
            mapping["unknown_user"] = "create"
        return mapping

    def _read(self) -> dict[str, Any]:
        read = self._table.read.to_dict()
        if read.get("format") in WORKBOOKS or read.get("format") == "ndjson":
            read.pop("encoding", None)
        if read.get("escape") == "":
            read["escape"] = None
        found = {cell.strip() for cells in self._rows for cell in cells if isinstance(cell, str)}
        read["null"] = ["", *[text for text in NULLS if text in found]]
        read["decimal"] = self._decimal
        return read

    def _decimal_sign(self, profiles: Iterable[Profile]) -> str:
        """Return the decimal sign that most numbers have."""
        counts = dict.fromkeys(".,", 0)
        for profile in profiles:
            for sign in counts:
                if profile.is_mostly(NumberReader(sign).read):
                    counts[sign] += sum(sign in text for text in profile.texts)
        return "," if counts[","] > counts["."] else "."

    def _take(self, field: str, fits: Any, words: dict[str, tuple[str, ...]] = HEADERS) -> Profile | None:
        """Return the column whose header fits a field best, if its values fit as well; it is used up."""
        scores = {profile.name: _score(profile.name, words[field]) for profile in self._left}
        by_score = sorted(self._left, key=lambda profile: -scores[profile.name])
        found = next((profile for profile in by_score if scores[profile.name] and fits(profile)), None)
        if found is not None:
            self._left.remove(found)
        return found

    def _first_date(self) -> Profile | None:
        found = next((profile for profile in self._left if profile.name in self._dates), None)
        if found is not None:
            self._left.remove(found)
        return found

    def _start(self, started_at: Profile) -> dict[str, Any] | str:
        formats = self._dates[started_at.name]
        times = self._take("time", lambda profile: profile.is_mostly(_read_hour))
        source: dict[str, Any] = {"columns": [started_at.name, times.name]} if times else {"column": started_at.name}
        if not formats or formats == ["iso"]:
            return source if times else started_at.name
        return {**source, "dates": formats}

    def _add_end(self, fields: dict[str, Any]) -> None:
        """Add the end of a stop: a date, or a duration after the start."""
        end = self._take("down_to", lambda profile: profile.name in self._dates)
        if end is not None:
            formats = self._dates[end.name]
            fields["down_to"] = {"column": end.name, "dates": formats} if formats and formats != ["iso"] else end.name
            return
        if "started_at" not in fields:
            return
        reader = DurationReader((*DURATION_FORMATS, "min"))
        duration = self._take("duration", lambda profile: profile.is_mostly(reader.read))
        if duration is not None:
            is_minutes = "min" in _WORDS.findall(fold_text(duration.name)) or "delay" in fold_text(duration.name)
            formats = ["min"] if is_minutes else [*DURATION_FORMATS]
            fields["down_to"] = {"start_plus": duration.name, "durations": formats, "bad": "null"}

    def _add_texts(self, fields: dict[str, Any]) -> None:
        for field in ("cause", "action", "comment", "project"):
            found = self._take(field, lambda profile: profile.name not in self._dates)
            if found is not None:
                fields[field] = found.name

    def _add_words(self, fields: dict[str, Any]) -> None:
        """Add severity, status and author, where the values are known words or few."""
        for field, words in (("severity", SEVERITIES), ("status", STATUSES)):
            found = self._take(
                field, lambda profile, words=words: len(_known(profile, words)) >= MOST * profile.distinct
            )
            if found is not None:
                fields[field] = {"column": found.name, "map": _known(found, words)}
        found = self._take("user", lambda profile: profile.distinct <= max(200, 0.1 * profile.size))
        if found is not None:
            fields["user"] = {"column": found.name, "as": "code"}

    def _attributes(self) -> dict[str, Any]:
        """Keep all other columns as attributes, as many as a record may have."""
        kept, self.left_out = self._left[:MAX_ATTRIBUTES], [profile.name for profile in self._left[MAX_ATTRIBUTES:]]
        names = {profile.name for profile in kept}
        rules: dict[str, Any] = {}
        for profile in kept:
            rule: Any = profile.name
            if profile.name not in self._dates and profile.is_mostly(self._number):
                rule = {"column": profile.name, "as": "number", "bad": "keep"}
            rules[derive_key(profile.name, names | rules.keys())] = rule
        return {f"attributes.{key}": rule for key, rule in rules.items()}

    def _looks_like_machines(self) -> bool:
        """Whether the table lists machines: a name, and what only machines have."""
        fields = ("manufacturer", "model", "serial_number", "year_of_acquisition")
        has = [any(_score(each.name, MACHINE_HEADERS[field]) for each in self._left) for field in fields]
        return sum(has) >= 2 and any(_score(each.name, MACHINE_HEADERS["name"]) for each in self._left)

    def _machines(self, mapping: dict[str, Any]) -> dict[str, Any]:
        fields = {}
        for field in MACHINE_HEADERS:
            found = self._take(field, Profile.is_key if field == "name" else bool, MACHINE_HEADERS)
            if found is not None:
                fields[field] = found.name
        mapping |= {"resource": "machines", "fields": {"name": fields.pop("name", "#1"), **fields} | self._attributes()}
        return mapping


def _score(header: str, words: Sequence[str]) -> int:
    """Rate how well a header fits the words of a field; 0: not at all."""
    text = " ".join(_WORDS.findall(fold_text(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header))))
    joined, tokens = text.replace(" ", ""), text.split()
    for place, word in enumerate(words):
        if text == word or joined == word.replace(" ", ""):
            return 1000 - place
    for place, word in enumerate(words):
        if len(word) > 2 and all(token in tokens for token in word.split()):
            return 500 - place
    return 0


def _known(profile: Profile, words: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the values of a column that are known words, with what they mean."""
    meanings = {word: meaning for meaning, known in words.items() for word in known}
    return {text: meanings[fold_text(text)] for text in dict.fromkeys(profile.texts) if fold_text(text) in meanings}


def _read_hour(cell: Cell) -> None:
    """Raise `CellFault` if a cell is no time of day."""
    if isinstance(cell, time):
        return
    if isinstance(cell, timedelta | datetime):
        raise CellFault("not-a-date", "")
    DateReader(["ymd"], _UTC).read(f"2000-01-01 {cell_text(cell).strip()}")
