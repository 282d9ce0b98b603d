"""Plan an import: decide for each legacy record what to do, given the state of the database. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services.audit import history
from machine_monitor.services.imports.report import Outcome
from machine_monitor.services.legacy.report import Finding, Report
from machine_monitor.services.legacy.translate import LEGACY_NAMES, NO_MACHINE, Record, Rejected
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import validation
from machine_monitor.services.records.storage import StoredRecord

# Referenced records come before the records that reference them.
ORDER = (USERS, LOG_TYPES, MACHINES, LOGS)
# Notes about records that logs reference but that have no file of their own.
UNDECLARED = {
    "machine": "There is no file for the machine '{}'. It is created with its name only.",
    "type": "The log type '{}' does not exist yet. It is created.",
    "user": "There is no file for the user '{}'. It is created with its trigram only.",
}


@dataclass
class ImportSet:
    """All records that were read, by resource and in the order of writing, and the problems found so far."""

    records: dict[str, list[Record]] = field(default_factory=lambda: {resource.name: [] for resource in ORDER})
    # What was read: the folders, and the keys of records that are there but cannot be imported.
    kinds: set[str] = field(default_factory=set)
    rejected: dict[str, set[str]] = field(default_factory=lambda: {resource.name: set() for resource in ORDER})
    report: Report = field(default_factory=Report)

    @property
    def total(self) -> int:
        """The number of records."""
        return sum(map(len, self.records.values()))


class Import(NamedTuple):
    """An earlier import of a legacy key: the record, its version then, and whether it was edited since."""

    record_id: int
    version: int
    edited: bool


class ExistingState(NamedTuple):
    """The stored state of a legacy key: an earlier import, the record, and its imported edits.

    `is_undone`: whether the record is deleted because its import was undone.
    """

    imported: Import | None = None
    stored: StoredRecord | None = None
    edits: frozenset[Edit] = frozenset()
    is_undone: bool = False


class NamedRecord(NamedTuple):
    """A record that later records can reference: its key as stored, and whether it is active."""

    spelling: str
    active: bool


# Records that can be referenced, by resource and legacy key.
NamedRecords = Mapping[str, dict[str, NamedRecord]]


@dataclass(frozen=True, slots=True)
class Step:
    """The plan for one record: outcome, stored record, new values if it is to be written, and findings."""

    record: Record
    outcome: Outcome
    stored: StoredRecord | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    has_import_row: bool = True
    findings: tuple[Finding, ...] = ()


def assemble(found: Iterable[Record | Rejected | None]) -> ImportSet:
    """Order the translated records; reject duplicates, and add records that only logs mention."""
    import_set = ImportSet()
    keys: dict[str, set[str]] = {resource.name: set() for resource in ORDER}
    for record in found:
        if record is None:
            import_set.report.ignored += 1
        elif isinstance(record, Rejected):
            import_set.report.count(record.resource.name, "rejected")
            import_set.report.problems.extend(record.findings)
            import_set.rejected[record.resource.name].add(record.resource.unique_key_of(record.stem))
            import_set.kinds.add(record.findings[0].file.split("/")[0])
        elif record.key in keys[record.resource.name]:
            import_set.report.count(record.resource.name, "rejected")
            message = f"Another file has the same {record.resource.noun}. Only the first one is imported."
            import_set.report.problems.append(Finding(record.file, record.resource.key, "error", "duplicate", message))
        else:
            keys[record.resource.name].add(record.key)
            import_set.records[record.resource.name].append(record)
            import_set.kinds.add(record.file.split("/")[0])
    logs = import_set.records[LOGS.name]
    # Ids are assigned in this order, and follow `started_at`.
    logs.sort(key=lambda log: (log.values["started_at"], log.file))
    for log in logs:
        for record in _undeclared(log, keys):
            keys[record.resource.name].add(record.key)
            import_set.records[record.resource.name].append(record)
    return import_set


def _undeclared(log: Record, keys: Mapping[str, set[str]]) -> Iterable[Record]:
    """Yield the records that a log references and that were not read yet."""
    machine = {"in_service": None, **({"listed": False} if log.values["machine"] == NO_MACHINE else {})}
    facts = {"machine": machine, "type": {"label": log.type_label} if log.type_label else {}}
    for name, related in LOGS.references.items():
        value, referenced = log.values[name], related.resource
        if value is not None and referenced.unique_key_of(value) not in keys[referenced.name]:
            legacy = LEGACY_NAMES.get(name, name)
            note = Finding(log.file, legacy, "note", f"undeclared-{name}", UNDECLARED[name].format(value), value)
            values = {referenced.key: value, **facts.get(name, {})}
            yield Record(referenced, log.file, referenced.unique_key_of(value), values, notes=(note,), declared=False)


def decide(record: Record, existing: ExistingState, names: NamedRecords) -> Step:
    """Decide the outcome of one record."""
    values, unusable = _resolve(record, names)
    if existing.stored is not None and not existing.stored.is_deleted:
        step = _compare(record, existing, existing.stored, values)
    elif existing != ExistingState() and not existing.is_undone:
        step = Step(
            record, "conflict", findings=(_conflict(record, None, "It was deleted here. It is not created again."),)
        )
    elif unusable:
        step = Step(record, "rejected", findings=tuple(unusable))
    else:
        step = _create(record, values)
        # What an undo has deleted is restored.
        step = replace(step, stored=existing.stored, has_import_row=existing.imported is not None)
    # For a record without a file, the only note is that it was created.
    notes = record.notes if record.declared or step.outcome == "created" else ()
    return replace(step, findings=(*notes, *step.findings))


def _create(record: Record, values: Mapping[str, Any]) -> Step:
    if record.declared:
        # Values from a file are already validated; only the defaults are missing.
        return Step(record, "created", values={**validation.defaults(record.resource), **values})
    try:
        body = record.resource.create.model_validate(values)
    except ValidationError as error:
        findings = [
            Finding(record.file, fault.pointer, "error", fault.code, fault.message)
            for fault in validation.faults(error, record.resource.create)
        ]
        return Step(record, "rejected", findings=tuple(findings))
    return Step(record, "created", values=body.model_dump(mode="json"))


def _compare(record: Record, existing: ExistingState, stored: StoredRecord, values: Mapping[str, Any]) -> Step:
    """Decide the outcome of a record that exists in the database."""
    resource, imported = record.resource, existing.imported
    differing = _differing(record, stored, values)
    if imported is not None and not existing.edits.issuperset(record.edits):
        # There are new edits in the file: they belong in the history, even if nothing else differs.
        differing.append("modified")
    if not differing:
        return Step(record, "unchanged", stored, has_import_row=imported is not None)
    if imported is not None and not imported.edited and imported.record_id == stored.id:
        kept = {name: stored.values[name] for name in resource.create.model_fields}
        return Step(record, "updated", stored, {**kept, **values, resource.key: kept[resource.key]})
    shown = ", ".join(LEGACY_NAMES.get(name, name) for name in differing)
    reason = "It was edited here since its import" if imported else "It already existed here"
    conflict = _conflict(record, shown, f"{reason}, and differs from its file in {shown}. It is not overwritten.")
    return Step(record, "conflict", stored, findings=(conflict,))


def named_record(step: Step) -> NamedRecord | None:
    """Return how later records can reference the record of this step; None if it does not exist."""
    key = step.record.resource.key
    if step.outcome == "created":
        return NamedRecord(step.values[key], active=True)
    if step.stored is None:
        return None
    return NamedRecord(step.stored.values[key], active=step.stored.values.get("active", True))


def _resolve(record: Record, names: NamedRecords) -> tuple[dict[str, Any], list[Finding]]:
    """Return the values with references in their stored spelling, and findings for references that are not usable."""
    values, findings = dict(record.values), []
    for name, related in record.resource.references.items():
        referenced, value = related.resource, values[name]
        if value is None:
            continue
        found = names[referenced.name].get(referenced.unique_key_of(value))
        if found is not None:
            values[name] = found.spelling
        if found is None or not found.active:
            state = "was deleted here" if found is None else "is not active"
            message = f"The {referenced.noun} '{value}' {state}."
            findings.append(
                Finding(record.file, LEGACY_NAMES.get(name, name), "error", f"unknown-{name}", message, value)
            )
    return values, findings


def _differing(record: Record, stored: StoredRecord, values: Mapping[str, Any]) -> list[str]:
    """Return the fields in which a record differs from its file, of those that the file can contain."""
    if not record.declared:
        return []
    key, uniform = record.resource.key, record.resource.unique_key_of
    shown = {name: stored.values[name] for name in values}
    # Keys that differ in spelling only are equal.
    pairs = ({**shown, key: uniform(shown[key])}, {**values, key: uniform(values[key])})
    return list(history.changes_between(*pairs))


def _conflict(record: Record, name: str | None, message: str) -> Finding:
    return Finding(record.file, name, "error", "conflict", message)
