"""Tokens: make one, list and read those that one may see, revoke one."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, as_text
from machine_monitor.database.kinds import INTEGER
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, Forbidden, NotFound, invalid
from machine_monitor.models import TOKENS, USERS
from machine_monitor.models.accounts.token import SCOPE, Token, TokenCreate, TokenRead
from machine_monitor.query import lists
from machine_monitor.query.language.operators import EQUAL
from machine_monitor.query.language.parser import Condition, ListQuery
from machine_monitor.query.language.search_terms import fold
from machine_monitor.query.language.values import parse_integer
from machine_monitor.query.lists import Page
from machine_monitor.query.schema import Selection
from machine_monitor.query.sql.documents import document, selected_fields
from machine_monitor.services.access.permissions import Caller, Scope, keeps_others
from machine_monitor.services.accounts import codes
from machine_monitor.services.records import storage


async def create(database: Database, body: TokenCreate, caller: Caller) -> dict[str, Any]:
    """Make a token as the caller may: what it is, with its text; raises `Forbidden` or 422."""
    _check(caller, body)
    user = body.user or caller.user
    assert user is not None
    identity, text = await database.write(lambda tx: make(tx, user, body))
    made = await read(database, str(identity), Selection(tuple(TOKENS.own_fields)), caller)
    return json.loads(made) | {"token": text}


def _check(caller: Caller, body: TokenCreate) -> None:
    if SCOPE.choices.index(body.scope) > caller.scope:
        message = f"A token of the scope {Scope(caller.scope).name.lower()} makes none of a wider one."
        raise Forbidden(faults=[Fault(message, "forbidden", "/scope")])
    if body.user not in (None, caller.user) and not keeps_others(caller):
        message = "To make another user's token takes the role admin and its scope."
        raise Forbidden(faults=[Fault(message, "forbidden", "/user")])


def make(tx: Transaction, user: str, body: TokenCreate) -> tuple[int, str]:
    """Make a token of a user: its number, and its text, which is not stored; raises 422."""
    stored = storage.find(tx, USERS, user)
    if stored is None:
        raise invalid([Fault(f"There is no user '{user}'.", "unknown-user", "/user")])
    if not stored.values["active"]:
        raise invalid([Fault(f"The user '{user}' is not active.", "inactive", "/user")])
    now, secret = instants.now(), codes.new()
    token = Token(
        name=body.name,
        name_folded=fold(body.name),
        user=user,
        scope=body.scope,
        digest=codes.digest(secret),
        created_at=now,
        expires_at=now + timedelta(days=body.days),
    )
    tx.session.add(token)
    tx.session.flush()  # the database assigns the id
    assert token.id is not None
    return token.id, codes.token(token.id, secret)


async def fetch(database: Database, query: ListQuery, caller: Caller) -> Page:
    """A page of the tokens that the caller may see."""
    if not keeps_others(caller):
        assert caller.user is not None
        own = Condition(TOKENS.own_fields["user"], EQUAL, (caller.user,))
        query = replace(query, conditions=(*query.conditions, own))
    return await lists.fetch(database, query)


async def read(database: Database, key: str, selection: Selection, caller: Caller) -> str:
    """One token as JSON; raises `NotFound` also for one that the caller may not see."""
    found = await database.fetch(_read(database.engine, selection), {"id": _number(key)})
    if not found or not (keeps_others(caller) or found[0][1] == caller.user):
        raise NotFound("There is no such token.")
    return found[0][0]


def read_all(tx: Transaction) -> list[dict[str, Any]]:
    """Every token, in the order of making."""
    tokens = tx.session.scalars(select(Token).order_by(col(Token.id)))
    return [TokenRead.model_validate(token).model_dump(mode="json") for token in tokens]


def revoke(tx: Transaction, key: str, user: str | None = None) -> None:
    """End a token for good, of this user or of any; raises `NotFound`."""
    query = delete(Token).where(col(Token.id) == _number(key))
    query = query if user is None else query.where(col(Token.user) == user)
    if not tx.session.scalars(query.returning(col(Token.id))).all():
        raise NotFound("There is no such token.")


def _number(key: str) -> int:
    try:
        return parse_integer(key)
    except ValueError:
        raise NotFound("There is no such token.") from None


@lru_cache(maxsize=256)
def _read(engine: Engine, selection: Selection) -> Statement:
    fields, expand = selection
    table = TOKENS.table
    query = select(as_text(document(engine, TOKENS, fields, expand)), table.c.user)
    query = query.select_from(TOKENS.joined_table(selected_fields(TOKENS, fields, expand)))
    return compile_statement(engine, query.where(table.c.id == bindparam("id", type_=INTEGER.column_type)))
