"""What is to be done with each legacy record, given what the database holds: a plan is data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services.audit import history
from machine_monitor.services.legacy.translate import LEGACY_NAMES, Record, Rejected
from machine_monitor.services.legacy.values import Edit
from machine_monitor.services.records import validation
from machine_monitor.services.records.storage import StoredRecord
from machine_monitor.services.reports import Finding, Outcome, Report

# What others name comes before what names it.
ORDER = (USERS, LOG_TYPES, MACHINES, LOGS)
# What is told of a record that logs name and nobody declares.
UNDECLARED = {
    "machine": "No file declares the machine '{}'; it is created with its name alone.",
    "type": "Nobody declares the type '{}'; it is created.",
    "user": "No file declares the user '{}'; it is created with the trigram alone.",
}


@dataclass
class Dossier:
    """All that was read, by resource, each in the order of writing, and what there is to say of it already."""

    records: dict[str, list[Record]] = field(default_factory=lambda: {resource.name: [] for resource in ORDER})
    report: Report = field(default_factory=Report)

    @property
    def total(self) -> int:
        """How many records there are."""
        return sum(map(len, self.records.values()))


class Import(NamedTuple):
    """What became of a legacy key: the record, its version then, and whether it was edited since."""

    record_id: int
    version: int
    edited: bool


class Known(NamedTuple):
    """What the database holds of a legacy key."""

    imported: Import | None = None
    stored: StoredRecord | None = None
    edits: frozenset[Edit] = frozenset()


class Name(NamedTuple):
    """A record that others may name, in its stored spelling."""

    spelling: str
    active: bool


# The records that can be named, by resource and legacy key.
Names = Mapping[str, dict[str, Name]]


@dataclass(frozen=True, slots=True)
class Step:
    """One record's outcome: the whole writable record if it is to be written, what it was, and what to tell."""

    record: Record
    outcome: Outcome
    stored: StoredRecord | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    remembered: bool = True
    findings: tuple[Finding, ...] = ()


def assemble(found: Iterable[Record | Rejected | None]) -> Dossier:
    """Put what was translated in order: doubles are refused, what logs name and nobody declares is added."""
    dossier = Dossier()
    keys: dict[str, set[str]] = {resource.name: set() for resource in ORDER}
    for record in found:
        if record is None:
            dossier.report.ignored += 1
        elif isinstance(record, Rejected):
            dossier.report.count(record.resource.name, "rejected")
            dossier.report.problems.extend(record.findings)
        elif record.key in keys[record.resource.name]:
            dossier.report.count(record.resource.name, "rejected")
            message = f"Another file is the same {record.resource.noun}; the first one is taken."
            dossier.report.problems.append(Finding(record.file, record.resource.key, "error", "duplicate", message))
        else:
            keys[record.resource.name].add(record.key)
            dossier.records[record.resource.name].append(record)
    logs = dossier.records[LOGS.name]
    # A log's id is its place in time.
    logs.sort(key=lambda log: (log.values["started_at"], log.file))
    for log in logs:
        for record in _undeclared(log, keys):
            keys[record.resource.name].add(record.key)
            dossier.records[record.resource.name].append(record)
    return dossier


def _undeclared(log: Record, keys: Mapping[str, set[str]]) -> Iterable[Record]:
    """The records that a log names and that nothing said so far."""
    facts = {"machine": {"in_service": None}, "type": {"label": log.type_label} if log.type_label else {}}
    for name, related in LOGS.references.items():
        value, theirs = log.values[name], related.resource
        if value is not None and theirs.unique_key_of(value) not in keys[theirs.name]:
            legacy = LEGACY_NAMES.get(name, name)
            note = Finding(log.file, legacy, "note", f"undeclared-{name}", UNDECLARED[name].format(value))
            values = {theirs.key: value, **facts.get(name, {})}
            yield Record(theirs, log.file, theirs.unique_key_of(value), values, notes=(note,), declared=False)


def decide(record: Record, known: Known, names: Names) -> Step:
    """The outcome of one record."""
    values, faults = _resolve(record, names)
    if known.stored is not None and not known.stored.is_deleted:
        step = _compare(record, known, known.stored, values)
    elif known != Known():
        step = Step(record, "conflict", findings=(_conflict(record, None, "It was deleted here."),))
    elif faults:
        step = Step(record, "rejected", findings=tuple(faults))
    else:
        step = _create(record, values)
    # Of a record that nobody declares there is nothing to tell but that it was created.
    notes = record.notes if record.declared or step.outcome == "created" else ()
    return replace(step, findings=(*notes, *step.findings))


def _create(record: Record, values: Mapping[str, Any]) -> Step:
    if record.declared:
        # What a file says has passed the schema, with the defaults that are the same for each.
        return Step(record, "created", values={**validation.defaults(record.resource), **values})
    try:
        body = record.resource.create.model_validate(values)
    except ValidationError as error:
        found = [
            Finding(record.file, fault.pointer, "error", fault.code, fault.message)
            for fault in validation.faults(error, record.resource.create)
        ]
        return Step(record, "rejected", findings=tuple(found))
    return Step(record, "created", values=body.model_dump(mode="json"))


def _compare(record: Record, known: Known, stored: StoredRecord, values: Mapping[str, Any]) -> Step:
    """The outcome of a record that is here already."""
    resource, imported = record.resource, known.imported
    differing = _differing(record, stored, values)
    if imported is not None and not known.edits.issuperset(record.edits):
        # The legacy tool noted an edit since: it belongs into the history, even if nothing else differs.
        differing.append("modified")
    if not differing:
        return Step(record, "unchanged", stored, remembered=imported is not None)
    if imported is not None and not imported.edited and imported.record_id == stored.id:
        kept = {name: stored.values[name] for name in resource.create.model_fields}
        return Step(record, "updated", stored, {**kept, **values, resource.key: kept[resource.key]})
    shown = ", ".join(LEGACY_NAMES.get(name, name) for name in differing)
    reason = "It was edited here since its import" if imported else "It was here before"
    conflict = _conflict(record, shown, f"{reason} and differs from its file in {shown}.")
    return Step(record, "conflict", stored, findings=(conflict,))


def nameable(step: Step) -> Name | None:
    """What the records after a step may name of it."""
    key = step.record.resource.key
    if step.outcome == "created":
        return Name(step.values[key], active=True)
    if step.stored is None:
        return None
    return Name(step.stored.values[key], active=step.stored.values.get("active", True))


def _resolve(record: Record, names: Names) -> tuple[dict[str, Any], list[Finding]]:
    """The values with the stored names of what they name, and what a new record cannot name."""
    values, faults = dict(record.values), []
    for name, related in record.resource.references.items():
        theirs, value = related.resource, values[name]
        if value is None:
            continue
        found = names[theirs.name].get(theirs.unique_key_of(value))
        if found is not None:
            values[name] = found.spelling
        if found is None or not found.active:
            state = "was deleted here" if found is None else "is not active"
            message = f"The {theirs.noun} '{value}' {state}."
            faults.append(Finding(record.file, LEGACY_NAMES.get(name, name), "error", f"unknown-{name}", message))
    return values, faults


def _differing(record: Record, stored: StoredRecord, values: Mapping[str, Any]) -> list[str]:
    """The fields in which a record differs from its file; what the file cannot say does not count."""
    if not record.declared:
        return []
    key, uniform = record.resource.key, record.resource.unique_key_of
    shown = {name: stored.values[name] for name in values}
    # Two spellings of a key are one.
    pairs = ({**shown, key: uniform(shown[key])}, {**values, key: uniform(values[key])})
    return list(history.changes_between(*pairs))


def _conflict(record: Record, name: str | None, message: str) -> Finding:
    return Finding(record.file, name, "error", "conflict", message)
