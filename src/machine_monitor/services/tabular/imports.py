"""Import files of records: each line is an upsert by its key, and the whole file is one transaction."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Literal, TypedDict, Unpack
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Gone, UsageError
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import bulk, storage, validation
from machine_monitor.services.records.bulk import BulkContext, Outcome
from machine_monitor.services.reports import Finding, Report
from machine_monitor.services.tabular import read
from machine_monitor.services.tabular.read import ImportFile, ImportRow, Values

BATCH_SIZE = 500
VIA = "import"
# Values of the records that are created because a line references them; all other fields take their default.
MINIMAL_VALUES = {"machines": {"in_service": None}}


class Options(TypedDict, total=False):
    """Options of an import.

    `dry_run`: only report what would be done. `progress`: called with (done, total) bytes after each batch.
    """

    dry_run: bool
    progress: Callable[[int, int], None] | None


class DryRunFinished(Exception):
    """Raised at the end of a dry run, so that the transaction is rolled back."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def import_file(database: Database, source: Path, zone: ZoneInfo, **options: Unpack[Options]) -> Report:
    """Import the records of a file in one transaction; raises `UsageError` if it has none or is unreadable."""
    try:
        table = read.open_file(source)
        report = database.transact(lambda tx: _import(tx, table, zone, options))
    except DryRunFinished as finished:
        return finished.report
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}.") from error
    database.analyze(table.resource.name)
    return report


def _import(tx: Transaction, table: ImportFile, zone: ZoneInfo, options: Options) -> Report:
    """Import all lines; after a serialization conflict it runs again from the first line."""
    state = _ImportState(tx, table, zone)
    progress, size = options.get("progress"), table.path.stat().st_size
    for batch in _batches(table):
        state.put(batch)
        if progress is not None:
            progress(batch[-1].end, size)
    if options.get("dry_run", False):
        raise DryRunFinished(state.report)
    return state.report


def _batches(table: ImportFile) -> Iterator[list[ImportRow]]:
    """Split the lines into batches without duplicate keys, so that a later line updates what an earlier one wrote."""
    batch: dict[str, ImportRow] = {}
    for entry in table.entries():
        # An unreadable line has no key; its line number stands in for it.
        key = table.resource.unique_key_of(entry.members.get(table.resource.key, f"\0{entry.line}"))
        if len(batch) == BATCH_SIZE or key in batch:
            yield list(batch.values())
            batch = {}
        batch[key] = entry
    if batch:
        yield list(batch.values())


@dataclass(frozen=True)
class _ImportState:
    """The state of one import: its report, and the references that are known to exist."""

    tx: Transaction
    table: ImportFile
    zone: ZoneInfo
    change_context: ChangeContext = field(default_factory=lambda: ChangeContext(VIA))
    report: Report = field(default_factory=Report)
    # (resource, unique key) of referenced records that exist, so that each is looked up once.
    existing: set[tuple[str, str]] = field(default_factory=set)
    # Findings of the current batch with their line numbers.
    findings: list[tuple[int, Finding]] = field(default_factory=list)

    def put(self, batch: Sequence[ImportRow]) -> None:
        """Write a batch of lines."""
        resource, readable = self.table.resource, []
        for entry in batch:
            if entry.fault:
                self.report.count(resource.name, "rejected")
                self._add_finding(entry, "error", Fault(entry.fault, "unreadable"))
            else:
                self._create_referenced(entry)
                readable.append(entry)
        context = BulkContext(resource, self.change_context, self.zone)
        for outcome in bulk.put_all(self.tx, context, [entry.members for entry in readable]):
            self._count(readable[outcome.index], outcome)
        storage.flush_buffers(self.tx)
        self.report.problems += [finding for _, finding in sorted(self.findings, key=itemgetter(0))]
        self.findings.clear()

    def _count(self, entry: ImportRow, outcome: Outcome) -> None:
        problem, name = outcome.problem, self.table.resource.name
        if problem is None:
            assert outcome.status != "error"
            self.report.count(name, outcome.status)
        elif isinstance(problem, Gone):
            self.report.count(name, "conflict")
            self._add_finding(entry, "error", Fault("The record was deleted here.", "conflict"))
        else:
            self.report.count(name, "rejected")
            for fault in problem.faults or [Fault(problem.detail, problem.code)]:
                self._add_finding(entry, "error", fault)

    def _create_referenced(self, entry: ImportRow) -> None:
        """Create the missing records that a line references, unless the line itself is invalid."""
        for name, related in self.table.resource.references.items():
            referenced, value = related.resource, entry.members.get(name)
            if not isinstance(value, str) or (referenced.name, referenced.unique_key_of(value)) in self.existing:
                continue
            if validation.new_key_faults(referenced, value):
                continue
            if storage.find_id_by_key(self.tx, referenced, value) is None:
                minimal = {referenced.key: value, **MINIMAL_VALUES.get(referenced.name, {})}
                if not self._is_valid(self.table.resource, entry.members) or not self._is_valid(referenced, minimal):
                    return
                body = referenced.create.model_validate(minimal)
                records.insert(self.tx, referenced, body.model_dump(mode="json"), self.change_context)
                self.report.count(referenced.name, "created")
                message = f"The {referenced.noun} '{value}' does not exist yet: this import creates it."
                self._add_finding(entry, "note", Fault(message, f"undeclared-{name}", f"/{name}"))
            self.existing.add((referenced.name, referenced.unique_key_of(value)))

    def _add_finding(self, entry: ImportRow, level: Literal["error", "note"], fault: Fault) -> None:
        field_name = (fault.pointer or "/").split("/")[1] or None
        finding = Finding(f"{self.table.path.name}:{entry.line}", field_name, level, fault.code, fault.message)
        self.findings.append((entry.line, finding))

    def _is_valid(self, resource: Resource, members: Values) -> bool:
        try:
            resource.create.model_validate(members, context={"zone": self.zone})
        except ValidationError:
            return False
        return True
