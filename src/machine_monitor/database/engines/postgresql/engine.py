"""The PostgreSQL engine: its SQL dialect, locks, migrations and data transfer."""

import itertools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement, func, literal_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.types import TypeEngine

from machine_monitor.database import instants
from machine_monitor.database.engines import engine
from machine_monitor.database.engines.engine import Convert, Engine, Progress, ToJsonExpr, as_text
from machine_monitor.database.engines.postgresql import catalog, urls
from machine_monitor.database.engines.postgresql.history_state import ANNOUNCED_STATE, HISTORY_STATE
from machine_monitor.database.engines.postgresql.server_state import ServerState
from machine_monitor.database.engines.postgresql.tsvector import TsvectorIndex
from machine_monitor.database.schema import MIGRATION_LOCK
from machine_monitor.database.statements import MAX_PAGE_BYTES

# The setting that says whether the transaction holds the lock of the history.
HOLDS_HISTORY_LOCK = "machine_monitor.holds_history_lock"
_stream_numbers = itertools.count(1)


def _rfc3339(column: ColumnElement) -> ColumnElement:
    """Format a timestamp as `instants.format_instant` does; relies on `session_settings`."""
    # to_char costs as much as the rest of a document, so it is used only for fractional seconds.
    whole = func.replace(sa.cast(sa.cast(column, sa.TIMESTAMP), sa.Text), literal_column("' '"), literal_column("'T'"))
    fractional = func.to_char(column, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
    is_whole = sa.cast(column, postgresql.TIMESTAMP(timezone=True, precision=0)) == column
    return sa.case((is_whole, whole.concat(literal_column("'Z'"))), else_=fractional)


# Conversions of PostgreSQL types to the portable form; other types need none.
PORTABLE: tuple[tuple[type[TypeEngine], Callable[[ColumnElement], ColumnElement]], ...] = (
    (sa.DateTime, lambda column: func.rtrim(_rfc3339(column), literal_column("'Z'"))),
    (sa.JSON, as_text),
    (sa.Uuid, as_text),
    (sa.Boolean, lambda column: sa.cast(column, sa.Integer)),
)


class PostgresqlEngine(Engine):
    """PostgreSQL: many writers, JSON as text, times as `timestamptz`."""

    name = "postgresql"
    dialect = psycopg.dialect(paramstyle="format")
    fulltext = TsvectorIndex()
    append_only = (
        (
            "CREATE FUNCTION {name}_forbidden() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'entries of the {name} are not changed or removed'; END $$"
        ),
        (
            "CREATE TRIGGER {name}_forbidden BEFORE DELETE OR UPDATE OR TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION {name}_forbidden()"
        ),
    )
    single_writer = False
    index_hints = False
    # The generic plan for an unknown limit is so expensive that the server would replan every execution.
    literal_limit = True
    search_follows_time = False
    json_converters: ClassVar[Mapping[str, ToJsonExpr]] = {
        "rank": engine.rank_to_json_expr,
        "time": lambda column, _: _rfc3339(column),
        "verbatim": lambda column, _: sa.cast(column, sa.JSON),
    }
    db_converters: ClassVar[Mapping[str, Convert]] = {
        "rank": engine.rank_to_db,
        "object": engine.json_to_db,
        "verbatim": engine.json_to_db,
    }
    result_converters: ClassVar[Mapping[str, Convert]] = {
        "rank": engine.rank_from_db,
        "time": lambda value, _: instants.format_instant(value),
        "uuid": lambda value, _: str(value),
    }

    def build_object(self, members: Mapping[str, ColumnElement]) -> ColumnElement:
        # row_to_json writes no whitespace and is a quarter faster than json_build_object.
        row = sa.select(*[value.label(name) for name, value in members.items()]).correlate_except(None)
        return sa.select(func.row_to_json(row.subquery("r").table_valued())).scalar_subquery()

    def build_array(self, item: ColumnElement, rows: sa.Select, position: ColumnElement) -> ColumnElement:
        # json_agg would write whitespace between the items.
        comma = postgresql.aggregate_order_by(literal_column("','"), position)
        joined = func.coalesce(func.string_agg(as_text(item), comma), literal_column("''"))
        array = literal_column("'['").concat(joined).concat(literal_column("']'"))
        return rows.add_columns(sa.cast(array, sa.JSON)).scalar_subquery()

    driver_json = staticmethod(as_text)

    def join_json(self, items: Sequence[str], /) -> bytes:
        return ",".join(items).encode()

    def limit_bytes(self, page: sa.Select, order: Callable[[sa.FromClause], Sequence[ColumnElement]]) -> sa.Select:
        # The server sends all rows at once. A server-side cursor would need four statements, none of them prepared.
        rows = page.subquery("page")
        size = func.octet_length(rows.c.item)
        before = func.sum(size + 1).over(order_by=order(rows), rows=(None, -1))
        fits = before.is_(None) | (before + size <= literal_column(str(MAX_PAGE_BYTES)))
        columns = [column for column in rows.c if column is not rows.c.item]
        return sa.select(sa.case((fits, rows.c.item)).label("item"), *columns).order_by(*order(rows))

    def member(self, document: ColumnElement, key: ColumnElement) -> ColumnElement:
        return document.op("->")(key)

    def exact_text(self, column: ColumnElement) -> ColumnElement:
        return sa.cast(column, sa.Text()).collate("C")

    def members(self, document: ColumnElement) -> sa.FromClause:
        return func.json_each(document).table_valued("key", "value")

    def unnest_json_array(self, texts: ColumnElement, type_: TypeEngine) -> sa.Select:
        each = func.json_array_elements_text(sa.cast(texts, sa.JSON)).column_valued("value")
        return sa.select(sa.cast(each, type_))

    def day(self, column: ColumnElement, offset: ColumnElement) -> ColumnElement:
        local = func.timezone(literal_column("'UTC'"), column) + offset * literal_column("INTERVAL '1 second'")
        return func.to_char(local, literal_column("'YYYY-MM-DD'"))

    def week(self, day: ColumnElement) -> ColumnElement:
        return func.to_char(func.to_date(day, literal_column("'YYYY-MM-DD'")), literal_column("""'IYYY-"W"IW'"""))

    def microseconds(self, column: ColumnElement) -> ColumnElement:
        return sa.cast(sa.extract("epoch", column) * literal_column("1000000"), sa.BigInteger)

    def hex_to_integer(self, text: ColumnElement, start: int, length: int) -> ColumnElement:
        digits = func.substr(text, literal_column(f"{start}"), literal_column(f"{length}"))
        return sa.cast(sa.cast(literal_column("'x'").concat(digits), postgresql.BIT(4 * length)), sa.BigInteger)

    def aggregate_texts(self, text: ColumnElement) -> ColumnElement:
        return func.string_agg(text, literal_column("','"))

    def days_ago(self, days: int) -> ColumnElement:
        return literal_column(f"now() - INTERVAL '{days} days'")

    insert = staticmethod(postgresql.insert)

    def transaction_cursor(self, connection: Any) -> Any:
        from machine_monitor.database.engines.postgresql.pipelining import (  # noqa: PLC0415 -- it imports psycopg
            PipelineCursor,
        )

        return PipelineCursor(connection)

    def execute_later(self, cursor: Any, sql: str, values: Sequence[Any]) -> Callable[[], list[Any]]:
        return cursor.execute_later(sql, values)

    def send_waiting(self, cursor: Any) -> None:
        cursor.send()

    def savepoint(self, cursor: Any) -> AbstractContextManager[None]:
        return cursor.savepoint()

    def next_ids(self, cursor: Any, table: str, count: int) -> Callable[[], list[int]]:
        query = "SELECT nextval(%s) FROM generate_series(1, %s)"
        rows = cursor.execute_later(query, [f"{table}_id_seq", count])
        return lambda: [row[0] for row in rows()]

    def estimated_row_count(self, cursor: Any, table: str) -> int:
        # ANALYZE samples the table and takes about a second, so always run it.
        del cursor, table
        return 0

    def total_changes(self, cursor: Any) -> int:
        return cursor.changes

    def in_transaction(self, cursor: Any) -> bool:
        return cursor.is_connected

    def acquire_advisory_lock(self, cursor: Any, key: int, *, shared: bool = False) -> None:
        cursor.execute_later(f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}({key})")

    def take_history_lock(self, cursor: Any, key: int, *, wait: bool) -> Callable[[], bool]:
        is_taken = "true"
        if wait:
            cursor.execute_later(f"SELECT pg_advisory_xact_lock({key})")
        else:
            is_taken = f"pg_try_advisory_xact_lock({key})"
        # The setting ends with the transaction.
        rows = cursor.execute_later(f"SELECT set_config('{HOLDS_HISTORY_LOCK}', ({is_taken})::text, true)")
        return lambda: rows()[0][0] == "true"

    def holds_history_lock(self) -> ColumnElement:
        return func.current_setting(literal_column(f"'{HOLDS_HISTORY_LOCK}'")) == literal_column("'true'")

    def dead_rows(self, table: str) -> ColumnElement:
        return func.pg_stat_get_dead_tuples(literal_column(f"'{table}'::regclass"))

    def history_state(self) -> ColumnElement:
        return literal_column(f"({HISTORY_STATE})")

    def announce_history_state(self) -> ColumnElement:
        return literal_column(ANNOUNCED_STATE)

    def transaction_id(self) -> ColumnElement:
        return func.txid_current()

    def try_advisory_lock(self, cursor: Any, name: str) -> Callable[[], bool]:
        rows = cursor.execute_later("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        return lambda: rows()[0][0]

    def lock_table(self, cursor: Any, table: str) -> None:
        cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    def database_bytes(self, cursor: Any) -> int:
        cursor.execute("SELECT pg_database_size(current_database())")
        return cursor.fetchone()[0]

    parse_url = staticmethod(urls.parse)

    def find_obstacle(self, url: sa.URL) -> str | None:
        import psycopg  # noqa: PLC0415 -- do not load it for SQLite

        from machine_monitor.database.engines.postgresql import (  # noqa: PLC0415 -- it imports psycopg
            session_settings,
        )

        try:
            session_settings.connect(urls.conninfo(url), session_settings.SessionSettings()).close()
        except psycopg.Error as error:
            return self.explain(url, error)
        return None

    def explain(self, url: sa.URL, error: Any) -> str:
        del url
        from machine_monitor.database.engines.postgresql import (  # noqa: PLC0415 -- it imports psycopg
            failures,
        )

        return failures.explain(error)

    def path_of(self, url: sa.URL) -> None:
        """None: the files belong to the server."""

    def facts(self, url: sa.URL) -> dict[str, str]:
        from machine_monitor.database.engines.postgresql import (  # noqa: PLC0415 -- it imports psycopg
            session_settings,
        )

        query = str(sa.select(*self.server_columns()).compile(dialect=self.dialect)).encode()
        with session_settings.connect(urls.conninfo(url), session_settings.SessionSettings()) as connection:
            pooled, version = session_settings.is_pooled(connection), connection.info.server_version
            state = ServerState.from_row(connection.execute(query).fetchall()[0])
        return {
            "server": state.role,
            "synchronous_commit": state.synchronous_commit,
            "server version": f"{version // 10_000}.{version % 10_000}",
            "connection": "through a pooler, so no statement is prepared" if pooled else "to the server itself",
        }

    def standby_facts(self, url: sa.URL, standby_url: sa.URL) -> tuple[dict[str, str], list[str]]:
        import psycopg  # noqa: PLC0415 -- do not load psycopg for SQLite

        from machine_monitor.database.engines.postgresql import standby  # noqa: PLC0415 -- it imports psycopg

        try:
            faults = standby.find_faults(urls.conninfo(standby_url), urls.conninfo(url))
            return {"server of reads": self.facts(standby_url)["server"]}, faults
        except psycopg.Error as error:
            return {}, [f"The server of MM_DATABASE_READ_URL cannot be used: {self.explain(standby_url, error)}"]

    def server_columns(self) -> list[ColumnElement]:
        return ServerState.columns()

    def server_faults(self, values: Sequence[Any]) -> list[str]:
        return ServerState.from_row(values).faults

    def file_faults(self, url: sa.URL) -> list[str]:
        del url
        return []

    def create_driver(self, url: sa.URL, query_timeout: float, standby_url: sa.URL | None = None) -> Any:
        from machine_monitor.database.engines.postgresql.driver import (  # noqa: PLC0415 -- do not load psycopg for SQLite
            PostgresqlDriver,
        )

        return PostgresqlDriver(urls.conninfo(url), query_timeout, standby_url and urls.conninfo(standby_url))

    def migration_engine(self, url: sa.URL, *, read_only: bool) -> sa.Engine:
        # PostgreSQL uses MVCC: a reader never waits for a writer.
        del read_only
        from machine_monitor.database.engines.postgresql import (  # noqa: PLC0415 -- do not load psycopg for SQLite
            session_settings,
        )

        connect = partial(session_settings.connect_for_migration, urls.conninfo(url))
        return sa.create_engine(urls.DRIVER + "://", creator=connect, **engine.MIGRATION_OPTIONS)

    @contextmanager
    def migration_transaction(self, connection: sa.Connection, url: sa.URL) -> Generator[None]:
        del url
        from machine_monitor.database.engines.postgresql import (  # noqa: PLC0415 -- do not load psycopg for SQLite
            session_settings,
        )

        with connection.begin():
            session_settings.set_for_migration(connection.connection.cursor())
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            yield

    def back_up(self, url: sa.URL, revision: str) -> None:
        """None: a server has its own backups."""

    schema_objects = staticmethod(catalog.read)
    objects_of_statements = staticmethod(catalog.of_statements)

    def stream_cursor(self, cursor: Any) -> Any:
        # A named (server-side) cursor: psycopg's default cursor fetches all rows at once. Several can be open.
        return cursor.connection.cursor(name=f"stream_{next(_stream_numbers)}")

    def to_portable_expr(self, column: sa.Column) -> ColumnElement:
        type_ = column.type.dialect_impl(self.dialect)
        type_ = type_.impl if isinstance(type_, sa.TypeDecorator) else type_
        return next((convert(column) for kind, convert in PORTABLE if isinstance(type_, kind)), column)

    def bulk_insert(self, cursor: Any, table: sa.Table, rows: Iterable[Sequence[Any]]) -> None:
        with cursor.copy(f"COPY {engine.columns_of(self, table)} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def triggers_disabled(self, cursor: Any, table: str) -> Generator[None]:
        # USER excludes the internal triggers that enforce foreign keys.
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def last_id(self, cursor: Any, table: sa.Table) -> int:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", _serial_column(table))
        cursor.execute(f"SELECT last_value FROM {cursor.fetchone()[0]} WHERE is_called")
        found = cursor.fetchone()
        return found[0] if found else 0

    def set_last_id(self, cursor: Any, table: sa.Table, last: int) -> None:
        cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [*_serial_column(table), last])

    def copy_to_file(self, cursor: Any, target: Path, progress: Progress) -> bool:
        del cursor, target, progress
        return False


def _serial_column(table: sa.Table) -> list[str]:
    assert table.autoincrement_column is not None
    return [table.name, table.autoincrement_column.name]
