"""Sessions of the console: begun by a password, ended by time, by the user, or by what changes the account."""

from datetime import timedelta

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.models.accounts import SESSIONS
from machine_monitor.services.accounts import codes, rows

IDLE = timedelta(minutes=30)
LIFETIME = timedelta(hours=12)


def begin(tx: Transaction, user: str) -> str:
    """A new session of a user: the secret for its cookie."""
    now, secret = instants.now(), codes.new()
    rows.remove_before(tx, SESSIONS, "created_at", instants.text(now - LIFETIME))
    rows.remove_before(tx, SESSIONS, "seen_at", instants.text(now - IDLE))
    at = instants.text(now)
    rows.add(tx, SESSIONS, digest=codes.digest(secret), user=user, created_at=at, seen_at=at)
    return secret


def end(tx: Transaction, digest: str) -> None:
    """End one session."""
    rows.remove(tx, SESSIONS, digest=digest)


def end_all(tx: Transaction, user: str) -> None:
    """End every session of a user."""
    rows.remove(tx, SESSIONS, user=user)
