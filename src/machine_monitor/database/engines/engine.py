"""What a database engine offers. The contract of each method stands here, and its SQL in the engine's own class.

A value has three forms: JSON as the API shows it, what the database stores, and what the driver returns. `show` is the
SQL expression that makes JSON of a column, `store` converts a JSON value for a bind, `load` converts it back.
"""

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

ToJsonExpr = Callable[[ColumnElement, Kind], ColumnElement]
Convert = Callable[[Any, Kind], Any]
# Called with how many of how many are done.
Progress = Callable[[int, int], None]
# Of SQLAlchemy's engines: a migration opens one connection, and no error tells the values of a record.
MIGRATION_OPTIONS: Mapping[str, Any] = {"poolclass": sa.pool.NullPool, "hide_parameters": True}


class Engine(ABC):
    """One database engine. Engines compare by identity, so compiled statements can be cached by engine.

    A `cursor` is sqlite3's or psycopg's; a `connection` is SQLAlchemy's.
    """

    name: ClassVar[str]
    dialect: ClassVar[Dialect]
    # How the engine keeps full text.
    fulltext: ClassVar[FulltextIndex]
    # Whether one transaction writes at a time. If so, rows need no locks and no sequence has to draw ids.
    single_writer: ClassVar[bool]
    # Whether a failed statement aborts its transaction, so that each unit of a batch needs a savepoint.
    aborts_on_error: ClassVar[bool]
    # Whether a statement names the index that it reads, by INDEXED BY.
    index_hints: ClassVar[bool]
    # Whether a limit is part of a statement's text, because the engine plans by it.
    literal_limit: ClassVar[bool]
    # Whether the row ids of the full text index follow time, so that walking it gives the newest records first.
    search_follows_time: ClassVar[bool]
    # By the name of a kind. A kind that is missing needs no conversion.
    json_converters: ClassVar[Mapping[str, ToJsonExpr]]
    db_converters: ClassVar[Mapping[str, Convert]]
    result_converters: ClassVar[Mapping[str, Convert]]

    def to_json_expr(self, column: ColumnElement, kind: Kind) -> ColumnElement:
        """The JSON value of a column, as an expression."""
        convert = self.json_converters.get(kind.name)
        return convert(column, kind) if convert else column

    def to_db(self, value: Any, kind: Kind) -> Any:
        """What to bind for an API value."""
        convert = self.db_converters.get(kind.name)
        return convert(value, kind) if convert and value is not None else value

    def from_db(self, value: Any, kind: Kind) -> Any:
        """The API value of what a driver returned."""
        convert = self.result_converters.get(kind.name)
        return convert(value, kind) if convert and value is not None else value

    # JSON

    @abstractmethod
    def build_object(self, members: Mapping[str, ColumnElement]) -> ColumnElement:
        """A JSON object with these members."""

    @abstractmethod
    def build_array(self, item: ColumnElement, rows: sa.Select, position: ColumnElement) -> ColumnElement:
        """A JSON array of the item of each of these rows, a select without columns, in the order of `position`."""

    @abstractmethod
    def driver_json(self, document: ColumnElement) -> ColumnElement:
        """A JSON document in the form in which the driver returns it fastest; `join` takes it."""

    @abstractmethod
    def join_json(self, items: Sequence[Any], /) -> bytes:
        """The bytes of many documents, with commas between them."""

    @abstractmethod
    def member(self, document: ColumnElement, key: ColumnElement) -> ColumnElement:
        """The value of a JSON object's member."""

    @abstractmethod
    def unnest_json_array(self, texts: ColumnElement, type_: TypeEngine) -> sa.Select:
        """A row of a type for each text of a JSON array."""

    # Time

    @abstractmethod
    def day(self, column: ColumnElement, offset: ColumnElement) -> ColumnElement:
        """The date of an instant as text, at an offset from UTC in seconds."""

    @abstractmethod
    def week(self, day: ColumnElement) -> ColumnElement:
        """The ISO week of a date."""

    @abstractmethod
    def microseconds(self, column: ColumnElement) -> ColumnElement:
        """The microseconds of an instant since 1970."""

    @abstractmethod
    def days_ago(self, days: int) -> ColumnElement:
        """The instant so many days before now."""

    # Writing

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """An INSERT that takes ON CONFLICT."""

    @abstractmethod
    def next_ids(self, cursor: Any, table: str, count: int) -> list[int]:
        """So many ids for new rows of a table, never given before."""

    @abstractmethod
    def estimated_row_count(self, cursor: Any, table: str) -> int:
        """How many rows the planner believes a table has; 0 if its statistics are to be made anew in any case."""

    @abstractmethod
    def total_changes(self, cursor: Any) -> int | None:
        """How many rows the cursor's connection has ever written; None if its driver does not say."""

    @abstractmethod
    def in_transaction(self, cursor: Any) -> bool:
        """Whether the database still has the transaction."""

    @abstractmethod
    def acquire_advisory_lock(self, cursor: Any, key: int) -> None:
        """Block until no other transaction has this lock; released when the transaction ends."""

    @abstractmethod
    def try_advisory_lock(self, cursor: Any, name: str) -> bool:
        """Take this lock until the transaction ends; False if another transaction has it."""

    @abstractmethod
    def lock_table(self, cursor: Any, table: str) -> None:
        """Block other transactions that lock or change this table until this one ends."""

    # Addresses, connections and migrations

    @abstractmethod
    def normalize_url(self, url: sa.URL, setting: str) -> sa.URL:
        """One form for all spellings of a URL. Raises `BadSetting`, which names the setting, if it cannot be used."""

    @abstractmethod
    def path_of(self, url: sa.URL) -> Path | None:
        """The file that holds the database; None if a server does."""

    @abstractmethod
    def create_driver(self, url: sa.URL, query_timeout: float) -> Any:
        """The connections to a database; a query is stopped after so many seconds."""

    @abstractmethod
    def migration_engine(self, url: sa.URL, *, read_only: bool) -> sa.Engine:
        """SQLAlchemy's engine, for Alembic; one that reads only waits for no writer."""

    @abstractmethod
    def migration_transaction(self, connection: sa.Connection, url: sa.URL) -> AbstractContextManager[None]:
        """A transaction that no other migration shares; committed at its end.

        Raises `SchemaMismatch` if the migration would leave references to nothing.
        """

    @abstractmethod
    def back_up(self, url: sa.URL, revision: str) -> Path | None:
        """Copy the database beside itself before it leaves this revision; None if that is left to its server."""

    # Transfer between databases of any engine: rows travel in the form in which SQLite stores them

    @abstractmethod
    def stream_cursor(self, cursor: Any) -> Any:
        """Another cursor of the same transaction, which fetches rows some at a time."""

    @abstractmethod
    def to_portable_expr(self, column: Column) -> ColumnElement:
        """A column's value in the form that travels: texts, integers, bytes and nulls."""

    @abstractmethod
    def bulk_insert(self, cursor: Any, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows of all of a table's columns, whose values have the form that travels."""

    @abstractmethod
    def triggers_disabled(self, cursor: Any, table: str) -> AbstractContextManager[None]:
        """Change a table without its triggers."""

    @abstractmethod
    def last_id(self, cursor: Any, table: Table) -> int:
        """The highest id that a table's sequence gave out; 0 for none."""

    @abstractmethod
    def set_last_id(self, cursor: Any, table: Table, last: int) -> None:
        """Let a table's sequence continue after this id."""

    @abstractmethod
    def copy_to_file(self, cursor: Any, target: Path, progress: Progress) -> bool:
        """Copy what the transaction sees to an SQLite file; False if the engine has no such file to copy."""


def canonical_json(value: Any) -> str:
    """The one text of a JSON value that is stored: no blanks, members in their order, not escaped."""
    # A quarter of the time of the standard library's; the history's hashes are of texts and integers, the same in both.
    return to_json(value).decode()


def as_text(document: ColumnElement) -> ColumnElement:
    """The text of a JSON document: PostgreSQL's driver would parse the value otherwise."""
    return sa.cast(document, sa.Text)


def columns_of(engine: Engine, table: Table) -> str:
    """A table and all of its columns, for INSERT and COPY."""
    return f"{table.name} ({', '.join(map(engine.dialect.identifier_preparer.format_column, table.columns))})"


def json_to_db(value: Any, _kind: Kind) -> str:
    """JSON is stored as its text."""
    return canonical_json(value)


# A rank is a name to the API and a small integer to the database.


def rank_to_json_expr(column: ColumnElement, kind: Kind) -> ColumnElement:
    """The name of a rank."""
    names = {literal_column(str(i)): literal_column(f"'{name}'") for i, name in enumerate(kind.choices)}
    return sa.case(names, value=column)


def rank_to_db(value: Any, kind: Kind) -> int:
    """The integer of a rank's name."""
    return kind.choices.index(value)


def rank_from_db(value: Any, kind: Kind) -> str:
    """The name of a rank's integer."""
    return kind.choices[value]
