"""Compiled statements, to be cached: the SQL text for the driver, and the names of its positional binds."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

# A page of a list, a history or the change feed has at most 8 MiB. This is the part for its records; the rest is for
# cursors, which hold long texts if the list is sorted by them.
MAX_PAGE_BYTES = 8 * 1024 * 1024 - 256 * 1024


class HasDialect(Protocol):
    """The part of an engine that compiling needs. Importing `Engine` would be circular: drivers run statements."""

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's dialect for the engine."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement, whose rows have these `columns`; `uses_fulltext` marks a full text search.

    PostgreSQL must plan a full text search again for each query text, so it is not a prepared statement. SQLite's
    progress handler cannot interrupt one in time, so it never runs in the event loop.
    """

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    uses_fulltext: bool
    columns: tuple[str, ...] = ()

    def bind(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the positional bind values, in the order of the SQL text."""
        constants = self.constants
        return [values[name] if name in values else constants[name] for name in self.names]


class Prefetch:
    """A query that is sent together with the authentication of its request, before the caller is known for certain.

    The server runs it only if the credential is valid, and if the state of the history is not `known_state`, in which
    the client or the cache has the response. `user` is who probably asks: they share the connections.
    """

    def __init__(self, user: str, statement: Statement, values: Mapping[str, Any], known_state: bytes) -> None:
        self.user = user
        self.statement = statement
        self.values = values
        self.known_state = known_state
        self._outcome: list[Any] | Exception | None = None

    def keep(self, outcome: list[Any] | Exception) -> None:
        """Keep the rows of the query, or its error. Without rows, the server may not have run it."""
        self._outcome = outcome or None

    def take(self, statement: Statement, values: Mapping[str, Any]) -> list[Any] | None:
        """Return the rows, once, if this is the query and there are any; raises its error."""
        if statement is not self.statement or values != self.values:
            return None
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class StatementCache:
    """An LRU cache of compiled statements. Calling it compiles the statement on a miss.

    Unlike `functools.lru_cache` it can tell whether a statement is there: if not, `Database.get_statement` compiles it
    in a thread.
    """

    def __init__(self, compile_: Callable[..., Statement], size: int) -> None:
        self._compile = compile_
        # An entry is empty until its statement is compiled.
        self._entries = lru_cache(size)(_empty_entry)
        self.misses = 0

    def __call__(self, *key: Hashable) -> Statement:
        """Return the statement; compile it if it is not there."""
        entry = self._entries(*key)
        if not entry:
            self.misses += 1
            entry.append(self._compile(*key))
        return entry[0]

    def find(self, *key: Hashable) -> Statement | None:
        """Return the statement if it is there."""
        entry = self._entries(*key)
        return entry[0] if entry else None


def _empty_entry(*_key: Hashable) -> list[Statement]:
    return []


def statement_cache(size: int) -> Callable[[Callable[..., Statement]], StatementCache]:
    """Decorate a function that compiles a statement."""
    return lambda compile_: StatementCache(compile_, size)


def compile_statement(engine: HasDialect, clause: Executable, *, uses_fulltext: bool = False) -> Statement:
    """Compile for the engine's driver. Compiling takes milliseconds, so callers cache the result."""
    compiled = clause.compile(dialect=engine.dialect)  # ty: ignore[missing-attribute] -- every Executable compiles
    assert isinstance(compiled, SQLCompiler)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    columns = tuple(getattr(column, "name", "") for column in getattr(clause, "selected_columns", ()))
    return Statement(str(compiled), tuple(compiled.positiontup or ()), constants, uses_fulltext, columns)
