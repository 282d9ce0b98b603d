"""What an endpoint can ask for in its signature; each is a plain function of the request."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from machine_monitor.database import instants
from machine_monitor.database.connect import Database, Transaction
from machine_monitor.errors import Fault, invalid
from machine_monitor.models.fields import Schema
from machine_monitor.query.grammar import Listing, read_export, read_list, read_pairs, read_selection, refuse_all
from machine_monitor.query.statements.shapes import Selection
from machine_monitor.query.summaries.requests import Facets, Stats, read_facets, read_stats
from machine_monitor.query.times import Clock
from machine_monitor.query.vocabulary import Resource
from machine_monitor.services import bulk, records
from machine_monitor.services.bulk import Outcome, Put
from machine_monitor.services.conditions import Conditions
from machine_monitor.services.history import Author
from machine_monitor.services.records import Target, Written
from machine_monitor.services.tabular.exports import Format

MAX_NOTE = 500
T = TypeVar("T")
_TAG = re.compile(r'(?:W/)?"[^"]*"|\*')


@dataclass(frozen=True)
class Writing:
    """All that a write needs beside its body: where, why, and under which conditions."""

    database: Database
    note: str | None
    conditions: Conditions
    zone: ZoneInfo

    async def create(self, resource: Resource, body: Schema) -> Written:
        """Add a record."""
        return await self._write(records.create, resource, body)

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

    async def put_all(self, resource: Resource, items: Sequence[Any], *, atomic: bool) -> list[Outcome]:
        """Create or replace a record for each item, all or none of them if `atomic`."""

        def put(tx: Transaction, author: Author) -> list[Outcome]:
            return bulk.put_each(tx, Put(resource, author, self.zone), items, atomic=atomic)

        return await self._write(put)

    async def _write(self, verb: Callable[..., T], *about: Any) -> T:
        # The author is made inside the unit: who waits for another write is dated after it.
        return await self.database.write(lambda tx: verb(tx, *about, Author(via="anonymous", note=self.note)))


def database_of(request: Request) -> Database:
    """The application's database."""
    return request.app.state.database


def clock_of(request: Request) -> Clock:
    """The site's time zone, and what time it is."""
    return Clock(request.app.state.settings.zone, instants.now())


def conditions_of(request: Request) -> Conditions:
    """The request's If-Match and If-None-Match."""
    required = request.app.state.settings.require_if_match
    return Conditions(_tags(request, "if-match"), _tags(request, "if-none-match"), required)


def writing_of(request: Request) -> Writing:
    """What a write needs; raises the 422 of its note, and of a query string, for a write has none."""
    faults = refuse_all(read_pairs(request.scope["query_string"]))
    note = _note(request, faults)
    if faults:
        raise invalid(faults)
    return Writing(database_of(request), note, conditions_of(request), request.app.state.settings.zone)


def listing_of(resource: Resource) -> Any:
    """A dependency: the list of `resource` that a request asks for."""

    def read(request: Request) -> Listing:
        pairs = read_pairs(request.scope["query_string"])
        return read_list(resource, pairs, clock_of(request), about=request.scope["path"])

    return Depends(read)


def export_of(resource: Resource, form: Format) -> Any:
    """A dependency: what of `resource` a request wants in a file of this format."""

    def read(request: Request) -> Listing:
        pairs = read_pairs(request.scope["query_string"])
        return read_export(resource, pairs, clock_of(request), dialects=form.has_dialects)

    return Depends(read)


def facets_of(resource: Resource) -> Any:
    """A dependency: the facets of `resource` that a request asks for."""

    def read(request: Request) -> Facets:
        return read_facets(resource, read_pairs(request.scope["query_string"]), clock_of(request))

    return Depends(read)


def stats_of(resource: Resource) -> Any:
    """A dependency: the stats of `resource` that a request asks for."""

    def read(request: Request) -> Stats:
        return read_stats(resource, read_pairs(request.scope["query_string"]), clock_of(request))

    return Depends(read)


def selection_of(resource: Resource) -> Any:
    """A dependency: the `fields` and `expand` that a request for one record names."""

    def read(request: Request) -> Selection:
        return read_selection(resource, read_pairs(request.scope["query_string"]))

    return Depends(read)


Db = Annotated[Database, Depends(database_of)]
Now = Annotated[Clock, Depends(clock_of)]
Known = Annotated[Conditions, Depends(conditions_of)]
Write = Annotated[Writing, Depends(writing_of)]


def _clock(request: Request) -> Clock:
    return Clock(request.app.state.settings.zone, instants.now())


def _tags(request: Request, header: str) -> tuple[str, ...] | None:
    values = request.headers.getlist(header)
    return tuple(_TAG.findall(",".join(values))) if values else None


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
