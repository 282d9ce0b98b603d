"""API tokens: create, list, read and revoke."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, Forbidden, NotFound, Unauthenticated, invalid
from machine_monitor.models import TOKENS, USERS
from machine_monitor.models.accounts.token import SCOPE, Token, TokenCreate, TokenRead
from machine_monitor.query import lists
from machine_monitor.query.language.folding import fold
from machine_monitor.query.language.operators import EQUAL
from machine_monitor.query.language.parser import Condition, ListQuery
from machine_monitor.query.language.values import parse_integer
from machine_monitor.query.lists import Page
from machine_monitor.query.schema import Selection
from machine_monitor.query.sql.documents import record_json, selected_fields
from machine_monitor.services.access.permissions import Caller, Scope, can_manage_users
from machine_monitor.services.accounts import account_history, generated_secrets, time_bounds
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import storage

# Of each user, the tokens that have not expired.
MAX_PER_USER = 100
# The members of a token in the history.
RECORDED = {"id", "name", "scope", "expires_at"}


async def create(
    database: Database, body: TokenCreate, caller: Caller, context: Callable[[], ChangeContext]
) -> dict[str, Any]:
    """Create a token within the caller's permissions; return it with its text.

    It expires no later than the token that the caller used. Raises `Forbidden`, `Invalid` or `Conflict`.
    """
    _check(caller, body)
    user = body.user or caller.user
    assert user is not None

    def unit(tx: Transaction) -> tuple[int, str]:
        return issue(tx, user, body, context(), latest_end=_end_of(tx, caller.token))

    identity, text = await database.write(unit)
    made = await read(database, str(identity), Selection(tuple(TOKENS.own_fields)), caller)
    return json.loads(made) | {"token": text}


def _check(caller: Caller, body: TokenCreate) -> None:
    if SCOPE.choices.index(body.scope) > caller.scope:
        message = f"Your scope is {Scope(caller.scope).name.lower()}: it cannot create a token with a wider scope."
        raise Forbidden(faults=[Fault(message, "forbidden", "/scope")])
    if body.user not in (None, caller.user) and not can_manage_users(caller):
        message = "Creating a token for another user requires the admin role and a credential with the admin scope."
        raise Forbidden(faults=[Fault(message, "forbidden", "/user")])


def issue(
    tx: Transaction, user: str, body: TokenCreate, context: ChangeContext, latest_end: datetime | None = None
) -> tuple[int, str]:
    """Create a token for a user; return its number and its text, of which only a digest is stored.

    Raises `Invalid`, or `Conflict` if the user has too many.
    """
    stored = storage.find(tx, USERS, user)
    if stored is None:
        raise invalid([Fault(f"There is no user '{user}'.", "unknown-user", "/user")])
    if not stored.values["active"]:
        raise invalid([Fault(f"The user '{user}' is inactive.", "inactive", "/user")])
    now, secret = instants.now(), generated_secrets.generate()
    _make_room(tx, user, now)
    expires_at = now + timedelta(days=body.days)
    token = Token(
        name=body.name,
        name_folded=fold(body.name),
        user=user,
        scope=body.scope,
        digest=generated_secrets.digest(secret),
        created_at=now,
        expires_at=expires_at if latest_end is None else min(expires_at, latest_end),
    )
    tx.session.add(token)
    tx.session.flush()  # the database assigns the id
    assert token.id is not None
    account_history.record(tx, user, {"token": [None, _recorded(token)]}, context)
    return token.id, generated_secrets.format_token(token.id, secret)


async def fetch(database: Database, query: ListQuery, caller: Caller) -> Page:
    """Return a page of the tokens that the caller may see."""
    if not can_manage_users(caller):
        assert caller.user is not None
        own = Condition(TOKENS.own_fields["user"], EQUAL, (caller.user,))
        query = replace(query, conditions=(*query.conditions, own))
    return await lists.fetch(database, query)


async def read(database: Database, key: str, selection: Selection, caller: Caller) -> str:
    """Return a token as JSON; raises `NotFound` also if the caller may not see it."""
    rows = await database.fetch(_read(database.engine, selection), {"id": _number(key)})
    if not rows or not (can_manage_users(caller) or rows[0][1] == caller.user):
        raise NotFound("There is no such token.")
    return rows[0][0]


def read_all(tx: Transaction) -> list[dict[str, Any]]:
    """Return every token, oldest first."""
    tokens = tx.session.scalars(select(Token).order_by(col(Token.id)))
    return [TokenRead.model_validate(token).model_dump(mode="json") for token in tokens]


def revoke(tx: Transaction, key: str, context: ChangeContext, user: str | None = None) -> None:
    """Revoke a token; if `user` is given, only a token of this user. Raises `NotFound`."""
    query = delete(Token).where(col(Token.id) == _number(key))
    query = query if user is None else query.where(col(Token.user) == user)
    token = tx.session.scalars(query.returning(Token)).one_or_none()
    if token is None:
        raise NotFound("There is no such token.")
    account_history.record(tx, token.user, {"token": [_recorded(token), None]}, context)


def _make_room(tx: Transaction, user: str, now: datetime) -> None:
    """Remove tokens that have expired; raises `Conflict` if the user has as many valid ones as allowed."""
    tx.session.execute(delete(Token).where(time_bounds.is_removable(col(Token.expires_at), now)))
    valid = select(func.count()).select_from(Token).where(col(Token.user) == user, col(Token.expires_at) > now)
    if (tx.session.scalar(valid) or 0) >= MAX_PER_USER:
        raise Conflict(f"The user '{user}' has {MAX_PER_USER} tokens, the most that are allowed. Revoke one first.")


def _end_of(tx: Transaction, token: int | None) -> datetime | None:
    """Return when the caller's token expires; None if the caller has none. Raises `Unauthenticated` if it is gone."""
    if token is None:
        return None
    expires_at = tx.session.scalar(select(col(Token.expires_at)).where(col(Token.id) == token))
    if expires_at is None:
        raise Unauthenticated("The token of this request was revoked.")
    return expires_at


def _recorded(token: Token) -> dict[str, Any]:
    return TokenRead.model_validate(token).model_dump(mode="json", include=RECORDED)


def _number(key: str) -> int:
    try:
        return parse_integer(key)
    except ValueError:
        raise NotFound("There is no such token.") from None


@lru_cache(maxsize=256)
def _read(engine: Engine, selection: Selection) -> Statement:
    fields, expand = selection
    table = TOKENS.table
    query = select(as_text(record_json(engine, TOKENS, fields, expand)), table.c.user)
    query = query.select_from(TOKENS.joined_table(selected_fields(TOKENS, fields, expand)))
    return compile_statement(engine, query.where(table.c.id == bindparam("id", type_=INTEGER.column_type)))
