"""The report of an import: records by outcome, and problems grouped by field, code and value."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from machine_monitor.models import RESOURCES

OUTCOMES = ("created", "updated", "unchanged", "conflict", "rejected")
# The order of the contract; other resources come after these.
RESOURCE_NAMES = dict.fromkeys(("machines", "logs", "users", "log_types", *(resource.name for resource in RESOURCES)))
Outcome = Literal["created", "updated", "unchanged", "conflict", "rejected"]
# A group names so many rows.
NAMED_ROWS = 3
# So many different values of one field and code are told apart; all further ones are one group.
MAX_VALUES = 1_000
MAX_VALUE = 100
Level = Literal["error", "note"]


def no_counts() -> dict[str, dict[str, int]]:
    """Return a count of zero for each resource and outcome."""
    return {name: dict.fromkeys(OUTCOMES, 0) for name in RESOURCE_NAMES}


class RowProblem(NamedTuple):
    """A problem of one row. `error`: the row is not imported; `note`: something was adjusted."""

    field: str | None
    code: str
    level: Level
    value: str | None
    message: str


@dataclass(slots=True)
class Group:
    """Problems of many rows that are alike."""

    problem: RowProblem
    count: int = 0
    rows: list[int] = field(default_factory=list)


@dataclass
class ImportReport:
    """Counts by resource and outcome, the rows that were skipped, and the problems in the order of their first row."""

    file: str
    counts: dict[str, dict[str, int]] = field(default_factory=no_counts)
    skipped: int = 0
    groups: dict[tuple[Any, ...], Group] = field(default_factory=dict)
    _values: dict[tuple[Any, ...], int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether no row was rejected or is in conflict."""
        return not any(counts["rejected"] or counts["conflict"] for counts in self.counts.values())

    def count(self, resource: str, outcome: Outcome) -> None:
        """Count one record."""
        self.counts[resource][outcome] += 1

    def add(self, row: int, problem: RowProblem) -> None:
        """Add a problem of a row to its group."""
        kind = problem.field, problem.code, problem.level
        value = problem.value if problem.value is None else problem.value[:MAX_VALUE]
        key = (*kind, value)
        if key not in self.groups:
            known = self._values.get(kind, 0)
            if known >= MAX_VALUES:
                value, key = None, (*kind, None)
            self._values[kind] = known + 1
        group = self.groups.setdefault(key, Group(problem._replace(value=value)))
        group.count += 1
        if row not in group.rows and len(group.rows) < NAMED_ROWS:
            group.rows.append(row)

    def add_whole(self, problem: RowProblem, count: int) -> None:
        """Add a problem of the whole table."""
        self.groups[(problem.field, problem.code, problem.level, problem.value)] = Group(problem, count)

    def add_all(self, rows: Iterable[tuple[int, RowProblem]]) -> None:
        """Add problems of several rows."""
        for row, problem in rows:
            self.add(row, problem)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `--json` prints it."""
        groups = sorted(self.groups.values(), key=lambda group: group.rows[0] if group.rows else 0)
        return {
            **self.counts,
            "ignored": 0,
            "skipped": self.skipped,
            "problems": [
                {
                    "file": f"{self.file}:{group.rows[0]}" if group.rows and group.rows[0] else self.file,
                    **{name: getattr(group.problem, name) for name in ("field", "code", "level", "value")},
                    "count": group.count,
                    "rows": group.rows,
                    "message": group.problem.message,
                }
                for group in groups
            ],
        }
