"""Maintain the search index in the transaction that writes the record."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from machine_monitor.database.fulltext import SEPARATOR, cap_positions
from machine_monitor.database.transactions import Transaction
from machine_monitor.query.language.search_terms import facet_token, tokenize_readings
from machine_monitor.query.schema import Resource


class IndexUpdate(NamedTuple):
    """A record's values before and after a write; `before` is None for a new record, `after` for a deleted one."""

    resource: Resource
    id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class IndexEntry(NamedTuple):
    """A document to add to the index, or to remove from it (`added` is False)."""

    index: str
    key: int
    added: bool
    words: str


def enqueue_update(tx: Transaction, change: IndexUpdate) -> None:
    """Update the index for this record before the transaction ends."""
    tx.defer(write_all, change)


def entry(tx: Transaction, resource: Resource, identity: int, values: Mapping[str, Any]) -> IndexEntry:
    """Build the index entry of a record with these values."""
    instant = values[resource.tiebreakers[0]] if resource.search_follows_time else None
    fulltext = tx.engine.fulltext
    words = fulltext.format_tokens(search_document(resource, values))
    return IndexEntry(resource.name, fulltext.key_of(identity, instant), added=True, words=words)


def search_document(resource: Resource, values: Mapping[str, Any]) -> list[str]:
    """Return a record's search document: its texts in words, some of them cut further, then its facet tokens.

    A separator between texts prevents phrase matches across them. Every write and rebuild calls this, and `mm verify`
    compares its result with the index. After a change of the rules, raise `maintenance.RULES`.
    """
    as_they_are, cut = [], []
    for text in searched_texts(resource, values):
        words, parts = tokenize_readings(text)
        as_they_are += [*words, SEPARATOR]
        if parts:
            cut += [*parts, SEPARATOR]
    facet_tokens = [facet_token(name, values[name]) for name in resource.facet_token_fields]
    return cap_positions([*as_they_are, *cut, *facet_tokens])


def searched_texts(resource: Resource, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a record that `q` searches, in the order of the declaration."""
    for name in resource.searched:
        value = values.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            # Sorted by key: engines return the keys of an object in different orders.
            yield from (text for _, text in sorted(value.items()) if isinstance(text, str))
        elif "." in name:  # of child rows, such as `lines.part`: one text per row
            child_list, _, field = name.partition(".")
            yield from (row[field] for row in values[child_list] if row[field] is not None)


def write(tx: Transaction, entries: Iterable[IndexEntry]) -> None:
    """Write entries sorted by key: FTS5 starts a new segment whenever a row id is not higher than the last one."""
    for (name, added), group in groupby(sorted(entries), key=itemgetter(0, 2)):
        text = tx.engine.fulltext.add if added else tx.engine.fulltext.remove
        tx.cursor.executemany(text.format(name=name), [{"key": entry.key, "words": entry.words} for entry in group])


def write_all(tx: Transaction, changes: list[IndexUpdate]) -> None:
    """Apply the queued updates; several updates of one record become one."""
    first: dict[tuple[str, int], IndexUpdate] = {}
    last: dict[tuple[str, int], IndexUpdate] = {}
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
