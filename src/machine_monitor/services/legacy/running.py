"""Run a sync: plan each batch of records against the database, and write it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypedDict, TypeVar
from zoneinfo import ZoneInfo

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Forbidden
from machine_monitor.models import USERS
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.legacy import imports, plan, zone
from machine_monitor.services.legacy.plan import ImportSet, NamedRecord, Step
from machine_monitor.services.legacy.report import Finding, Report
from machine_monitor.services.legacy.translate import Record

T = TypeVar("T")
# Runs a unit of work, and returns what it does. It may run the unit again, after a write conflict.
Transact = Callable[[Callable[[Transaction], Any]], Any]
NO_USERS = "This import would create or change users: that requires the admin role, and a credential with its scope."


class Options(TypedDict, total=False):
    """Options of a sync.

    - `dry_run`: write nothing.
    - `drafts`: include unsaved drafts.
    - `progress`: called with (done, total) after each batch.
    - `max_records`: refuse a source with more.
    - `in_batches`: write each batch in its own transaction, between which others write. If a batch fails, the caller
      has to undo those before it.
    - `context`: what the history says about the changes.
    - `manages_users`: whether users may be created and changed; otherwise a sync that would is refused.
    - `observe`: called with each step, once its batch is done.
    """

    dry_run: bool
    drafts: bool
    progress: Callable[[int, int], None] | None
    max_records: int | None
    in_batches: bool
    context: ChangeContext
    manages_users: bool
    observe: Callable[[Step], None] | None


@dataclass
class SyncRun:
    """One run over the records of a source. `execute` works once, and does not change the import set."""

    import_set: ImportSet
    clock: ZoneInfo
    options: Options
    names: dict[str, dict[str, NamedRecord]] = field(
        default_factory=lambda: {resource.name: {} for resource in plan.ORDER}
    )

    def __post_init__(self) -> None:
        self.report = self.import_set.report.copy()
        self._context = self.options.get("context") or ChangeContext(imports.VIA)
        self._writes = not self.options.get("dry_run", False)

    def execute(self, transact: Transact) -> Report:
        """Plan and write batch by batch; `transact` runs each in a transaction."""
        done = 0
        for batch in self._batches():
            self._add(transact(partial(self._write, batch=batch)))
            done += len(batch)
            if progress := self.options.get("progress"):
                progress(done, self.import_set.total)
        self.report.problems += transact(self._finish)
        self.report.problems.sort(key=lambda finding: finding.file)
        return self.report

    def _batches(self) -> Iterator[list[Record]]:
        for resource in plan.ORDER:
            records = iter(self.import_set.records[resource.name])
            while batch := list(islice(records, imports.BATCH_SIZE)):
                yield batch

    def _write(self, tx: Transaction, batch: list[Record]) -> list[Step]:
        resource = batch[0].resource
        existing = imports.find_existing(tx, resource, batch, lock=self._writes)
        steps = [plan.decide(record, existing[record.key], self.names) for record in batch]
        if resource is USERS and not self.options.get("manages_users", True):
            _require_no_writes(steps)
        if self._writes:
            imports.apply(tx, steps, self._context_of_batch())
        return steps

    def _context_of_batch(self) -> ChangeContext:
        """Return the context of a batch. In its own transaction it has its own time, so that no record is older."""
        if not self.options.get("in_batches", False):
            return self._context
        return replace(self._context, at=instants.format_instant(instants.now()))

    def _add(self, steps: list[Step]) -> None:
        for step in steps:
            self.report.count(step.record.resource.name, step.outcome)
            self.report.problems.extend(step.findings)
            if (named_record := plan.named_record(step)) is not None:
                self.names[step.record.resource.name][step.record.key] = named_record
            if observe := self.options.get("observe"):
                observe(step)

    def _finish(self, tx: Transaction) -> list[Finding]:
        if self._writes:
            zone.remember(tx, self.clock)
        return imports.missing(tx, self.import_set)


def _require_no_writes(steps: list[Step]) -> None:
    """Raise `Forbidden` if a step would create or change a user."""
    if any(step.outcome in ("created", "updated") for step in steps):
        raise Forbidden(NO_USERS)
