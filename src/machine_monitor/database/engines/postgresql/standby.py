"""Answers queries from a standby server, unless it misses a write that the client knows of.

See docs/internals/standby-reads.md.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from machine_monitor.database.engines.postgresql.readers import READERS, Readers, query_settings, stream_snapshot
from machine_monitor.database.engines.postgresql.server_state import SECONDS_BEHIND
from machine_monitor.database.engines.postgresql.session_settings import SessionSettings, connect
from machine_monitor.database.read_point import ReadPoint
from machine_monitor.database.statements import Statement
from machine_monitor.errors import DatabaseBusy, MonitorError
from machine_monitor.fairness import FairSemaphore
from machine_monitor.lasting_condition import LastingCondition

logger = logging.getLogger(__name__)
# A standby that is further behind answers nothing.
MAX_SECONDS_BEHIND = 10.0
# A query waits so long for the standby, and is then answered by the primary.
WAIT_SECONDS = 1.0
# After a failure, the standby is left alone for so long.
RETRY_SECONDS = 2.0
FAILING = "The standby of MM_DATABASE_READ_URL cannot be used, so the primary answers all reads: {}."
OTHER_DATABASE = (
    "MM_DATABASE_READ_URL leads to another database than MM_DATABASE_URL, so nothing is read from it. "
    "Name a standby of that server, and the same database."
)
# A standby has the identifier of its primary.
IDENTITY = "SELECT system_identifier || ' ' || current_database() FROM pg_control_system()"
# Without `hot_standby_feedback`, a standby cancels a long query when the primary removes rows that the query sees.
KEEPS_SNAPSHOTS = "NOT pg_is_in_recovery() OR current_setting('hot_standby_feedback') = 'on'"
STATE = f"""
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
            >= %s::text::pg_lsn,
        CASE WHEN pg_is_in_recovery() THEN {SECONDS_BEHIND} ELSE 0 END::float8,
        (SELECT hash FROM history ORDER BY seq DESC LIMIT 1),
        {KEEPS_SNAPSHOTS}"""
NO_FEEDBACK = (
    "The server of MM_DATABASE_READ_URL has hot_standby_feedback off, so the primary answers all exports. Set it to on."
)


class StandbyState(NamedTuple):
    """A row of STATE: whether the server has the position, its lag, the hash of the head, and if it keeps snapshots."""

    has_position: bool
    seconds_behind: float | None
    head_hash: bytes | None
    keeps_snapshots: bool

    @property
    def can_answer(self) -> bool:
        """Whether the server is recent enough."""
        return self.has_position and self.seconds_behind is not None and self.seconds_behind <= MAX_SECONDS_BEHIND


def find_faults(conninfo: str, primary_conninfo: str) -> list[str]:
    """Return why the standby cannot answer all that it may, one sentence each."""
    with connect(primary_conninfo, SessionSettings()) as primary, connect(conninfo, SessionSettings()) as standby:
        if primary.execute(IDENTITY).fetchall() != standby.execute(IDENTITY).fetchall():
            return [OTHER_DATABASE]
        ((keeps_snapshots,),) = standby.execute(f"SELECT {KEEPS_SNAPSHOTS}".encode()).fetchall()
        return [] if keeps_snapshots else [NO_FEEDBACK]


class Standby:
    """The connections to a standby. Users share them, as they share those to the primary."""

    def __init__(self, conninfo: str, query_timeout: float, identify_primary: Callable[[], Awaitable[str]]) -> None:
        self._conninfo = conninfo
        self._settings = query_settings(query_timeout)
        self._timeout = query_timeout + WAIT_SECONDS
        self._readers = Readers(conninfo, self._settings, WAIT_SECONDS)
        self._slots = FairSemaphore(READERS)
        self._identify_primary = identify_primary
        self._is_same_database = False
        self._failing = LastingCondition(logger, "The standby answers reads again.")
        self._left_alone_until = 0.0
        # None until the first answer, and while the standby receives nothing.
        self.seconds_behind: float | None = None

    async def open(self) -> None:
        """Start to connect, in the background."""
        await self._readers.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._readers.close()

    async def fetch(
        self, user: str, statement: Statement, values: Mapping[str, Any], point: ReadPoint
    ) -> list[Any] | None:
        """Return the rows of a query, or None if the primary has to answer it. A timeout of the query is raised."""
        if time.monotonic() < self._left_alone_until:
            return None
        with suppress(DatabaseBusy):
            async with self._slots.slot(user, WAIT_SECONDS):
                return await self._fetch(statement, values, point)
        return None

    async def _fetch(self, statement: Statement, values: Mapping[str, Any], point: ReadPoint) -> list[Any] | None:
        try:
            async with asyncio.timeout(self._timeout):
                if not (self._is_same_database or await self._check_identity()):
                    return None
                state, rows = await self._fetch_with_state(statement, values, point)
        except errors.QueryCanceled:
            raise
        except (psycopg.Error, MonitorError, TimeoutError) as error:
            self._leave_alone(FAILING.format(type(error).__name__))
            return None
        self._failing.end()
        if not self._can_answer(state):
            return None
        point.is_current &= bytes(state.head_hash or b"") == point.head_hash
        return rows

    async def _fetch_with_state(
        self, statement: Statement, values: Mapping[str, Any], point: ReadPoint
    ) -> tuple[StandbyState, list[Any]]:
        """Return the state of the server and then the rows, in one round trip: the rows are at least as new."""
        async with (
            self._readers.connection() as connection,
            connection.cursor() as first,
            connection.cursor() as second,
        ):
            async with connection.pipeline():
                await first.execute(STATE, [point.after])
                await second.execute(statement.sql, statement.bind(values), prepare=not statement.uses_fulltext)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
            (state,) = await first.fetchall()
            return StandbyState(*state), await second.fetchall()

    def stream(self, statement: Statement, values: Mapping[str, Any], point: ReadPoint) -> Generator[list[Any]] | None:
        """Return the chunks of the rows of one query, or None if the primary has to answer it."""
        if time.monotonic() < self._left_alone_until or not self._is_same_database:
            return None
        chunks = self._stream(statement, values, point)
        try:
            if next(chunks):
                return chunks
        except (psycopg.Error, MonitorError) as error:
            self._leave_alone(FAILING.format(type(error).__name__))
        chunks.close()
        return None

    def _stream(self, statement: Statement, values: Mapping[str, Any], point: ReadPoint) -> Generator[Any]:
        """Yield first whether the standby answers, and then the chunks."""
        with connect(self._conninfo, self._settings) as connection:
            # Before the snapshot, which is then at least as new.
            (row,) = connection.execute(STATE, [point.after]).fetchall()
            state = StandbyState(*row)
            if not (self._can_answer(state) and state.keeps_snapshots):
                yield False
                return
            yield True
            yield from stream_snapshot(connection, self._settings, statement, values)

    async def _check_identity(self) -> bool:
        """Return whether the standby has the database of the primary; another one must not answer."""
        async with self._readers.connection() as connection:
            cursor = await connection.execute(IDENTITY)
            ((own,),) = await cursor.fetchall()
        self._is_same_database = own == await self._identify_primary()
        if not self._is_same_database:
            self._leave_alone(OTHER_DATABASE)
        return self._is_same_database

    def _can_answer(self, state: StandbyState) -> bool:
        self.seconds_behind = state.seconds_behind
        return state.can_answer

    def _leave_alone(self, sentence: str) -> None:
        self._failing.report(sentence)
        self._left_alone_until = time.monotonic() + RETRY_SECONDS
