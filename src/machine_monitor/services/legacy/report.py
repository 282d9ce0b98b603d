"""The report of a sync: records per resource and outcome, and the problems that were found."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from machine_monitor.services.imports.report import Outcome, no_counts


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a file: `error` if a record or a part of it was not imported, `note` if a value was adjusted."""

    file: str
    field: str | None
    level: Literal["error", "note"]
    code: str
    message: str
    # The name that the finding is about, if its message has one.
    value: str | None = None


@dataclass
class Report:
    """The counts by resource and outcome, the number of ignored files, and the findings."""

    counts: dict[str, dict[str, int]] = field(default_factory=no_counts)
    ignored: int = 0
    problems: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether no record was rejected or is in conflict."""
        return not any(counts["rejected"] or counts["conflict"] for counts in self.counts.values())

    def count(self, resource: str, outcome: Outcome) -> None:
        """Count one record."""
        self.counts[resource][outcome] += 1

    def copy(self) -> "Report":
        """Return an independent copy."""
        counts = {name: dict(outcomes) for name, outcomes in self.counts.items()}
        return Report(counts, self.ignored, list(self.problems))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `--json` prints it."""
        return {**self.counts, "ignored": self.ignored, "problems": [_to_dict(finding) for finding in self.problems]}


def _to_dict(finding: Finding) -> dict[str, Any]:
    return {name: member for name, member in asdict(finding).items() if name != "value"}
