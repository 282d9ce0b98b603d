"""Share round trips: statements whose rows nobody needs yet are sent with the next one, in libpq's pipeline mode.

A transaction to a server that is 5 ms away spends most of its time in waiting for responses, one statement after
another. See docs/internals/write-batches.md.
"""

import itertools
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import psycopg
from psycopg.pq import ExecStatus

_rollback_numbers = itertools.count(1)
# More rows or statements than this are sent at once, to save memory.
MAX_WAITING = 1_000


class PipelineCursor(psycopg.Cursor):
    """A cursor that sends statements in the order in which they were given, several in a round trip where it can.

    `execute` sends everything that waits, together with its statement. `execute_later` and `executemany` let theirs
    wait; their errors are raised by what sends them.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__(connection)
        self._waiting: list[Callable[[], Any]] = []
        # How many statements may have changed something so far, or have failed.
        self.changes = 0

    @property
    def connection(self) -> psycopg.Connection:
        """The connection, after sending all that waits. Its caller may change something, so this counts as a change."""
        self.changes += 1
        self.send()
        return super().connection

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, without sending anything."""
        return not super().connection.closed

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        """Send all that waits and this statement, in one round trip."""
        self._count(query)
        run = partial(super().execute, query, params, **options)
        if self._waiting:
            self._waiting.append(run)
            self.send()
        else:
            with self._counting_errors():
                run()
        return self

    def execute_later(self, query: Any, params: Any = None) -> Callable[[], list[Any]]:
        """Let a statement wait; return a function that returns its rows, and sends all that waits if necessary."""
        self._count(query)
        own = super().connection.cursor()
        run = partial(own.execute, query, params)
        self._waiting.append(run)
        if len(self._waiting) > MAX_WAITING:
            self.send()

        def rows() -> list[Any]:
            if run in self._waiting:
                self.send()
            # Not `description`: it asks the connection, which may have another user by now.
            has_rows = own.pgresult is not None and own.pgresult.status == ExecStatus.TUPLES_OK
            return own.fetchall() if has_rows else []

        return rows

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        """Let a statement wait, to be run once per row."""
        self.changes += 1
        rows = list(params_seq)
        self._waiting.append(partial(super().executemany, query, rows, **options))
        if len(rows) > MAX_WAITING:
            self.send()

    def copy(self, *arguments: Any, **options: Any) -> Any:
        """Send all that waits, then begin COPY, for which there is no pipeline mode."""
        self.changes += 1
        self.send()
        return super().copy(*arguments, **options)

    def send(self) -> None:
        """Send all that waits in one round trip; raises the first error, and what follows it does not run."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        with self._counting_errors():
            _run_in_pipeline(super().connection, waiting)

    def commit(self) -> None:
        """Commit, in one round trip with all that waits."""
        _require_commit(self.execute("COMMIT"))

    def commit_and_locate(self) -> str:
        """Commit, and return the position of the write-ahead log after that, in the same round trip."""
        committing = super().connection.cursor()
        self._waiting.append(partial(committing.execute, "COMMIT"))
        ((position,),) = self.execute("SELECT pg_current_wal_insert_lsn()::text").fetchall()
        _require_commit(committing)
        return position

    def _count(self, query: Any) -> None:
        self.changes += not (isinstance(query, str) and query.startswith("SELECT"))

    @contextmanager
    def _counting_errors(self) -> Generator[None]:
        try:
            yield
        except BaseException:
            self.changes += 1
            raise

    @contextmanager
    def savepoint(self) -> Generator[None]:
        """Undo what the block did if it raises an error. Its statements are sent before it ends."""
        begin = partial(super().execute, "SAVEPOINT unit")
        self._waiting.append(begin)
        try:
            yield
            is_sent = not self._waiting or self._waiting[-1] is begin
            self.execute_later("RELEASE unit")
            if not is_sent:
                self.send()
        except BaseException:
            if begin in self._waiting:
                del self._waiting[self._waiting.index(begin) :]
            elif self.is_connected:
                self._waiting.clear()
                # psycopg looks for ROLLBACK only in texts that are new to it. Some prepared statements may not exist.
                self.execute(f"ROLLBACK TO unit -- {next(_rollback_numbers)}")
                self.execute_later("RELEASE unit")
            raise


def _run_in_pipeline(connection: psycopg.Connection, waiting: Iterable[Callable[[], Any]]) -> None:
    error: BaseException | None = None
    try:
        with connection.pipeline():
            try:
                for run in waiting:
                    run()
            except psycopg.Error as early:
                error = early
    except psycopg.errors.PipelineAborted as aborted:
        # Raised for the statements after the one that failed, whose own error came before.
        error = error or aborted.__context__ or aborted
    if error is not None:
        raise error.with_traceback(None) from None


def _require_commit(cursor: psycopg.Cursor) -> None:
    """Raise an error if the server has rolled back instead, because a statement had failed before."""
    if cursor.statusmessage != "COMMIT":
        message = "the transaction was rolled back, because one of its statements had failed"
        raise psycopg.errors.InFailedSqlTransaction(message)
