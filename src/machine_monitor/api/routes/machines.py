"""Machines: what people intervene on."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, Known, There, list_query_of, selection_of
from machine_monitor.api.downloads import offer_exports
from machine_monitor.api.openapi.documents import ANYWHERE, created, deleted, listed, problems, read, replaced, updated
from machine_monitor.api.route import tagged
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.models import HISTORY, MACHINES
from machine_monitor.models.fields import Name
from machine_monitor.models.machine import MachineCreate, MachineReplace, MachineUpdate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import labels, records
from machine_monitor.services.access.permissions import EDIT_MACHINE, MANAGE_RECORDS, READ

router = tagged("machines")
PICTURE = "image/svg+xml"
DRAWN = {200: {"content": {PICTURE: {"schema": {"type": "string"}}}}, **problems(*ANYWHERE, 404, 422)}


@router.get("/machines", dependencies=[needs(READ)], **listed(MACHINES))
async def list_machines(
    request: Request, query: Annotated[ListQuery, list_query_of(MACHINES)], database: Db
) -> Response:
    """List machines: filter by any field, search with `q`, sort, page by cursor."""
    return answers.page(request, await lists.fetch(database, query))


@router.post("/machines", dependencies=[needs(MANAGE_RECORDS)], **created(MACHINES))
async def create_machine(body: MachineCreate, write: WriteOnce) -> Response:
    """Add a machine. Its name is unique whatever the case of its letters."""
    return await write.create("/machines", MACHINES, body)


@router.get("/machines/{name}", dependencies=[needs(READ)], **read(MACHINES))
async def get_machine(
    name: Name, selection: Annotated[Selection, selection_of(MACHINES)], known: Known, database: Db
) -> Response:
    """Read a machine, found by its name whatever the case of its letters."""
    return answers.record(await records.read(database, MACHINES, name, selection), known, selection)


@router.put("/machines/{name}", dependencies=[needs(EDIT_MACHINE)], **replaced(MACHINES))
async def replace_machine(name: Name, body: MachineReplace, write: Write) -> Response:
    """Create the machine, or replace it: a field that is absent takes its default.

    Another `name` in the body renames it, and its logs follow.
    """
    return answers.written("/machines", await write.replace(MACHINES, name, body))


@router.patch("/machines/{name}", dependencies=[needs(EDIT_MACHINE)], **updated(MACHINES))
async def update_machine(name: Name, body: MachineUpdate, write: Write) -> Response:
    """Change some fields of a machine (JSON merge patch): null clears one, another `name` renames it."""
    return answers.written("/machines", await write.update(MACHINES, name, body))


@router.delete("/machines/{name}", dependencies=[needs(MANAGE_RECORDS)], **deleted(MACHINES))
async def delete_machine(name: Name, write: Write) -> Response:
    """Delete a machine for good. One that has logs stays: take it out of service instead."""
    await write.delete(MACHINES, name)
    return Response(status_code=204)


@router.get("/machines/{name}/history", dependencies=[needs(READ)], **listed(HISTORY))
async def list_machine_history(
    request: Request, name: Name, query: Annotated[ListQuery, list_query_of(HISTORY)], database: Db
) -> Response:
    """List what was changed on a machine, newest first, also under its earlier names."""
    return answers.page(request, await records.read_history(database, MACHINES, name, query))


@router.get("/machines/{name}/label.svg", dependencies=[needs(READ)], response_class=Response, responses=DRAWN)
async def draw_machine_label(name: Name, there: There, database: Db) -> Response:
    """A label to print and stick on the machine: its name, and a QR code that opens it in the console."""
    found = await records.read(database, MACHINES, name, labels.SELECTION)
    return Response(labels.label(found, there.base), media_type=PICTURE)


offer_exports(router, MACHINES)
