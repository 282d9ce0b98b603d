"""Saved mappings: how the tables of one source become records."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import bodies, responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, NoParameters, PreconditionsDep, list_query_of
from machine_monitor.api.openapi.documents import list_operation
from machine_monitor.api.openapi.imports import (
    delete_mapping_operation,
    read_mapping_operation,
    replace_mapping_operation,
)
from machine_monitor.api.route import create_router
from machine_monitor.api.writing import Write
from machine_monitor.models import MAPPINGS
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services.access.permissions import IMPORT, READ
from machine_monitor.services.imports import saved_mappings

router = create_router("imports")


@router.get("/mappings", dependencies=[needs(READ)], **list_operation(MAPPINGS, conditional=False))
async def list_mappings(
    request: Request, query: Annotated[ListQuery, list_query_of(MAPPINGS)], database: Db
) -> Response:
    """List saved mappings: their names, and who saved them. Read one for its contents."""
    return responses.page_response(request, await lists.fetch(database, query))


@router.get("/mappings/{name}", dependencies=[needs(READ)], **read_mapping_operation())
async def get_mapping(name: str, preconditions: PreconditionsDep, _none: NoParameters, database: Db) -> Response:
    """Read a mapping: the JSON that PUT takes, and that `mm import --map` reads from a file."""
    return responses.record_response(await saved_mappings.read(database, name), preconditions, Selection(()))


@router.put("/mappings/{name}", dependencies=[needs(IMPORT)], **replace_mapping_operation())
async def replace_mapping(request: Request, name: str, write: Write) -> Response:
    """Create or replace a mapping. The body is the mapping; its `name` is that of the address, and may be left out.

    Logs are recognised by the mapping's name and their key: imports with a mapping of another name make other logs.
    A mapping with a word that does not exist is 422, with a pointer to the word and the most similar one.
    """
    document = await bodies.read_json(request, lambda body: saved_mappings.validate_named(name, body))
    return responses.write_response("/mappings", await write.save_mapping(name, document))


@router.delete("/mappings/{name}", dependencies=[needs(IMPORT)], **delete_mapping_operation())
async def delete_mapping(name: str, write: Write) -> Response:
    """Delete a mapping. What it has imported stays; imports keep a copy of the mapping that they used."""
    await write.delete_mapping(name)
    return Response(status_code=204)
