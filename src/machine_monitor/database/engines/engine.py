"""The interface of a database engine. The contracts are documented here; the subclasses only implement them.

A value has three forms: the API's (JSON), the bind value that the driver takes, and the result value that the driver
returns. `to_json_expr` builds the SQL expression from a column to JSON, `to_db` converts an API value to a bind value,
`from_db` converts a result value to an API value.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy import Column, ColumnElement, Table, literal_column
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from machine_monitor.database.fulltext import FulltextIndex
from machine_monitor.database.kinds import Kind
from machine_monitor.database.schema.definitions import Objects
from machine_monitor.errors import DatabaseBusy

ToJsonExpr = Callable[[ColumnElement, Kind], ColumnElement]
Convert = Callable[[Any, Kind], Any]
# Progress callback: (done, total).
Progress = Callable[[int, int], None]
# The connections that users share if queries run on this machine. Queries are bound by the processor: more of them at a
# time than there are processors would only slow the event loop down.
LOCAL_READERS = min(4, max(2, os.cpu_count() or 1))
# Options of the SQLAlchemy engine for migrations: no connection pool, and no parameter values in error messages.
MIGRATION_OPTIONS: Mapping[str, Any] = {"poolclass": sa.pool.NullPool, "hide_parameters": True}


class ConnectionLost(DatabaseBusy):
    """Nothing was committed, and another connection may serve: a unit of work can run again."""


class DatabaseReadOnly(DatabaseBusy):
    """The database can be read, but not written."""

    explanation = "The database is read-only. Reading still works."


class Engine(ABC):
    """One database engine. Engines compare by identity, so compiled statements can be cached by engine.

    A `cursor` is a DB-API cursor of sqlite3 or psycopg; a `connection` is SQLAlchemy's.
    """

    name: ClassVar[str]
    dialect: ClassVar[Dialect]
    # The full text index.
    fulltext: ClassVar[FulltextIndex]
    # The statements that make the database refuse to change or remove rows of the table `{name}`.
    append_only: ClassVar[tuple[str, ...]]
    # Whether only one transaction can write at a time. If so, row locks and sequences are not needed.
    single_writer: ClassVar[bool]
    # Whether a statement can force an index by INDEXED BY.
    index_hints: ClassVar[bool]
    # Whether LIMIT must be a literal because the query planner depends on it.
    literal_limit: ClassVar[bool]
    # Whether the row ids of the full text index are ordered by time, so that a backward scan gives the newest first.
    search_follows_time: ClassVar[bool]
    # The highest id that a row may get; None if 64 bits are the only limit.
    max_id: ClassVar[int | None] = None
    # By the name of a kind. A kind without a converter needs no conversion.
    json_converters: ClassVar[Mapping[str, ToJsonExpr]]
    db_converters: ClassVar[Mapping[str, Convert]]
    result_converters: ClassVar[Mapping[str, Convert]]

    def to_json_expr(self, column: ColumnElement, kind: Kind) -> ColumnElement:
        """Build the SQL expression that converts a column to its JSON value."""
        convert = self.json_converters.get(kind.name)
        return convert(column, kind) if convert else column

    def to_db(self, value: Any, kind: Kind) -> Any:
        """Convert an API value to a bind value."""
        convert = self.db_converters.get(kind.name)
        return convert(value, kind) if convert and value is not None else value

    def from_db(self, value: Any, kind: Kind) -> Any:
        """Convert a driver's result value to an API value."""
        convert = self.result_converters.get(kind.name)
        return convert(value, kind) if convert and value is not None else value

    # JSON

    @abstractmethod
    def build_object(self, members: Mapping[str, ColumnElement]) -> ColumnElement:
        """Build a JSON object with these members."""

    @abstractmethod
    def build_array(self, item: ColumnElement, rows: sa.Select, position: ColumnElement) -> ColumnElement:
        """Aggregate `item` over `rows`, a select without columns, into a JSON array ordered by `position`."""

    @abstractmethod
    def driver_json(self, document: ColumnElement) -> ColumnElement:
        """Cast a JSON document to the type that the driver returns fastest; `join_json` takes the results."""

    @abstractmethod
    def join_json(self, items: Sequence[Any], /) -> bytes:
        """Join such documents with commas, as bytes."""

    @abstractmethod
    def limit_bytes(self, page: sa.Select, order: Callable[[sa.FromClause], Sequence[ColumnElement]]) -> sa.Select:
        """Limit a page to MAX_PAGE_BYTES, summed over its column `item`. Without effect if the cursor limits it.

        `order` gives the page's order by its columns. Documents that do not fit are null.
        """

    @abstractmethod
    def member(self, document: ColumnElement, key: ColumnElement) -> ColumnElement:
        """Extract a member of a JSON object."""

    @abstractmethod
    def exact_text(self, column: ColumnElement) -> ColumnElement:
        """Cast a column to a text that is compared by code point."""

    @abstractmethod
    def members(self, document: ColumnElement) -> sa.FromClause:
        """Return the members of a JSON object as rows with a column `value`."""

    @abstractmethod
    def unnest_json_array(self, texts: ColumnElement, type_: TypeEngine) -> sa.Select:
        """Select one row per text of a JSON array, cast to this type."""

    # Time

    @abstractmethod
    def day(self, column: ColumnElement, offset: ColumnElement) -> ColumnElement:
        """Return the date of a timestamp column as text, at an offset from UTC in seconds."""

    @abstractmethod
    def week(self, day: ColumnElement) -> ColumnElement:
        """Return the ISO week of a date."""

    @abstractmethod
    def microseconds(self, column: ColumnElement) -> ColumnElement:
        """Return a timestamp column in microseconds since 1970."""

    @abstractmethod
    def days_ago(self, days: int) -> ColumnElement:
        """Return the timestamp `days` days before now."""

    # Numbers and texts

    @abstractmethod
    def hex_to_integer(self, text: ColumnElement, start: int, length: int) -> ColumnElement:
        """Return `length` hexadecimal digits of a text, from the one numbered `start`, as an integer."""

    @abstractmethod
    def aggregate_texts(self, text: ColumnElement) -> ColumnElement:
        """Join the texts of a group with commas, in any order."""

    # Writing

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """Return an INSERT construct that supports ON CONFLICT (upsert)."""

    @abstractmethod
    def transaction_cursor(self, connection: Any) -> Any:
        """Open the cursor of a transaction on a connection of the driver."""

    @abstractmethod
    def execute_later(self, cursor: Any, sql: str, values: Sequence[Any]) -> Callable[[], list[Any]]:
        """Run a statement, if possible together with the next one; return a function that returns its rows once."""

    @abstractmethod
    def send_waiting(self, cursor: Any) -> None:
        """Run the statements of `execute_later` now."""

    @abstractmethod
    def savepoint(self, cursor: Any) -> AbstractContextManager[None]:
        """Undo what the block has written if it raises an error."""

    @abstractmethod
    def next_ids(self, cursor: Any, table: str, count: int) -> Callable[[], list[int]]:
        """Allocate `count` ids for new rows of a table, as `execute_later` does; an id is never used twice."""

    @abstractmethod
    def estimated_row_count(self, cursor: Any, table: str) -> int:
        """Return the query planner's estimate of a table's row count; 0 if ANALYZE should always run."""

    @abstractmethod
    def total_changes(self, cursor: Any) -> int:
        """Return a number that grows with each change of the connection and with each error, and perhaps more often."""

    @abstractmethod
    def in_transaction(self, cursor: Any) -> bool:
        """Whether the transaction is still open: the database may have rolled it back."""

    @abstractmethod
    def acquire_advisory_lock(self, cursor: Any, key: int, *, shared: bool = False) -> None:
        """Block until no other transaction holds this lock, or only shares it; released when the transaction ends."""

    @abstractmethod
    def take_history_lock(self, cursor: Any, key: int, *, wait: bool) -> Callable[[], bool]:
        """Take the lock of the history until the transaction ends, as `execute_later` does.

        The returned function returns False if another transaction holds it, and this one does not `wait` for it.
        """

    @abstractmethod
    def holds_history_lock(self) -> ColumnElement:
        """Return the SQL condition that this transaction got the lock by `take_history_lock`."""

    @abstractmethod
    def dead_rows(self, table: str) -> ColumnElement:
        """Return the SQL for the number of deleted rows of a table that still take time to skip; 0 if none do."""

    @abstractmethod
    def transaction_id(self) -> ColumnElement:
        """Return the SQL for a number that no other running transaction has; 0 if only one writes at a time."""

    @abstractmethod
    def history_state(self) -> ColumnElement:
        """Return the SQL for bytes that name the state of all records: each change of the history changes them."""

    def announce_history_state(self) -> ColumnElement:
        """As `history_state`; a query of a `Prefetch` that is sent together with this one sees that it has a row."""
        return self.history_state()

    @abstractmethod
    def try_advisory_lock(self, cursor: Any, name: str) -> Callable[[], bool]:
        """Take this lock until the transaction ends, as `execute_later` does; False if another transaction holds it."""

    @abstractmethod
    def lock_table(self, cursor: Any, table: str) -> None:
        """Block other transactions that lock or change this table until this one ends."""

    @abstractmethod
    def database_bytes(self, cursor: Any) -> int:
        """Return the size of the database in bytes, indexes included."""

    # URLs, connections and migrations

    @abstractmethod
    def parse_url(self, text: str, setting: str, /) -> sa.URL:
        """Parse what follows `://` in a URL; raises `BadSetting`, which names the setting, if it cannot be used."""

    @abstractmethod
    def find_obstacle(self, url: sa.URL) -> str | None:
        """Return why the database cannot be opened, and what to do, in one line; None if it can, or can be created.

        Raises `SchemaMismatch` if it can be opened but not used.
        """

    @abstractmethod
    def explain(self, url: sa.URL, error: Any) -> str:
        """Return what an error of the driver means, and what to do, in one line."""

    @abstractmethod
    def path_of(self, url: sa.URL) -> Path | None:
        """Return the path of the database file; None for a server."""

    @abstractmethod
    def facts(self, url: sa.URL) -> dict[str, str]:
        """Return what `mm doctor` shows about the database file, or about the connection to a server."""

    def standby_facts(self, url: sa.URL, standby_url: sa.URL) -> tuple[dict[str, str], list[str]]:
        """Return what `mm doctor` shows about the standby of a server, and its faults, one sentence each."""
        del url, standby_url
        return {}, []

    def server_columns(self) -> list[ColumnElement]:
        """Return the columns of a query that tell the state of the server, for `server_faults`."""
        return []

    def server_faults(self, values: Sequence[Any]) -> list[str]:
        """Return the faults of the server, one sentence each, from the values of `server_columns`."""
        del values
        return []

    @abstractmethod
    def file_faults(self, url: sa.URL) -> list[str]:
        """Return the faults of the database's files, one sentence each; empty for a server."""

    @abstractmethod
    def create_driver(self, url: sa.URL, query_timeout: float, standby_url: sa.URL | None = None) -> Any:
        """Create the driver, which owns the connections; `query_timeout` is in seconds. A file has no standby."""

    @abstractmethod
    def migration_engine(self, url: sa.URL, *, read_only: bool) -> sa.Engine:
        """Create the SQLAlchemy engine for Alembic; a read-only one does not wait for writers."""

    @abstractmethod
    def migration_transaction(self, connection: sa.Connection, url: sa.URL) -> AbstractContextManager[None]:
        """Run a migration's transaction while no other migration can run; commit it at the end.

        Raises `SchemaMismatch` if the migration would violate foreign keys.
        """

    @abstractmethod
    def back_up(self, url: sa.URL, revision: str) -> Path | None:
        """Back up the database file before a migration from this revision; None for a server."""

    @abstractmethod
    def schema_objects(self, cursor: Any) -> Objects:
        """Return the objects of the database's schema; SQLite's and PostgreSQL's own ones are left out."""

    @abstractmethod
    def objects_of_statements(self, statements: Sequence[str]) -> Objects:
        """Return the schema objects that DDL statements would create, in the same form."""

    # Transfer between databases of either engine, in the portable form: texts, integers, bytes and nulls, as in SQLite

    @abstractmethod
    def stream_cursor(self, cursor: Any) -> Any:
        """Open another cursor of the same transaction, which fetches rows in chunks."""

    @abstractmethod
    def to_portable_expr(self, column: Column) -> ColumnElement:
        """Convert a column to the portable form, which is SQLite's storage form."""

    @abstractmethod
    def bulk_insert(self, cursor: Any, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows with all columns of a table, in portable form."""

    @abstractmethod
    def triggers_disabled(self, cursor: Any, table: str) -> AbstractContextManager[None]:
        """Disable the triggers of a table inside this context."""

    @abstractmethod
    def last_id(self, cursor: Any, table: Table) -> int:
        """Return the last id that a table's sequence allocated; 0 if none."""

    @abstractmethod
    def set_last_id(self, cursor: Any, table: Table, last: int) -> None:
        """Advance a table's sequence past this id."""

    @abstractmethod
    def copy_to_file(self, cursor: Any, target: Path, progress: Progress) -> bool:
        """Copy the transaction's snapshot to an SQLite file; False if the engine cannot."""


def canonical_json(value: Any) -> str:
    """Serialize to the JSON text that is stored: no whitespace, members in the given order, non-ASCII not escaped.

    Unlike RFC 8785 ("canonical JSON"), members are not sorted.
    """
    # Four times as fast as json.dumps. For texts and integers, which the hash chain covers, both give the same bytes.
    return to_json(value).decode()


def as_text(document: ColumnElement) -> ColumnElement:
    """Cast a JSON document to text; otherwise psycopg would parse it."""
    return sa.cast(document, sa.Text)


def columns_of(engine: Engine, table: Table) -> str:
    """Return a table's name and its columns, as INSERT and COPY take them."""
    return f"{table.name} ({', '.join(map(engine.dialect.identifier_preparer.format_column, table.columns))})"


def json_to_db(value: Any, _kind: Kind) -> str:
    """Convert a JSON value to its text."""
    return canonical_json(value)


# A rank (ordered enum) is a name in the API and a small integer in the database.


def rank_to_json_expr(column: ColumnElement, kind: Kind) -> ColumnElement:
    """Build the SQL expression from a rank's integer to its name."""
    names = {literal_column(str(i)): literal_column(f"'{name}'") for i, name in enumerate(kind.choices)}
    return sa.case(names, value=column)


def rank_to_db(value: Any, kind: Kind) -> int:
    """Convert a rank's name to its integer."""
    return kind.choices.index(value)


def rank_from_db(value: Any, kind: Kind) -> str:
    """Convert a rank's integer to its name."""
    return kind.choices[value]
