"""The settings of a session that results depend on, so that a server, a database or a role can have any others.

They are not startup options: PgBouncer refuses those, or ignores them. A connection to the server itself gets the
settings once. Behind a pooler, each transaction may run in another session of the server, and other clients use it too:
there, each transaction sets them for itself alone, and no statement is prepared.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from psycopg import AsyncConnection, Connection, IsolationLevel

from machine_monitor.errors import SchemaMismatch

# Parameters of each connection.
CONNECTION: Mapping[str, Any] = {"client_encoding": "UTF8", "fallback_application_name": "machine-monitor"}
SETTINGS: Mapping[str, str] = {
    # Times and numbers as texts: `_rfc3339` in engine.py relies on these.
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    # The meaning of statements.
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "gin_fuzzy_search_limit": "0",
    "default_transaction_isolation": "read committed",
    # Definitions as `catalog` compares them.
    "quote_all_identifiers": "off",
    # Exports, imports and migrations take as long as they need.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
# Settings of newer servers, by the first version that has them.
NEWER: Mapping[int, Mapping[str, str]] = {17_00_00: {"transaction_timeout": "0"}}


class SessionSettings:
    """The settings of some connections, which autocommit: `SETTINGS`, and those given."""

    def __init__(self, **settings: object) -> None:
        self._settings = {**SETTINGS, **{name: str(value) for name, value in settings.items()}}
        self._statement = cache(self._build)

    def configure(self, connection: Connection) -> None:
        """Prepare a new connection; raises `SchemaMismatch` if the database is not in UTF-8."""
        require_utf8(connection)
        if connection.execute(self._for_session(connection)).fetchone() is None:
            connection.prepare_threshold = None

    async def configure_async(self, connection: AsyncConnection) -> None:
        """Prepare a new connection, as `configure` does."""
        require_utf8(connection)
        cursor = await connection.execute(self._for_session(connection))
        if await cursor.fetchone() is None:
            connection.prepare_threshold = None

    def begin(self, connection: Connection | AsyncConnection, mode: str) -> bytes:
        """Return the statements that begin a transaction with these settings; `mode` is what follows BEGIN."""
        begin = f"BEGIN {mode}".encode()
        return b"; ".join([begin, self.for_transaction(connection)]) if is_pooled(connection) else begin

    def for_transaction(self, connection: Connection | AsyncConnection) -> bytes:
        """Return the statement that makes the settings hold until the transaction ends."""
        return self._statement(connection.info.server_version, is_local=True)

    def _for_session(self, connection: Connection | AsyncConnection) -> bytes:
        """Return the statement that makes the settings hold, and returns a row, unless there is a pooler.

        A pooler makes up the process id of the server that it tells a client.
        """
        has_own_session = f" WHERE pg_backend_pid() = {connection.info.backend_pid}"
        return self._statement(connection.info.server_version, is_local=False) + has_own_session.encode()

    def _build(self, version: int, *, is_local: bool) -> bytes:
        settings = dict(self._settings)
        for first, newer in NEWER.items():
            settings |= newer if version >= first else {}
        calls = [f"set_config('{name}', '{value}', {is_local})" for name, value in settings.items()]
        return f"SELECT {', '.join(calls)}".encode()


def connect(conninfo: str, settings: SessionSettings) -> Connection:
    """Open a connection that autocommits, outside of any pool."""
    connection = Connection.connect(conninfo, autocommit=True, **CONNECTION)
    try:
        settings.configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_for_migration(conninfo: str) -> Connection:
    """Open a connection for SQLAlchemy, which begins and ends its transactions."""
    connection = connect(conninfo, SessionSettings())
    connection.autocommit = False
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    connection.prepare_threshold = None  # a connection for few statements
    return connection


def set_for_migration(cursor: Any) -> None:
    """Make the settings hold until the transaction of a migration ends, also behind a pooler."""
    cursor.execute(SessionSettings().for_transaction(cursor.connection))


def is_pooled(connection: Connection | AsyncConnection) -> bool:
    """Whether a pooler is between a connection and its server: `configure` found one."""
    return connection.prepare_threshold is None


def require_utf8(connection: Any) -> None:
    """Raise `SchemaMismatch` if the database has another encoding than UTF-8."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        raise SchemaMismatch(
            f"The database {name} has the encoding {encoding}, and must have UTF8. "
            "Create another one: createdb --encoding UTF8 --template template0 NAME"
        )
