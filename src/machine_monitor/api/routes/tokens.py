"""API tokens, with which programs act for a user."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import responses
from machine_monitor.api.access import needs
from machine_monitor.api.deps import CurrentUser, Db, list_query_of, selection_of
from machine_monitor.api.openapi.documents import (
    BODIES,
    WRITES,
    json_operation,
    list_operation,
    unversioned_read_operation,
)
from machine_monitor.api.route import SecretRoute, create_router
from machine_monitor.api.writing import Write
from machine_monitor.models import TOKENS
from machine_monitor.models.accounts.token import TokenCreate, TokenCreated
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services.access.permissions import SEE_TOKENS, WRITE_TOKENS, can_manage_users
from machine_monitor.services.accounts import tokens

router = create_router("tokens", SecretRoute)


@router.get("/tokens", dependencies=[needs(SEE_TOKENS)], **list_operation(TOKENS, conditional=False))
async def list_tokens(
    request: Request, query: Annotated[ListQuery, list_query_of(TOKENS)], caller: CurrentUser, database: Db
) -> Response:
    """List your own tokens. Admins see the tokens of all users."""
    return responses.page_response(request, await tokens.fetch(database, query, caller))


@router.post("/tokens", dependencies=[needs(WRITE_TOKENS)], **json_operation(TokenCreated, *BODIES, 409, status=201))
async def create_token(body: TokenCreate, write: Write) -> Response:
    """Create a token, for yourself or as an admin for another user. Only this response contains the token itself.

    The token has the role of its user, limited by its scope: `read` reads, `write` also writes records, `admin` also
    manages users and tokens. A token that is created with a token expires no later than that one. A user has at most
    100 tokens that have not expired (409).
    """
    made = await tokens.create(write.database, body, write.caller, write.change_context)
    return responses.uncached_response(made, 201, f"/tokens/{made['id']}")


@router.get("/tokens/{id}", dependencies=[needs(SEE_TOKENS)], **unversioned_read_operation(TOKENS))
async def get_token(
    id: str,  # noqa: A002 -- the contract's name of it
    selection: Annotated[Selection, selection_of(TOKENS)],
    caller: CurrentUser,
    database: Db,
) -> Response:
    """Read the properties of a token, never the token itself."""
    return responses.json_response((await tokens.read(database, id, selection, caller)).encode())


@router.delete("/tokens/{id}", dependencies=[needs(WRITE_TOKENS)], **json_operation(None, *WRITES, 404, status=204))
async def revoke_token(
    id: str,  # noqa: A002 -- the contract's name of it
    write: Write,
) -> Response:
    """Revoke a token. It stops working at once and leaves the list."""
    owner = None if can_manage_users(write.caller) else write.caller.user
    await write.database.write(lambda tx: tokens.revoke(tx, id, write.change_context(), owner))
    return Response(status_code=204)
