"""What an import would do, for a person to check: first records, fields, values, dates, and the report of a dry run."""

import difflib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS
from machine_monitor.services.imports.candidates import RowSource
from machine_monitor.services.imports.execution.running import ImportRun
from machine_monitor.services.imports.mapping import RowMapper, TableMapping
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.imports.plan import Step
from machine_monitor.services.imports.report import RESOURCE_NAMES

FIRST_RECORDS = 10
# So many different values of a field are counted.
MAX_VALUES = 1_000
LISTED_VALUES = 50
# How similar two values must be to be shown as near spellings.
NEAR = 0.85
COUNTED_FIELDS = ("machine", "type", "user")
UNDECIDED = "No cell of '{}' decides between day and month: check the first records."


@dataclass
class Observation:
    """The counts and first records that a preview collects from the steps of the planner."""

    records: list[dict[str, Any]] = field(default_factory=list)
    filled: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    span: tuple[str, str] | None = None

    def add(self, step: Step) -> None:
        """Look at one row."""
        for problem in step.problems:
            if problem.level == "error" and problem.field:
                self.refused[problem.field] += 1
        if step.outcome not in ("created", "updated", "unchanged", "conflict"):
            return
        attributes = {f"attributes.{name}": value for name, value in step.candidate.attributes.items()}
        given = {**step.candidate.fields, **attributes}
        for name, value in given.items():
            (self.empty if value is None else self.filled)[name] += 1
        if len(self.records) < FIRST_RECORDS:
            self.records.append(dict(step.values))
        for name in COUNTED_FIELDS:
            value, counts = step.values.get(name), self.values.setdefault(name, Counter())
            if value is not None and (value in counts or len(counts) < MAX_VALUES):
                counts[value] += 1
        started_at = step.values.get("started_at")
        if started_at is not None:
            first, last = self.span or (started_at, started_at)
            self.span = min(first, started_at), max(last, started_at)


def preview(
    database: Database, source: RowSource, options: ImportOptions, mapping: TableMapping | None
) -> dict[str, Any]:
    """Return what an import would do, as JSON; nothing is written."""
    observation = Observation()
    run = ImportRun(database, source, replace(options, dry_run=True, rejected=None), mapping, observe=observation.add)
    report = run.execute().to_dict()
    table = source.table
    names = dict.fromkeys([*observation.filled, *observation.empty, *observation.refused])
    found: dict[str, Any] = {
        "records": observation.records,
        "counts": {name: report[name] for name in RESOURCE_NAMES},
        "skipped": report["skipped"],
        "problems": report["problems"],
        "fields": {
            name: {each: getattr(observation, each)[name] for each in ("filled", "empty", "refused")} for name in names
        },
        "values": {name: _listed(counts) for name, counts in observation.values.items() if counts},
        "dates": _evidence(source),
    }
    if source.resource is LOGS and observation.span is not None:
        found["span"] = list(observation.span)
    document = None if mapping is None else mapping.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"columns": [*table.names], "read": table.read.to_dict(), "mapping": document, "preview": found}


def _listed(counts: Counter[str]) -> list[dict[str, Any]]:
    """Return the most frequent values with their near spellings."""
    values = [value for value, _ in counts.most_common()]
    listed = []
    for value, count in counts.most_common(LISTED_VALUES):
        others = [other for other in values[:200] if other != value]
        close = difflib.get_close_matches(value, others, 5, NEAR) if len(value) <= 64 else []
        near = [other for other in close if not _is_numbered(value, other)]
        listed.append({"value": value, "count": count, **({"near": near} if near else {})})
    return listed


def _is_numbered(one: str, other: str) -> bool:
    """Whether two values differ in a number or a letter only, such as Lathe 1 and Lathe 2."""
    first, second = [re.findall(r"[^\W\d_]+|\d+", value) for value in (one, other)]
    pairs = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    return len(first) == len(second) and all(part.isdigit() or len(part) == 1 for pair in pairs for part in pair)


def _evidence(source: RowSource) -> dict[str, dict[str, Any]]:
    """Return for each field how many cells decide between day and month; a warning if none does."""
    if not isinstance(source, RowMapper):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, reader in source.readers.items():
        evidence = reader.evidence
        if evidence is not None and evidence.cells:
            found[name] = {"cells": evidence.cells, "deciding": evidence.deciding}
            if not evidence.deciding:
                found[name]["warning"] = UNDECIDED.format(name)
    return found
