"""Plan a batch of rows: compare each with what is stored, and decide what to do. Writes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import LOGS
from machine_monitor.query.schema import Resource
from machine_monitor.services.audit import history
from machine_monitor.services.imports.candidates import Candidate
from machine_monitor.services.imports.identity import RowStore
from machine_monitor.services.imports.mapping import TableMapping
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.imports.plan import provenance, schema_problems
from machine_monitor.services.imports.plan.provenance import Provenance
from machine_monitor.services.imports.plan.references import (
    UNKNOWN,
    NamedRecord,
    ReferencePolicy,
    References,
)
from machine_monitor.services.imports.report import MAX_VALUE, Level, Outcome, RowProblem
from machine_monitor.services.records import storage, validation
from machine_monitor.services.records.storage import StoredRecord

DELETED = "The record was deleted here."
EDITED = "It was edited here since its import, and its row has changed too. --overwrite takes the row."
INACTIVE = "The {} '{}' is not active."
UNDATED = "The start is missing: the log gets the date of --date-missing."
NOT_DATED = "The start is missing. --date-missing gives such logs a date."
FIXED = "'{}' cannot be changed after creation."


@dataclass(slots=True)
class Step:
    """What is done with one row: the values to write, or why nothing is written."""

    candidate: Candidate
    outcome: Outcome | None
    stored: StoredRecord | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: list[RowProblem] = field(default_factory=list)


@dataclass
class BatchPlan:
    """The plan of a batch, and the records that it makes or completes."""

    steps: list[Step]
    named: dict[tuple[str, str], NamedRecord]


class Planner:
    """Plans the batches of one import. `made` holds the named records that it has made so far."""

    def __init__(self, resource: Resource, options: ImportOptions, mapping: TableMapping | None) -> None:
        self.resource, self.options, self.mapping = resource, options, mapping
        self.policy = ReferencePolicy(mapping, options.manages_users)
        self.made: dict[tuple[str, str], NamedRecord] = {}
        # What a dry run would have written, where a file may name a record twice.
        self.planned: RowStore | None = None
        defaults = validation.defaults(resource)
        # Fields that take a default where a row gives nothing. `in_service` may be null, which means unknown.
        self._defaulted = {name for name, value in defaults.items() if value is not None and name != "in_service"}
        self._absent = "reset" if "reset" in (options.absent, getattr(mapping, "absent", "")) else "keep"

    def plan(self, tx: Transaction, candidates: Sequence[Candidate]) -> BatchPlan:
        """Decide what to do with each row."""
        lock = not self.options.dry_run
        keys = {key for each in candidates if (key := self._key(each)) is not None}
        stored = storage.find_several(tx, self.resource, keys, lock=lock) | self._planned(keys)
        named = References(tx, self.policy, lock, self.made)
        named.load(self.resource, candidates)
        steps = [self._step(candidate, stored, named) for candidate in candidates]
        if self.mapping is not None:
            self._resolve_conflicts(tx, steps)
        for step in steps:
            if step.outcome in ("created", "updated", "unchanged") and step.candidate.machine_fields:
                step.problems += named.fill_machine(step.values["machine"], step.candidate)
        named.drop_unused([step.values for step in steps if step.outcome in ("created", "updated")], self.resource)
        return BatchPlan(steps, named.known)

    def _key(self, candidate: Candidate) -> str | None:
        key = candidate.fields.get(self.resource.key)
        return None if not isinstance(key, str) or validation.key_faults(self.resource, key) else key

    def _planned(self, keys: Iterable[str]) -> dict[str, StoredRecord]:
        """Return the records of these keys as earlier batches of a dry run would have left them."""
        if self.planned is None:
            return {}
        unique = {self.resource.unique_key_of(key) for key in keys}
        bodies = {key: self.planned.get(key) for key in unique}
        return {
            key: StoredRecord(self.resource, body, 0, 1, is_deleted=False)
            for key, body in bodies.items()
            if isinstance(body, str)
        }

    def _step(self, candidate: Candidate, stored: Mapping[str, StoredRecord], named: References) -> Step:
        # Fields may be emptied below, and the plan may be made again.
        candidate = replace(candidate, fields=dict(candidate.fields), machine_fields=dict(candidate.machine_fields))
        step = Step(candidate, "rejected", problems=list(candidate.problems))
        if candidate.is_repetition:
            step.outcome = None
        if candidate.is_repetition or candidate.is_refused:
            return step
        self._check_names(step)
        key = self._key(candidate)
        step.stored = None if key is None else stored.get(self.resource.unique_key_of(key))
        if any(problem.level == "error" for problem in step.problems):
            return step
        values = self._validate(step)
        if candidate.machine_fields:
            step.problems += schema_problems.check_machine_fields(candidate)
        if values is not None:
            self._resolve(step, values, named)
        if values is None or any(problem.level == "error" for problem in step.problems):
            return step
        step.values = values
        self._compare(step)
        return step

    def _check_names(self, step: Step) -> None:
        """Treat a name that no record can have as an unknown one, if unknown ones are not created."""
        candidate = step.candidate
        for name, related in self.resource.references.items():
            value, policy = candidate.fields.get(name), self.policy.unknown(name)
            if policy == "create" or not isinstance(value, str) or not validation.key_faults(related.resource, value):
                continue
            level: Level = "error" if policy == "refuse" else "note"
            message = UNKNOWN.format(related.resource.noun, value[:MAX_VALUE])
            step.problems.append(RowProblem(name, f"unknown-{name}", level, candidate.source(name) or value, message))
            candidate.fields[name] = None

    def _compare(self, step: Step) -> None:
        """Set the outcome of a valid row."""
        found = step.stored
        if found is None:
            key, name = step.values[self.resource.key], self.resource.key
            refused = [
                RowProblem(name, "not-allowed", "error", step.candidate.source(name), fault.message)
                for fault in validation.new_key_faults(self.resource, key)
            ]
            step.problems += refused
            step.outcome = "rejected" if refused else "created"
            return
        if found.is_deleted and self.mapping is None:
            step.outcome = "conflict"
            step.problems.append(RowProblem(None, "conflict", "error", found.values[self.resource.key], DELETED))
            return
        changes = history.changes_between(found.writable_values, step.values)
        for name in self.resource.immutable & changes.keys() - {self.resource.key}:
            source = step.candidate.source(name)
            step.problems.append(RowProblem(name, "not-allowed", "error", source, FIXED.format(name)))
            return
        step.outcome = "updated" if changes or found.is_deleted else "unchanged"

    def _resolve(self, step: Step, values: dict[str, Any], named: References) -> None:
        """Set the stored spelling of the records that a row names; a new record may name active ones only."""
        for name, related in self.resource.references.items():
            if values[name] is None or (step.stored is not None and values[name] == step.stored.values[name]):
                continue
            referenced = related.resource
            step.problems += named.resolve(name, referenced, values, step.candidate)
            key = None if values[name] is None else (referenced.name, referenced.unique_key_of(values[name]))
            record = named.known.get(key) if key is not None else None
            if step.stored is None and record is not None and not record.values.get("active", True):
                message = INACTIVE.format(referenced.noun, values[name])
                step.problems.append(RowProblem(name, "not-allowed", "error", step.candidate.source(name), message))

    def _validate(self, step: Step) -> dict[str, Any] | None:
        """Return the whole record with what the row gives; None if its schema refuses it."""
        candidate = step.candidate
        while True:
            values = self._merge(step)
            if self.resource is LOGS and values.get("started_at") is None and not self._date(step, values):
                return None
            try:
                return validation.as_json(
                    self.resource.create.model_validate(values, context={"zone": self.options.zone})
                )
            except ValidationError as error:
                found = schema_problems.problems_of(error, self.resource, candidate)
            emptied = [each for each in found if each.field and candidate.bad.get(each.field) == "null"]
            emptied = [each for each in emptied if candidate.fields.get(each.field or "") is not None]
            if not emptied:
                step.problems += found
                return None
            for problem in emptied:
                step.problems.append(problem._replace(level="note"))
                candidate.fields[problem.field or ""] = None
                if problem.field == "down_to" and candidate.derives_down_from:
                    candidate.fields["down_from"] = None

    def _date(self, step: Step, values: dict[str, Any]) -> bool:
        """Give a log without a start the date of the options; refuse it if there is none."""
        level: Literal["error", "note"] = "error" if self.options.date_missing is None else "note"
        problem = RowProblem("started_at", "missing", level, None, UNDATED if level == "note" else NOT_DATED)
        if problem not in step.problems:
            step.problems.append(problem)
        if self.options.date_missing is not None:
            values["started_at"] = instants.format_instant(self.options.date_missing)
        return level == "note"

    def _merge(self, step: Step) -> dict[str, Any]:
        """Return the stored record, or nothing, with what the row gives."""
        candidate, stored = step.candidate, step.stored
        before = {} if stored is None else stored.writable_values
        kept = self.resource.preserved_on_put if self._absent == "reset" else before
        values = {name: value for name, value in before.items() if name in kept}
        for name, value in candidate.fields.items():
            if name in before and candidate.shows(name, before[name]):
                values[name] = before[name]
            elif value is not None or (
                name not in self._defaulted and name not in self.resource.immutable & before.keys()
            ):
                values[name] = value
        if stored is not None and self.mapping is not None:
            values[self.resource.key] = before[self.resource.key]
        self._merge_attributes(values, candidate)
        return values

    def _merge_attributes(self, values: dict[str, Any], candidate: Candidate) -> None:
        """Set single attributes, remove those that are None, and keep all others."""
        if not candidate.attributes:
            return
        attributes = values.get("attributes")
        attributes = dict(attributes) if isinstance(attributes, dict) else {}
        for name, value in candidate.attributes.items():
            if name in attributes and candidate.shows(f"attributes.{name}", attributes[name]):
                continue
            if value is None:
                attributes.pop(name, None)
            else:
                attributes[name] = value
        values["attributes"] = attributes

    def _resolve_conflicts(self, tx: Transaction, steps: Sequence[Step]) -> None:
        """Leave records alone that were edited here since their import, or report a conflict."""
        assert self.mapping is not None
        changed = [step for step in steps if step.outcome == "updated" and step.stored is not None]
        if not changed:
            return
        entries = provenance.entries_of(tx, self.resource, [step.stored.id for step in changed if step.stored])
        for step in changed:
            assert step.stored is not None
            found = provenance.trace(step.stored, entries.get(step.stored.id, []), self.mapping.name)
            if found.is_undone or self.options.overwrite:
                step.outcome = "created" if found.is_undone else "updated"
            elif found.is_edited or step.stored.is_deleted:
                self._leave(step, step.stored, found)

    def _leave(self, step: Step, stored: StoredRecord, found: Provenance) -> None:
        """Leave a record that was edited here: it is a conflict for each field, if its row has changed as well."""
        given = [*step.candidate.fields, *(["attributes"] if step.candidate.attributes else [])]
        imported = found.imported
        if imported is not None and all(
            history.values_equal(_part(step, name, imported), _part(step, name, step.values)) for name in given
        ):
            step.outcome = "unchanged"
            step.values = stored.writable_values
            return
        step.outcome = "conflict"
        if stored.is_deleted:
            step.problems.append(RowProblem(None, "conflict", "error", str(step.values[self.resource.key]), DELETED))
            return
        differing = history.changes_between(stored.writable_values, step.values)
        names = [name for name in differing if name in given and name != "attributes"]
        if "attributes" in differing:
            before = stored.writable_values["attributes"]
            names += [
                f"attributes.{key}" for key, value in step.candidate.attributes.items() if before.get(key) != value
            ]
        step.problems += [RowProblem(name, "conflict", "error", step.candidate.source(name), EDITED) for name in names]


def _part(step: Step, name: str, values: Mapping[str, Any]) -> Any:
    """Return a value as the row could give it: of the attributes, only those that it names."""
    if name != "attributes" or "attributes" in step.candidate.fields:
        return values.get(name)
    attributes = values.get("attributes") or {}
    return {key: attributes.get(key) for key in step.candidate.attributes}
