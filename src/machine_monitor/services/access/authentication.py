"""Authenticate requests, without a cache, so that a revoked token stops working at once.

Requests that come at the same time with the same credential share a statement, which begins after each of them came.
To PostgreSQL, a few requests at a time send the query of their page together with that statement, in one round trip.
See docs/internals/sessions-and-tokens.md.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, exists, literal_column, or_, select, update

from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.engines.engine import DatabaseReadOnly
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Prefetch, Statement, compile_statement
from machine_monitor.errors import Unauthenticated
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS, SESSIONS, TOKENS
from machine_monitor.services.access.permissions import Caller, Role, Scope
from machine_monitor.services.access.shared_queries import SharedQueries
from machine_monitor.services.accounts import generated_secrets
from machine_monitor.services.accounts.sessions import IDLE_TIMEOUT, LIFETIME
from machine_monitor.services.accounts.time_bounds import latest_start

# Last-used times are updated at most once a minute, because each update is a write.
LAST_USED_RESOLUTION = timedelta(minutes=1)
# How many credentials have their last result kept, for guesses.
KEPT_CALLERS = 1_000
# Callers without credentials: read-only (MM_ANONYMOUS=read), and full access (`--open`, before the first account).
ANONYMOUS_READER = Caller(None, Role.VIEWER, Scope.READ, "anonymous")
OPEN_ACCESS = Caller(None, Role.ADMIN, Scope.ADMIN, "anonymous")

logger = logging.getLogger(__name__)


class Authenticated(NamedTuple):
    """The caller of a request, and the state of the history then, which names the state of all records."""

    caller: Caller
    history_state: bytes


class Authenticator:
    """Finds the caller of a request from its credentials; raises `Unauthenticated`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._allows_anonymous_reading = settings.anonymous == "read"
        # Becomes False as soon as an account exists, and stays False.
        self._open = settings.open
        self._touches: dict[Any, asyncio.Task[None]] = {}
        self._queries: SharedQueries[list[Any]] = SharedQueries()
        self._last: dict[str, Authenticated] = {}

    def last_authenticated(self, credential: str) -> Authenticated | None:
        """Return the result of the last request of this process with this token or session cookie.

        Only for guesses: the credential may have ended since.
        """
        return self._last.get(generated_secrets.digest(credential))

    async def authenticate_token(
        self, text: str, *, is_use: bool = True, prefetch: Prefetch | None = None
    ) -> Authenticated:
        """Return the caller with this API token (bearer token); `is_use` updates the token's time of last use."""
        parsed = generated_secrets.parse_token(text)
        if parsed is None:
            raise Unauthenticated
        identity, secret = parsed
        which = {"id": identity, "digest": generated_secrets.digest(secret)}
        rows = await self._fetch(_token(self._database.engine), which, _token_times, prefetch)
        if not rows:
            raise self._refuse(text)
        user, role, scope, is_recent, history_state = rows[0]
        if is_use and not is_recent:
            values = {"which": identity, "at": self._at(instants.now())}
            self._touch_last_used(_last_used_statement(self._database.engine), values)
        caller = Caller(user, Role(role), Scope(scope), "token", token=identity)
        return self._keep(text, _authenticated(caller, history_state))

    async def authenticate_session(
        self, secret: str, *, is_use: bool = True, prefetch: Prefetch | None = None
    ) -> Authenticated:
        """Return the caller with this session cookie; `is_use` extends the session."""
        digest = generated_secrets.digest(secret)
        rows = await self._fetch(_session(self._database.engine), {"digest": digest}, _session_times, prefetch)
        if not rows:
            raise self._refuse(secret)
        user, role, is_recent, history_state = rows[0]
        if is_use and not is_recent:
            values = {"which": digest, "at": self._at(instants.now())}
            self._touch_last_used(_seen(self._database.engine), values)
        csrf_token = generated_secrets.csrf_token(secret)
        caller = Caller(user, Role(role), Scope.ADMIN, "session", digest, csrf_token)
        return self._keep(secret, _authenticated(caller, history_state))

    async def authenticate_anonymous(self) -> Authenticated:
        """Return the caller without credentials: full access with `--open` until an account exists, else read-only.

        Raises `Unauthenticated` unless MM_ANONYMOUS allows anonymous reading.
        """
        if not (self._open or self._allows_anonymous_reading):
            raise Unauthenticated
        ((has_accounts, history_state),) = await self._database.fetch(anonymous_statement(self._database.engine), {})
        self._open = self._open and not has_accounts
        if self._open:
            return _authenticated(OPEN_ACCESS, history_state)
        if self._allows_anonymous_reading:
            return _authenticated(ANONYMOUS_READER, history_state)
        raise Unauthenticated

    async def close(self) -> None:
        """Wait for pending last-used updates."""
        await asyncio.gather(*self._touches.values())

    async def _fetch(
        self,
        statement: Statement,
        which: Mapping[str, Any],
        times_at: Callable[[datetime], Mapping[str, datetime]],
        prefetch: Prefetch | None,
    ) -> list[Any]:
        """Return the rows of the credential with these values."""

        def values() -> dict[str, Any]:
            # The times are those of the query, which may begin later than the first request that shares it came.
            return {**which, **{name: self._at(at) for name, at in times_at(instants.now()).items()}}

        key = tuple(which.items())
        # While a query for this credential alone is running, sharing the next one takes fewer statements.
        if prefetch is not None and not self._queries.is_running(key):
            rows = await self._database.fetch_and_prefetch(statement, values(), prefetch)
            if rows is not None:
                return rows
        return await self._queries.fetch(key, lambda: self._database.fetch(statement, values()))

    def _keep(self, credential: str, authenticated: Authenticated) -> Authenticated:
        """Keep the last result of a credential if it is of use, and forget another one if there are too many."""
        if not self._database.can_prefetch:
            return authenticated
        key = generated_secrets.digest(credential)
        self._last.pop(key, None)
        self._last[key] = authenticated
        if len(self._last) > KEPT_CALLERS:
            del self._last[next(iter(self._last))]
        return authenticated

    def _refuse(self, credential: str) -> Unauthenticated:
        """Forget the last result of a credential that is not valid; return the problem to raise."""
        self._last.pop(generated_secrets.digest(credential), None)
        return Unauthenticated()

    def _at(self, instant: datetime) -> Any:
        return self._database.engine.to_db(instants.format_instant(instant), TIME)

    def _touch_last_used(self, statement: Statement, values: Mapping[str, Any]) -> None:
        """Update the last-used time in the background; the request does not wait for it, and does not fail with it."""
        which = values["which"]
        if which not in self._touches:
            self._touches[which] = asyncio.create_task(self._write(statement, values))

    async def _write(self, statement: Statement, values: Mapping[str, Any]) -> None:
        try:
            await self._database.write(lambda tx: tx.execute(statement, values))
        except DatabaseReadOnly:
            pass  # a time of last use is not worth a line in the log with each request
        except Exception as error:  # noqa: BLE001 -- the next request tries again
            logger.warning("cannot update the last use of a credential: %s", type(error).__name__)
        finally:
            del self._touches[values["which"]]


def _token_times(now: datetime) -> dict[str, datetime]:
    return {"now": now, "recent": now - LAST_USED_RESOLUTION, "latest": latest_start(now)}


def _session_times(now: datetime) -> dict[str, datetime]:
    times = {"latest": latest_start(now), "idle": now - IDLE_TIMEOUT, "oldest": now - LIFETIME}
    return {**times, "recent": now - LAST_USED_RESOLUTION}


def _authenticated(caller: Caller, history_state: Any) -> Authenticated:
    return Authenticated(caller, bytes(history_state or b""))


@cache
def anonymous_statement(engine: Engine) -> Statement:
    """Compile the query for a caller without credentials: whether any password or token exists, and the state."""
    any_rows = [exists(select(literal_column("1")).select_from(table)) for table in (CREDENTIALS, TOKENS.table)]
    return compile_statement(engine, select(or_(*any_rows), engine.history_state()))


@cache
def _token(engine: Engine) -> Statement:
    """Compile the query for a valid token by its number and the digest of its secret.

    Rows: (user, role, scope, whether the last use is recent, state of the history).
    """
    tokens, users = TOKENS.table, USERS.table
    times = {name: bindparam(name, type_=TIME.column_type) for name in ("now", "recent", "latest")}
    is_recent = tokens.c.last_used_at.between(times["recent"], times["latest"])
    state = engine.announce_history_state()
    query = select(users.c.trigram, users.c.role, tokens.c.scope, is_recent, state)
    query = query.join_from(tokens, users, tokens.c.user == users.c.trigram)
    by_number = tokens.c.id == bindparam("id", type_=INTEGER.column_type)
    is_valid = [tokens.c.digest == bindparam("digest", type_=tokens.c.digest.type)]
    is_valid += [tokens.c.expires_at > times["now"], tokens.c.created_at <= times["latest"], users.c.active]
    return compile_statement(engine, query.where(by_number, *is_valid))


@cache
def _session(engine: Engine) -> Statement:
    """Compile the query for an unexpired session by its digest.

    Rows: (user, role, whether the last use is recent, state of the history).
    """
    sessions, users = SESSIONS, USERS.table
    times = {name: bindparam(name, type_=TIME.column_type) for name in ("idle", "oldest", "recent", "latest")}
    state = engine.announce_history_state()
    query = select(users.c.trigram, users.c.role, sessions.c.seen_at > times["recent"], state)
    query = query.join_from(sessions, users, sessions.c.user == users.c.trigram)
    is_unexpired = [sessions.c.seen_at > times["idle"], sessions.c.created_at > times["oldest"], users.c.active]
    # A session that was begun or used while the clock was ahead would otherwise last until the clock gets there.
    is_unexpired += [column <= times["latest"] for column in (sessions.c.seen_at, sessions.c.created_at)]
    by_digest = sessions.c.digest == bindparam("digest", type_=sessions.c.digest.type)
    return compile_statement(engine, query.where(by_digest, *is_unexpired))


@cache
def _last_used_statement(engine: Engine) -> Statement:
    table = TOKENS.table
    at, which = bindparam("at", type_=TIME.column_type), bindparam("which", type_=INTEGER.column_type)
    return compile_statement(engine, update(table).where(table.c.id == which).values(last_used_at=at))


@cache
def _seen(engine: Engine) -> Statement:
    at, which = bindparam("at", type_=TIME.column_type), bindparam("which", type_=SESSIONS.c.digest.type)
    return compile_statement(engine, update(SESSIONS).where(SESSIONS.c.digest == which).values(seen_at=at))
