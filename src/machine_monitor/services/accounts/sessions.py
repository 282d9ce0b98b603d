"""Console sessions: created at sign-in, ended by timeout, by the user, or by a change of password, role or status."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import NotFound
from machine_monitor.models.accounts.sign_in import SessionRead
from machine_monitor.models.accounts.tables import Session
from machine_monitor.services.accounts import account_history, generated_secrets, time_bounds
from machine_monitor.services.accounts.user_agents import UNKNOWN, UserAgent
from machine_monitor.services.audit.history import ChangeContext

IDLE_TIMEOUT = timedelta(minutes=30)
LIFETIME = timedelta(hours=12)
# Of each user, the sessions that were used last.
MAX_PER_USER = 100
# The members of a session in the history.
RECORDED = {"id", "created_at", "browser", "device"}


def begin(tx: Transaction, user: str, agent: UserAgent = UNKNOWN, former: str | None = None) -> str:
    """Create a session for a user; return the secret for its cookie. Ends the former session of the same browser."""
    now, secret = instants.now(), generated_secrets.generate()
    if former is not None:
        end(tx, generated_secrets.digest(former))
    for used_at, duration in ((col(Session.created_at), LIFETIME), (col(Session.seen_at), IDLE_TIMEOUT)):
        tx.session.execute(delete(Session).where(time_bounds.is_removable(used_at, now - duration)))
    digest = generated_secrets.digest(secret)
    tx.session.add(Session(digest=digest, user=user, created_at=now, seen_at=now, **agent._asdict()))
    last_used = select(col(Session.digest)).where(col(Session.user) == user)
    last_used = last_used.order_by(col(Session.seen_at).desc()).limit(MAX_PER_USER)
    tx.session.execute(delete(Session).where(col(Session.user) == user, col(Session.digest).not_in(last_used)))
    return secret


def read_all(tx: Transaction, user: str, current: str | None = None) -> list[SessionRead]:
    """Return the sessions of a user, the last used first; `current` is the digest of the caller's own."""
    return [_read(session, current) for session in _find_all(tx, user)]


def end(tx: Transaction, digest: str) -> None:
    """End one session."""
    tx.session.execute(delete(Session).where(col(Session.digest) == digest))


def end_by_id(tx: Transaction, user: str, session_id: str, context: ChangeContext) -> str:
    """End the session of a user with this id, and record it; return its digest. Raises `NotFound`."""
    for session in _find_all(tx, user):
        if generated_secrets.session_id(session.digest) == session_id:
            end(tx, session.digest)
            _record_end(tx, session, context)
            return session.digest
    raise NotFound("You have no such session. It may have ended already.")


def end_all(tx: Transaction, user: str, context: ChangeContext | None = None) -> None:
    """End every session of a user; with a context, each has an entry in the history."""
    if context is not None:
        for session in _find_all(tx, user):
            _record_end(tx, session, context)
    tx.session.execute(delete(Session).where(col(Session.user) == user))


def _find_all(tx: Transaction, user: str) -> Sequence[Session]:
    now = instants.now()
    is_valid = [col(Session.created_at) > now - LIFETIME, col(Session.seen_at) > now - IDLE_TIMEOUT]
    is_valid += [column <= time_bounds.latest_start(now) for column in (col(Session.created_at), col(Session.seen_at))]
    query = select(Session).where(col(Session.user) == user, *is_valid)
    return tx.session.scalars(query.order_by(col(Session.seen_at).desc(), col(Session.digest))).all()


def _record_end(tx: Transaction, session: Session, context: ChangeContext) -> None:
    ended = _read(session).model_dump(mode="json", include=RECORDED)
    account_history.record(tx, session.user, {"session": [ended, None]}, context)


def _read(session: Session, current: str | None = None) -> SessionRead:
    return SessionRead(
        id=generated_secrets.session_id(session.digest),
        created_at=session.created_at,
        last_used_at=session.seen_at,
        expires_at=min(session.created_at + LIFETIME, session.seen_at + IDLE_TIMEOUT),
        browser=session.browser,
        device=session.device,
        current=session.digest == current,
    )
