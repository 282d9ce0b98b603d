"""Rate limits of signing in, by account and by address. They are in the database, so all workers count together."""

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
    """The subjects that an attempt counts for, and how often each may fail; the address, shared by accounts, first."""
    account = {f"account {trigram.lower()}": MAX_PER_ACCOUNT}
    return account if address is None else {f"address {_network(address)}": MAX_PER_ADDRESS, **account}


def register(tx: Transaction, limits: Limits) -> int | None:
    """Count an attempt; the seconds to wait if there were too many.

    It counts before the password is verified, so that attempts made at the same time all count.
    """
    now = instants.now()
    tx.session.execute(delete(Attempt).where(col(Attempt.since) < now - WINDOW))
    for subject, limit in limits.items():
        known = tx.session.get(Attempt, subject)
        # An attempt that is refused anyway writes nothing.
        count, since = _count(tx, subject, now) if known is None or known.count < limit else (limit + 1, known.since)
        if count > limit:
            return max(1, int((since + WINDOW - now).total_seconds()))
    return None


def reset(tx: Transaction, limits: Limits) -> None:
    """After a successful attempt: forget all of the account's, and this one of the address."""
    for subject in limits:
        is_subject = col(Attempt.subject) == subject
        if subject.startswith("account"):
            tx.session.execute(delete(Attempt).where(is_subject))
        else:
            tx.session.execute(update(Attempt).where(is_subject).values(count=col(Attempt.count) - 1))


def _count(tx: Transaction, subject: str, now: datetime) -> tuple[int, datetime]:
    """Count one more. A single statement does it, so that no other transaction comes between."""
    row = tx.engine.insert(ATTEMPTS).values(subject=subject, count=1, since=now)
    counted = row.on_conflict_do_update(index_elements=["subject"], set_={"count": ATTEMPTS.c.count + 1})
    return tx.session.execute(counted.returning(ATTEMPTS.c.count, ATTEMPTS.c.since)).one()


def _network(address: str) -> str:
    """The address, of IPv6 the network: whoever has one of its addresses has them all."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address
