"""Full text on SQLite: a contentless FTS5 table `<name>_search`, whose row id is the record's `place`."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from machine_monitor.database.fulltext import ID_MASK, SEPARATOR, Documents, FulltextIndex, SearchQuery, Term, fts_rowid

# To find what differs, sums are kept for so many groups of keys: memory does not grow with the records.
GROUPS = 1 << 20
VOCABULARY = "CREATE VIRTUAL TABLE temp.{name}_words USING fts5vocab(main, '{name}_search', 'instance')"


class Fts5Index(FulltextIndex):
    """Without contents, FTS5 must be told the very words it was given when a document is removed."""

    create = (
        (
            "CREATE VIRTUAL TABLE {name}_search USING fts5 "
            "(words, content='', columnsize=0, tokenize='ascii', prefix='2 3')"
        ),
    )
    add = "INSERT INTO {name}_search (rowid, words) VALUES (:key, :words)"
    remove = "INSERT INTO {name}_search ({name}_search, rowid, words) VALUES ('delete', :key, :words)"
    clear = "INSERT INTO {name}_search ({name}_search) VALUES ('delete-all')"
    key_of = staticmethod(fts_rowid)

    def id_of(self, key: int, *, follows_time: bool) -> int:
        return key & ID_MASK if follows_time else key

    def document(self, words: Sequence[str]) -> str:
        return " ".join(words)

    def query(self, search: SearchQuery) -> str:
        # FTS5 refuses an exclusion alone: it starts from the divider, which every document has.
        required = [" OR ".join(map(_term, group)) for group in search.required] or [f'"{SEPARATOR}"']
        base = " AND ".join(f"({group})" for group in required)
        return f"({base})" + "".join(f" NOT {_term(term)}" for term in search.excluded)

    def bulk_load(self, cursor: Any, name: str) -> AbstractContextManager:
        del cursor, name
        return nullcontext()

    def find_differences(self, cursor: Any, name: str, documents: Documents) -> Iterator[int]:
        # Compare sums of hashes: first of groups of keys, then of the keys in groups that differ.
        cursor.execute(VOCABULARY.format(name=name))
        try:
            by_group = _sums(cursor, name, documents, lambda key: key % GROUPS)
            suspect = {group for group, total in by_group.items() if total}
            if suspect:
                sums = _sums(cursor, name, documents, lambda key: key if key % GROUPS in suspect else -1)
                yield from sorted(key for key, total in sums.items() if total and key >= 0)
        finally:
            cursor.execute(f"DROP TABLE temp.{name}_words")


def _term(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")


def _sums(cursor: Any, name: str, documents: Documents, group: Callable[[int], int]) -> dict[int, int]:
    """For each group of keys, what its documents add up to, less what the index holds: zero where both are the same."""
    sums: dict[int, int] = defaultdict(int)
    for chunk in documents():
        for key, words in chunk:
            sums[group(key)] += sum(hash((key, word, position)) for position, word in enumerate(words.split(" ")))
    for word, key, position in cursor.execute(f"SELECT term, doc, offset FROM temp.{name}_words"):
        sums[group(key)] -= hash((key, word, position))
    return sums
