"""Write a planned batch in the transaction that it was planned in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Problem
from machine_monitor.models import LOG_TYPES, RESOURCES, USERS
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.audit import history
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports.plan import provenance
from machine_monitor.services.imports.plan.planner import BatchPlan, Planner, Step
from machine_monitor.services.imports.plan.references import NamedRecord
from machine_monitor.services.imports.report import RowProblem
from machine_monitor.services.records import references, storage
from machine_monitor.services.records.references import UnknownNames
from machine_monitor.services.records.storage import NewRecord, StoredRecord

# Channels of changes that no person has made.
NOT_BY_HAND = (provenance.VIA, "migrate", "sync")
BY_NAME = {resource.name: resource for resource in RESOURCES}


@dataclass(frozen=True)
class ImportBatchWriter:
    """Writes the batches of one import; `context` says in the history which mapping it was."""

    resource: Resource
    context: ChangeContext

    def write(self, tx: Transaction, plan: BatchPlan) -> None:
        """Write a plan. A step that cannot be written becomes rejected."""
        # Each batch has its own time, so that records do not claim to be older than they are.
        context = replace(self.context, at=ChangeContext(provenance.VIA).at)
        self._write_named(tx, plan.named, context)
        self._create(tx, [step for step in plan.steps if step.outcome == "created" and step.stored is None], context)
        for step in plan.steps:
            if step.stored is not None and step.outcome in ("created", "updated"):
                self._update(tx, step, step.stored, context)
        storage.flush_buffers(tx)

    def _write_named(
        self, tx: Transaction, named: Mapping[tuple[str, str], NamedRecord], context: ChangeContext
    ) -> None:
        """Make the records that rows name, and complete machines."""
        # A machine may be known by a former name, too.
        for name, record in {id(record): (name, record) for (name, _), record in named.items()}.values():
            resource = BY_NAME[name]
            if record.is_new:
                records.insert(tx, resource, record.values, context)
            elif record.is_changed and record.stored is not None:
                records.apply_values(tx, record.stored, record.values, context)

    def _create(self, tx: Transaction, steps: Iterable[Step], context: ChangeContext) -> None:
        new, unknown = [], UnknownNames()
        for step in steps:
            try:
                resolved = references.resolve(tx, self.resource, step.values, unknown=unknown)
                new.append(NewRecord({**step.values, **resolved.names}, resolved.columns))
            except Problem as problem:
                _reject(step, problem)
        if new:
            records.insert_all(tx, self.resource, new, context)

    def _update(self, tx: Transaction, step: Step, stored: StoredRecord, context: ChangeContext) -> None:
        try:
            if stored.is_deleted:
                stored = records.restore_stored(tx, stored, context)
            records.apply_values(tx, stored, step.values, context)
        except Problem as problem:
            _reject(step, problem)


def set_meanings(tx: Transaction, planner: Planner, context: ChangeContext) -> dict[str, int]:
    """Give existing types and users the meaning that the mapping says, if nobody has changed them.

    Returns the number of updated records by resource.
    """
    updated = {}
    for resource in (LOG_TYPES, USERS):
        meanings = planner.policy.meanings(resource)
        stored = storage.find_several(tx, resource, meanings, lock=not planner.options.dry_run) if meanings else {}
        entries = provenance.entries_of(tx, resource, [each.id for each in stored.values()]) if stored else {}
        for key, meaning in meanings.items():
            found = stored.get(resource.unique_key_of(key))
            if found is None or any(entry.via not in NOT_BY_HAND for entry in entries.get(found.id, [])):
                continue
            values: dict[str, Any] = found.writable_values | meaning
            if history.changes_between(found.writable_values, values):
                updated[resource.name] = updated.get(resource.name, 0) + 1
                if not planner.options.dry_run:
                    records.apply_values(tx, found, values, context)
    return updated


def _reject(step: Step, problem: Problem) -> None:
    """Turn a step into a rejected one: another writer was faster, or a rule of accounts forbids it."""
    step.outcome = "rejected"
    for fault in problem.faults or ():
        name = (fault.pointer or "/").split("/")[1] or None
        source = step.candidate.source(name) if name else None
        step.problems.append(RowProblem(name, fault.code, "error", source, fault.message))
    if not problem.faults:
        step.problems.append(RowProblem(None, problem.code, "error", None, problem.detail))
