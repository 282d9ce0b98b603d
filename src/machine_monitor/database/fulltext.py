"""Full text, as far as it is the same on every engine: the same words, the same phrases, the same searches.

Each resource has a table `<name>_search`. Words are cut and folded before they come here: letters and digits only, but
for those that begin with `SEPARATOR`, the sign that no text has.
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

# Where the models' metadata lists the tables whose records are searched, among its `info`.
SEARCHED = "searched"
SEPARATOR = "\ue000"
# What a tsvector can hold: beyond it words count, phrases don't. SQLite gets the same cut.
MAX_OCCURRENCES = 255
MAX_POSITION = 16_383
ID_BITS = 30
ID_MASK = (1 << ID_BITS) - 1
MAX_FTS_ROWID = (1 << 63) - 1
# Goes through all documents of a resource, some at a time, each with its key.
Documents = Callable[[], Iterable[Sequence[tuple[int, str]]]]


@dataclass(frozen=True)
class Term:
    """Words that follow each other in one field; the last may be only a beginning."""

    words: tuple[str, ...]
    prefix: bool = False
    excluded: bool = False


@dataclass(frozen=True)
class SearchQuery:
    """What an index is asked for: one of each group of alternatives, and none of the excluded terms."""

    required: tuple[tuple[Term, ...], ...]
    excluded: tuple[Term, ...] = ()


class FulltextIndex(ABC):
    """How an engine's index is written and asked. The statements name the table as `{name}`_search."""

    # Statements that create it, in their order.
    create: ClassVar[tuple[str, ...]]
    # Statements that take `key` and `words`, and one that takes nothing.
    add: ClassVar[str]
    remove: ClassVar[str]
    clear: ClassVar[str]

    @abstractmethod
    def key_of(self, identity: int, instant: str | None) -> int:
        """A record's key, by its id, and by its time if the index is to follow time."""

    @abstractmethod
    def id_of(self, key: int, *, follows_time: bool) -> int:
        """The id of a record whose key this is."""

    @abstractmethod
    def document(self, words: Sequence[str]) -> str:
        """What to store for these words."""

    @abstractmethod
    def query(self, search: SearchQuery) -> str:
        """What to match."""

    @abstractmethod
    def bulk_load(self, cursor: Any, name: str) -> AbstractContextManager:
        """The context in which all of a resource's index is written."""

    @abstractmethod
    def find_differences(self, cursor: Any, name: str, documents: Documents) -> Iterator[int]:
        """The keys under which the index holds something other than these documents; they may be read twice."""


@cache
def search_table(name: str) -> FromClause:
    """The search table of a resource; its key column is `rowid` on SQLite, `id` on PostgreSQL."""
    return table(f"{name}_search", column("rowid"), column("id"), column("words"))


def fts_rowid(identity: int, instant: str | None = None) -> int:
    """A record's row id in an FTS5 index: its id, after the second of `instant` if row ids are to follow time.

    Whole seconds are in exact order; the fractions of one second share a bucket, in which ids count.
    """
    if instant is None:
        return identity
    moment = datetime.fromisoformat(instant)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return ((seconds * 2 + bool(moment.microsecond)) << ID_BITS) | identity


def rowids_of_second(instant: str) -> tuple[int, int]:
    """The first and the last place that a record of the same second can have."""
    first = fts_rowid(0, instant) >> (ID_BITS + 1) << (ID_BITS + 1)
    return first, first | (1 << ID_BITS) | ID_MASK


def cap_positions(words: Iterable[str]) -> list[str]:
    """The words of a document, with a divider where a position would be beyond what an index keeps."""
    words = list(words)
    if len(words) <= MAX_OCCURRENCES:
        return words
    seen: Counter[str] = Counter()
    kept = []
    for word in words[:MAX_POSITION]:
        seen[word] += 1
        kept.append(word if seen[word] <= MAX_OCCURRENCES else SEPARATOR)
    beyond = dict.fromkeys(word for word in words[MAX_POSITION:] if word not in seen)
    return [*kept, *(part for word in beyond for part in (SEPARATOR, word))]
