"""Rate limiting of sign-in attempts, per account and per IP address, against brute force.

Attempts are counted in the database, so that all workers share the limits.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import delete, update
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.models.accounts import ATTEMPTS
from machine_monitor.models.accounts.tables import Attempt

WINDOW = timedelta(minutes=15)
MAX_PER_ACCOUNT = 10
MAX_PER_ADDRESS = 50

Limits = Mapping[str, int]


def keys_for(trigram: str, address: str | None) -> Limits:
    """Return the rate limit keys of an attempt with their limits: first the IP address, then the account."""
    account = {f"account {trigram.lower()}": MAX_PER_ACCOUNT}
    return account if address is None else {f"address {_network(address)}": MAX_PER_ADDRESS, **account}


def register(tx: Transaction, limits: Limits) -> int | None:
    """Count an attempt; return the seconds to wait if a limit is exceeded, else None.

    Call this before the password is verified, so that concurrent attempts all count.
    """
    now = instants.now()
    tx.session.execute(delete(Attempt).where(col(Attempt.since) < now - WINDOW))
    for subject, limit in limits.items():
        counter = tx.session.get(Attempt, subject)
        # A rejected attempt writes nothing.
        if counter is None or counter.count < limit:
            count, since = _increment(tx, subject, now)
        else:
            count, since = limit + 1, counter.since
        if count > limit:
            return max(1, int((since + WINDOW - now).total_seconds()))
    return None


def reset(tx: Transaction, limits: Limits) -> None:
    """After a successful sign-in, reset the account's counter and undo this attempt for the address."""
    for subject in limits:
        is_subject = col(Attempt.subject) == subject
        if subject.startswith("account"):
            tx.session.execute(delete(Attempt).where(is_subject))
        else:
            tx.session.execute(update(Attempt).where(is_subject).values(count=col(Attempt.count) - 1))


def _increment(tx: Transaction, subject: str, now: datetime) -> tuple[int, datetime]:
    """Increment the counter atomically, in one upsert."""
    insert = tx.engine.insert(ATTEMPTS).values(subject=subject, count=1, since=now)
    upsert = insert.on_conflict_do_update(index_elements=["subject"], set_={"count": ATTEMPTS.c.count + 1})
    return tx.session.execute(upsert.returning(ATTEMPTS.c.count, ATTEMPTS.c.since)).one()


def _network(address: str) -> str:
    """Return the address, or its /64 network for IPv6: a client usually controls a whole /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address
