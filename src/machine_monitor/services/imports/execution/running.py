"""Run an import: batch by batch, each in a transaction of its own, between which others write.

A failure undoes what was written so far. A process that is killed cannot: then the same import, run again, completes
the work, because each row finds the record that it made.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import canonical_json
from machine_monitor.database.engines.engine import DatabaseReadOnly
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import UsageError
from machine_monitor.models.log import new_uuid
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports.candidates import Candidate, RowSource
from machine_monitor.services.imports.execution import undoing
from machine_monitor.services.imports.execution.undoing import Run, Undone
from machine_monitor.services.imports.execution.writing import ImportBatchWriter, set_meanings
from machine_monitor.services.imports.identity import RowStore
from machine_monitor.services.imports.mapping import TableMapping
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.imports.plan.planner import BatchPlan, Planner, Step
from machine_monitor.services.imports.plan.provenance import VIA
from machine_monitor.services.imports.rejected import RejectedRows
from machine_monitor.services.imports.report import ImportReport

# Rows of one transaction: others wait for it, and readers see it as a whole.
BATCH_SIZE = 2_000
INTERRUPTED = "The import was interrupted. {}"
UNDONE = "What it had written was undone: {0.deleted} records deleted, {0.reverted} restored to their former values."
KEPT = " {} stay, since others changed them or may name them by now."
NOT_UNDONE = "What it had written could not be undone: run the import again to complete it."


class ImportInterrupted(UsageError):
    """A user or the service has stopped an import, and what it had written was undone."""


@dataclass
class ImportRun:
    """One import of a table. `observe` gets each step, once it is done.

    `has_rows`: whether the database has what it wrote, unless a failure was undone.
    """

    database: Database
    source: RowSource
    options: ImportOptions
    mapping: TableMapping | None = None
    observe: Callable[[Step], None] | None = None
    id: str = field(default_factory=new_uuid)

    def __post_init__(self) -> None:
        self.report = ImportReport(self.source.table.path.name)
        self._planner = Planner(self.source.resource, self.options, self.mapping)
        note = None if self.mapping is None else self.mapping.name
        self._context = ChangeContext(VIA, self.options.user, note, request_id=self.id, role=self.options.role)
        self._writer = ImportBatchWriter(self.source.resource, self._context)
        self._has_committed = self.has_rows = False

    def execute(self) -> ImportReport:
        """Import all rows; if that fails, undo those that were written."""
        run = Run(self.id, self.database.snapshot(undoing.last_entry))
        try:
            self._import_all()
        except BaseException as error:
            if not self.options.dry_run:
                self._undo(run, error)
            raise
        if not self.options.dry_run:
            self.database.analyze(self.source.resource.name)
        return self.report

    def _undo(self, run: Run, error: BaseException) -> None:
        """Undo the run after an error, and say what that did; raises `ImportInterrupted` after an interruption."""
        if isinstance(error, DatabaseReadOnly) and not self._has_committed:
            self.has_rows = False
            return
        try:
            done = undoing.undo(self.database, run, self._context)
        except BaseException:  # noqa: BLE001 -- a second interruption, or the database is gone
            self.options.warn(NOT_UNDONE)
            return
        self.has_rows = False
        outcome = UNDONE.format(done) + (KEPT.format(done.kept) if done.kept else "")
        if isinstance(error, KeyboardInterrupt):
            raise ImportInterrupted(INTERRUPTED.format(outcome)) from error
        if done != Undone():
            self.options.warn(outcome)

    def _import_all(self) -> None:
        with ExitStack() as stack:
            if self.options.dry_run and self.mapping is None:
                self._planner.planned = stack.enter_context(RowStore())
            rejected = None
            if self.options.rejected is not None and not self.options.dry_run:
                decimal = self.mapping.read.decimal if self.mapping is not None else "."
                rejected = stack.enter_context(RejectedRows(self.source.table, self.options.rejected, decimal))
            transact = self.database.snapshot if self.options.dry_run else self.database.transact
            self.has_rows = not self.options.dry_run
            for resource, count in transact(lambda tx: set_meanings(tx, self._planner, self._context)).items():
                self.report.counts[resource]["updated"] += count
            rows = 0
            self._has_committed = True
            for batch in self._batches():
                plan = transact(partial(self._write, batch=batch))
                for step in plan.steps:
                    self._add_to_report(step, rejected)
                    if self.observe is not None:
                        self.observe(step)
                self._remember(plan)
                rows += len(batch)
                self.options.progress(batch[-1].row.end, self.source.table.size)
            for note in self.source.notes:
                self.report.add_whole(note, rows)
            self.report.skipped = self.source.skipped

    def _write(self, tx: Transaction, batch: list[Candidate]) -> BatchPlan:
        """Plan and write a batch. It may run again, after a conflict with another writer."""
        plan = self._planner.plan(tx, batch)
        if not self.options.dry_run:
            self._writer.write(tx, plan)
        return plan

    def _batches(self) -> Iterator[list[Candidate]]:
        """Split the rows into batches without repeated keys: a later row updates what an earlier one wrote."""
        batch: dict[str, Candidate] = {}
        resource = self.source.resource
        for candidate in self.source.candidates():
            key = candidate.fields.get(resource.key)
            is_written = isinstance(key, str) and not candidate.is_repetition and not candidate.is_refused
            unique = resource.unique_key_of(key) if is_written else f"\0{candidate.row.number}"
            if len(batch) == BATCH_SIZE or unique in batch:
                yield [*batch.values()]
                batch = {}
            batch[unique] = candidate
        if batch:
            yield [*batch.values()]

    def _add_to_report(self, step: Step, rejected: RejectedRows | None) -> None:
        row, problems = step.candidate.row, step.problems
        if step.outcome is not None:
            self.report.count(self.source.resource.name, step.outcome)
        if step.outcome in ("rejected", "conflict"):
            # Notes on a row that is not imported are of no use.
            problems = [problem for problem in problems if problem.level == "error"]
            if step.outcome == "rejected" and rejected is not None:
                rejected.add(row, "; ".join(f"{each.field or 'row'}: {each.message}" for each in problems))
        self.report.add_all((row.number, problem) for problem in problems)

    def _remember(self, plan: BatchPlan) -> None:
        """Count the records that the batch made or completed, and keep in mind what later rows name."""
        for key, record in plan.named.items():
            if record.is_new or (self.options.dry_run and record.is_changed):
                self._planner.made[key] = record
            if record.is_counted:
                continue
            if record.is_new:
                self.report.count(key[0], "created")
            elif record.is_changed:
                self.report.count(key[0], "updated")
            record.is_counted = record.is_new or record.is_changed
        if self._planner.planned is not None:
            for step in plan.steps:
                if step.outcome in ("created", "updated"):
                    key = self.source.resource.unique_key_of(step.values[self.source.resource.key])
                    self._planner.planned.put(key, canonical_json(step.values))
