"""Invitations: links that set a password once. The first admin, whom nobody can invite, gets one from `mm serve`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, Gone, invalid
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS
from machine_monitor.models.accounts.sign_in import SetUp
from machine_monitor.models.accounts.tables import Invitation
from machine_monitor.services import records
from machine_monitor.services.accounts import codes, members, passwords, sessions
from machine_monitor.services.audit.history import Author
from machine_monitor.services.records import Target, storage, validation

LIFETIME = timedelta(hours=24)
# The link that makes the first admin expires sooner.
FIRST = timedelta(minutes=15)
# Browsers do not send the fragment, so the code stays out of the logs of proxies.
PLACE = "/ui/setup#code="
USED = "This code was used, replaced or has run out: ask for a new invitation."


@dataclass(frozen=True)
class InvitationLink:
    """A new code, and when it expires."""

    code: str
    expires_at: str

    def url(self, base: str) -> str:
        """The link to the console at this address."""
        return f"{base.rstrip('/')}{PLACE}{self.code}"


def invite(tx: Transaction, trigram: str) -> InvitationLink:
    """A link for a user, which replaces the one before; raises `NotFound`, or `Conflict` if the user is not active."""
    stored = Target(USERS, trigram).find_or_fail(tx)
    if not stored.values["active"]:
        raise Conflict("This user is not active: switch the account on first.")
    tx.session.execute(delete(Invitation).where(col(Invitation.user) == stored.values["trigram"]))
    return _issue(tx, stored.values["trigram"], LIFETIME)


def invite_first(tx: Transaction) -> InvitationLink | None:
    """A link that makes the first admin; None if there is one."""
    return None if members.has_admin(tx) else _issue(tx, None, FIRST)


async def accept(database: Database, body: SetUp) -> str:
    """Set the password that goes with a code; the user's trigram. Raises 422, `Gone`, or 422 of what is stored."""
    names = [body.trigram, body.first_name, body.last_name]
    passwords.check(body.password, names)
    # Hashing is slow: a wrong code must not cost it.
    if not await database.read(lambda tx: tx.session.scalars(select(Invitation).where(*_valid(body.code))).all()):
        raise Gone(USED)
    hashed = await passwords.hash_beside(body.password)
    return await database.write(lambda tx: _accept(tx, body, hashed))


def set_password(tx: Transaction, trigram: str, hashed: str) -> None:
    """Set a user's password; the user's sessions and invitations end."""
    changed = {"password": hashed, "changed_at": instants.now()}
    row = tx.engine.insert(CREDENTIALS).values(user=trigram, **changed)
    tx.session.execute(row.on_conflict_do_update(index_elements=["user"], set_=changed))
    tx.session.execute(delete(Invitation).where(col(Invitation.user) == trigram))
    sessions.end_all(tx, trigram)


def enrol(
    tx: Transaction, trigram: str, given: dict[str, Any], hashed: str | None, author: Author
) -> InvitationLink | None:
    """Add or change a user, and set the password if there is one; else the link by which the user chooses it."""
    trigram = put_user(tx, trigram, given, author)
    if hashed is None:
        return invite(tx, trigram)
    set_password(tx, trigram, hashed)
    return None


def put_user(tx: Transaction, trigram: str, given: dict[str, Any], author: Author) -> str:
    """Add a user, or change what is given of the one that is there; the trigram as it is stored."""
    stored = storage.find(tx, USERS, USERS.unique_key_of(trigram), USERS.unique_column)
    if stored is not None:
        values = validation.validate(USERS.create, stored.writable_values | given).model_dump(mode="json")
        return records.apply_values(tx, stored, values, author).key
    values = validation.validate(USERS.create, {"trigram": trigram, **given}).model_dump(mode="json")
    return records.insert(tx, USERS, values, author).key


def _accept(tx: Transaction, body: SetUp, hashed: str) -> str:
    # Of several requests with one code, the one that deletes the row has it.
    found = tx.session.scalars(delete(Invitation).where(*_valid(body.code)).returning(col(Invitation.user))).all()
    if not found:
        raise Gone(USED)
    (invited,) = found
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
    stored = storage.find(tx, USERS, USERS.unique_key_of(body.trigram), USERS.unique_column)
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


def _issue(tx: Transaction, trigram: str | None, lifetime: timedelta) -> InvitationLink:
    now = instants.now()
    expires_at, code = now.replace(microsecond=0) + lifetime, codes.new()
    tx.session.execute(delete(Invitation).where(col(Invitation.expires_at) < now))
    tx.session.add(Invitation(digest=codes.digest(code), user=trigram, expires_at=expires_at))
    return InvitationLink(code, instants.text(expires_at))


def _valid(code: str) -> tuple[ColumnElement[bool], ...]:
    """The conditions that find the invitation with this code, unless it has expired."""
    return col(Invitation.digest) == codes.digest(code), col(Invitation.expires_at) > instants.now()
