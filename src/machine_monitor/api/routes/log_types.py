"""Log types: the kinds of intervention that a site tells apart."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, Known, list_query_of, selection_of
from machine_monitor.api.openapi.documents import created, deleted, listed, read, replaced, updated
from machine_monitor.api.route import tagged
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.models import LOG_TYPES
from machine_monitor.models.fields import Code
from machine_monitor.models.log_type import LogTypeCreate, LogTypeReplace, LogTypeUpdate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import MANAGE_RECORDS, READ

router = tagged("log types")


@router.get("/log-types", dependencies=[needs(READ)], **listed(LOG_TYPES))
async def list_log_types(
    request: Request, query: Annotated[ListQuery, list_query_of(LOG_TYPES)], database: Db
) -> Response:
    """List the kinds of intervention."""
    return answers.page(request, await lists.fetch(database, query))


@router.post("/log-types", dependencies=[needs(MANAGE_RECORDS)], **created(LOG_TYPES))
async def create_log_type(body: LogTypeCreate, write: WriteOnce) -> Response:
    """Add a kind of intervention. Its code is unique whatever the case of its letters, and never changes."""
    return await write.create("/log-types", LOG_TYPES, body)


@router.get("/log-types/{code}", dependencies=[needs(READ)], **read(LOG_TYPES))
async def get_log_type(
    code: Code, selection: Annotated[Selection, selection_of(LOG_TYPES)], known: Known, database: Db
) -> Response:
    """Read a kind of intervention."""
    return answers.record(await records.read(database, LOG_TYPES, code, selection), known, selection)


@router.put("/log-types/{code}", dependencies=[needs(MANAGE_RECORDS)], **replaced(LOG_TYPES))
async def replace_log_type(code: Code, body: LogTypeReplace, write: Write) -> Response:
    """Create the type, or replace it: a field that is absent takes its default."""
    return answers.written("/log-types", await write.replace(LOG_TYPES, code, body))


@router.patch("/log-types/{code}", dependencies=[needs(MANAGE_RECORDS)], **updated(LOG_TYPES))
async def update_log_type(code: Code, body: LogTypeUpdate, write: Write) -> Response:
    """Change some fields of a type (JSON merge patch); `active: false` keeps it from new logs."""
    return answers.written("/log-types", await write.update(LOG_TYPES, code, body))


@router.delete("/log-types/{code}", dependencies=[needs(MANAGE_RECORDS)], **deleted(LOG_TYPES))
async def delete_log_type(code: Code, write: Write) -> Response:
    """Delete a type that no log names."""
    await write.delete(LOG_TYPES, code)
    return Response(status_code=204)
