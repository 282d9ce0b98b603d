"""Invitations: one-time links to set a password. The first admin gets one from `mm serve`."""

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
from machine_monitor.services.accounts import account_sync, generated_secrets, passwords, sessions
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import Target, storage, validation

LIFETIME = timedelta(hours=24)
# The link for the first admin expires sooner: it needs no account.
FIRST_ADMIN_LIFETIME = timedelta(minutes=15)
# Browsers do not send the fragment, so the code does not appear in the logs of proxies.
SETUP_PATH = "/ui/setup#code="
USED = "This invitation was used, replaced or has expired. Ask an admin for a new one."


@dataclass(frozen=True)
class InvitationLink:
    """The code of a new invitation, and when it expires."""

    code: str
    expires_at: str

    def url(self, base: str) -> str:
        """Return the link to the console at this base URL."""
        return f"{base.rstrip('/')}{SETUP_PATH}{self.code}"


def invite(tx: Transaction, trigram: str) -> InvitationLink:
    """Create an invitation for a user; an earlier one becomes invalid.

    Raises `NotFound`, or `Conflict` if the user is inactive.
    """
    stored = Target(USERS, trigram).find_or_fail(tx)
    if not stored.values["active"]:
        raise Conflict("This user is inactive. Set `active` to true first.")
    tx.session.execute(delete(Invitation).where(col(Invitation.user) == stored.values["trigram"]))
    return _issue(tx, stored.values["trigram"], LIFETIME)


def invite_first(tx: Transaction) -> InvitationLink | None:
    """Create the invitation of the first admin; None if an admin exists."""
    return None if account_sync.has_admin(tx) else _issue(tx, None, FIRST_ADMIN_LIFETIME)


async def accept(database: Database, body: SetUp) -> str:
    """Set a password by invitation code and return the user's trigram; raises `Invalid` or `Gone`."""
    names = [body.trigram, body.first_name, body.last_name]
    passwords.check(body.password, names)
    # Check the code before the slow password hash, so that invalid codes cannot be used to consume CPU.
    if not await database.read(lambda tx: tx.session.scalars(select(Invitation).where(*_valid(body.code))).all()):
        raise Gone(USED)
    hashed = await passwords.hash_in_thread(body.password)
    return await database.write(lambda tx: _accept(tx, body, hashed))


def set_password(tx: Transaction, trigram: str, hashed: str) -> None:
    """Set a user's password; end the user's sessions and invitations."""
    changed = {"password": hashed, "changed_at": instants.now()}
    row = tx.engine.insert(CREDENTIALS).values(user=trigram, **changed)
    tx.session.execute(row.on_conflict_do_update(index_elements=["user"], set_=changed))
    tx.session.execute(delete(Invitation).where(col(Invitation.user) == trigram))
    sessions.end_all(tx, trigram)


def put_account(
    tx: Transaction, trigram: str, given: dict[str, Any], hashed: str | None, context: ChangeContext
) -> InvitationLink | None:
    """Create or update a user; set the password if given, else return an invitation."""
    trigram = put_user(tx, trigram, given, context)
    if hashed is None:
        return invite(tx, trigram)
    set_password(tx, trigram, hashed)
    return None


def put_user(tx: Transaction, trigram: str, given: dict[str, Any], context: ChangeContext) -> str:
    """Create a user, or update the given fields; return the trigram in its stored spelling."""
    stored = storage.find(tx, USERS, USERS.unique_key_of(trigram), USERS.unique_column)
    if stored is not None:
        values = validation.validate(USERS.create, stored.writable_values | given).model_dump(mode="json")
        return records.apply_values(tx, stored, values, context).key
    values = validation.validate(USERS.create, {"trigram": trigram, **given}).model_dump(mode="json")
    return records.insert(tx, USERS, values, context).key


def _accept(tx: Transaction, body: SetUp, hashed: str) -> str:
    # DELETE ... RETURNING: of concurrent requests with one code only one gets the row.
    found = tx.session.scalars(delete(Invitation).where(*_valid(body.code)).returning(col(Invitation.user))).all()
    if not found:
        raise Gone(USED)
    (invited,) = found
    given = {name: getattr(body, name) for name in ("first_name", "last_name") if getattr(body, name) is not None}
    trigram = _first_admin(tx, body, given) if invited is None else _activate_invited(tx, body, invited, given)
    set_password(tx, trigram, hashed)
    return trigram


def _first_admin(tx: Transaction, body: SetUp, given: dict[str, Any]) -> str:
    account_sync.acquire_admin_lock(tx)
    if account_sync.has_admin(tx):
        raise Gone(USED)
    if body.trigram is None:
        raise invalid([Fault("The first admin needs a trigram.", "required", "/trigram")])
    stored = storage.find(tx, USERS, USERS.unique_key_of(body.trigram), USERS.unique_column)
    trigram = body.trigram if stored is None else stored.values["trigram"]
    return put_user(tx, trigram, {**given, "role": "admin", "active": True}, ChangeContext("setup", trigram))


def _activate_invited(tx: Transaction, body: SetUp, trigram: str, given: dict[str, Any]) -> str:
    stored = storage.find(tx, USERS, trigram)
    assert stored is not None
    if not stored.values["active"]:
        raise Gone(USED)
    if body.trigram is not None and USERS.unique_key_of(body.trigram) != USERS.unique_key_of(trigram):
        raise invalid([Fault("This invitation is for another user.", pointer="/trigram")])
    passwords.check(body.password, [trigram, stored.values["first_name"], stored.values["last_name"]])
    return put_user(tx, trigram, given, ChangeContext("setup", trigram))


def _issue(tx: Transaction, trigram: str | None, lifetime: timedelta) -> InvitationLink:
    now = instants.now()
    expires_at, code = now.replace(microsecond=0) + lifetime, generated_secrets.generate()
    tx.session.execute(delete(Invitation).where(col(Invitation.expires_at) < now))
    tx.session.add(Invitation(digest=generated_secrets.digest(code), user=trigram, expires_at=expires_at))
    return InvitationLink(code, instants.format_instant(expires_at))


def _valid(code: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for an unexpired invitation with this code."""
    return col(Invitation.digest) == generated_secrets.digest(code), col(Invitation.expires_at) > instants.now()
