"""Users: who intervenes."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import needs
from machine_monitor.api.deps import Db, Known, list_query_of, selection_of
from machine_monitor.api.openapi.documents import created, deleted, listed, read, replaced, updated
from machine_monitor.api.route import tagged
from machine_monitor.api.writing import Write, WriteOnce
from machine_monitor.models import USERS
from machine_monitor.models.fields import Trigram
from machine_monitor.models.user import UserCreate, UserReplace, UserUpdate
from machine_monitor.query import lists
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.access.permissions import MANAGE_USERS, READ

router = tagged("users")


@router.get("/users", dependencies=[needs(READ)], **listed(USERS))
async def list_users(request: Request, query: Annotated[ListQuery, list_query_of(USERS)], database: Db) -> Response:
    """List the people."""
    return answers.page(request, await lists.fetch(database, query))


@router.post("/users", dependencies=[needs(MANAGE_USERS)], **created(USERS))
async def create_user(body: UserCreate, write: WriteOnce) -> Response:
    """Add a person. The trigram is unique whatever the case of its letters, and never changes."""
    return await write.create("/users", USERS, body)


@router.get("/users/{trigram}", dependencies=[needs(READ)], **read(USERS))
async def get_user(
    trigram: Trigram, selection: Annotated[Selection, selection_of(USERS)], known: Known, database: Db
) -> Response:
    """Read a person's entry."""
    return answers.record(await records.read(database, USERS, trigram, selection), known, selection)


@router.put("/users/{trigram}", dependencies=[needs(MANAGE_USERS)], **replaced(USERS))
async def replace_user(trigram: Trigram, body: UserReplace, write: Write) -> Response:
    """Create the user, or replace it: a field that is absent takes its default."""
    return answers.written("/users", await write.replace(USERS, trigram, body))


@router.patch("/users/{trigram}", dependencies=[needs(MANAGE_USERS)], **updated(USERS))
async def update_user(trigram: Trigram, body: UserUpdate, write: Write) -> Response:
    """Change some fields of a user (JSON merge patch); `active: false` keeps them from new logs."""
    return answers.written("/users", await write.update(USERS, trigram, body))


@router.delete("/users/{trigram}", dependencies=[needs(MANAGE_USERS)], **deleted(USERS))
async def delete_user(trigram: Trigram, write: Write) -> Response:
    """Delete a user that no log names."""
    await write.delete(USERS, trigram)
    return Response(status_code=204)
