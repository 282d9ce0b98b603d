"""What a worker does with an uploaded table: preview it, import it, or undo the import."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from machine_monitor import config
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import DatabaseBusy, Fault, Invalid, MonitorError, Problem, UsageError
from machine_monitor.query.language.folding import fold
from machine_monitor.services import legacy
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports import mapping
from machine_monitor.services.imports.execution import undoing
from machine_monitor.services.imports.execution.running import ImportInterrupted, ImportRun
from machine_monitor.services.imports.execution.undoing import Run
from machine_monitor.services.imports.files import ForeignTable, ImportFile, open_file, propose_mapping
from machine_monitor.services.imports.mapping.sample import sample_table
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.imports.plan.planner import Step
from machine_monitor.services.imports.plan.provenance import VIA
from machine_monitor.services.imports.reader import Row, Table, open_table
from machine_monitor.services.imports.uploads import file_imports
from machine_monitor.services.imports.uploads.file_imports import Lease

T = TypeVar("T")
MAX_ROWS = 1_000_000
TOO_MANY = f"The table has more than {MAX_ROWS:,} rows. Split it, or use `mm import`, which has no such limit."
# So many groups of problems are kept; the rest is counted.
MAX_PROBLEMS = 1_000
# The outcomes that the list of imports counts.
OUTCOMES = ("created", "updated", "conflict", "rejected")
STOPPED = "The service was stopped."
RECOVERED = "The import was interrupted, for the service or its worker was ended. What it had written was undone."
OTHER_RESOURCE = "The columns are those of {}. Send a mapping to make {} of them."


class NotUndone(MonitorError):
    """An import failed, and what it had written is still there. A later worker undoes it."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to know. It is passed as JSON.

    `failed_state` is the state of the import if the job fails, and `undone_state` after an undo. `legacy_zone` is the
    time zone of a file of the legacy tool, as its preview has found it; None for a table.
    """

    task: str
    lease: Lease
    database_url: str
    zone: str
    table: str = ""
    rejected: str = ""
    failed_state: str = "failed"
    undone_state: str = "undone"
    mapping: dict[str, Any] | None = None
    resource: str | None = None
    read: dict[str, Any] | None = None
    user: str | None = None
    role: int = Role.SUPERVISOR
    manages_users: bool = False
    first_entry: int = 0
    legacy_zone: str | None = None

    def options(self, **more: Any) -> ImportOptions:
        """Return the options of the import. A log without a `uuid` is a new one, which its row finds again."""
        return ImportOptions(
            config.zone(self.zone),
            new=True,
            user=self.user,
            role=Role(self.role),
            manages_users=self.manages_users,
            **more,
        )


JOB = TypeAdapter(Job)


class LeasedDatabase(Database):
    """The database of a worker: each of its transactions renews the lease, and fails if it is lost."""

    def __init__(self, url: str, lease: Lease) -> None:
        super().__init__(url)
        self._lease, self.rows_done = lease, 0

    def transact(self, unit: Callable[[Transaction], T]) -> T:
        """Run a unit of work in its own transaction, in this thread; any error rolls it back."""
        return super().transact(partial(self._run_leased, unit))

    def _run_leased(self, unit: Callable[[Transaction], T], tx: Transaction) -> T:
        file_imports.renew(tx, self._lease, done=self.rows_done)
        return unit(tx)

    def finish(self, state: str, result: dict[str, Any], **values: Any) -> None:
        """Set the state of the import, and add to what GET of it shows."""
        super().transact(lambda tx: file_imports.finish(tx, self._lease, state, _without_surrogates(result), **values))


def preview(job: Job, database: LeasedDatabase) -> None:
    """Find out what an import would do. Without a mapping, a table with other columns than ours gets a proposed one."""
    document, options = job.mapping, job.options()
    try:
        file = _open(job, options, document)
    except ForeignTable as foreign:
        document = _propose(foreign, options)
        _require_resource(job, document["resource"])
        try:
            file = _open(job, options, document)
        except Invalid as problem:
            _keep_proposal(job, database, foreign.table, document, problem)
            return
    found = file.preview(database) | {"sample": sample_table(file.source.table)}
    del found["mapping"]
    bound_problems(found["preview"])
    resource = file.source.resource.name
    counts = found["preview"]["counts"][resource]
    values = {"total": sum(counts.values()), "done": 0, "resource": resource} | _outcome_values(counts)
    database.finish("ready", found | {"problem": None}, **values, **_mapping_values(document))


def _keep_proposal(
    job: Job, database: LeasedDatabase, table: Table, document: dict[str, Any], problem: Invalid
) -> None:
    """Store a proposed mapping that does not fit the table, and why: the user can correct it."""
    found = {"columns": [*table.names], "read": table.read.to_dict(), "sample": sample_table(table)}
    result = found | {"preview": None, "problem": describe(problem, job)}
    database.finish("failed", result, **_mapping_values(document))


def apply(job: Job, database: LeasedDatabase) -> None:
    """Import the table. A failure or an interruption undoes what was written; raises `NotUndone` if it did not."""

    def count(_: Step) -> None:
        database.rows_done += 1

    options = job.options(rejected=Path(job.rejected), warn=partial(print, file=sys.stderr))
    Path(job.rejected).unlink(missing_ok=True)
    file = _open(job, options, job.mapping)
    run = ImportRun(database, file.source, options, file.mapping, observe=count, id=job.lease.id)
    try:
        report = run.execute().to_dict()
        bound_problems(report)
        done, expires_at = database.rows_done, instants.now() + file_imports.RETENTION
        values = {"done": done, "total": done, "expires_at": expires_at}
        counts = _outcome_values(report[file.source.resource.name])
        database.finish("done", {"report": report, "problem": None}, **values, **counts)
    except BaseException as error:
        # Also if it was interrupted after the last row: then the row of the import does not say that it is done.
        if run.has_rows:
            raise NotUndone(str(error)) from error
        raise


def undo(job: Job, database: LeasedDatabase) -> None:
    """Undo what an import wrote, by whatever process."""
    run, note = Run(job.lease.id, job.first_entry), (job.mapping or {}).get("name")
    via = VIA if job.legacy_zone is None else legacy.VIA
    context = ChangeContext(via, job.user, note, role=Role(job.role))
    done = undoing.undo(database, run, context)
    stay = database.snapshot(partial(undoing.made_records, run=run))
    problem = None if job.undone_state == "undone" else describe(DatabaseBusy(RECOVERED), job)
    database.finish(job.undone_state, {"undone": {**done._asdict(), "stay": stay}, "problem": problem}, done=0)


def describe(error: MonitorError, job: Job) -> dict[str, Any]:
    """Return a problem as JSON. The file goes by its name: its place on this machine is nobody's concern."""
    if isinstance(error, Problem):
        code, faults = error.code, error.faults
    else:
        code, faults = DatabaseBusy.code if isinstance(error, ImportInterrupted) else Invalid.code, ()
    detail = error.detail.replace(job.table, Path(job.table).name)
    faults = faults or ((Fault(detail, pointer="/file"),) if code == Invalid.code else ())
    return {"code": code, "detail": detail, "errors": [fault.to_dict() for fault in faults]}


def _propose(foreign: ForeignTable, options: ImportOptions) -> dict[str, Any]:
    if foreign.table.width == 0:
        raise UsageError(f"{foreign.table.path.name} has no table: it has no header and no rows.")
    document, _ = propose_mapping(foreign.table, options.zone)
    return document


def _mapping_values(document: dict[str, Any] | None) -> dict[str, Any]:
    name = None if document is None else document["name"]
    return {"mapping": document, "mapping_name": name, "mapping_name_folded": None if name is None else fold(name)}


def _outcome_values(counts: dict[str, int]) -> dict[str, int]:
    """Return the counts that the list of imports shows."""
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def _open(job: Job, options: ImportOptions, document: dict[str, Any] | None) -> ImportFile:
    if document is None and job.read is not None:
        # A person wants another proposal, even if the columns are ours.
        raise ForeignTable(open_table(Path(job.table), mapping.parse_read(job.read).explicit_options()))
    file = open_file(Path(job.table), options, None if document is None else mapping.parse(document))
    _require_resource(job, file.source.resource.name)
    table = file.source.table
    file.source.table = replace(table, iterate=partial(_bounded_rows, table))
    return file


def _require_resource(job: Job, found: str) -> None:
    if job.resource not in (None, found):
        raise Invalid(faults=[Fault(OTHER_RESOURCE.format(found, job.resource), "other-resource", "/resource")])


def _bounded_rows(table: Table) -> Iterator[Row]:
    for count, row in enumerate(table.iterate()):
        if count == MAX_ROWS:
            raise Invalid(faults=[Fault(TOO_MANY, "too-many-rows", "/file")])
        yield row


def _without_surrogates(result: dict[str, Any]) -> dict[str, Any]:
    """Return JSON that can be stored: a cell of NDJSON can have unpaired surrogates."""
    return json.loads(json.dumps(result, ensure_ascii=False).encode(errors="replace"))


def bound_problems(report: dict[str, Any]) -> None:
    """Keep the first of the problems of a report, and count the others."""
    problems = report["problems"]
    report["more_problems"] = max(len(problems) - MAX_PROBLEMS, 0)
    report["problems"] = problems[:MAX_PROBLEMS]
