"""Console sessions: created at sign-in, ended by timeout, sign-out, or a change of password, role or status."""

from datetime import timedelta

from sqlalchemy import delete, or_
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.models.accounts.tables import Session
from machine_monitor.services.accounts import generated_secrets

IDLE_TIMEOUT = timedelta(minutes=30)
LIFETIME = timedelta(hours=12)


def begin(tx: Transaction, user: str) -> str:
    """Create a session for a user; return the secret for its cookie."""
    now, secret = instants.now(), generated_secrets.generate()
    expired = or_(col(Session.created_at) < now - LIFETIME, col(Session.seen_at) < now - IDLE_TIMEOUT)
    tx.session.execute(delete(Session).where(expired))
    tx.session.add(Session(digest=generated_secrets.digest(secret), user=user, created_at=now, seen_at=now))
    return secret


def end(tx: Transaction, digest: str) -> None:
    """End one session."""
    tx.session.execute(delete(Session).where(col(Session.digest) == digest))


def end_all(tx: Transaction, user: str) -> None:
    """End every session of a user."""
    tx.session.execute(delete(Session).where(col(Session.user) == user))
