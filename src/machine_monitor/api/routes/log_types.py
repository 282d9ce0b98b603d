"""Log types: the kinds of intervention that a site distinguishes."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import PreconditionsDep, ReadDb, list_query_of, selection_of
from machine_monitor.api.openapi.documents import (
    create_operation,
    delete_operation,
    list_operation,
    read_operation,
    replace_operation,
    update_operation,
)
from machine_monitor.api.route import create_router
from machine_monitor.api.serving import conditional
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.models import LOG_TYPES
from machine_monitor.models.fields import Code
from machine_monitor.models.log_type import LogTypeCreate, LogTypeReplace, LogTypeUpdate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import MANAGE_RECORDS, READ

router = create_router("log types")


@router.get("/log-types", dependencies=[needs(READ)], **list_operation(LOG_TYPES))
async def list_log_types(
    request: Request, query: Annotated[ListQuery, list_query_of(LOG_TYPES, can_prefetch=True)], database: ReadDb
) -> Response:
    """List log types."""
    return await conditional.respond_with_page(request, query, lambda: lists.fetch(database, query))


@router.post("/log-types", dependencies=[needs(MANAGE_RECORDS)], **create_operation(LOG_TYPES))
async def create_log_type(body: LogTypeCreate, write: WriteOnce) -> Response:
    """Add a log type. Its code is unique (ignoring case) and cannot be changed."""
    return await write.create("/log-types", LOG_TYPES, body)


@router.get("/log-types/{code}", dependencies=[needs(READ)], **read_operation(LOG_TYPES))
async def get_log_type(
    code: Code,
    selection: Annotated[Selection, selection_of(LOG_TYPES)],
    preconditions: PreconditionsDep,
    database: ReadDb,
) -> Response:
    """Read a log type."""
    return responses.record_response(await records.read(database, LOG_TYPES, code, selection), preconditions, selection)


@router.put("/log-types/{code}", dependencies=[needs(MANAGE_RECORDS)], **replace_operation(LOG_TYPES))
async def replace_log_type(code: Code, body: LogTypeReplace, write: Write) -> Response:
    """Create or replace a log type. Absent fields take their defaults."""
    return responses.write_response("/log-types", await write.replace(LOG_TYPES, code, body))


@router.patch("/log-types/{code}", dependencies=[needs(MANAGE_RECORDS)], **update_operation(LOG_TYPES))
async def update_log_type(code: Code, body: LogTypeUpdate, write: Write) -> Response:
    """Change some fields of a log type. The body is a merge patch. A type with `active: false` gets no new logs."""
    return responses.write_response("/log-types", await write.update(LOG_TYPES, code, body))


@router.delete("/log-types/{code}", dependencies=[needs(MANAGE_RECORDS)], **delete_operation(LOG_TYPES))
async def delete_log_type(code: Code, write: Write) -> Response:
    """Delete a log type. 409 if a log uses it: set `active` to false instead."""
    await write.delete(LOG_TYPES, code)
    return Response(status_code=204)
