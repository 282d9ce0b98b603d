"""The SQLite engine: its SQL dialect, locks, migrations and data transfer."""

import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement, func, literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.types import TypeEngine

from machine_monitor.database.engines import engine
from machine_monitor.database.engines.engine import Convert, Engine, Progress, ToJsonExpr
from machine_monitor.database.engines.sqlite import catalog, connections, driver, files, path_faults, sequences
from machine_monitor.database.engines.sqlite.fts5 import Fts5Index
from machine_monitor.database.engines.sqlite.lock_file import LockFile
from machine_monitor.database.engines.sqlite.open_files import FileWatch
from machine_monitor.database.engines.sqlite.read_only import ReadOnlyDriver, stat_files
from machine_monitor.database.instants import left
from machine_monitor.errors import BadSetting, SchemaMismatch

# How long a migration waits for other writers.
LOCK_SECONDS = 600


class _Compiler(SQLiteCompiler):
    """SQLAlchemy's compiler, extended to emit INDEXED BY and NOT INDEXED hints."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        """Return the hint unchanged."""
        del table
        return text


class _Dialect(sqlite.dialect):
    """SQLAlchemy's SQLite dialect with `_Compiler`."""

    statement_compiler = _Compiler
    supports_statement_cache = True


def _boolean_to_json_expr(column: ColumnElement, _kind: Any) -> ColumnElement:
    # Without `json`, the CASE would give the text 'true' instead of the JSON literal.
    literals = {literal_column(number): literal_column(f"'{word}'") for number, word in (("1", "true"), ("0", "false"))}
    return func.json(sa.case(literals, value=column))


class SqliteEngine(Engine):
    """SQLite: one writer at a time, JSON as bytes, times as text."""

    name = "sqlite"
    dialect = _Dialect(paramstyle="qmark")
    fulltext = Fts5Index()
    append_only = tuple(
        f"CREATE TRIGGER {{name}}_{change} BEFORE {change} ON {{name}} "
        "BEGIN SELECT RAISE(ABORT, 'entries of the {name} are not changed or removed'); END"
        for change in ("update", "delete")
    )
    single_writer = True
    index_hints = True
    literal_limit = False
    search_follows_time = True
    # Those of logs have 30 bits in the row ids of the search, see `fulltext.fts_rowid`.
    max_id = 1_000_000_000
    json_converters: ClassVar[Mapping[str, ToJsonExpr]] = {
        "rank": engine.rank_to_json_expr,
        "time": lambda column, _: column.concat(literal_column("'Z'")),
        "boolean": _boolean_to_json_expr,
        "object": lambda column, _: func.json(column),
        "verbatim": lambda column, _: func.json(column),
    }
    db_converters: ClassVar[Mapping[str, Convert]] = {
        "rank": engine.rank_to_db,
        "time": lambda value, _: value[:-1],
        "object": engine.json_to_db,
        "verbatim": engine.json_to_db,
    }
    result_converters: ClassVar[Mapping[str, Convert]] = {
        "rank": engine.rank_from_db,
        "time": lambda value, _: value + "Z",
        "boolean": lambda value, _: bool(value),
    }

    def build_object(self, members: Mapping[str, ColumnElement]) -> ColumnElement:
        # Keys are literals: as binds they would be sent with every execution, and count against SQLite's limit.
        pairs = [part for name, value in members.items() for part in (literal_column(f"'{name}'"), value)]
        return func.json_object(*pairs)

    def build_array(self, item: ColumnElement, rows: sa.Select, position: ColumnElement) -> ColumnElement:
        # Sort in a subquery: ORDER BY inside an aggregate needs SQLite 3.44.
        items = rows.add_columns(item.label("item")).order_by(position).subquery("items")
        return func.json(sa.select(func.json_group_array(func.json(items.c.item))).scalar_subquery())

    def driver_json(self, document: ColumnElement) -> ColumnElement:
        # As a BLOB: the driver would decode text, and the response would encode it again.
        return sa.cast(document, sa.LargeBinary)

    join_json = staticmethod(b",".join)

    def limit_bytes(self, page: sa.Select, order: Callable[[sa.FromClause], Sequence[ColumnElement]]) -> sa.Select:
        del order  # `PageCursor` stops
        return page

    def member(self, document: ColumnElement, key: ColumnElement) -> ColumnElement:
        # Not `->`: it would interpret a key such as `1` or `[0]` as a path.
        each = func.json_each(document).table_valued("key", "value")
        return sa.select(each.c.value).where(each.c.key == key).scalar_subquery()

    def exact_text(self, column: ColumnElement) -> ColumnElement:
        return sa.cast(column, sa.Text())

    def members(self, document: ColumnElement) -> sa.FromClause:
        return func.json_each(document).table_valued("key", "value")

    def unnest_json_array(self, texts: ColumnElement, type_: TypeEngine) -> sa.Select:
        del type_
        return sa.select(func.json_each(texts).table_valued("value").c.value)

    def day(self, column: ColumnElement, offset: ColumnElement) -> ColumnElement:
        # Only whole seconds: `date` rounds fractions.
        return func.date(left(column, 19), offset.concat(literal_column("' seconds'")))

    def week(self, day: ColumnElement) -> ColumnElement:
        # An ISO week belongs to the year of its Thursday. (`%G-W%V` needs SQLite 3.46.)
        thursday = func.date(day, literal_column("'-3 days'"), literal_column("'weekday 4'"))
        day_of_year = sa.cast(func.strftime(literal_column("'%j'"), thursday), sa.Integer)
        number = (day_of_year + literal_column("6", sa.Integer)) // literal_column("7", sa.Integer)
        return func.printf(literal_column("'%s-W%02d'"), left(thursday, 4), number)

    def microseconds(self, column: ColumnElement) -> ColumnElement:
        seconds = sa.cast(func.strftime(literal_column("'%s'"), left(column, 19)), sa.Integer)
        return seconds * literal_column("1000000") + sa.cast(func.substr(column, literal_column("21")), sa.Integer)

    def days_ago(self, days: int) -> ColumnElement:
        return literal_column(f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '-{days} days')")

    def hex_to_integer(self, text: ColumnElement, start: int, length: int) -> ColumnElement:
        # SQLite reads hexadecimal numbers only as literals.
        one, total = literal_column("1"), literal_column("0")
        for position in range(start, start + length):
            digit = func.instr(
                literal_column("'123456789abcdef'"), func.substr(text, literal_column(f"{position}"), one)
            )
            total = total * literal_column("16") + digit
        return total

    aggregate_texts = staticmethod(func.group_concat)

    insert = staticmethod(sqlite.insert)

    def transaction_cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def execute_later(self, cursor: Any, sql: str, values: Sequence[Any]) -> Callable[[], list[Any]]:
        cursor.execute(sql, values)
        rows = cursor.fetchall() if cursor.description else []
        return lambda: rows

    def send_waiting(self, cursor: Any) -> None:
        """Nothing to do: no statement waits."""

    @contextmanager
    def savepoint(self, cursor: Any) -> Generator[None]:
        cursor.execute("SAVEPOINT unit")
        try:
            yield
        except BaseException:
            # If the disk is full, SQLite has rolled back the transaction.
            if self.in_transaction(cursor):
                cursor.execute("ROLLBACK TO unit")
                cursor.execute("RELEASE unit")
            raise
        cursor.execute("RELEASE unit")

    def next_ids(self, cursor: Any, table: str, count: int) -> Callable[[], list[int]]:
        # Ids after the last one are free: no other transaction can write at the same time.
        first = _last_id(cursor, table) + 1
        return lambda: list(range(first, first + count))

    def estimated_row_count(self, cursor: Any, table: str) -> int:
        if not cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
            return 0
        # Each `stat` text begins with the row count.
        counted = "SELECT coalesce(max(CAST(stat AS INTEGER)), 0) FROM sqlite_stat1 WHERE tbl = ?"
        return cursor.execute(counted, [table]).fetchone()[0]

    def total_changes(self, cursor: Any) -> int:
        return cursor.connection.total_changes

    def in_transaction(self, cursor: Any) -> bool:
        return cursor.connection.in_transaction

    def acquire_advisory_lock(self, cursor: Any, key: int, *, shared: bool = False) -> None:
        """Nothing to do: there is a single writer."""

    def take_history_lock(self, cursor: Any, key: int, *, wait: bool) -> Callable[[], bool]:
        del cursor, key, wait
        return lambda: True

    def holds_history_lock(self) -> ColumnElement:
        return sa.true()

    def dead_rows(self, table: str) -> ColumnElement:
        del table
        return literal_column("0")

    def history_state(self) -> ColumnElement:
        return literal_column("(SELECT hash FROM history ORDER BY seq DESC LIMIT 1)")

    def transaction_id(self) -> ColumnElement:
        return literal_column("0")

    def try_advisory_lock(self, cursor: Any, name: str) -> Callable[[], bool]:
        del cursor, name
        return lambda: True

    def lock_table(self, cursor: Any, table: str) -> None:
        """Nothing to do: there is a single writer."""

    def database_bytes(self, cursor: Any) -> int:
        pages, size = (cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return pages * size

    def parse_url(self, text: str, setting: str, /) -> sa.URL:
        if "?" in text.rstrip("?"):
            message = f"{setting}: SQLite URLs have no options. Write %3F for a '?' in the name of a file or folder."
            raise BadSetting(message)
        url = sa.make_url(f"sqlite://{text.rstrip('?')}")
        file = (url.database or "").removeprefix("file:")
        if file in ("", ":memory:"):
            message = f"{setting} must name a file: an in-memory database loses all records. Write sqlite:///file.db."
            raise BadSetting(message)
        if url.host:
            message = f"{setting} has two slashes before '{url.host}': write sqlite:///{url.host} for a file."
            raise BadSetting(message)
        return self.url_of(Path(file).expanduser())

    def url_of(self, path: Path) -> sa.URL:
        """Return the URL of a file; its name may contain any characters."""
        return sa.URL.create("sqlite+aiosqlite", database=str(path.absolute()))

    def find_obstacle(self, url: sa.URL) -> str | None:
        return path_faults.find(self.path_of(url))

    def explain(self, url: sa.URL, error: Any) -> str:
        path = self.path_of(url)
        if reason := path_faults.find(path) or path_faults.why_read_only(path):
            return f"{reason.rstrip('.')}."
        return f"{error}."

    def path_of(self, url: sa.URL) -> Path:
        return Path(url.database or "")

    def facts(self, url: sa.URL) -> dict[str, str]:
        reason = FileWatch(self.path_of(url)).unwatched_reason
        noticed = f"not noticed: inode numbers do not last on {reason}" if reason else "noticed"
        reason = path_faults.why_read_only(self.path_of(url))
        return {"a moved file is": noticed, "writable": f"no: {reason}" if reason else "yes"}

    def file_faults(self, url: sa.URL) -> list[str]:
        return files.mode_faults(self.path_of(url))

    def create_driver(
        self, url: sa.URL, query_timeout: float, standby_url: sa.URL | None = None
    ) -> driver.SqliteDriver:
        del standby_url
        path = self.path_of(url)
        if reason := path_faults.why_read_only(path):
            return ReadOnlyDriver(path, query_timeout, reason)
        return driver.SqliteDriver(path, query_timeout)

    def migration_engine(self, url: sa.URL, *, read_only: bool) -> sa.Engine:
        path = self.path_of(url)
        options = stat_files(path).options if path_faults.why_read_only(path) else "mode=ro"

        def connect() -> sqlite3.Connection:
            if read_only:
                return connections.connect(path, options=options)
            files.create_private(path)
            connection = connections.connect_writer(path, LOCK_SECONDS)
            # With foreign keys on, rebuilding a table would cascade to the referring rows, or be blocked by them.
            connection.execute("PRAGMA foreign_keys=OFF")
            return connection

        return sa.create_engine("sqlite://", creator=connect, **engine.MIGRATION_OPTIONS)

    @contextmanager
    def migration_transaction(self, connection: sa.Connection, url: sa.URL) -> Generator[None]:
        with closing(LockFile(self.path_of(url))) as lock, lock.hold(LOCK_SECONDS), connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            with sequences.preserve_sequences(connection):
                yield
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                message = (
                    f"The migration violates {len(broken)} foreign keys and was rolled back. "
                    "Correct the migration or the data."
                )
                raise SchemaMismatch(message)

    def back_up(self, url: sa.URL, revision: str) -> Path:
        path = self.path_of(url)
        target = path.with_name(f"{path.name}.{revision}.backup")
        partial = target.with_name(f"{target.name}.partial")
        with closing(sqlite3.connect(path)) as source:
            files.copy(source, partial, lambda *_: None)
        # Only a complete copy gets the final name.
        partial.replace(target)
        return target

    schema_objects = staticmethod(catalog.read)
    objects_of_statements = staticmethod(catalog.of_statements)

    def stream_cursor(self, cursor: Any) -> Any:
        return cursor.connection.cursor()

    def to_portable_expr(self, column: sa.Column) -> ColumnElement:
        return column

    def bulk_insert(self, cursor: Any, table: sa.Table, rows: Iterable[Sequence[Any]]) -> None:
        placeholders = ", ".join("?" for _ in table.columns)
        cursor.executemany(f"INSERT INTO {engine.columns_of(self, table)} VALUES ({placeholders})", rows)

    @contextmanager
    def triggers_disabled(self, cursor: Any, table: str) -> Generator[None]:
        # SQLite cannot disable triggers, so drop them and create them again.
        cursor.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", [table])
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, definition in triggers:
            cursor.execute(definition)

    def last_id(self, cursor: Any, table: sa.Table) -> int:
        return _last_id(cursor, table.name)

    def set_last_id(self, cursor: Any, table: sa.Table, last: int) -> None:
        # sqlite_sequence has no unique key, so an upsert is not possible.
        cursor.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table.name])
        cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table.name, last])

    def copy_to_file(self, cursor: Any, target: Path, progress: Progress) -> bool:
        files.copy(cursor.connection, target, progress)
        return True


def _last_id(cursor: Any, table: str) -> int:
    found = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone()
    return found[0] if found else 0
