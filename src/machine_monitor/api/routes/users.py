"""Users: the authors of logs."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, PreconditionsDep, list_query_of, selection_of
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
from machine_monitor.models import USERS
from machine_monitor.models.fields import Trigram
from machine_monitor.models.user import UserCreate, UserReplace, UserUpdate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import MANAGE_USERS, READ

router = create_router("users")


@router.get("/users", dependencies=[needs(READ)], **list_operation(USERS))
async def list_users(
    request: Request, query: Annotated[ListQuery, list_query_of(USERS, can_prefetch=True)], database: Db
) -> Response:
    """List users."""
    return await conditional.respond_with_page(request, query, lambda: lists.fetch(database, query))


@router.post("/users", dependencies=[needs(MANAGE_USERS)], **create_operation(USERS))
async def create_user(body: UserCreate, write: WriteOnce) -> Response:
    """Add a user. The trigram is unique (ignoring case) and cannot be changed."""
    return await write.create("/users", USERS, body)


@router.get("/users/{trigram}", dependencies=[needs(READ)], **read_operation(USERS))
async def get_user(
    trigram: Trigram,
    selection: Annotated[Selection, selection_of(USERS)],
    preconditions: PreconditionsDep,
    database: Db,
) -> Response:
    """Read a user."""
    return responses.record_response(await records.read(database, USERS, trigram, selection), preconditions, selection)


@router.put("/users/{trigram}", dependencies=[needs(MANAGE_USERS)], **replace_operation(USERS))
async def replace_user(trigram: Trigram, body: UserReplace, write: Write) -> Response:
    """Create or replace a user. Absent fields take their defaults."""
    return responses.write_response("/users", await write.replace(USERS, trigram, body))


@router.patch("/users/{trigram}", dependencies=[needs(MANAGE_USERS)], **update_operation(USERS))
async def update_user(trigram: Trigram, body: UserUpdate, write: Write) -> Response:
    """Change some fields of a user. The body is a JSON merge patch. A user with `active: false` cannot sign in."""
    return responses.write_response("/users", await write.update(USERS, trigram, body))


@router.delete("/users/{trigram}", dependencies=[needs(MANAGE_USERS)], **delete_operation(USERS))
async def delete_user(trigram: Trigram, write: Write) -> Response:
    """Delete a user. 409 if a log names the user: set `active` to false instead."""
    await write.delete(USERS, trigram)
    return Response(status_code=204)
