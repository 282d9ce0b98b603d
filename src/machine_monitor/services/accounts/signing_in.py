"""Signing in by a password, and changing it: whatever is wrong, with the same words and in the same time."""

from functools import cache

from sqlalchemy import bindparam, select

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, RateLimited, Unauthenticated, invalid
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS
from machine_monitor.models.accounts.signing_in import NewPassword, SignIn
from machine_monitor.services.accounts import invitations, limits, passwords, sessions
from machine_monitor.services.accounts.limits import Limits

WRONG = "The trigram or the password is wrong."


async def sign_in(database: Database, body: SignIn, address: str | None) -> tuple[str, str]:
    """Begin a session: the user's trigram, and the secret for its cookie; raises 401 or 429."""
    counted = limits.of(body.trigram, address)
    trigram = await _verify(database, body.trigram, body.password, counted)
    if trigram is None:
        raise Unauthenticated(WRONG)
    return trigram, await begin(database, trigram, counted)


async def begin(database: Database, trigram: str, counted: Limits | None = None) -> str:
    """Begin a session of a user who has shown who it is: the secret for its cookie."""

    def unit(tx: Transaction) -> str:
        limits.succeed(tx, counted or {})
        return sessions.begin(tx, trigram)

    return await database.write(unit)


async def change_password(database: Database, trigram: str, body: NewPassword) -> None:
    """Change a password by the one so far; every session of the user ends. Raises 422 or 429."""
    found = await database.fetch(_account(database.engine), {"trigram": trigram.lower()})
    passwords.check(body.new, [trigram, *(name for row in found for name in row[2:])], "/new")
    counted = limits.of(trigram, None)
    if await _verify(database, trigram, body.current, counted) is None:
        raise invalid([Fault("This is not the password so far.", "wrong-password", "/current")])
    hashed = await passwords.hash_beside(body.new)

    def unit(tx: Transaction) -> None:
        limits.succeed(tx, counted)
        invitations.set_password(tx, trigram, hashed)

    await database.write(unit)


async def _verify(database: Database, trigram: str, password: str, counted: Limits) -> str | None:
    """The user's trigram if the password is theirs; raises `RateLimited` after too many that were not."""
    seconds = await database.write(lambda tx: limits.attempt(tx, counted))
    if seconds is not None:
        raise RateLimited(seconds)
    rows = await database.fetch(_account(database.engine), {"trigram": trigram.lower()})
    found, stored = rows[0][:2] if rows else (None, None)
    return found if await passwords.verify(password, stored) else None


@cache
def _account(engine: Engine) -> Statement:
    """An active user whatever the case of the trigram: trigram, hashed password or null, names."""
    users, credentials = USERS.table, CREDENTIALS
    columns = (users.c.trigram, credentials.c.password, users.c.first_name, users.c.last_name)
    query = select(*columns).join_from(users, credentials, users.c.trigram == credentials.c.user, isouter=True)
    by_trigram = users.c.trigram_key == bindparam("trigram", type_=users.c.trigram_key.type)
    return compile_statement(engine, query.where(by_trigram, users.c.active))
