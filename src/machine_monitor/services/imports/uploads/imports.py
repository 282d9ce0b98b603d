"""Import uploaded files: preview, apply and undo, in worker processes; and clear up after files and workers."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import PROBLEMS, Conflict, Fault, Forbidden, InternalError, MonitorError, Problem
from machine_monitor.models.imports.file_import import WORKING, FileImport, FileImportRead
from machine_monitor.models.log import new_uuid
from machine_monitor.services.access.permissions import Caller, Role, can_manage_users
from machine_monitor.services.files.receiving import Files, ReceivedTable
from machine_monitor.services.imports.execution import undoing
from machine_monitor.services.imports.execution.undoing import Run
from machine_monitor.services.imports.uploads import file_imports
from machine_monitor.services.imports.uploads.file_imports import APPLY, EXPIRED, READ_AGAIN, UNDO, Lease
from machine_monitor.services.imports.uploads.folders import UploadFolder, list_folders
from machine_monitor.services.imports.uploads.jobs import Job
from machine_monitor.services.imports.uploads.workers import Workers

logger = logging.getLogger(__name__)
# How long a request waits for the preview. Proxies usually wait a minute for a response.
PREVIEW_SECONDS = 20.0
SWEEP_SECONDS = 60.0
CHANGES_USERS = "This import changed users. To undo it requires the admin role, and a credential with the admin scope."


class Source(NamedTuple):
    """What a client said about a table: its mapping, and what its rows become."""

    mapping: dict[str, Any] | None = None
    resource: str | None = None


@dataclass(frozen=True)
class RejectedRowsFile:
    """The file of the rows that an import refused, in the format of its table. `etag` names this version of it."""

    folder: UploadFolder
    etag: str
    format: str
    encoding: str


class Imports:
    """The imports of a service process."""

    def __init__(self, database: Database, files: Files, settings: Settings) -> None:
        self._database, self._files, self._settings = database, files, settings
        self.workers = Workers(database)
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop the workers; an import that is being applied is undone."""
        await self.workers.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def create(self, name: str, table: ReceivedTable, source: Source, caller: Caller) -> dict[str, Any]:
        """Add an import; return it with its preview, or as `reading` if that takes long.

        Raises what is wrong with the file or the mapping; then nothing is left.
        """
        now = instants.now()
        row = FileImportRead(
            id=new_uuid(),
            state="reading",
            file=name,
            bytes=table.size,
            sha256=table.digest,
            user=caller.user,
            created_at=now,
            expires_at=now + file_imports.RETENTION,
        )
        folder = self._folder(row)
        try:
            await self._files.run(table.incoming.move, folder.table)
            return await self._create(row, source, caller)
        except Exception:
            await self._files.run(folder.remove)
            raise

    async def _create(self, row: FileImportRead, source: Source, caller: Caller) -> dict[str, Any]:
        lease = await self._database.write(lambda tx: file_imports.create(tx, row))
        found = await self._preview(self._job("preview", row, lease, caller, **source._asdict()))
        # A proposal that does not fit is no fault of the client, who can fix it.
        is_refused = found["state"] == "failed" and (found["mapping"] is None or source.mapping is not None)
        if is_refused and await self._database.write(lambda tx: file_imports.remove(tx, lease)):
            raise _problem_of(found["problem"])
        return found

    async def preview_again(self, identity: str, mapping: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Preview an import with another mapping. Raises what is wrong with it; the import stays as it was then."""
        row = await self._with_file(identity)
        lease = await self._database.write(lambda tx: file_imports.claim(tx, identity, READ_AGAIN))
        found = await self._preview(self._job("preview", row, lease, caller, mapping=mapping, failed_state=row.state))
        if found["state"] != "reading" and found["problem"] is not None:
            raise _problem_of(found["problem"])
        return found

    async def propose_again(self, identity: str, read: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Read the table in another way, and propose a mapping again. Raises why it cannot be read so.

        A proposal that does not fit is returned, without a preview: the client can fix it.
        """
        row = await self._with_file(identity)
        lease = await self._database.write(lambda tx: file_imports.claim(tx, identity, READ_AGAIN))
        found = await self._preview(self._job("preview", row, lease, caller, read=read, failed_state=row.state))
        if found["preview"] is not None and found["problem"] is not None:
            raise _problem_of(found["problem"])
        return found

    async def apply(self, identity: str, caller: Caller) -> dict[str, Any]:
        """Begin to import; return the import. Nothing happens if that was done already."""
        row = await self.find(identity)
        if row.state not in ("applying", "done"):
            row = await self._with_file(identity)

            def claim(tx: Transaction) -> Lease:
                lease = file_imports.claim(tx, identity, APPLY)
                file_imports.begin(tx, lease, undoing.last_entry(tx), caller.user)
                return lease

            lease = await self._database.write(claim)
            self._start(self._work(self._apply_job(row, lease, caller)))
        return await self.read(identity)

    async def undo(self, identity: str, caller: Caller) -> dict[str, Any]:
        """Begin to undo an import; return it. Nothing happens if that was done already.

        Raises `Forbidden` if it changed users, and the caller may not.
        """
        row = await self.find(identity)
        if row.state not in ("undoing", "undone"):

            def claim(tx: Transaction) -> Lease:
                run = Run(identity.lower(), row.first_entry or 0)
                if not can_manage_users(caller) and undoing.has_changed_users(tx, run):
                    raise Forbidden(CHANGES_USERS)
                return file_imports.claim(tx, identity, UNDO)

            lease = await self._database.write(claim)
            self._start(self._work(self._undo_job(row, lease, "undone", caller)))
        return await self.read(identity)

    async def find(self, identity: str) -> FileImport:
        """Return the row of an import; raises `NotFound`."""
        return await self._database.read(lambda tx: file_imports.find(tx, identity))

    async def read(self, identity: str) -> dict[str, Any]:
        """Return an import as JSON; raises `NotFound`."""
        return file_imports.to_json(await self.find(identity))

    async def find_rejected_rows(self, identity: str) -> RejectedRowsFile | None:
        """Return the file of the refused rows; None if there is none. Raises `NotFound`."""
        row = await self.find(identity)
        folder, read = self._folder(row), row.result["read"] or {}
        etag = f'"{row.id.replace("-", "")}.{row.lease}"'
        if row.state != "done" or not folder.rejected.exists():
            return None
        return RejectedRowsFile(folder, etag, read.get("format") or "csv", read.get("encoding") or "utf-8")

    async def sweep_periodically(self) -> None:
        """Sweep at the start of the service, and again and again."""
        while True:
            with suppress(MonitorError, OSError):
                await self.sweep()
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Undo what killed workers have left, and remove files that were kept long enough."""
        for row in await self._database.read(file_imports.find_abandoned):
            self._start(self._recover(row, Lease(row.id, row.lease)))
        if not self._files.is_available:
            return
        found = await self._files.run(lambda: [*list_folders(self._files.store)])
        due = await self._database.read(lambda tx: file_imports.find_due(tx, [name for name, _ in found]))
        if due.has_expirable:
            await self._database.write(file_imports.expire)
        for name, is_old in found:
            if name in due.removable or (is_old and name not in due.known):
                await self._files.run(UploadFolder(self._files.store, name).remove)

    async def _with_file(self, identity: str) -> FileImport:
        """Return an import whose file is still there; raises `Conflict`."""
        row = await self.find(identity)
        if row.state not in WORKING and not self._folder(row).table.exists():
            raise Conflict(EXPIRED)
        return row

    async def _preview(self, job: Job) -> dict[str, Any]:
        task = self._start(self._work(job))
        await asyncio.wait([task], timeout=PREVIEW_SECONDS)
        return await self.read(job.lease.id)

    async def _work(self, job: Job) -> None:
        """Run a job; if its worker was killed, undo what it wrote."""
        await self.workers.run(job)
        if not self.workers.is_closed:
            row = await self.find(job.lease.id)
            if row.state in WORKING and row.lease == job.lease.number and job.task != "undo":
                await self._recover(row, job.lease, is_dead=True)

    async def _recover(self, row: FileImport, lost: Lease, *, is_dead: bool = False) -> None:
        lease = await self._database.write(lambda tx: file_imports.take_over(tx, lost, is_dead=is_dead))
        if lease is None:
            return
        logger.warning("the worker of import %s is gone while it was %s", row.id, row.state)
        if row.state == "reading":
            problem = {"code": InternalError.code, "detail": InternalError.explanation, "errors": []}
            result = {"problem": problem}
            await self._database.write(lambda tx: file_imports.finish(tx, lease, "failed", result))
        else:
            final = "failed" if row.state == "applying" else "undone"
            await self.workers.run(self._undo_job(row, lease, final))

    def _apply_job(self, row: FileImport, lease: Lease, caller: Caller) -> Job:
        zone = file_imports.legacy_zone(row)
        return self._job("apply", row, lease, caller, mapping=row.mapping, legacy_zone=zone)

    def _undo_job(self, row: FileImport, lease: Lease, final: str, caller: Caller | None = None) -> Job:
        user = row.user if caller is None else caller.user
        return Job(
            "undo",
            lease,
            self._settings.database_url,
            self._settings.timezone,
            undone_state=final,
            mapping=row.mapping,
            user=user,
            role=Role.ADMIN,
            first_entry=row.first_entry or 0,
            legacy_zone=file_imports.legacy_zone(row),
        )

    def _job(self, task: str, row: FileImportRead, lease: Lease, caller: Caller, **members: Any) -> Job:
        folder = self._folder(row)
        return Job(
            task,
            lease,
            self._settings.database_url,
            self._settings.timezone,
            table=str(folder.table),
            rejected=str(folder.rejected),
            user=caller.user,
            role=caller.role,
            manages_users=can_manage_users(caller),
            **members,
        )

    def _folder(self, row: FileImportRead) -> UploadFolder:
        return UploadFolder(self._files.store, row.id, row.file)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(_log_errors(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _log_errors(work: Coroutine[Any, Any, None]) -> None:
    """Do work that nobody waits for. If it fails, the next sweep finds the import without a worker."""
    try:
        await work
    except MonitorError as error:
        logger.warning("an import could not be worked on: %s", error)


def _problem_of(found: dict[str, Any]) -> Problem:
    """Return the problem that a worker has stored."""
    return PROBLEMS[found["code"]](found["detail"], [Fault(**error) for error in found["errors"]])
