"""Verification: whether the history is whole, and what is derived from the records still says what they say."""

from collections.abc import Callable
from dataclasses import dataclass

from machine_monitor.database.connect import Database
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import RESOURCES
from machine_monitor.services.audit import hash_chain
from machine_monitor.services.audit.hash_chain import Head
from machine_monitor.services.projections import counters, maintenance

Progress = Callable[[int, int], None]
SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What is wrong, a sentence each, and where the history ends: the head that a later verification can be given."""

    faults: list[str]
    head: Head


def verify(database: Database, known: Head | None = None, progress: Progress | None = None) -> Verdict:
    """Compare everything with the records; `known` is a head that the history must contain. Reads one moment."""
    return database.snapshot(lambda tx: Verdict(_faults(tx, known, progress), hash_chain.head(tx)))


def _faults(tx: Transaction, known: Head | None, progress: Progress | None) -> list[str]:
    found = hash_chain.verify(tx, known, progress)
    for done, resource in enumerate(RESOURCES, 1):
        keys = maintenance.find_stale_index_entries(tx, resource)
        if keys:
            shown = ", ".join(map(str, keys[:SHOWN])) + (", ..." if len(keys) > SHOWN else "")
            found.append(
                f"The search index of {resource.name} differs from {len(keys)} records ({shown}): "
                "run `mm doctor --rebuild-search`."
            )
        if progress is not None:
            progress(done, len(RESOURCES))
    if differing := counters.find_wrong_counters(tx):
        found.append(
            f"The counts of logs by {', '.join(differing)} differ from the logs: run `mm doctor --rebuild-search`."
        )
    return found
