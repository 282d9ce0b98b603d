"""Sign in with a password, and change it.

Every failed sign-in gets the same response after the same time, so that it does not reveal which users exist.
"""

from sqlalchemy import select
from sqlmodel import col

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Fault, RateLimited, Unauthenticated, invalid
from machine_monitor.models import USERS
from machine_monitor.models.accounts.sign_in import NewPassword, SignIn
from machine_monitor.models.accounts.tables import Credential
from machine_monitor.models.user import User
from machine_monitor.query.schema import Selection
from machine_monitor.services import records
from machine_monitor.services.accounts import invitations, passwords, rate_limit, sessions
from machine_monitor.services.accounts.rate_limit import Limits

NAMES = ("first_name", "last_name")
WRONG = "The trigram or the password is wrong."


async def sign_in(database: Database, body: SignIn, address: str | None) -> tuple[str, str]:
    """Sign in; return the user's trigram and the secret for the session cookie.

    Raises `Unauthenticated` or `RateLimited`.
    """
    limits = rate_limit.keys_for(body.trigram, address)
    trigram = await _verify(database, body.trigram, body.password, limits)
    if trigram is None:
        raise Unauthenticated(WRONG)
    return trigram, await begin(database, trigram, limits)


async def begin(database: Database, trigram: str, limits: Limits | None = None) -> str:
    """Create a session for an authenticated user; return the secret for its cookie."""

    def unit(tx: Transaction) -> str:
        rate_limit.reset(tx, limits or {})
        return sessions.begin(tx, trigram)

    return await database.write(unit)


async def change_password(database: Database, trigram: str, body: NewPassword) -> None:
    """Change a password, given the current one; end every session of the user.

    Raises `Invalid` or `RateLimited`.
    """
    user = (await records.read(database, USERS, trigram, Selection(NAMES))).values
    passwords.check(body.new, [trigram, *user.values()], "/new")
    limits = rate_limit.keys_for(trigram, None)
    if await _verify(database, trigram, body.current, limits) is None:
        raise invalid([Fault("The current password is wrong.", "wrong-password", "/current")])
    hashed = await passwords.hash_in_thread(body.new)

    def unit(tx: Transaction) -> None:
        rate_limit.reset(tx, limits)
        invitations.set_password(tx, trigram, hashed)

    await database.write(unit)


async def _verify(database: Database, trigram: str, password: str, limits: Limits) -> str | None:
    """Verify a password and return the user's trigram, else None; raises `RateLimited` after too many failures."""
    seconds, account = await database.write(lambda tx: (rate_limit.register(tx, limits), _account(tx, trigram)))
    if seconds is not None:
        raise RateLimited(seconds)
    found, stored = account or (None, None)
    return found if await passwords.verify(password, stored) else None


def _account(tx: Transaction, trigram: str) -> tuple[str, str | None] | None:
    """Look up an active user by case-insensitive trigram: stored trigram and password hash (None without one)."""
    query = select(col(User.trigram), col(Credential.password))
    query = query.join(Credential, col(Credential.user) == col(User.trigram), isouter=True)
    return tx.session.execute(query.where(col(User.trigram_key) == trigram.lower(), col(User.active))).one_or_none()
