"""SQLite as an engine: the SQL it understands, its locks, its migrations, and its side of a transfer."""

import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy
from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Select,
    Table,
    case,
    cast,
    func,
    literal_column,
    pool,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.types import TypeEngine

from machine_monitor.database.engines import engine
from machine_monitor.database.engines.engine import Convert, Engine, Progress, Show
from machine_monitor.database.engines.sqlite import driver, files
from machine_monitor.database.engines.sqlite.fts5 import Fts5Index
from machine_monitor.database.engines.sqlite.lock_file import LockFile
from machine_monitor.database.instants import beginning_of
from machine_monitor.errors import BadSetting, SchemaMismatch

if TYPE_CHECKING:
    from machine_monitor.database.addresses import Address

# How long a migration waits for other writers.
LOCK_SECONDS = 600


class _Compiler(SQLiteCompiler):
    """SQLAlchemy's compiler, which keeps `INDEXED BY` and `NOT INDEXED` behind a table."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        """The hint as it was given."""
        del table
        return text


def _dialect() -> sqlite.pysqlite.SQLiteDialect_pysqlite:
    dialect = sqlite.dialect(paramstyle="qmark")
    dialect.statement_compiler = _Compiler
    return dialect


def _show_boolean(column: ColumnElement, _kind: Any) -> ColumnElement:
    # A number or null becomes a JSON literal; without `json` it would be shown as text.
    literals = {literal_column(number): literal_column(f"'{word}'") for number, word in (("1", "true"), ("0", "false"))}
    return func.json(case(literals, value=column))


class SqliteEngine(Engine):
    """SQLite: one writer at a time, JSON as bytes, times as text."""

    name = "sqlite"
    dialect = _dialect()
    index = Fts5Index()
    single_writer = True
    aborts_on_error = False
    index_hints = True
    literal_limit = False
    search_follows_time = True
    shows: ClassVar[Mapping[str, Show]] = {
        "rank": engine.show_rank,
        "time": lambda column, _: column.concat(literal_column("'Z'")),
        "boolean": _show_boolean,
        "object": lambda column, _: func.json(column),
        "evidence": lambda column, _: func.json(column),
    }
    stores: ClassVar[Mapping[str, Convert]] = {
        "rank": engine.store_rank,
        "time": lambda value, _: value[:-1],
        "object": engine.store_json,
        "evidence": engine.store_json,
    }
    loads: ClassVar[Mapping[str, Convert]] = {
        "rank": engine.load_rank,
        "time": lambda value, _: value + "Z",
        "boolean": lambda value, _: bool(value),
    }

    def build_object(self, members: Mapping[str, ColumnElement]) -> ColumnElement:
        """`json_object`. Keys are literals: binds would be sent, and counted, with every row."""
        pairs = [part for name, value in members.items() for part in (literal_column(f"'{name}'"), value)]
        return func.json_object(*pairs)

    def item(self, document: ColumnElement) -> ColumnElement:
        """Bytes: the driver would decode a text, only for it to be encoded again."""
        return cast(document, LargeBinary)

    join = staticmethod(b",".join)

    def member(self, document: ColumnElement, key: ColumnElement) -> ColumnElement:
        """A row of `json_each`, since `->` takes a key such as `1` or `[0]` for a path."""
        each = func.json_each(document).table_valued("key", "value")
        return select(each.c.value).where(each.c.key == key).scalar_subquery()

    def values_of(self, texts: ColumnElement, type_: TypeEngine) -> Select:
        """The rows of `json_each`: SQLite compares them as what they are."""
        del type_
        return select(func.json_each(texts).table_valued("value").c.value)

    def day(self, column: ColumnElement, offset: ColumnElement) -> ColumnElement:
        """`date` of the whole seconds: it would round a fraction."""
        return func.date(beginning_of(column, 19), offset.concat(literal_column("' seconds'")))

    def week(self, day: ColumnElement) -> ColumnElement:
        """The week's Thursday tells its year and its number; `%G-W%V` came with SQLite 3.46."""
        thursday = func.date(day, literal_column("'-3 days'"), literal_column("'weekday 4'"))
        day_of_year = cast(func.strftime(literal_column("'%j'"), thursday), Integer)
        number = (day_of_year + literal_column("6", Integer)) // literal_column("7", Integer)
        return func.printf(literal_column("'%s-W%02d'"), beginning_of(thursday, 4), number)

    def microseconds(self, column: ColumnElement) -> ColumnElement:
        """The whole seconds, and the digits behind the point."""
        seconds = cast(func.strftime(literal_column("'%s'"), beginning_of(column, 19)), Integer)
        return seconds * literal_column("1000000") + cast(func.substr(column, literal_column("21")), Integer)

    def days_ago(self, days: int) -> ColumnElement:
        """A text, as times are stored."""
        return literal_column(f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '-{days} days')")

    insert = staticmethod(sqlite.insert)

    def next_ids(self, cursor: Any, table: str, count: int) -> list[int]:
        """The ids after the highest one: no other transaction writes meanwhile."""
        first = self._last_id(cursor, table) + 1
        return list(range(first, first + count))

    def estimated_row_count(self, cursor: Any, table: str) -> int:
        """The first number of each text in `sqlite_stat1`, which the first ANALYZE creates."""
        if not cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
            return 0
        counted = "SELECT coalesce(max(CAST(stat AS INTEGER)), 0) FROM sqlite_stat1 WHERE tbl = ?"
        return cursor.execute(counted, [table]).fetchone()[0]

    def rows_written(self, cursor: Any) -> int | None:
        """The connection counts them."""
        return cursor.connection.total_changes

    def in_transaction(self, cursor: Any) -> bool:
        """SQLite rolls back by itself when the disk is full."""
        return cursor.connection.in_transaction

    def acquire_advisory_lock(self, cursor: Any, key: int) -> None:
        """Nothing to do: there is a single writer."""

    def try_advisory_lock(self, cursor: Any, name: str) -> bool:
        """True: there is a single writer."""
        del cursor, name
        return True

    def lock_table(self, cursor: Any, table: str) -> None:
        """Nothing to do: there is a single writer."""

    def normalize_url(self, url: URL, setting: str) -> URL:
        """An absolute path, and the driver that reads here."""
        file = (url.database or "").removeprefix("file:")
        if file in ("", ":memory:"):
            message = f"{setting} names no file: records must outlive the process. Write sqlite:///file.db."
            raise BadSetting(message)
        if url.host:
            message = f"{setting} has two slashes before '{url.host}': write sqlite:///{url.host} for a file."
            raise BadSetting(message)
        return self.url_of(Path(file).expanduser())

    def url_of(self, path: Path) -> URL:
        """The URL of a file, whatever characters its name has."""
        return URL.create("sqlite+aiosqlite", database=str(path.absolute()))

    def path_of(self, url: URL) -> Path:
        """The file of the database."""
        return Path(url.database or "")

    def create_driver(self, address: "Address", query_timeout: float) -> driver.SqliteDriver:
        """Connections by sqlite3 and aiosqlite."""
        return driver.SqliteDriver(self.path_of(address.url), query_timeout)

    def migration_engine(self, address: "Address", *, read_only: bool) -> sqlalchemy.Engine:
        """An engine over a connection of our own. Migrations write without foreign keys.

        Otherwise rebuilding a table would delete the rows that refer to it, or fail because of them.
        """
        path = self.path_of(address.url)

        def connect() -> sqlite3.Connection:
            if read_only:
                return sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=driver.BUSY_SECONDS, uri=True)
            connection = driver.connect(path, LOCK_SECONDS)
            connection.execute("PRAGMA foreign_keys=OFF")
            return connection

        return sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=pool.NullPool, hide_parameters=True)

    @contextmanager
    def migration_transaction(self, connection: Connection, address: "Address") -> Generator[None]:
        """A transaction under the lock file; raises `SchemaMismatch` if it would break references."""
        with closing(LockFile(self.path_of(address.url))) as lock, lock.held(LOCK_SECONDS), connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                message = f"The migration would leave {len(broken)} records that refer to nothing; it was taken back."
                raise SchemaMismatch(message)

    def back_up(self, address: "Address", revision: str) -> Path:
        """A file beside the database, with what is committed; it appears when it is complete."""
        path = self.path_of(address.url)
        target = path.with_name(f"{path.name}.{revision}.backup")
        partial = target.with_name(f"{target.name}.partial")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
        partial.replace(target)
        return target

    def stream_cursor(self, connection: Any) -> Any:
        """Any cursor."""
        return connection.cursor()

    def portable(self, column: Column) -> ColumnElement:
        """The column itself."""
        return column

    def bulk_insert(self, cursor: Any, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """One prepared INSERT for all rows."""
        marks = ", ".join("?" for _ in table.columns)
        cursor.executemany(f"INSERT INTO {table.name} ({engine.column_list(self, table)}) VALUES ({marks})", rows)

    @contextmanager
    def triggers_disabled(self, cursor: Any, table: str) -> Generator[None]:
        """Triggers can only be dropped, and created again."""
        cursor.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", [table])
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, definition in triggers:
            cursor.execute(definition)

    def last_id(self, cursor: Any, table: Table) -> int:
        """What AUTOINCREMENT remembers."""
        return self._last_id(cursor, table.name)

    def set_last_id(self, cursor: Any, table: Table, last: int) -> None:
        """`sqlite_sequence` has no key to update by."""
        cursor.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table.name])
        cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table.name, last])

    def copy_to_file(self, cursor: Any, target: Path, progress: Progress) -> bool:
        """Page by page; other connections may write meanwhile."""
        files.copy(cursor.connection, target, progress)
        return True

    def _last_id(self, cursor: Any, table: str) -> int:
        found = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone()
        return found[0] if found else 0
