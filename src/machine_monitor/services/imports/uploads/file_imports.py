"""The table `file_imports`: the state of each import, and the lease of the worker that works on it.

A worker holds a lease, which its transactions renew. So at most one process writes for an import, whatever the number
of services; and an import whose worker was killed is noticed, because its lease ends. An advisory lock could do the
same only with a connection that stays open, which poolers and time limits of servers end.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, CursorResult, Delete, Update, and_, delete, select, update
from sqlalchemy.orm import load_only
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, MonitorError, NotFound
from machine_monitor.models.fields import is_uuid
from machine_monitor.models.imports.file_import import WORKING, FileImport, FileImportRead
from machine_monitor.models.imports.import_documents import ImportProgress
from machine_monitor.query.language.folding import fold

# How long an uploaded file is kept, and the refused rows after an import.
RETENTION = timedelta(hours=24)
LEASE = timedelta(seconds=60)
MISSING = "There is no such import."
EXPIRED = "The uploaded file was removed after 24 hours. Upload it again."
EMPTY_RESULT = {
    "columns": None,
    "read": None,
    "sample": None,
    "preview": None,
    "report": None,
    "undone": None,
    "problem": None,
}


class LeaseLost(MonitorError):
    """Another process has taken this work over."""


class Lease(NamedTuple):
    """The right to work on an import."""

    id: str
    number: int


class DueImports(NamedTuple):
    """What a sweep has to do with imports whose files were kept long enough.

    - `has_expirable`: whether some are to be marked as expired.
    - `known`: the ids among the given folders that belong to an import.
    - `removable`: those of them whose folder is to be removed.
    """

    has_expirable: bool
    known: set[str]
    removable: set[str]


@dataclass(frozen=True)
class Transition:
    """A change of state that begins work: from which states it is possible, and to which it leads."""

    states: Sequence[str]
    working: str


READ_AGAIN = Transition(("ready", "failed", "undone"), "reading")
APPLY = Transition(("ready", "failed", "undone"), "applying")
UNDO = Transition(("done",), "undoing")
# An import that was undone keeps this state, which says what became of its rows.
EXPIRABLE = ("ready", "failed")


def create(tx: Transaction, values: FileImportRead) -> Lease:
    """Add an import that is being read; return the lease to do so."""
    row = FileImport(
        **dict(values),
        file_folded=fold(values.file),
        result=EMPTY_RESULT,
        lease=1,
        lease_until=instants.now() + LEASE,
    )
    tx.session.add(row)
    return Lease(row.id, row.lease)


def find(tx: Transaction, identity: str, **options: Any) -> FileImport:
    """Return an import; raises `NotFound`."""
    found = tx.session.get(FileImport, identity.lower(), **options) if is_uuid(identity) else None
    if found is None:
        raise NotFound(MISSING)
    return found


def find_progress(tx: Transaction, identity: str) -> ImportProgress:
    """Return how far an import is, without its preview and report; raises `NotFound`."""
    row = find(tx, identity, options=[load_only(*[getattr(FileImport, name) for name in ImportProgress.model_fields])])
    return ImportProgress(id=row.id, state=row.state, done=row.done, total=row.total)


def to_json(row: FileImport) -> dict[str, Any]:
    """Return an import as GET shows it."""
    return FileImportRead.model_validate(row).model_dump(mode="json") | {"mapping": row.mapping} | row.result


def legacy_zone(row: FileImport) -> str | None:
    """Return the time zone of a file of the legacy tool; None if the file is a table."""
    return (row.result["read"] or {}).get("zone")


def claim(tx: Transaction, identity: str, transition: Transition) -> Lease:
    """Take the work on an import; raises `Conflict` if its state does not allow it."""
    row = find(tx, identity, with_for_update=True, populate_existing=True)
    if row.state not in transition.states:
        states = " or ".join(f"`{state}`" for state in transition.states)
        raise Conflict(EXPIRED if row.state == "expired" else f"The import is `{row.state}`; it must be {states}.")
    row.state = transition.working
    return _take(row)


def begin(tx: Transaction, lease: Lease, last_entry: int, user: str | None) -> None:
    """Record who applies an import, and the last history entry before it."""
    row = find(tx, lease.id)
    row.first_entry, row.user, row.applied_at, row.done = last_entry, user, instants.now(), 0
    row.result = row.result | {"report": None, "undone": None, "problem": None}


def take_over(tx: Transaction, lost: Lease, *, is_dead: bool = False) -> Lease | None:
    """Take over the work of a lease that has ended, or whose worker `is_dead`.

    Returns None if its worker goes on, or another process was faster.
    """
    row = _find_unlocked(tx, lost.id)
    if row is None or row.lease != lost.number or row.state not in WORKING or not (is_dead or _has_ended(row)):
        return None
    return _take(row)


def renew(tx: Transaction, lease: Lease, **values: Any) -> None:
    """Renew a lease, with these values of the import; raises `LeaseLost`."""
    values["lease_until"] = instants.now() + LEASE
    _update(tx, lease, values)


def keep_alive(tx: Transaction, lease: Lease) -> None:
    """Renew the lease of a job that waits or runs.

    Skips a locked row: the worker is then in a transaction, which renews the lease itself.
    """
    row = _find_unlocked(tx, lease.id)
    if row is not None and row.lease == lease.number:
        row.lease_until = instants.now() + LEASE


def finish(tx: Transaction, lease: Lease, state: str, result: dict[str, Any], **values: Any) -> None:
    """End the work: set the state, and add to what GET of the import shows. Raises `LeaseLost`."""
    row = find(tx, lease.id)
    values |= {"state": state, "lease_until": None, "result": row.result | result}
    _update(tx, lease, values)


def remove(tx: Transaction, lease: Lease) -> bool:
    """Remove an import that could not be read; return False if a client has begun to read it again."""
    return _change(tx, delete(FileImport).where(_is_held(lease))) == 1


def find_abandoned(tx: Transaction) -> list[FileImport]:
    """Return the imports whose worker is no more."""
    ended = select(FileImport).where(col(FileImport.state).in_(WORKING), col(FileImport.lease_until) < instants.now())
    return [*tx.session.scalars(ended.limit(100))]


def find_due(tx: Transaction, folders: Collection[str]) -> DueImports:
    """Find imports whose files were kept long enough, and which of these folders are theirs."""
    is_due = col(FileImport.expires_at) < instants.now()
    expirable = select(col(FileImport.id)).where(is_due, col(FileImport.state).in_(EXPIRABLE)).limit(1)
    known = select(col(FileImport.id), is_due & col(FileImport.state).not_in(WORKING))
    found = tx.session.execute(known.where(col(FileImport.id).in_(folders))).all() if folders else []
    removable = {identity for identity, is_removable in found if is_removable}
    return DueImports(tx.session.scalar(expirable) is not None, {identity for identity, _ in found}, removable)


def expire(tx: Transaction) -> None:
    """Mark the imports as `expired` that were not applied within the time that their files are kept."""
    due = (col(FileImport.expires_at) < instants.now()) & col(FileImport.state).in_(EXPIRABLE)
    _change(tx, update(FileImport).where(due).values(state="expired"))


def _take(row: FileImport) -> Lease:
    row.lease += 1
    row.lease_until = instants.now() + LEASE
    return Lease(row.id, row.lease)


def _has_ended(row: FileImport) -> bool:
    return row.lease_until is None or row.lease_until < instants.now()


def _find_unlocked(tx: Transaction, identity: str) -> FileImport | None:
    """Return an import unless a transaction of its worker holds the row, which shows that it is alive."""
    return tx.session.get(FileImport, identity, with_for_update={"skip_locked": True}, populate_existing=True)


def _update(tx: Transaction, lease: Lease, values: dict[str, Any]) -> None:
    if _change(tx, update(FileImport).where(_is_held(lease)).values(**values)) != 1:
        raise LeaseLost("Another process has taken this import over.")


def _is_held(lease: Lease) -> ColumnElement[bool]:
    """Whether no other process has taken the import over since this lease was given."""
    return and_(col(FileImport.id) == lease.id, col(FileImport.lease) == lease.number)


def _change(tx: Transaction, statement: Update | Delete) -> int:
    """Run a statement on the table; return the number of changed rows."""
    done = tx.session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    return done.rowcount
