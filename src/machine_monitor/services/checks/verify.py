"""Verify a database: its schema, the hash chain, the records against their history, and the derived data.

See docs/internals/hash-chain.md for what this proves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from machine_monitor.database.connect import Database
from machine_monitor.database.schema import objects
from machine_monitor.database.schema.definitions import SchemaObject
from machine_monitor.database.transactions import Transaction
from machine_monitor.models import METADATA, RESOURCES
from machine_monitor.query.schema import Resource
from machine_monitor.services.audit import hash_chain, sealing
from machine_monitor.services.audit.hash_chain import Head
from machine_monitor.services.checks import comparison
from machine_monitor.services.projections import counters, maintenance
from machine_monitor.services.projections.reliability import summing

Progress = Callable[[int, int], None]
MAX_LISTED = 5
NOT_COVERED = (
    "Not compared, because the history does not have their values: passwords, tokens, sessions, invitations, "
    "stored responses, saved mappings, and the files that records were imported from."
)
OTHER_RULES = (
    "The search index was not checked: it was made by other rules, or with another version of Unicode. "
    "The next command that opens the database rebuilds it."
)
PENDING = (
    "Changes that wait for their place in the hash chain, usually for less than a second: {}. "
    "They were compared with the records, but have no hash yet."
)
# Data derived from the texts of records, each with the function that returns the ids of records that it does not match.
DERIVED_TEXTS = {
    "search index": maintenance.find_stale_index_entries,
    "table of folded texts": maintenance.find_stale_folded_texts,
}
REBUILD = "Run `mm doctor --rebuild-search`."
DO_NOT_REBUILD = "Do not rebuild it before the other faults are explained."


@dataclass(frozen=True)
class Verdict:
    """The faults, one sentence each, and the head of the hash chain, to be given to a later verification.

    `notes` say what was not checked.
    """

    faults: list[str]
    head: Head
    notes: list[str] = field(default_factory=list)


def verify(database: Database, expected: Head | None = None, progress: Progress | None = None) -> Verdict:
    """Verify a snapshot of the database; `expected` is a head that the history must contain."""
    sealing.seal_and_add_now(database)
    return database.snapshot(lambda tx: inspect(tx, expected, progress))


def inspect(tx: Transaction, expected: Head | None = None, progress: Progress | None = None) -> Verdict:
    """Verify the database as a transaction sees it."""
    differing, notes = objects.find_differences(tx.engine, tx.cursor, METADATA), [NOT_COVERED]
    faults = [each.sentence for each in differing]
    faults += hash_chain.verify(tx, expected, progress)
    faults += comparison.find_faults(tx, RESOURCES, progress)
    # A rebuild makes derived data from the records: it is no remedy while these may be forged.
    advice = DO_NOT_REBUILD if faults else REBUILD
    derived = [*_counter_faults(tx), *_sum_faults(tx)]
    if maintenance.is_search_current(tx):
        unusable = {each.schema_object for each in differing}
        searchable = [each for each in RESOURCES if SchemaObject("table", f"{each.name}_search") not in unusable]
        derived += _search_faults(tx, searchable, progress)
    else:
        notes.append(OTHER_RULES)
    faults += [f"{fault} {advice}" for fault in derived]
    if pending := hash_chain.count_pending(tx):
        notes.append(PENDING.format(pending))
    return Verdict(faults, hash_chain.head(tx), notes)


def _search_faults(tx: Transaction, resources: Sequence[Resource], progress: Progress | None) -> Iterator[str]:
    for done, resource in enumerate(resources, 1):
        for what, find in DERIVED_TEXTS.items():
            ids = find(tx, resource)
            if ids:
                yield f"The {what} of {resource.name} differs from {len(ids)} records ({_listed(ids)})."
        if progress is not None:
            progress(done, len(resources))


def _counter_faults(tx: Transaction) -> Iterator[str]:
    if wrong := counters.find_wrong_counters(tx):
        yield f"The counters of logs by {', '.join(wrong)} differ from the logs."


def _sum_faults(tx: Transaction) -> Iterator[str]:
    if wrong := summing.find_wrong_sums(tx):
        yield f"The monthly sums of reliability of machines with the ids {_listed(wrong)} differ from the logs."


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:MAX_LISTED])) + (", ..." if len(ids) > MAX_LISTED else "")
