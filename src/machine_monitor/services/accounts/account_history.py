"""The history of accounts: tokens, passwords, invitations and ended sessions, in the hash chain of all changes.

Only admins see these entries. They never contain a secret, not even a digest.
"""

from sqlalchemy import select

from machine_monitor.database.transactions import Transaction
from machine_monitor.models import USERS
from machine_monitor.models.audit import ACCOUNTS
from machine_monitor.services.audit import history
from machine_monitor.services.audit.history import ChangeContext, Changes, EntryTarget


def record(tx: Transaction, user: str, changes: Changes, context: ChangeContext) -> None:
    """Append an entry about the account of a user: what changed, before and after."""
    users = USERS.table.c
    identity, version = tx.session.execute(select(users.id, users.version).where(users.trigram == user)).one()
    history.append_entry(tx, "update", EntryTarget(ACCOUNTS, identity, user, version), changes, context)
