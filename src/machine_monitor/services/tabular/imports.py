"""Reading records back: each line of a file is a PUT by its key, all of them one transaction."""

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
from machine_monitor.services.records.bulk import Outcome, Put
from machine_monitor.services.reports import Finding, Report
from machine_monitor.services.tabular import read
from machine_monitor.services.tabular.read import ImportFile, ImportRow, Values

BATCH = 500
VIA = "import"
# What is known of a record that a log names and that is not there.
BARE = {"machines": {"in_service": None}}


class Options(TypedDict, total=False):
    """How to import: only say what would be done, call with (done, total) bytes on the way."""

    dry_run: bool
    progress: Callable[[int, int], None] | None


class Rehearsed(Exception):
    """The import went to its end, and nothing of it is to stay."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def import_file(database: Database, source: Path, zone: ZoneInfo, **options: Unpack[Options]) -> Report:
    """Bring a file's records in, in one transaction; raises `UsageError` if it holds none."""
    try:
        table = read.open_file(source)
        report = database.transact(lambda tx: _import(tx, table, zone, options))
    except Rehearsed as rehearsed:
        return rehearsed.report
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}.") from error
    database.analyze(table.resource.name)
    return report


def _import(tx: Transaction, table: ImportFile, zone: ZoneInfo, options: Options) -> Report:
    """A race lets it run again, from the file's first line."""
    arrival = _Arrival(tx, table, zone)
    progress, size = options.get("progress"), table.path.stat().st_size
    for batch in _batches(table):
        arrival.put(batch)
        if progress is not None:
            progress(batch[-1].end, size)
    if options.get("dry_run", False):
        raise Rehearsed(arrival.report)
    return arrival.report


def _batches(table: ImportFile) -> Iterator[list[ImportRow]]:
    """Entries to be put together: no key is among them twice, so that a later line finds what an earlier one put."""
    batch: dict[str, ImportRow] = {}
    for entry in table.entries():
        # One that cannot be read has no key, and so its line's.
        key = table.resource.unique_key_of(entry.members.get(table.resource.key, f"\0{entry.line}"))
        if len(batch) == BATCH or key in batch:
            yield list(batch.values())
            batch = {}
        batch[key] = entry
    if batch:
        yield list(batch.values())


@dataclass(frozen=True)
class _Arrival:
    """Records on their way into the database, and what there is to say of them."""

    tx: Transaction
    table: ImportFile
    zone: ZoneInfo
    author: ChangeContext = field(default_factory=lambda: ChangeContext(VIA))
    report: Report = field(default_factory=Report)
    # The names, by resource, that need not be looked for again.
    there: set[tuple[str, str]] = field(default_factory=set)
    # What there is to say of the lines under way.
    told: list[tuple[int, Finding]] = field(default_factory=list)

    def put(self, batch: Sequence[ImportRow]) -> None:
        """Write some of them."""
        resource, whole = self.table.resource, []
        for entry in batch:
            if entry.fault:
                self.report.count(resource.name, "rejected")
                self._tell(entry, "error", Fault(entry.fault, "unreadable"))
            else:
                self._create_named(entry)
                whole.append(entry)
        put = Put(resource, self.author, self.zone)
        for outcome in bulk.put_all(self.tx, put, [entry.members for entry in whole]):
            self._count(whole[outcome.index], outcome)
        storage.relieve(self.tx)
        self.report.problems += [finding for _, finding in sorted(self.told, key=itemgetter(0))]
        self.told.clear()

    def _count(self, entry: ImportRow, outcome: Outcome) -> None:
        problem, name = outcome.problem, self.table.resource.name
        if problem is None:
            assert outcome.status != "error"
            self.report.count(name, outcome.status)
        elif isinstance(problem, Gone):
            self.report.count(name, "conflict")
            self._tell(entry, "error", Fault("It was deleted here.", "conflict"))
        else:
            self.report.count(name, "rejected")
            for fault in problem.faults or [Fault(problem.detail, problem.code)]:
                self._tell(entry, "error", fault)

    def _create_named(self, entry: ImportRow) -> None:
        """Create what a record names and what is not there, unless the record would be refused all the same."""
        for name, related in self.table.resource.references.items():
            theirs, value = related.resource, entry.members.get(name)
            if not isinstance(value, str) or (theirs.name, theirs.unique_key_of(value)) in self.there:
                continue
            if validation.key_faults(theirs, value):
                continue
            if storage.taken(self.tx, theirs, value) is None:
                bare = {theirs.key: value, **BARE.get(theirs.name, {})}
                if not self._is_valid(self.table.resource, entry.members) or not self._is_valid(theirs, bare):
                    return
                body = theirs.create.model_validate(bare)
                records.insert(self.tx, theirs, body.model_dump(mode="json"), self.author)
                self.report.count(theirs.name, "created")
                message = f"There was no {theirs.noun} '{value}'; it is created."
                self._tell(entry, "note", Fault(message, f"undeclared-{name}", f"/{name}"))
            self.there.add((theirs.name, theirs.unique_key_of(value)))

    def _tell(self, entry: ImportRow, level: Literal["error", "note"], fault: Fault) -> None:
        place = (fault.pointer or "/").split("/")[1] or None
        finding = Finding(f"{self.table.path.name}:{entry.line}", place, level, fault.code, fault.message)
        self.told.append((entry.line, finding))

    def _is_valid(self, resource: Resource, members: Values) -> bool:
        try:
            resource.create.model_validate(members, context={"zone": self.zone})
        except ValidationError:
            return False
        return True
