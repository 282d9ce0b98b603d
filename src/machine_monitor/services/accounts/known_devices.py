"""Known devices: browsers in which an account signed in lately, recognized by a long-lived cookie.

Each has its own count of failed sign-ins, so that nobody else can lock the account there.
"""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlmodel import col

from machine_monitor.database import instants
from machine_monitor.database.transactions import Transaction
from machine_monitor.models.accounts import KNOWN_DEVICES
from machine_monitor.models.accounts.tables import KnownDevice
from machine_monitor.models.user import User
from machine_monitor.services.accounts import generated_secrets, time_bounds

LIFETIME = timedelta(days=90)
# A user keeps the devices that were used last.
MAX_PER_USER = 50


def find(tx: Transaction, trigram: str, secret: str | None) -> str | None:
    """Return the digest of the device with this cookie if the account signed in there lately; case is ignored."""
    if secret is None:
        return None
    now = instants.now()
    query = select(col(KnownDevice.digest)).join(User, col(User.trigram) == col(KnownDevice.user))
    is_recent = col(KnownDevice.seen_at).between(now - LIFETIME, time_bounds.latest_start(now))
    is_device = col(KnownDevice.digest) == generated_secrets.digest(secret)
    return tx.session.scalar(query.where(is_device, col(User.trigram_key) == trigram.lower(), is_recent))


def remember(tx: Transaction, user: str, secret: str | None) -> str:
    """Remember that a user signed in on a device; return the secret of its cookie, a new one for a new device."""
    if secret is None or not _exists(tx, secret):
        secret = generated_secrets.generate()
    now = instants.now()
    row = tx.engine.insert(KNOWN_DEVICES).values(digest=generated_secrets.digest(secret), user=user, seen_at=now)
    tx.session.execute(row.on_conflict_do_update(index_elements=["digest", "user"], set_={"seen_at": now}))
    newest = select(col(KnownDevice.digest)).where(col(KnownDevice.user) == user)
    newest = newest.order_by(col(KnownDevice.seen_at).desc()).limit(MAX_PER_USER)
    tx.session.execute(delete(KnownDevice).where(col(KnownDevice.user) == user, col(KnownDevice.digest).not_in(newest)))
    return secret


def _exists(tx: Transaction, secret: str) -> bool:
    is_device = col(KnownDevice.digest) == generated_secrets.digest(secret)
    return tx.session.scalar(select(col(KnownDevice.digest)).where(is_device).limit(1)) is not None
