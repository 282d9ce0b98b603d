"""What a change of a user means for its account; and that there is always an admin who can sign in."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select

from machine_monitor.database.engines import Engine
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, Fault
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS, INVITATIONS, SESSIONS, TOKENS
from machine_monitor.services.access.permissions import Role
from machine_monitor.services.accounts import rows, sessions

LAST = "This is the last active admin who has a password: make another one first."


def follow_change(tx: Transaction, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Let the account follow a change of its user; raises `Conflict` if nobody could administer any more."""
    if all(before[name] == after[name] for name in ("role", "active")):
        return
    if _is_admin(before) and not _is_admin(after):
        _leave_one(tx, before["trigram"], "/role" if after["active"] else "/active")
    sessions.end_all(tx, before["trigram"])


def follow_removal(tx: Transaction, before: Mapping[str, Any]) -> None:
    """Remove the account of a user who is removed; raises `Conflict` if nobody could administer any more."""
    user = before["trigram"]
    if _is_admin(before):
        _leave_one(tx, user)
    for table in (SESSIONS, INVITATIONS, TOKENS.table, CREDENTIALS):
        rows.remove(tx, table, user=user)


def has_admin(tx: Transaction) -> bool:
    """Whether an active admin has a password. A token alone does not count: it runs out."""
    return bool(_admins(tx))


def acquire_admin_lock(tx: Transaction) -> None:
    """Block until no other transaction is changing who is an admin; released at commit."""
    # The whole table: before the first admin there is no row to lock.
    tx.engine.lock_table(tx.cursor, CREDENTIALS.name)


def _leave_one(tx: Transaction, user: str, pointer: str | None = None) -> None:
    acquire_admin_lock(tx)
    if _admins(tx) == {user}:
        raise Conflict(faults=[Fault(LAST, "last-admin", pointer)])


def _is_admin(user: Mapping[str, Any]) -> bool:
    return user["active"] and user["role"] == Role.ADMIN.name.lower()


def _admins(tx: Transaction) -> set[str]:
    return {row[0] for row in tx.run(_able(tx.engine), {"role": Role.ADMIN})}


@cache
def _able(engine: Engine) -> Statement:
    users, credentials = USERS.table, CREDENTIALS
    query = select(users.c.trigram).join_from(users, credentials, users.c.trigram == credentials.c.user)
    is_admin = users.c.role == bindparam("role", type_=users.c.role.type)
    return compile_statement(engine, query.where(is_admin, users.c.active))
