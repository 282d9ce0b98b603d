"""Dependencies of write endpoints: change note, preconditions and idempotency key."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import caller_of
from machine_monitor.api.bodies import RAW_BODY
from machine_monitor.api.deps import database_of, preconditions_of
from machine_monitor.api.serving.proxies.root_path import root_path_of, route_path_of
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Problem, invalid
from machine_monitor.models import MAPPINGS
from machine_monitor.models.fields import Schema
from machine_monitor.query.language.parser import parse_query_string, unexpected_parameters
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.access.permissions import Caller
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.files import attachments, upkeep
from machine_monitor.services.files.receiving import Files, ReceivedFile
from machine_monitor.services.idempotency import IdempotencyKey, IdempotencyStore, StoredResponse
from machine_monitor.services.imports import saved_mappings
from machine_monitor.services.records import Target, WriteResult, bulk
from machine_monitor.services.records.bulk import BulkContext
from machine_monitor.services.records.preconditions import Preconditions

MAX_NOTE = 500
KEY_HEADER, MAX_KEY_LENGTH = "Idempotency-Key", 255
T = TypeVar("T")


@dataclass(frozen=True)
class WriteContext:
    """The context of a write: database, caller, change note, preconditions, time zone, request id, and the root path.

    If `allows_unlisted` (MM_UNLISTED), a log may name a machine that does not exist: it is then created.
    """

    database: Database
    note: str | None
    preconditions: Preconditions
    zone: ZoneInfo
    caller: Caller
    request_id: str
    root_path: str
    allows_unlisted: bool
    files: Files

    async def replace(self, resource: Resource, key: str, body: Schema) -> WriteResult:
        """Create or replace the record at `key`."""
        target = Target(resource, key, self.preconditions)
        return await self._write(self._allow_unlisted(records.replace), target, body)

    async def update(self, resource: Resource, key: str, body: Schema) -> WriteResult:
        """Apply a merge patch to the record at `key`."""
        return await self._write(records.update, Target(resource, key, self.preconditions), body)

    async def delete(self, resource: Resource, key: str) -> None:
        """Delete the record at `key`."""
        await self._write(records.delete, Target(resource, key, self.preconditions))

    async def restore(self, resource: Resource, key: str) -> WriteResult:
        """Restore the deleted record at `key`."""
        # A restore cannot overwrite another user's change, so If-Match stays optional even where it is required.
        preconditions = replace(self.preconditions, required=False)
        return await self._write(records.restore, Target(resource, key, preconditions))

    async def merge(self, resource: Resource, key: str, into: str) -> WriteResult:
        """Merge the record at `key` into another one, which is the result."""
        return await self._write(records.merge, Target(resource, key, self.preconditions), into)

    async def attach(self, resource: Resource, key: str, files: Sequence[ReceivedFile]) -> WriteResult:
        """Add files to the record at `key`."""
        add = partial(self._write, attachments.add, self._part_of(resource, key), files, self.files.store)
        return await self._with_files(files, add)

    async def require_attachable(self, resource: Resource, key: str, count: int = 1) -> None:
        """Raise the problem that `attach` would raise, before the client sends the files."""
        self.files.store  # noqa: B018 -- it raises if there is no store
        target, context = self._part_of(resource, key), self.change_context()
        await self.database.read(lambda tx: attachments.require_editable(tx, target, count, context))

    async def rename_attachment(self, resource: Resource, key: str, identity: str, name: str) -> WriteResult:
        """Give an attachment of the record at `key` another name."""
        return await self._write(attachments.rename, self._part_of(resource, key), identity, name)

    async def remove_attachment(self, resource: Resource, key: str, identity: str) -> WriteResult:
        """Remove an attachment of the record at `key`."""
        return await self._write(attachments.remove, self._part_of(resource, key), identity)

    async def save_mapping(self, name: str, document: dict[str, Any]) -> WriteResult:
        """Create or replace the mapping of this name."""
        return await self._write(saved_mappings.save, Target(MAPPINGS, name, self.preconditions), document)

    async def delete_mapping(self, name: str) -> None:
        """Delete the mapping of this name."""
        await self._write(saved_mappings.delete, Target(MAPPINGS, name, self.preconditions))

    def _part_of(self, resource: Resource, key: str) -> Target:
        # Another attachment of the record is no conflict, so If-Match stays optional even where it is required.
        return Target(resource, key, replace(self.preconditions, required=False))

    async def _with_files(self, files: Sequence[ReceivedFile], write: Callable[[], Awaitable[T]]) -> T:
        """Put files into the store, then write the rows that name them. If that is refused, no new file is left."""
        if not files:
            return await write()
        new: set[str] = set()
        try:
            for file in files:
                if await self.files.run(file.incoming.keep):
                    new.add(file.digest)
            result = await write()
        except Problem:
            # If this fails too, `mm files prune` removes them later.
            with suppress(Problem):
                await self.database.write(upkeep.remover(self.files.store, [*new]))
            raise
        self.files.prepare_previews(file.digest for file in files if file.is_image)
        return result

    def _allow_unlisted(self, operation: Callable[..., WriteResult]) -> Callable[..., WriteResult]:
        return records.allow_unlisted(operation) if self.allows_unlisted else operation

    async def _write(self, operation: Callable[..., T], *arguments: Any) -> T:
        # Create the change context inside the unit of work: its timestamp is taken after waiting for other writes.
        return await self.database.write(lambda tx: operation(tx, *arguments, self.change_context()))

    def change_context(self) -> ChangeContext:
        """Return the context of a change that is made now."""
        caller = self.caller
        return ChangeContext(caller.via, caller.user, self.note, request_id=self.request_id, role=caller.role)


@dataclass(frozen=True)
class IdempotentWriteContext(WriteContext):
    """A write that runs once per `Idempotency-Key`; a retry gets the stored response."""

    idempotency_store: IdempotencyStore
    idempotency_key: IdempotencyKey | None

    async def create(self, path: str, resource: Resource, body: Schema, files: Sequence[ReceivedFile] = ()) -> Response:
        """Add a record to the list at `path`, with these files."""

        def create(tx: Transaction) -> WriteResult:
            context = self.change_context()
            managed = {attachments.LIST: attachments.rows_of(tx, files, self.files.store, context)} if files else {}
            return self._allow_unlisted(partial(records.create, managed=managed))(tx, resource, body, context)

        async def write() -> Response:
            if self.idempotency_key is None:
                # The record is used after the commit, which saves a round trip: see `WriteResult`.
                look_up = partial(records.look_up_references, resource=resource, body=body, user=self.caller.user)
                return responses.write_response(path, await self.database.write(create, look_up=look_up))
            return await self._run_once(lambda tx: responses.stored_write_response(path, create(tx)))

        return await self._with_files(files, write)

    async def put_items(
        self, resource: Resource, schema: type[Schema], items: Sequence[Any], *, atomic: bool
    ) -> Response:
        """Create or replace a record for each item, validated by `schema`; if `atomic`, all of them or none."""

        def put(tx: Transaction) -> StoredResponse:
            context = BulkContext(resource, self.change_context(), self.zone, schema, self.allows_unlisted)
            return responses.stored_bulk_response(bulk.put_items(tx, context, items, atomic=atomic), self.root_path)

        return await self._run_once(put, len(items))

    async def _run_once(self, respond: Callable[[Transaction], StoredResponse], records: int = 1) -> Response:
        if self.idempotency_key is None:
            return responses.replayable_response(await self.database.write(respond, records))
        return responses.replayable_response(
            await self.idempotency_store.run_once(self.database, self.idempotency_key, respond, records)
        )


def write_context_of(request: Request) -> WriteContext:
    """Return the write context; raises `Invalid` for a bad note or for any query parameter."""
    return WriteContext(**_fields(request))


def named_write_context_of(request: Request) -> WriteContext:
    """Return the write context of a request that may have the query parameter `name`."""
    return WriteContext(**_fields(request, ("name",)))


def idempotent_write_context_of(request: Request) -> IdempotentWriteContext:
    """Return the context of a POST; raises `Invalid` like `write_context_of`, and for a malformed key."""
    fields = _fields(request)
    return IdempotentWriteContext(
        **fields,
        idempotency_store=request.app.state.idempotency_store,
        idempotency_key=_idempotency_key(request, fields["caller"]),
    )


Write = Annotated[WriteContext, Depends(write_context_of)]
NamedWrite = Annotated[WriteContext, Depends(named_write_context_of)]
WriteOnce = Annotated[IdempotentWriteContext, Depends(idempotent_write_context_of)]


def _fields(request: Request, expected: Collection[str] = ()) -> dict[str, Any]:
    parameters = parse_query_string(request.scope["query_string"])
    faults = unexpected_parameters([pair for pair in parameters if pair[0] not in expected])
    note = _note(request, faults)
    if faults:
        raise invalid(faults)
    return {
        "database": database_of(request),
        "note": note,
        "preconditions": preconditions_of(request),
        "zone": request.app.state.settings.zone,
        "caller": caller_of(request),
        "request_id": request.scope["request_id"],
        "root_path": root_path_of(request.scope),
        "allows_unlisted": request.app.state.settings.unlisted == "on",
        "files": request.app.state.files,
    }


def _idempotency_key(request: Request, caller: Caller) -> IdempotencyKey | None:
    keys = request.headers.getlist(KEY_HEADER)
    if not keys:
        return None
    (key, *others) = keys
    if others or not 0 < len(key) <= MAX_KEY_LENGTH or not all("!" <= character <= "~" for character in key):
        message = (
            f"{KEY_HEADER} must be given once, as 1 to {MAX_KEY_LENGTH} printable ASCII characters without spaces."
        )
        raise invalid([Fault(message, parameter=KEY_HEADER)])
    # A form that was refused has no raw body. The request ends with its faults, so the key is not used.
    body = request.scope.get(RAW_BODY, b"")
    return IdempotencyKey(caller.user or "", route_path_of(request.scope), key, sha256(body).digest())


def _note(request: Request, faults: list[Fault]) -> str | None:
    """Decode `X-Change-Note`: UTF-8, percent-encoded by clients that cannot send it as it is."""
    header = request.headers.get("x-change-note")
    if header is None:
        return None
    note = ""
    try:
        note = unquote_to_bytes(header.encode("latin-1")).decode()
    except UnicodeDecodeError:
        faults.append(Fault("X-Change-Note must be UTF-8, percent-encoded.", parameter="X-Change-Note"))
    if len(note) > MAX_NOTE or "\0" in note:
        message = f"X-Change-Note must have at most {MAX_NOTE} characters and no NUL."
        faults.append(Fault(message, parameter="X-Change-Note"))
    return note
