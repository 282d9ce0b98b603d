"""Rate limiting of failed sign-ins, against brute force.

Each account has its own counter for each IP address and for each known device, so that failures elsewhere lock nobody
out. Each address also has one counter for all accounts. Attempts are counted in the database, so that all workers share
the limits.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from sqlalchemy import delete, or_, update
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.models.accounts import ATTEMPTS
from machine_monitor.models.accounts.tables import Attempt

WINDOW = timedelta(minutes=15)
# A concurrent attempt that began later may have been counted first.
CONCURRENCY = timedelta(seconds=10)
MAX_PER_ACCOUNT = 10
MAX_PER_ADDRESS = 50
# Clients without an address share these counters.
NO_ADDRESS = "unknown"


class Counters(NamedTuple):
    """The counters of an attempt: of the account at this place, and, unless the device is known, of the address."""

    account: str
    address: str | None = None

    def limits(self) -> Mapping[str, int]:
        """Return the limit of each counter."""
        shared = {} if self.address is None else {self.address: MAX_PER_ADDRESS}
        return {**shared, self.account: MAX_PER_ACCOUNT}


def counters_of_sign_in(trigram: str, address: str | None, device: str | None) -> Counters:
    """Return the counters of a sign-in; `device` is the digest of a device that is known for this account."""
    account = trigram.lower()
    if device is not None:
        return Counters(f"device {device} account {account}")
    place = f"address {network_of(address)}"
    return Counters(f"{place} account {account}", place)


def counters_of_password_change(trigram: str) -> Counters:
    """Return the counter of wrong current passwords of a signed-in user."""
    return Counters(f"change account {trigram.lower()}")


def register(tx: Transaction, counters: Counters) -> int | None:
    """Count an attempt; return the seconds to wait if a limit is exceeded, else None.

    Call this before the password is verified, so that concurrent attempts all count.
    """
    now = instants.now()
    # A counter that began in the future was begun while the clock was ahead: it would last until the clock gets there.
    is_in_future = col(Attempt.since) > now + CONCURRENCY
    tx.session.execute(delete(Attempt).where(or_(col(Attempt.since) < now - WINDOW, is_in_future)))
    limits = counters.limits()
    # An attempt that is rejected counts nowhere.
    for subject, limit in limits.items():
        counter = tx.session.get(Attempt, subject)
        if counter is not None and counter.count >= limit:
            return _seconds_to_wait(counter.since, now)
    for subject, limit in limits.items():
        count, since = _increment(tx, subject, now)
        if count > limit:
            return _seconds_to_wait(since, now)
    return None


def reset(tx: Transaction, counters: Counters) -> None:
    """After a successful sign-in, reset the account's counter and undo this attempt for the address."""
    tx.session.execute(delete(Attempt).where(col(Attempt.subject) == counters.account))
    if counters.address is not None:
        of_address = update(Attempt).where(col(Attempt.subject) == counters.address)
        tx.session.execute(of_address.values(count=col(Attempt.count) - 1))


def _seconds_to_wait(since: datetime, now: datetime) -> int:
    return max(1, int(min(since + WINDOW - now, WINDOW).total_seconds()))


def _increment(tx: Transaction, subject: str, now: datetime) -> tuple[int, datetime]:
    """Increment the counter atomically, in one upsert."""
    insert = tx.engine.insert(ATTEMPTS).values(subject=subject, count=1, since=now)
    upsert = insert.on_conflict_do_update(index_elements=["subject"], set_={"count": ATTEMPTS.c.count + 1})
    return tx.session.execute(upsert.returning(ATTEMPTS.c.count, ATTEMPTS.c.since)).one()


def network_of(address: str | None) -> str:
    """Return the address, or its /64 network for IPv6: a client usually controls a whole /64."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return NO_ADDRESS
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    # A socket for both families shows IPv4 clients as ::ffff:192.0.2.1, all of them in one /64.
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
