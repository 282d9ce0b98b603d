"""The last backup: `mm backup` records it in the database, so that the service can show it."""

import json
import logging
from typing import NamedTuple

from machine_monitor.database.connect import Database
from machine_monitor.database.engines import canonical_json
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import MonitorError
from machine_monitor.models.derived import Derived

# The name of its row in the table `derived`.
NAME = "last_backup"
logger = logging.getLogger(__name__)


class LastBackup(NamedTuple):
    """When a backup was finished, and its size in bytes."""

    at: str
    bytes: int


def write(database: Database, last: LastBackup) -> None:
    """Record a backup in the database that it is a copy of; only log a warning if that database cannot be written.

    The backup does not contain this record, because it is complete by then.
    """
    row = Derived(name=NAME, value=canonical_json(last._asdict()))
    try:
        database.transact(lambda tx: tx.session.merge(row))
    except (MonitorError, OSError) as error:
        logger.warning("the backup is complete, but could not be recorded in the database: %s", error)


def read(tx: Transaction) -> LastBackup | None:
    """Return the last recorded backup; None if there is none."""
    row = tx.session.get(Derived, NAME)
    return None if row is None else LastBackup(**json.loads(row.value))
