"""Full text search on SQLite: a contentless FTS5 table `<name>_search`; row ids are made by `fulltext.fts_rowid`."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from machine_monitor.database.fulltext import ID_MASK, SEPARATOR, Documents, FulltextIndex, SearchQuery, Term, fts_rowid

# The number of hash buckets for the index check, so that its memory does not grow with the records.
BUCKETS = 1 << 20
VOCABULARY = "CREATE VIRTUAL TABLE temp.{name}_words USING fts5vocab(main, '{name}_search', 'instance')"


class Fts5Index(FulltextIndex):
    """A contentless FTS5 index: to remove a document, FTS5 needs exactly the words that were inserted."""

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

    def format_tokens(self, words: Sequence[str]) -> str:
        return " ".join(words)

    def query(self, search: SearchQuery) -> str:
        # FTS5 cannot run a NOT alone: match the separator, which every document contains, and exclude from that.
        required = [" OR ".join(map(_term, group)) for group in search.required] or [f'"{SEPARATOR}"']
        base = " AND ".join(f"({group})" for group in required)
        return f"({base})" + "".join(f" NOT {_term(term)}" for term in search.excluded)

    def bulk_load(self, cursor: Any, name: str) -> AbstractContextManager:
        del cursor, name
        return nullcontext()

    def find_differences(self, cursor: Any, name: str, documents: Documents) -> Iterator[int]:
        # Compare sums of hashes: first per bucket of keys, then per key in the buckets that differ.
        cursor.execute(VOCABULARY.format(name=name))
        try:
            by_bucket = _bucket_sums(cursor, name, documents, lambda key: key % BUCKETS)
            suspect = {bucket for bucket, total in by_bucket.items() if total}
            if suspect:
                sums = _bucket_sums(cursor, name, documents, lambda key: key if key % BUCKETS in suspect else -1)
                yield from sorted(key for key, total in sums.items() if total and key >= 0)
        finally:
            cursor.execute(f"DROP TABLE temp.{name}_words")


def _term(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")


def _bucket_sums(cursor: Any, name: str, documents: Documents, bucket_of: Callable[[int], int]) -> dict[int, int]:
    """Sum a hash of each word per bucket: plus for the documents, minus for the index. Zero means that they agree."""
    sums: dict[int, int] = defaultdict(int)
    for chunk in documents():
        for key, words in chunk:
            sums[bucket_of(key)] += sum(hash((key, word, position)) for position, word in enumerate(words.split(" ")))
    for word, key, position in cursor.execute(f"SELECT term, doc, offset FROM temp.{name}_words"):
        sums[bucket_of(key)] -= hash((key, word, position))
    return sums
