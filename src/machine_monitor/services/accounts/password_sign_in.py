"""Sign in with a password, and change it.

Every failed sign-in gets the same response after the same time, so that it does not reveal which users exist.
"""

from collections.abc import Callable
from typing import NamedTuple

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
from machine_monitor.services.accounts import invitations, known_devices, passwords, rate_limit, sessions
from machine_monitor.services.accounts.rate_limit import Counters
from machine_monitor.services.accounts.user_agents import UserAgent
from machine_monitor.services.audit.history import ChangeContext

NAMES = ("first_name", "last_name")
WRONG_PASSWORD = "wrong-password"  # noqa: S105 -- the code of a fault
WRONG = "The trigram or the password is wrong."


class Browser(NamedTuple):
    """The browser that signs in: its address, its names, and the secrets of its session and device cookies."""

    address: str | None
    agent: UserAgent
    session: str | None
    device: str | None


class NewSession(NamedTuple):
    """A new session: the user's trigram, and the secrets for the session and device cookies."""

    trigram: str
    secret: str
    device: str


async def sign_in(database: Database, body: SignIn, browser: Browser) -> NewSession:
    """Sign in; raises `Unauthenticated` or `RateLimited`."""

    def counters(tx: Transaction) -> Counters:
        device = known_devices.find(tx, body.trigram, browser.device)
        return rate_limit.counters_of_sign_in(body.trigram, browser.address, device)

    trigram, counted = await _verify(database, body.trigram, body.password, counters)
    if trigram is None:
        raise Unauthenticated(WRONG)
    return await begin(database, trigram, browser, counted)


async def begin(database: Database, trigram: str, browser: Browser, counted: Counters | None = None) -> NewSession:
    """Create a session for an authenticated user, and remember the device. Ends the browser's former session."""

    def unit(tx: Transaction) -> NewSession:
        if counted is not None:
            rate_limit.reset(tx, counted)
        secret = sessions.begin(tx, trigram, browser.agent, browser.session)
        return NewSession(trigram, secret, known_devices.remember(tx, trigram, browser.device))

    return await database.write(unit)


async def change_password(
    database: Database, trigram: str, body: NewPassword, context: Callable[[], ChangeContext]
) -> None:
    """Change a password, given the current one; end every session of the user.

    Raises `Invalid` or `RateLimited`.
    """
    user = (await records.read(database, USERS, trigram, Selection(NAMES))).values
    passwords.check(body.new, [trigram, *user.values()], "/new")
    counters = rate_limit.counters_of_password_change(trigram)
    verified, _ = await _verify(database, trigram, body.current, lambda _: counters)
    if verified is None:
        raise invalid([Fault("The current password is wrong.", WRONG_PASSWORD, "/current")])
    hashed = await passwords.hash_in_thread(body.new)

    def unit(tx: Transaction) -> None:
        rate_limit.reset(tx, counters)
        invitations.set_password(tx, trigram, hashed, context())

    await database.write(unit)


async def _verify(
    database: Database, trigram: str, password: str, counters_of: Callable[[Transaction], Counters]
) -> tuple[str | None, Counters]:
    """Verify a password; return the user's trigram, or None, and the counters of this attempt.

    Raises `RateLimited` after too many failures.
    """

    def unit(tx: Transaction) -> tuple[int | None, tuple[str, str | None] | None, Counters]:
        counters = counters_of(tx)
        return rate_limit.register(tx, counters), _account(tx, trigram), counters

    seconds, account, counters = await database.write(unit)
    if seconds is not None:
        raise RateLimited(seconds)
    found, stored = account or (None, None)
    return (found if await passwords.verify(password, stored) else None), counters


def _account(tx: Transaction, trigram: str) -> tuple[str, str | None] | None:
    """Look up an active user by case-insensitive trigram: stored trigram and password hash (None without one)."""
    query = select(col(User.trigram), col(Credential.password))
    query = query.join(Credential, col(Credential.user) == col(User.trigram), isouter=True)
    return tx.session.execute(query.where(col(User.trigram_key) == trigram.lower(), col(User.active))).one_or_none()
