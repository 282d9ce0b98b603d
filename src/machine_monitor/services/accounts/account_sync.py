"""Keep accounts consistent with users, and protect the last admin.

A change of role or status ends the user's sessions; deleting a user deletes the account.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import col

from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault
from machine_monitor.models.accounts.tables import Credential, Invitation, KnownDevice, Session
from machine_monitor.models.accounts.token import Token
from machine_monitor.models.idempotency import IdempotencyRecord
from machine_monitor.models.user import User
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.accounts import sessions
from machine_monitor.services.audit.history import ChangeContext

ADMIN = Role.ADMIN.name.lower()
LAST_ADMIN = "This is the last active admin with a password. Create another admin first."


def after_user_update(
    tx: Transaction, before: Mapping[str, Any], after: Mapping[str, Any], context: ChangeContext
) -> None:
    """End the user's sessions if the role or `active` changed; raises `Conflict` for the last admin."""
    if all(before[name] == after[name] for name in ("role", "active")):
        return
    if _is_admin(before) and not _is_admin(after):
        _require_another_admin(tx, before["trigram"], "/role" if after["active"] else "/active")
    sessions.end_all(tx, before["trigram"], context)


def after_user_delete(tx: Transaction, before: Mapping[str, Any]) -> None:
    """Delete the account of a deleted user; raises `Conflict` for the last admin.

    The responses stored for the user's idempotency keys go too: a new user of this trigram must not get them.
    """
    user = before["trigram"]
    if _is_admin(before):
        _require_another_admin(tx, user)
    for owned in (Session, KnownDevice, Invitation, Token, Credential, IdempotencyRecord):
        tx.session.execute(delete(owned).where(col(owned.user) == user))


def has_admin(tx: Transaction) -> bool:
    """Whether an active admin has a password. A token does not count: it expires."""
    return bool(_admins(tx))


def acquire_admin_lock(tx: Transaction) -> None:
    """Block until no other transaction is adding or removing admins; released at commit."""
    # Lock the whole table: before the first admin there is no row to lock.
    tx.engine.lock_table(tx.cursor, str(Credential.__tablename__))


def _require_another_admin(tx: Transaction, user: str, pointer: str | None = None) -> None:
    acquire_admin_lock(tx)
    if _admins(tx) == {user}:
        raise Conflict(faults=[Fault(LAST_ADMIN, "last-admin", pointer)])


def _is_admin(user: Mapping[str, Any]) -> bool:
    return user["active"] and user["role"] == ADMIN


def _admins(tx: Transaction) -> set[str]:
    query = select(col(User.trigram)).join(Credential, col(Credential.user) == col(User.trigram))
    return set(tx.session.scalars(query.where(col(User.role) == ADMIN, col(User.active))))
