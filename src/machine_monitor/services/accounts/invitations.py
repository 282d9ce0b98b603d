"""Invitations: one-time links to set a password. The first admin gets one from `mm serve`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault, Gone, invalid
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS
from machine_monitor.models.accounts.sign_in import SetUp
from machine_monitor.models.accounts.tables import Credential, Invitation
from machine_monitor.services import records
from machine_monitor.services.accounts import (
    account_history,
    account_sync,
    generated_secrets,
    passwords,
    sessions,
    time_bounds,
)
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import Target, storage, validation

LIFETIME = timedelta(hours=24)
# The link for the first admin expires sooner: it needs no account.
FIRST_ADMIN_LIFETIME = timedelta(minutes=15)
# Browsers do not send the fragment, so the code does not appear in the logs of proxies.
SETUP_PATH = "/ui/setup#code="
VIA = "setup"
USED = "This invitation was used, replaced or has expired. Ask an admin for a new one."


@dataclass(frozen=True)
class InvitationLink:
    """The code of a new invitation, and when it expires."""

    code: str
    expires_at: str

    def url(self, base: str) -> str:
        """Return the link to the console at this base URL."""
        return f"{base.rstrip('/')}{SETUP_PATH}{self.code}"


def invite(tx: Transaction, trigram: str, context: ChangeContext) -> InvitationLink:
    """Create an invitation for a user; an earlier one becomes invalid.

    Raises `NotFound`, or `Conflict` if the user is inactive.
    """
    stored = Target(USERS, trigram).find_or_fail(tx)
    if not stored.values["active"]:
        raise Conflict("This user is inactive. Set `active` to true first.")
    user = stored.values["trigram"]
    tx.session.execute(delete(Invitation).where(col(Invitation.user) == user))
    link = _issue(tx, user, LIFETIME)
    account_history.record(tx, user, {"invitation": [None, {"expires_at": link.expires_at}]}, context)
    return link


def invite_first(tx: Transaction) -> InvitationLink | None:
    """Create the invitation of the first admin; None if an admin exists."""
    return None if account_sync.has_admin(tx) else _issue(tx, None, FIRST_ADMIN_LIFETIME)


async def accept(database: Database, body: SetUp, request_id: str) -> str:
    """Set a password by invitation code and return the user's trigram; raises `Invalid` or `Gone`."""
    names = [body.trigram, body.first_name, body.last_name]
    passwords.check(body.password, names)
    # Check the code before the slow password hash, so that invalid codes cannot be used to consume CPU.
    if not await database.read(lambda tx: tx.session.scalars(select(Invitation).where(*_valid(body.code))).all()):
        raise Gone(USED)
    hashed = await passwords.hash_in_thread(body.password)
    return await database.write(lambda tx: _accept(tx, body, hashed, request_id))


def set_password(tx: Transaction, trigram: str, hashed: str, context: ChangeContext) -> None:
    """Set a user's password; end the user's sessions and invitations."""
    before = tx.session.scalar(select(col(Credential.changed_at)).where(col(Credential.user) == trigram))
    changed = {"password": hashed, "changed_at": instants.now()}
    times = [None if at is None else instants.format_instant(at) for at in (before, changed["changed_at"])]
    account_history.record(tx, trigram, {"password_set_at": times}, context)
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
        return invite(tx, trigram, context)
    set_password(tx, trigram, hashed, context)
    return None


def put_user(tx: Transaction, trigram: str, given: dict[str, Any], context: ChangeContext) -> str:
    """Create a user, or update the given fields; return the trigram in its stored spelling."""
    stored = storage.find(tx, USERS, USERS.unique_key_of(trigram), USERS.unique_column)
    if stored is not None:
        values = validation.validate(USERS.create, stored.writable_values | given).model_dump(mode="json")
        return records.apply_values(tx, stored, values, context).key
    values = validation.validate(USERS.create, {"trigram": trigram, **given}).model_dump(mode="json")
    return records.insert(tx, USERS, values, context).key


def _accept(tx: Transaction, body: SetUp, hashed: str, request_id: str) -> str:
    # DELETE ... RETURNING: of concurrent requests with one code only one gets the row.
    used = delete(Invitation).where(*_valid(body.code)).returning(col(Invitation.user), col(Invitation.expires_at))
    deleted = tx.session.execute(used).all()
    if not deleted:
        raise Gone(USED)
    ((invited, expires_at),) = deleted
    given = {name: getattr(body, name) for name in ("first_name", "last_name") if getattr(body, name) is not None}
    if invited is None:
        trigram = _first_admin(tx, body)
        given |= {"role": "admin", "active": True}
    else:
        trigram = _require_invited(tx, body, invited)
    context = ChangeContext(VIA, trigram, request_id=request_id)
    trigram = put_user(tx, trigram, given, context)
    used_invitation = {"expires_at": instants.format_instant(expires_at)}
    account_history.record(tx, trigram, {"invitation": [used_invitation, None]}, context)
    set_password(tx, trigram, hashed, context)
    return trigram


def _first_admin(tx: Transaction, body: SetUp) -> str:
    """Return the trigram of the first admin; raises `Gone` if there is an admin, `Invalid` without a trigram."""
    account_sync.acquire_admin_lock(tx)
    if account_sync.has_admin(tx):
        raise Gone(USED)
    if body.trigram is None:
        raise invalid([Fault("The first admin needs a trigram.", "required", "/trigram")])
    stored = storage.find(tx, USERS, USERS.unique_key_of(body.trigram), USERS.unique_column)
    return body.trigram if stored is None else stored.values["trigram"]


def _require_invited(tx: Transaction, body: SetUp, trigram: str) -> str:
    """Return the trigram of the invited user; raises `Gone` or `Invalid` if the invitation does not fit."""
    stored = storage.find(tx, USERS, trigram)
    assert stored is not None
    if not stored.values["active"]:
        raise Gone(USED)
    if body.trigram is not None and USERS.unique_key_of(body.trigram) != USERS.unique_key_of(trigram):
        raise invalid([Fault("This invitation is for another user.", pointer="/trigram")])
    passwords.check(body.password, [trigram, stored.values["first_name"], stored.values["last_name"]])
    return trigram


def _issue(tx: Transaction, trigram: str | None, lifetime: timedelta) -> InvitationLink:
    now = instants.now()
    expires_at, code = now.replace(microsecond=0) + lifetime, generated_secrets.generate()
    tx.session.execute(delete(Invitation).where(time_bounds.is_removable(col(Invitation.expires_at), now)))
    tx.session.add(Invitation(digest=generated_secrets.digest(code), user=trigram, expires_at=expires_at))
    return InvitationLink(code, instants.format_instant(expires_at))


def _valid(code: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for a valid invitation with this code: neither expired nor created in the future."""
    now, expires_at = instants.now(), col(Invitation.expires_at)
    latest = time_bounds.latest_start(now)
    is_of_user = col(Invitation.user).is_not(None)
    is_in_time = or_(expires_at <= latest + FIRST_ADMIN_LIFETIME, and_(is_of_user, expires_at <= latest + LIFETIME))
    return col(Invitation.digest) == generated_secrets.digest(code), expires_at > now, is_in_time
