"""Full text as the engines keep it: the same words, the same phrases, the same searches on both.

Each resource has a table `<name>_search`. On SQLite it is a contentless FTS5 index whose rowid is the record's `place`;
on PostgreSQL a tsvector by the record's id. Words are cut and folded before they come here: letters and digits only,
but for those that begin with `DIVIDER`, the sign that no text has.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import FromClause, column, table

DIVIDER = "\ue000"
# What a tsvector can hold: beyond it words count, phrases don't. SQLite gets the same cut.
MAX_OCCURRENCES = 255
MAX_POSITION = 16_383
ID_BITS = 30
ID_MASK = (1 << ID_BITS) - 1
HIGHEST_PLACE = (1 << 63) - 1


@dataclass(frozen=True)
class Term:
    """Words that follow each other in one field; the last may be only a beginning."""

    words: tuple[str, ...]
    prefix: bool = False
    excluded: bool = False


@dataclass(frozen=True)
class Search:
    """What an index is asked for: of each group of alternatives one, and none of what is excluded."""

    required: tuple[tuple[Term, ...], ...]
    excluded: tuple[Term, ...] = ()


@dataclass(frozen=True, eq=False)
class Index:
    """How an engine's index is written and asked; the texts name the table as `{name}`, `key` is what `key_of` gives.

    FTS5 must be told the very words that it was given when a document leaves. `differing` yields the keys under which
    the index of a resource holds something else than these documents; it may go through them twice. All of an index is
    written inside `filling` (cursor, name).
    """

    key_of: Callable[[int, str | None], int]
    document: Callable[[Sequence[str]], str]
    query: Callable[[Search], str]
    add: str
    remove: str
    clear: str
    filling: Callable[[Any, str], AbstractContextManager]
    differing: Callable[[Any, str, "Documents"], Iterator[int]]


# Goes through all documents of a resource, some at a time, each with its key.
Documents = Callable[[], Iterable[Sequence[tuple[int, str]]]]


@cache
def index_of(name: str) -> FromClause:
    """The search table of a resource; its key column is `rowid` on SQLite, `id` on PostgreSQL."""
    return table(f"{name}_search", column("rowid"), column("id"), column("words"))


def place(identity: int, instant: str | None = None) -> int:
    """A record's rowid in an FTS5 index: its id, after the second of `instant` if rows are to follow time.

    Whole seconds are in exact order; the fractions of one second share a bucket, in which ids count.
    """
    if instant is None:
        return identity
    moment = datetime.fromisoformat(instant)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return ((seconds * 2 + bool(moment.microsecond)) << ID_BITS) | identity


def second(instant: str) -> tuple[int, int]:
    """The first and the last place that a record of the same second can have."""
    first = place(0, instant) >> (ID_BITS + 1) << (ID_BITS + 1)
    return first, first | (1 << ID_BITS) | ID_MASK


def bounded(words: Iterable[str]) -> list[str]:
    """The words of a document with a divider where a position would be beyond what is kept."""
    words = list(words)
    if len(words) <= MAX_OCCURRENCES:
        return words
    seen: Counter[str] = Counter()
    kept = []
    for word in words[:MAX_POSITION]:
        seen[word] += 1
        kept.append(word if seen[word] <= MAX_OCCURRENCES else DIVIDER)
    beyond = dict.fromkeys(word for word in words[MAX_POSITION:] if word not in seen)
    return [*kept, *(part for word in beyond for part in (DIVIDER, word))]


def fts5_document(words: Sequence[str]) -> str:
    """A document for FTS5: its words between blanks."""
    return " ".join(words)


def tsvector_document(words: Sequence[str]) -> str:
    """A document for `::tsvector`: each word with its positions."""
    positions: dict[str, list[str]] = defaultdict(list)
    for position, word in enumerate(words, 1):
        if word == DIVIDER:
            continue
        if position <= MAX_POSITION:
            positions[word].append(str(position))
        else:
            positions[word] += []
    return " ".join(f"'{word}':{','.join(found)}" if found else f"'{word}'" for word, found in positions.items())


def fts5_query(search: Search) -> str:
    """A search for MATCH. FTS5 refuses an exclusion alone: it starts from the divider, which every document has."""
    required = [" OR ".join(map(_fts5_term, group)) for group in search.required] or [f'"{DIVIDER}"']
    base = " AND ".join(f"({group})" for group in required)
    return f"({base})" + "".join(f" NOT {_fts5_term(term)}" for term in search.excluded)


def tsquery(search: Search) -> str:
    """A search for `::tsquery`."""
    required = ["(" + " | ".join(map(_tsquery_term, group)) + ")" for group in search.required]
    return " & ".join([*required, *(f"!{_tsquery_term(term)}" for term in search.excluded)])


def _fts5_term(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")


def _tsquery_term(term: Term) -> str:
    *first, last = [f"'{word}'" for word in term.words]
    return "(" + " <-> ".join([*first, last + (":*" if term.prefix else "")]) + ")"


# Sums of what is indexed are kept for so many groups of keys, so that memory does not grow with the records.
GROUPS = 1 << 20
VOCABULARY = "CREATE VIRTUAL TABLE temp.{name}_words USING fts5vocab(main, '{name}_search', 'instance')"
UNEQUAL = """SELECT coalesce(found.id, given.id)
FROM unnest(%(keys)s::bigint[], %(words)s::text[]) AS given (id, words)
FULL JOIN (SELECT * FROM {name}_search WHERE id > %(after)s AND (id <= %(upto)s OR %(upto)s IS NULL)) found USING (id)
WHERE found.words IS DISTINCT FROM given.words::tsvector"""


def _fts5_differing(cursor: Any, name: str, documents: Documents) -> Iterator[int]:
    cursor.execute(VOCABULARY.format(name=name))
    try:
        suspect = {group for group, total in _sums(cursor, name, documents, lambda key: key % GROUPS).items() if total}
        if suspect:
            sums = _sums(cursor, name, documents, lambda key: key if key % GROUPS in suspect else -1)
            yield from sorted(key for key, total in sums.items() if total and key >= 0)
    finally:
        cursor.execute(f"DROP TABLE temp.{name}_words")


def _sums(cursor: Any, name: str, documents: Documents, group: Callable[[int], int]) -> dict[int, int]:
    """For each group of keys, what its documents add up to, less what the index holds: zero where both are the same."""
    sums: dict[int, int] = defaultdict(int)
    for chunk in documents():
        for key, words in chunk:
            sums[group(key)] += sum(hash((key, word, position)) for position, word in enumerate(words.split(" ")))
    for word, key, position in cursor.execute(f"SELECT term, doc, offset FROM temp.{name}_words"):
        sums[group(key)] -= hash((key, word, position))
    return sums


def _tsvector_differing(cursor: Any, name: str, documents: Documents) -> Iterator[int]:
    after = 0
    for chunk in chain(documents(), [[]]):
        keys, words = [key for key, _ in chunk], [text for _, text in chunk]
        upto = max(keys, default=None)
        cursor.execute(UNEQUAL.format(name=name), {"keys": keys, "words": words, "after": after, "upto": upto})
        yield from sorted(row[0] for row in cursor.fetchall())
        after = upto or after


@contextmanager
def _indexed_afterwards(cursor: Any, name: str) -> Generator[None]:
    # Built of all rows at once, it takes an eighth of the time that it takes row by row.
    cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [f"ix_{name}_search_words"])
    (definition,) = cursor.fetchone()
    cursor.execute(f"DROP INDEX ix_{name}_search_words")
    yield
    cursor.execute(definition)


FTS5 = Index(
    key_of=place,
    document=fts5_document,
    query=fts5_query,
    add="INSERT INTO {name}_search (rowid, words) VALUES (:key, :words)",
    remove="INSERT INTO {name}_search ({name}_search, rowid, words) VALUES ('delete', :key, :words)",
    clear="INSERT INTO {name}_search ({name}_search) VALUES ('delete-all')",
    filling=lambda _cursor, _name: nullcontext(),
    differing=_fts5_differing,
)
TSVECTOR = Index(
    key_of=lambda identity, _: identity,
    document=tsvector_document,
    query=tsquery,
    add="INSERT INTO {name}_search (id, words) VALUES (%(key)s, %(words)s::tsvector)",
    remove="DELETE FROM {name}_search WHERE id = %(key)s",
    clear="TRUNCATE {name}_search",
    filling=_indexed_afterwards,
    differing=_tsvector_differing,
)
