"""A record as one row of a table gives it, before the planner compares it with the stored one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from machine_monitor.query.schema import Resource
from machine_monitor.services.imports.reader import Row, Table
from machine_monitor.services.imports.report import RowProblem

ATTRIBUTE = "attributes."


@dataclass(slots=True)
class Candidate:
    """What a row says about one record.

    - `fields`: the fields that the table has, None where the row gives nothing.
    - `attributes`: the attributes that the table has, None for one that the import removes.
    - `problems`: what the reader found; one with level `error` refuses the row.
    - `source`: returns the text of the cell that a field comes from.
    - `shows`: tells whether a cell shows a stored value, though it reads as another one: a workbook has no fractions of
      a second, for example.
    - `bad`: what the planner does with a field whose value the schema refuses.
    - `is_repetition`: the row equals an earlier one, so the planner makes no record of it.
    """

    row: Row
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    machine_fields: dict[str, Any] = field(default_factory=dict)
    problems: list[RowProblem] = field(default_factory=list)
    source: Callable[[str], str | None] = lambda _: None
    shows: Callable[[str, Any], bool] = lambda _name, _stored: False
    bad: Mapping[str, str] = field(default_factory=dict)
    type_label: str | None = None
    is_repetition: bool = False
    # Whether `down_from` is not of the table, but the start of the log.
    derives_down_from: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether the row cannot be imported."""
        return any(problem.level == "error" for problem in self.problems)


class RowSource(Protocol):
    """Turns the rows of a table into candidates."""

    table: Table
    resource: Resource
    skipped: int

    @property
    def notes(self) -> Sequence[RowProblem]:
        """What the report says about the table as a whole."""
        ...

    def candidates(self) -> Iterator[Candidate]:
        """Yield a candidate for each row that is not skipped."""
        ...
