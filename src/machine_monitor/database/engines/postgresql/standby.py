"""Answers queries from a standby server, unless it misses a write that the client knows of.

See docs/internals/standby-reads.md.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import closing, suppress
from typing import Any, NamedTuple

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from machine_monitor.database.engines.postgresql import failures
from machine_monitor.database.engines.postgresql.history_state import HISTORY_STATE
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
# How long a query waits for a connection to the standby.
WAIT_SECONDS = 1.0
# After a failure, the standby is left alone for so long. Then one query tries it.
RETRY_SECONDS = 2.0
# Unless the URL says otherwise: a host that has vanished without a word is noticed in seconds, not minutes.
CONNECTION_OPTIONS = {
    "connect_timeout": 2,
    "tcp_user_timeout": 2000,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
FAILING = "The standby of MM_DATABASE_READ_URL cannot be used, so the primary answers all reads: {}."
NOT_A_STANDBY = "the server is a primary"
OTHER_DATABASE = (
    "MM_DATABASE_READ_URL leads to another database than MM_DATABASE_URL, so nothing is read from it. "
    "Name a standby of that server, and the same database."
)
NO_FEEDBACK = (
    "The server of MM_DATABASE_READ_URL has hot_standby_feedback off, so the primary answers all exports. Set it to on."
)
# A standby has the identifier of its primary.
IDENTITY = "SELECT system_identifier || ' ' || current_database() FROM pg_control_system()"
# A position that has all that earlier statements of this server have read.
POSITION = Statement(
    "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text",
    (),
    {},
    uses_fulltext=False,
)
# Without `hot_standby_feedback`, a standby cancels a long query when the primary removes rows that the query sees.
KEEPS_SNAPSHOTS = "current_setting('hot_standby_feedback') = 'on'"
STATE = f"""
    SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::text::pg_lsn, ({SECONDS_BEHIND})::float8,
        ({HISTORY_STATE}), {KEEPS_SNAPSHOTS}"""


class NotAnsweredError(Exception):
    """The primary has to answer."""


class StandbyState(NamedTuple):
    """A row of STATE. `history_state` is that of its history."""

    is_standby: bool
    has_position: bool
    seconds_behind: float | None
    history_state: bytes
    keeps_snapshots: bool

    @property
    def is_recent(self) -> bool:
        """Whether the server receives what its primary writes."""
        return self.seconds_behind is not None and self.seconds_behind <= MAX_SECONDS_BEHIND


def find_faults(conninfo: str, primary_conninfo: str) -> list[str]:
    """Return why the standby cannot answer all that it may, one sentence each."""
    with connect(primary_conninfo, SessionSettings()) as primary, connect(conninfo, SessionSettings()) as standby:
        if primary.execute(IDENTITY).fetchall() != standby.execute(IDENTITY).fetchall():
            return [OTHER_DATABASE]
        query = f"SELECT pg_is_in_recovery(), {KEEPS_SNAPSHOTS}".encode()
        ((is_standby, keeps_snapshots),) = standby.execute(query).fetchall()
    if not is_standby:
        return [FAILING.format(NOT_A_STANDBY)]
    return [] if keeps_snapshots else [NO_FEEDBACK]


class Standby:
    """The connections to a standby. Users share them, as they share those to the primary."""

    def __init__(self, conninfo: str, query_timeout: float, identify_primary: Callable[[], Awaitable[str]]) -> None:
        self._conninfo = make_conninfo(conninfo, **{**CONNECTION_OPTIONS, **conninfo_to_dict(conninfo)})
        self._settings = query_settings(query_timeout)
        self._timeout = query_timeout + WAIT_SECONDS
        self._readers = Readers(self._conninfo, self._settings, WAIT_SECONDS)
        self._slots = FairSemaphore(READERS)
        self._identify_primary = identify_primary
        self._is_same_database = False
        self._failing = LastingCondition(logger, "The standby answers reads again.")
        self._skip_until = 0.0
        # None until the first answer, and while the standby receives nothing or cannot be used.
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
        if not self._may_try():
            return None
        with suppress(DatabaseBusy, NotAnsweredError):
            async with self._slots.slot(user, WAIT_SECONDS):
                return await self._fetch(statement, values, point)
        return None

    async def _fetch(self, statement: Statement, values: Mapping[str, Any], point: ReadPoint) -> list[Any]:
        # A task, for psycopg takes seconds to cancel a query of a server that does not react.
        task = asyncio.create_task(self._fetch_with_state(statement, values, point))
        task.add_done_callback(_ignore_result)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout)
        finally:
            task.cancel()
        if not done:
            raise self._skip(FAILING.format("it does not react"))
        try:
            state, rows = task.result()
        except errors.QueryCanceled:
            raise
        except (psycopg.Error, MonitorError) as error:
            raise self._skip(_failure(error)) from error
        point.is_current &= bytes(state.history_state) == point.history_state
        return rows

    async def _fetch_with_state(
        self, statement: Statement, values: Mapping[str, Any], point: ReadPoint
    ) -> tuple[StandbyState, list[Any]]:
        """Return the state of the server and then the rows, in one round trip: the rows are at least as new."""
        if not self._is_same_database:
            await self._check_identity()
        async with (
            self._readers.connection() as connection,
            connection.cursor() as first,
            connection.cursor() as second,
        ):
            try:
                async with connection.pipeline():
                    # Prepared at once, so that psycopg knows whether the server has the statement after an error.
                    await first.execute(STATE, [point.position], prepare=True)
                    await second.execute(statement.sql, statement.bind(values), prepare=not statement.uses_fulltext)  # ty: ignore[invalid-argument-type] -- the text comes from the compiler
            except errors.QueryCanceled:
                # Only the timeout of a server that may answer is an answer.
                if first.pgresult is None:
                    raise DatabaseBusy from None
                await self._check(StandbyState(*(await first.fetchall())[0]))
                raise
            state = StandbyState(*(await first.fetchall())[0])
            await self._check(state)
            return state, await second.fetchall()

    def stream(self, statement: Statement, values: Mapping[str, Any], point: ReadPoint) -> Generator[list[Any]] | None:
        """Return the chunks of the rows of one query, or None if the primary has to answer it."""
        if not (self._is_same_database and self._may_try()):
            return None
        chunks = self._stream(statement, values, point)
        try:
            return _continued(next(chunks, None), chunks)
        except errors.QueryCanceled:
            raise
        except NotAnsweredError:
            return None
        except (psycopg.Error, MonitorError) as error:
            self._skip(_failure(error))
            return None

    def _stream(self, statement: Statement, values: Mapping[str, Any], point: ReadPoint) -> Generator[list[Any]]:
        with connect(self._conninfo, self._settings) as connection:
            # Before the snapshot, which is then at least as new.
            (row,) = connection.execute(STATE, [point.position]).fetchall()
            state = StandbyState(*row)
            if not (state.is_standby and state.has_position and state.is_recent and state.keeps_snapshots):
                raise NotAnsweredError
            yield from stream_snapshot(connection, self._settings, statement, values)

    async def _check(self, state: StandbyState) -> None:
        """Raise `NotAnsweredError` unless a server in this state may answer."""
        self.seconds_behind = state.seconds_behind
        if not state.is_standby:
            # A primary beside that of MM_DATABASE_URL may have other writes. The URL may lead to a standby again.
            await self._readers.drain()
            raise self._skip(FAILING.format(NOT_A_STANDBY))
        if not state.is_recent:
            # Not logged: the first write after a quiet hour makes the standby an hour old for a moment.
            self._skip_until = time.monotonic() + RETRY_SECONDS
            raise NotAnsweredError
        self._failing.end()
        self._skip_until = 0.0
        if not state.has_position:
            raise NotAnsweredError

    async def _check_identity(self) -> None:
        """Raise `NotAnsweredError` unless the standby has the database of the primary."""
        own = await self._readers.fetch_value(IDENTITY)
        try:
            primary = await self._identify_primary()
        except (psycopg.Error, MonitorError):
            raise NotAnsweredError from None
        if own != primary:
            raise self._skip(OTHER_DATABASE)
        self._is_same_database = True

    def _may_try(self) -> bool:
        """Whether a query may ask the standby: after a failure, one at a time."""
        now = time.monotonic()
        if now < self._skip_until:
            return False
        if self._skip_until:
            self._skip_until = now + RETRY_SECONDS
        return True

    def _skip(self, sentence: str) -> NotAnsweredError:
        """Report a failure, and leave the standby alone for a while; return the exception to raise."""
        self._failing.report(sentence)
        self.seconds_behind = None
        self._skip_until = time.monotonic() + RETRY_SECONDS
        return NotAnsweredError()


def _failure(error: BaseException) -> str:
    """Say why the standby cannot be used; `ConnectionLost` has the driver's error as its cause."""
    driver_error = error if isinstance(error, psycopg.Error) else error.__cause__
    reason = failures.explain(driver_error) if isinstance(driver_error, psycopg.Error) else str(error)
    return FAILING.format(reason.rstrip("."))


def _continued(first: list[Any] | None, rest: Generator[list[Any]]) -> Generator[list[Any]]:
    with closing(rest):
        if first is not None:
            yield first
        yield from rest


def _ignore_result(task: asyncio.Task[Any]) -> None:
    """Mark the exception of a task that nobody waits for as seen."""
    if not task.cancelled():
        task.exception()
