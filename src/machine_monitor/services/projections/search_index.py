"""Maintain the search index in the transaction that writes the record."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from machine_monitor.database.fulltext import SEPARATOR, cap_positions
from machine_monitor.database.transactions import Transaction
from machine_monitor.query.language.search_terms import facet_token, tokenize
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
    words = fulltext.document(document(resource, values))
    return IndexEntry(resource.name, fulltext.key_of(identity, instant), added=True, words=words)


def document(resource: Resource, values: Mapping[str, Any]) -> list[str]:
    """Return a record's tokens: the words of each field, then its facet tokens.

    A separator between fields prevents phrase matches across fields.
    """
    words = []
    for name in resource.searched:
        texts = _child_texts(values, name) if "." in name else (values[name],)
        for text in texts:
            if text is not None:
                words += [*tokenize(text), SEPARATOR]
    return cap_positions([*words, *(facet_token(name, values[name]) for name in resource.facet_token_fields)])


def _child_texts(values: Mapping[str, Any], name: str) -> list[str | None]:
    """Return the texts of a field of child rows, such as `lines.part`, one per row."""
    child_list, _, field = name.partition(".")
    return [row[field] for row in values[child_list]]


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
