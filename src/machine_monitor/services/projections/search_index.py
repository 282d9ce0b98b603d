"""The search index: each record's words, kept in the transaction that writes the record."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from machine_monitor.database.fulltext import DIVIDER, cap_positions
from machine_monitor.database.transactions import Transaction
from machine_monitor.query.language.search_terms import facet_token, tokenize
from machine_monitor.query.schema import Resource


class Change(NamedTuple):
    """What a record said before, and what it says now; None where it was not there, or is no more."""

    resource: Resource
    id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class Entry(NamedTuple):
    """A document that leaves an index, or comes in."""

    index: str
    key: int
    added: bool
    words: str


def follow(tx: Transaction, change: Change) -> None:
    """Let the index follow a change of a record before the transaction ends."""
    tx.defer(write_all, change)


def entry(tx: Transaction, resource: Resource, identity: int, values: Mapping[str, Any]) -> Entry:
    """The entry of a record that says this."""
    instant = values[resource.tiebreakers[0]] if resource.search_follows_time else None
    index = tx.engine.index
    words = index.document(document(resource, values))
    return Entry(resource.name, index.key_of(identity, instant), added=True, words=words)


def document(resource: Resource, values: Mapping[str, Any]) -> list[str]:
    """The words of a record: those of each field, divided, then a word for each facet.

    The divider keeps a phrase from reaching from one field into the next.
    """
    words = []
    for name in resource.searched:
        texts = _texts_of_list(values, name) if "." in name else (values[name],)
        for text in texts:
            if text is not None:
                words += [*tokenize(text), DIVIDER]
    return cap_positions([*words, *(facet_token(name, values[name]) for name in resource.facet_words)])


def _texts_of_list(values: Mapping[str, Any], name: str) -> list[str | None]:
    """The texts of a list's rows under a name such as `lines.part`."""
    field, _, of_item = name.partition(".")
    return [row[of_item] for row in values[field]]


def write(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Write entries, in the order of their keys: FTS5 begins a segment of its own whenever a rowid is not the next."""
    for (name, added), found in groupby(sorted(entries), key=itemgetter(0, 2)):
        text = tx.engine.index.add if added else tx.engine.index.remove
        tx.cursor.executemany(text.format(name=name), [{"key": entry.key, "words": entry.words} for entry in found])


def write_all(tx: Transaction, changes: list[Change]) -> None:
    """Write what changes of these records make of the index."""
    first: dict[tuple[str, int], Change] = {}
    last: dict[tuple[str, int], Change] = {}
    for change in changes:
        first.setdefault((change.resource.name, change.id), change)
        last[change.resource.name, change.id] = change
    entries = []
    for key, change in last.items():
        before, after = first[key].before, change.after
        old = entry(tx, change.resource, change.id, before)._replace(added=False) if before else None
        new = entry(tx, change.resource, change.id, after) if after else None
        if old and new and old._replace(added=True) == new:
            continue
        entries += [found for found in (old, new) if found]
    write(tx, entries)
