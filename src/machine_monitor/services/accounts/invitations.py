"""Invitations: links that set a password once; and the first admin, who has nobody to be invited by."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, Gone, invalid
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS, INVITATIONS
from machine_monitor.models.accounts.signing_in import SetUp
from machine_monitor.services import records, storage, validation
from machine_monitor.services.accounts import codes, members, passwords, rows, sessions
from machine_monitor.services.history import Author
from machine_monitor.services.records import Target

LIFETIME = timedelta(hours=24)
# Of the link that makes the first admin.
FIRST = timedelta(minutes=15)
# In the fragment, which no browser sends: the code stays out of the logs of servers between.
PLACE = "/ui/setup#code="
USED = "This code was used, replaced or has run out: ask for a new invitation."


@dataclass(frozen=True)
class Invitation:
    """A code that was just made, and until when it is good."""

    code: str
    expires_at: str

    def url(self, base: str) -> str:
        """The link to the console at this address."""
        return f"{base.rstrip('/')}{PLACE}{self.code}"


def invite(tx: Transaction, trigram: str) -> Invitation:
    """A link for a user, which replaces the one before; raises `NotFound`, or `Conflict` if the user is not active."""
    stored = Target(USERS, trigram).find_living(tx)
    if not stored.values["active"]:
        raise Conflict("This user is not active: switch the account on first.")
    rows.remove(tx, INVITATIONS, user=stored.values["trigram"])
    return _issue(tx, stored.values["trigram"], LIFETIME)


def invite_first(tx: Transaction) -> Invitation | None:
    """A link that makes the first admin; None if there is one."""
    return None if members.has_admin(tx) else _issue(tx, None, FIRST)


async def accept(database: Database, body: SetUp) -> str:
    """Set the password that goes with a code; the user's trigram. Raises 422, `Gone`, or 422 of what is stored."""
    names = [body.trigram, body.first_name, body.last_name]
    passwords.check(body.password, names)
    # Before the password is hashed, which costs something.
    if not await database.fetch(_good(database.engine), _values(database.engine, body.code)):
        raise Gone(USED)
    hashed = await passwords.hash_beside(body.password)
    return await database.write(lambda tx: _accept(tx, body, hashed))


def set_password(tx: Transaction, trigram: str, hashed: str) -> None:
    """Let a user have this password; whoever was signed in by another, or invited, is not any more."""
    rows.put(tx, CREDENTIALS, user=trigram, password=hashed, changed_at=rows.now())
    rows.remove(tx, INVITATIONS, user=trigram)
    sessions.end_all(tx, trigram)


def enrol(
    tx: Transaction, trigram: str, given: dict[str, Any], hashed: str | None, author: Author
) -> Invitation | None:
    """Add or change a user, and set the password if there is one; else the link by which the user chooses it."""
    trigram = put_user(tx, trigram, given, author)
    if hashed is None:
        return invite(tx, trigram)
    set_password(tx, trigram, hashed)
    return None


def put_user(tx: Transaction, trigram: str, given: dict[str, Any], author: Author) -> str:
    """Add a user, or change what is given of the one that is there; the trigram as it is stored."""
    stored = storage.find(tx, USERS, USERS.unique_key_of(trigram), USERS.unique_by)
    if stored is not None:
        values = validation.read(USERS.create, stored.shown | given).model_dump(mode="json")
        return records.change(tx, stored, values, author).key
    values = validation.read(USERS.create, {"trigram": trigram, **given}).model_dump(mode="json")
    return records.insert(tx, USERS, values, author).key


def _accept(tx: Transaction, body: SetUp, hashed: str) -> str:
    found = tx.run(_good(tx.engine), _values(tx.engine, body.code))
    # Of those who come at once with one code, whoever removes it has it.
    if not found or not rows.remove(tx, INVITATIONS, digest=codes.digest(body.code)):
        raise Gone(USED)
    invited = found[0][0]
    given = {name: getattr(body, name) for name in ("first_name", "last_name") if getattr(body, name) is not None}
    trigram = _first_admin(tx, body, given) if invited is None else _invited(tx, body, invited, given)
    set_password(tx, trigram, hashed)
    return trigram


def _first_admin(tx: Transaction, body: SetUp, given: dict[str, Any]) -> str:
    members.acquire_admin_lock(tx)
    if members.has_admin(tx):
        raise Gone(USED)
    if body.trigram is None:
        raise invalid([Fault("The first admin needs a trigram.", "required", "/trigram")])
    stored = storage.find(tx, USERS, USERS.unique_key_of(body.trigram), USERS.unique_by)
    trigram = body.trigram if stored is None else stored.values["trigram"]
    return put_user(tx, trigram, {**given, "role": "admin", "active": True}, Author("setup", trigram))


def _invited(tx: Transaction, body: SetUp, trigram: str, given: dict[str, Any]) -> str:
    stored = storage.find(tx, USERS, trigram)
    assert stored is not None
    if not stored.values["active"]:
        raise Gone(USED)
    if body.trigram is not None and USERS.unique_key_of(body.trigram) != USERS.unique_key_of(trigram):
        raise invalid([Fault("The invitation is another user's.", pointer="/trigram")])
    passwords.check(body.password, [trigram, stored.values["first_name"], stored.values["last_name"]])
    return put_user(tx, trigram, given, Author("setup", trigram))


def _issue(tx: Transaction, trigram: str | None, lifetime: timedelta) -> Invitation:
    now = instants.now()
    rows.remove_before(tx, INVITATIONS, "expires_at", instants.text(now))
    made = Invitation(codes.new(), instants.text(now.replace(microsecond=0) + lifetime))
    rows.add(tx, INVITATIONS, digest=codes.digest(made.code), user=trigram, expires_at=made.expires_at)
    return made


def _values(engine: Engine, code: str) -> dict[str, Any]:
    return {"digest": codes.digest(code), "now": engine.store(rows.now(), TIME)}


@cache
def _good(engine: Engine) -> Statement:
    """Whose code this is, if it is good; null for the first admin's."""
    table = INVITATIONS
    by_digest = table.c.digest == bindparam("digest", type_=table.c.digest.type)
    goes_on = table.c.expires_at > bindparam("now", type_=table.c.expires_at.type)
    return compile_statement(engine, select(table.c.user).where(by_digest, goes_on))
