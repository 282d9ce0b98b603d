"""The time zone of the legacy clock, as the last sync was told; later syncs and exports use it."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from machine_monitor.database.transactions import Transaction
from machine_monitor.models.derived import Derived

# The name of its row in the table `derived`.
NAME = "legacy_zone"


def remember(tx: Transaction, zone: ZoneInfo) -> None:
    """Store the zone of a sync."""
    tx.session.merge(Derived(name=NAME, value=zone.key))


def remembered(tx: Transaction) -> ZoneInfo | None:
    """Return the zone of the last sync; None if there was none."""
    row = tx.session.get(Derived, NAME)
    try:
        return None if row is None else ZoneInfo(row.value)
    except (ZoneInfoNotFoundError, ValueError):
        return None
