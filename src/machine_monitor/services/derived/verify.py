"""Verification: whether what is derived from the records still says what they say."""

from collections.abc import Callable

from machine_monitor.database.connect import Database, Transaction
from machine_monitor.models import RESOURCES
from machine_monitor.services.derived import counts, upkeep

Progress = Callable[[int, int], None]
SHOWN = 5


def verify(database: Database, progress: Progress | None = None) -> list[str]:
    """What is wrong, a sentence each; empty if nothing is. Reads one moment, and all of it."""
    return database.snapshot(lambda tx: _faults(tx, progress))


def _faults(tx: Transaction, progress: Progress | None) -> list[str]:
    found = []
    for done, resource in enumerate(RESOURCES, 1):
        keys = upkeep.search_faults(tx, resource)
        if keys:
            shown = ", ".join(map(str, keys[:SHOWN])) + (", ..." if len(keys) > SHOWN else "")
            found.append(
                f"The search index of {resource.name} differs from {len(keys)} records ({shown}): "
                "run `mm doctor --rebuild-search`."
            )
        if progress is not None:
            progress(done, len(RESOURCES))
    if differing := counts.differing(tx):
        found.append(
            f"The counts of logs by {', '.join(differing)} differ from the logs: run `mm doctor --rebuild-search`."
        )
    return found
