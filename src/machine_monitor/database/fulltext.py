"""Full text search: the engine-independent part of the inverted index.

Each resource has a search table `<name>_search`. Words arrive tokenized and folded (letters and digits only). Special
tokens start with SEPARATOR, a private-use character that no word contains.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import FromClause, column, table

# The key in `MetaData.info` under which the tables with a search index are listed.
SEARCHED = "searched"
SEPARATOR = "\ue000"
# Limits of a tsvector. Beyond them a word still matches, but not as part of a phrase. SQLite gets the same limits.
MAX_OCCURRENCES = 255
MAX_POSITION = 16_383
ID_BITS = 30
ID_MASK = (1 << ID_BITS) - 1
MAX_FTS_ROWID = (1 << 63) - 1
# Iterates over all documents of a resource in chunks of (key, text). It can be called twice.
Documents = Callable[[], Iterable[Sequence[tuple[int, str]]]]


@dataclass(frozen=True)
class Term:
    """A word or a phrase; with `prefix`, its last word matches as a prefix."""

    words: tuple[str, ...]
    prefix: bool = False
    excluded: bool = False


@dataclass(frozen=True)
class SearchQuery:
    """A boolean query: AND of the required groups, OR within each group, and NOT for the excluded terms."""

    required: tuple[tuple[Term, ...], ...]
    excluded: tuple[Term, ...] = ()


class FulltextIndex(ABC):
    """An engine's full text index: the SQL that writes it, and its query syntax. Statements name it `{name}_search`."""

    # The statements that create the index, in order.
    create: ClassVar[tuple[str, ...]]
    # Statements that add and remove one document (binds `key` and `words`) and that remove all.
    add: ClassVar[str]
    remove: ClassVar[str]
    clear: ClassVar[str]

    @abstractmethod
    def key_of(self, identity: int, instant: str | None) -> int:
        """Return a record's key in the index; `instant` is given if the index is ordered by time."""

    @abstractmethod
    def id_of(self, key: int, *, follows_time: bool) -> int:
        """Return the id of the record with this key."""

    @abstractmethod
    def format_tokens(self, words: Sequence[str]) -> str:
        """Return the index document for these words."""

    @abstractmethod
    def query(self, search: SearchQuery) -> str:
        """Return the query in the engine's syntax (MATCH or tsquery)."""

    @abstractmethod
    def bulk_load(self, cursor: Any, name: str) -> AbstractContextManager:
        """Return a context manager for rebuilding a resource's whole index."""

    @abstractmethod
    def find_differences(self, cursor: Any, name: str, documents: Documents) -> Iterator[int]:
        """Yield the keys whose index entry differs from the given documents; `documents` may be called twice."""


@cache
def search_table(name: str) -> FromClause:
    """Return the search table of a resource; its key column is `rowid` on SQLite, `id` on PostgreSQL."""
    return table(f"{name}_search", column("rowid"), column("id"), column("words"))


def fts_rowid(identity: int, instant: str | None = None) -> int:
    """Return a record's FTS5 row id: its second in the high bits, its id in the low 30 bits; or just the id.

    With an `instant`, row ids therefore sort by time to the second. One bit separates whole seconds from fractional
    ones; fractional records of one second sort by id. See docs/internals/fts-row-ids.md.
    """
    if instant is None:
        return identity
    moment = datetime.fromisoformat(instant)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return ((seconds * 2 + bool(moment.microsecond)) << ID_BITS) | identity


def rowids_of_second(instant: str) -> tuple[int, int]:
    """Return the lowest and the highest row id of this second."""
    first = fts_rowid(0, instant) >> (ID_BITS + 1) << (ID_BITS + 1)
    return first, first | (1 << ID_BITS) | ID_MASK


def cap_positions(words: Iterable[str]) -> list[str]:
    """Limit a document to the positions that a tsvector can store.

    Excess occurrences become separators; each word that occurs only beyond MAX_POSITION is added once at the end.
    """
    words = list(words)
    if len(words) <= MAX_OCCURRENCES:
        return words
    occurrences: Counter[str] = Counter()
    capped = []
    for word in words[:MAX_POSITION]:
        occurrences[word] += 1
        capped.append(word if occurrences[word] <= MAX_OCCURRENCES else SEPARATOR)
    beyond = dict.fromkeys(word for word in words[MAX_POSITION:] if word not in occurrences)
    return [*capped, *(token for word in beyond for token in (SEPARATOR, word))]
