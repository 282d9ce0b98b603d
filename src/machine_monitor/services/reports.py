"""What a sync or an import did: how many records of each kind, and what was adjusted, refused or in conflict."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from machine_monitor.models import RESOURCES

OUTCOMES = ("created", "updated", "unchanged", "conflict", "rejected")
# The contract's order; a further resource comes after them.
COUNTED = dict.fromkeys(("machines", "logs", "users", "log_types", *(resource.name for resource in RESOURCES)))
Outcome = Literal["created", "updated", "unchanged", "conflict", "rejected"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know of a file: an `error` kept it or part of it out, a `note` tells how it was read."""

    file: str
    field: str | None
    level: Literal["error", "note"]
    code: str
    message: str


def _no_counts() -> dict[str, dict[str, int]]:
    return {name: dict.fromkeys(OUTCOMES, 0) for name in COUNTED}


@dataclass
class Report:
    """The counts by resource and outcome, the files that were no records, and the findings."""

    counts: dict[str, dict[str, int]] = field(default_factory=_no_counts)
    ignored: int = 0
    problems: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was rejected and nothing is in conflict."""
        return not any(counts["rejected"] or counts["conflict"] for counts in self.counts.values())

    def count(self, resource: str, outcome: Outcome) -> None:
        """Count one record."""
        self.counts[resource][outcome] += 1

    def copy(self) -> "Report":
        """A report that goes on from this one."""
        counts = {name: dict(outcomes) for name, outcomes in self.counts.items()}
        return Report(counts, self.ignored, list(self.problems))

    def document(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {**self.counts, "ignored": self.ignored, "problems": [asdict(finding) for finding in self.problems]}
