"""Tokens: what programs act for users by."""

from typing import Annotated

from fastapi import Request, Response

from machine_monitor.api import answers
from machine_monitor.api.access import needs
from machine_monitor.api.deps import By, Db, list_query_of, selection_of
from machine_monitor.api.openapi.documents import BODIES, WRITES, answered, listed, selected
from machine_monitor.api.route import tagged
from machine_monitor.api.writing import Write
from machine_monitor.models import TOKENS
from machine_monitor.models.accounts.token import TokenCreate, TokenCreated
from machine_monitor.query.language.parser import ListQuery
from machine_monitor.query.schema import Selection
from machine_monitor.services.access.permissions import SEE_TOKENS, WRITE_TOKENS, can_manage_other_accounts
from machine_monitor.services.accounts import tokens

router = tagged("tokens")


@router.get("/tokens", dependencies=[needs(SEE_TOKENS)], **listed(TOKENS))
async def list_tokens(
    request: Request, query: Annotated[ListQuery, list_query_of(TOKENS)], caller: By, database: Db
) -> Response:
    """List one's own tokens; an admin lists everyone's."""
    return answers.page(request, await tokens.fetch(database, query, caller))


@router.post("/tokens", dependencies=[needs(WRITE_TOKENS)], **answered(TokenCreated, *BODIES, status=201))
async def create_token(body: TokenCreate, write: Write) -> Response:
    """Make a token for oneself, or, as an admin, for another user. Its text is in this answer and nowhere else.

    It may what its user may, narrowed to its scope: `read` reads, `write` writes records, `admin` users and tokens.
    """
    made = await tokens.create(write.database, body, write.caller)
    return answers.secret(made, 201, f"/tokens/{made['id']}")


@router.get("/tokens/{id}", dependencies=[needs(SEE_TOKENS)], **selected(TOKENS))
async def get_token(
    id: str,  # noqa: A002 -- the contract's name of it
    selection: Annotated[Selection, selection_of(TOKENS)],
    caller: By,
    database: Db,
) -> Response:
    """Read what a token is, never its text."""
    return answers.document((await tokens.read(database, id, selection, caller)).encode())


@router.delete("/tokens/{id}", dependencies=[needs(WRITE_TOKENS)], **answered(None, *WRITES, 404, status=204))
async def revoke_token(
    id: str,  # noqa: A002 -- the contract's name of it
    write: Write,
) -> Response:
    """Revoke a token: from now on it is none, and it leaves the list."""
    owner = None if can_manage_other_accounts(write.caller) else write.caller.user
    await write.database.write(lambda tx: tokens.revoke(tx, id, owner))
    return Response(status_code=204)
