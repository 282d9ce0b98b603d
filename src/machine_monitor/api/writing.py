"""What a write needs beside its body, and how its answer is kept for a request that is sent again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import caller_of
from machine_monitor.api.bodies import RAW
from machine_monitor.api.deps import conditions_of, database_of
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, invalid
from machine_monitor.models.fields import Schema
from machine_monitor.query.language.parser import parse_query_string, unexpected_parameters
from machine_monitor.query.schema import Resource
from machine_monitor.services import records
from machine_monitor.services.access.permissions import Caller
from machine_monitor.services.audit.history import Author
from machine_monitor.services.idempotency import Answer, Retries, Ticket
from machine_monitor.services.records import Target, Written, bulk
from machine_monitor.services.records.bulk import Put
from machine_monitor.services.records.preconditions import Conditions

MAX_NOTE = 500
KEY, MAX_KEY = "Idempotency-Key", 255
T = TypeVar("T")


@dataclass(frozen=True)
class Writing:
    """All that a write needs beside its body: where, who, why, and under which conditions."""

    database: Database
    note: str | None
    conditions: Conditions
    zone: ZoneInfo
    caller: Caller
    request_id: str

    async def replace(self, resource: Resource, key: str, body: Schema) -> Written:
        """Make the record at `key` what the body says."""
        return await self._write(records.replace, Target(resource, key, self.conditions), body)

    async def update(self, resource: Resource, key: str, body: Schema) -> Written:
        """Apply a merge patch to the record at `key`."""
        return await self._write(records.update, Target(resource, key, self.conditions), body)

    async def delete(self, resource: Resource, key: str) -> None:
        """Delete the record at `key`."""
        await self._write(records.delete, Target(resource, key, self.conditions))

    async def restore(self, resource: Resource, key: str) -> Written:
        """Bring the deleted record at `key` back."""
        # It takes nothing from anybody, so that no `If-Match` is needed.
        conditions = replace(self.conditions, required=False)
        return await self._write(records.restore, Target(resource, key, conditions))

    async def _write(self, verb: Callable[..., T], *about: Any) -> T:
        # The author is made inside the unit: who waits for another write is dated after it.
        return await self.database.write(lambda tx: verb(tx, *about, self._author()))

    def _author(self) -> Author:
        caller = self.caller
        return Author(caller.via, caller.user, self.note, request_id=self.request_id, role=caller.role)


@dataclass(frozen=True)
class WritingOnce(Writing):
    """A write that is done once however often it is sent, if it has an `Idempotency-Key`."""

    retries: Retries
    ticket: Ticket | None

    async def create(self, path: str, resource: Resource, body: Schema) -> Response:
        """Add a record to the list at `path`."""
        return await self._once(lambda tx: answers.of_written(path, records.create(tx, resource, body, self._author())))

    async def put_all(self, resource: Resource, items: Sequence[Any], *, atomic: bool) -> Response:
        """Create or replace a record for each item, all or none of them if `atomic`."""

        def put(tx: Transaction) -> Answer:
            return answers.of_bulk(bulk.put_each(tx, Put(resource, self._author(), self.zone), items, atomic=atomic))

        return await self._once(put)

    async def _once(self, make: Callable[[Transaction], Answer]) -> Response:
        if self.ticket is None:
            return answers.finished(await self.database.write(make))
        return answers.finished(await self.retries.once(self.database, self.ticket, make))


def writing_of(request: Request) -> Writing:
    """What a write needs; raises the 422 of its note, and of a query string, for a write has none."""
    return Writing(**_needs(request))


def writing_once_of(request: Request) -> WritingOnce:
    """What a POST needs that may be sent again; raises the 422 of `writing_of`, and of the key."""
    needs = _needs(request)
    return WritingOnce(**needs, retries=request.app.state.retries, ticket=_ticket(request, needs["caller"]))


Write = Annotated[Writing, Depends(writing_of)]
WriteOnce = Annotated[WritingOnce, Depends(writing_once_of)]


def _needs(request: Request) -> dict[str, Any]:
    faults = unexpected_parameters(parse_query_string(request.scope["query_string"]))
    note = _note(request, faults)
    if faults:
        raise invalid(faults)
    return {
        "database": database_of(request),
        "note": note,
        "conditions": conditions_of(request),
        "zone": request.app.state.settings.zone,
        "caller": caller_of(request),
        "request_id": request.scope["request_id"],
    }


def _ticket(request: Request, caller: Caller) -> Ticket | None:
    keys = request.headers.getlist(KEY)
    if not keys:
        return None
    (key, *others) = keys
    if others or not 0 < len(key) <= MAX_KEY or not all("!" <= character <= "~" for character in key):
        raise invalid([Fault(f"{KEY} is 1 to {MAX_KEY} visible characters of ASCII, once.", parameter=KEY)])
    return Ticket(caller.user or "", request.scope["path"], key, sha256(request.scope[RAW]).digest())


def _note(request: Request, faults: list[Fault]) -> str | None:
    """`X-Change-Note`: UTF-8, percent-encoded where the client can't send it."""
    header = request.headers.get("x-change-note")
    if header is None:
        return None
    note = ""
    try:
        note = unquote_to_bytes(header.encode("latin-1")).decode()
    except UnicodeDecodeError:
        faults.append(Fault("X-Change-Note is not UTF-8.", parameter="X-Change-Note"))
    if len(note) > MAX_NOTE or "\0" in note:
        faults.append(Fault(f"X-Change-Note has at most {MAX_NOTE} characters and no NUL.", parameter="X-Change-Note"))
    return note
