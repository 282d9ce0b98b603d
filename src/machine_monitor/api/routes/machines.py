"""Machines."""

from functools import partial
from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import ClientDep, Db, PreconditionsDep, ReadDb, list_query_of, selection_of
from machine_monitor.api.downloads import add_export_routes
from machine_monitor.api.openapi.documents import (
    ANYWHERE,
    create_operation,
    delete_operation,
    list_operation,
    merge_operation,
    problem_responses,
    read_operation,
    replace_operation,
    update_operation,
)
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import conditional
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.models import HISTORY, MACHINES
from machine_monitor.models.fields import Name
from machine_monitor.models.machine import MachineCreate, MachineMerge, MachineReplace, MachineUpdate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import labels, records
from machine_monitor.services.access.permissions import EDIT_MACHINE, MANAGE_RECORDS, READ

router = create_router("machines")
SVG = "image/svg+xml"
LABEL_RESPONSES = {200: {"content": {SVG: {"schema": {"type": "string"}}}}, **problem_responses(*ANYWHERE, 404, 422)}


@router.get("/machines", dependencies=[needs(READ)], **list_operation(MACHINES))
async def list_machines(
    request: Request, query: Annotated[ListQuery, list_query_of(MACHINES, can_prefetch=True)], database: ReadDb
) -> Response:
    """List machines. Filter by any field, search with `q`, sort, page with cursors."""
    return await conditional.respond_with_page(request, query, lambda: lists.fetch(database, query))


@router.post("/machines", dependencies=[needs(MANAGE_RECORDS)], **create_operation(MACHINES))
async def create_machine(body: MachineCreate, write: WriteOnce) -> Response:
    """Add a machine. Its name is unique, ignoring case."""
    return await write.create("/machines", MACHINES, body)


@router.get("/machines/{name}", dependencies=[needs(READ)], **read_operation(MACHINES))
async def get_machine(
    name: Name,
    selection: Annotated[Selection, selection_of(MACHINES)],
    preconditions: PreconditionsDep,
    database: ReadDb,
) -> Response:
    """Read a machine. Case is ignored in its name."""
    return responses.record_response(await records.read(database, MACHINES, name, selection), preconditions, selection)


@router.put("/machines/{name}", dependencies=[needs(EDIT_MACHINE)], **replace_operation(MACHINES))
async def replace_machine(name: Name, body: MachineReplace, write: Write) -> Response:
    """Create or replace a machine. Absent fields take their defaults.

    A different `name` in the body renames the machine, also in its logs.
    """
    return responses.write_response("/machines", await write.replace(MACHINES, name, body))


@router.patch("/machines/{name}", dependencies=[needs(EDIT_MACHINE)], **update_operation(MACHINES))
async def update_machine(name: Name, body: MachineUpdate, write: Write) -> Response:
    """Change some fields of a machine. The body is a JSON merge patch: null clears a field, a new `name` renames.

    `listed: true` confirms a machine that a log has created.
    """
    return responses.write_response("/machines", await write.update(MACHINES, name, body))


@router.delete("/machines/{name}", dependencies=[needs(MANAGE_RECORDS)], **delete_operation(MACHINES))
async def delete_machine(name: Name, write: Write) -> Response:
    """Delete a machine permanently. 409 if it has logs: set `in_service` to false instead."""
    await write.delete(MACHINES, name)
    return Response(status_code=204)


@router.post("/machines/{name}/merge", dependencies=[needs(MANAGE_RECORDS)], **merge_operation(MACHINES))
async def merge_machine(name: Name, body: MachineMerge, write: Write) -> Response:
    """Merge a machine into another one.

    Moves all its logs, deleted ones too, and deletes the empty machine.
    Each log gets a new version, as when its machine is renamed. The response is the machine that has the logs now.
    409 if it does not exist or is the same machine.
    """
    return responses.write_response("/machines", await write.merge(MACHINES, name, body.into))


@router.get("/machines/{name}/history", dependencies=[needs(READ)], **list_operation(HISTORY))
async def list_machine_history(
    request: Request, name: Name, query: Annotated[ListQuery, list_query_of(HISTORY)], database: Db
) -> Response:
    """List the changes of a machine, newest first. Those under its earlier names are included."""
    read = partial(records.read_history, database, MACHINES, name, query)
    return await conditional.respond_with_page(request, query, read)


@router.get(
    "/machines/{name}/label.svg", dependencies=[needs(READ)], response_class=Response, responses=LABEL_RESPONSES
)
async def draw_machine_label(name: Name, client: ClientDep, database: Db) -> Response:
    """Draw a label for the machine. An SVG to print: the name, and a QR code that opens the machine in the console."""
    machine = await records.read(database, MACHINES, name, labels.SELECTION)
    return Response(labels.machine_label(machine, client.base_url), media_type=SVG)


add_export_routes(router, MACHINES)
