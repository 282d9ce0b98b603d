"""Who makes a request: one short statement by what it shows, and no cache that would let a revoked token pass."""

import asyncio
import hmac
import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import bindparam, exists, literal_column, or_, select, update

from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine
from machine_monitor.database.kinds import INTEGER, TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.errors import Unauthenticated
from machine_monitor.models import USERS
from machine_monitor.models.accounts import CREDENTIALS, SESSIONS, TOKENS
from machine_monitor.services.access.permissions import Caller, Role, Scope
from machine_monitor.services.accounts import generated_secrets
from machine_monitor.services.accounts.sessions import IDLE_TIMEOUT, LIFETIME

# How old the time of the last use may be: it costs a write.
LAST_USED_RESOLUTION = timedelta(minutes=1)
# Who reads where anyone may, and who does all where there are no accounts yet.
ANONYMOUS_READER = Caller(None, Role.VIEWER, Scope.READ, "anonymous")
OPEN_ACCESS = Caller(None, Role.ADMIN, Scope.ADMIN, "anonymous")

logger = logging.getLogger(__name__)


class Authenticator:
    """Tells who makes a request by what it shows; raises `Unauthenticated`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._reading = settings.anonymous == "read"
        # Until an account is seen, once and for all.
        self._open = settings.open
        self._touches: dict[Any, asyncio.Task[None]] = {}

    async def authenticate_token(self, text: str) -> Caller:
        """Who has this token."""
        parsed = generated_secrets.parse_token(text)
        if parsed is None:
            raise Unauthenticated
        identity, secret = parsed
        now = instants.now()
        rows = await self._database.fetch(
            _token(self._database.engine),
            {"id": identity, "now": self._at(now), "recent": self._at(now - LAST_USED_RESOLUTION)},
        )
        if not rows or not hmac.compare_digest(rows[0][0], generated_secrets.digest(secret)):
            raise Unauthenticated
        _, user, role, scope, is_recent = rows[0]
        if not is_recent:
            self._touch_last_used(_used(self._database.engine), {"which": identity, "at": self._at(now)})
        return Caller(user, Role(role), Scope(scope), "token")

    async def authenticate_session(self, secret: str) -> Caller:
        """Whose session has this cookie."""
        now, digest = instants.now(), generated_secrets.digest(secret)
        limits = {
            "now": now,
            "idle": now - IDLE_TIMEOUT,
            "oldest": now - LIFETIME,
            "recent": now - LAST_USED_RESOLUTION,
        }
        values = {"digest": digest, **{name: self._at(at) for name, at in limits.items()}}
        rows = await self._database.fetch(_session(self._database.engine), values)
        if not rows:
            raise Unauthenticated
        user, role, is_recent = rows[0]
        if not is_recent:
            self._touch_last_used(_seen(self._database.engine), {"which": digest, "at": self._at(now)})
        return Caller(user, Role(role), Scope.ADMIN, "session", digest, generated_secrets.csrf_token(secret))

    async def authenticate_anonymous(self) -> Caller:
        """Who shows nothing: anyone while there are no accounts and that is wanted, else a reader if that is."""
        if self._open:
            rows = await self._database.fetch(has_accounts(self._database.engine), {})
            self._open = not rows[0][0]
        if self._open:
            return OPEN_ACCESS
        if self._reading:
            return ANONYMOUS_READER
        raise Unauthenticated

    async def close(self) -> None:
        """Wait for what is being noted."""
        await asyncio.gather(*self._touches.values())

    def _at(self, instant: Any) -> Any:
        return self._database.engine.to_db(instants.format_instant(instant), TIME)

    def _touch_last_used(self, statement: Statement, values: Mapping[str, Any]) -> None:
        """Note a use beside the request, which neither waits for it nor fails with it."""
        which = values["which"]
        if which not in self._touches:
            self._touches[which] = asyncio.create_task(self._write(statement, values))

    async def _write(self, statement: Statement, values: Mapping[str, Any]) -> None:
        try:
            await self._database.write(lambda tx: tx.execute(statement, values))
        except Exception as error:  # noqa: BLE001 -- the next request tries again
            logger.warning("the last use of a credential was not noted: %s", type(error).__name__)
        finally:
            del self._touches[values["which"]]


@cache
def has_accounts(engine: Engine) -> Statement:
    """Whether anyone has a password or a token."""
    found = [exists(select(literal_column("1")).select_from(table)) for table in (CREDENTIALS, TOKENS.table)]
    return compile_statement(engine, select(or_(*found)))


@cache
def _token(engine: Engine) -> Statement:
    """A token that is good, by its number: digest, user, role, scope, whether its use is noted."""
    tokens, users = TOKENS.table, USERS.table
    times = {name: bindparam(name, type_=TIME.column_type) for name in ("now", "recent")}
    noted = tokens.c.last_used_at > times["recent"]
    query = select(tokens.c.digest, users.c.trigram, users.c.role, tokens.c.scope, noted)
    query = query.join_from(tokens, users, tokens.c.user == users.c.trigram)
    by_number = tokens.c.id == bindparam("id", type_=INTEGER.column_type)
    return compile_statement(engine, query.where(by_number, tokens.c.expires_at > times["now"], users.c.active))


@cache
def _session(engine: Engine) -> Statement:
    """A session that goes on, by its digest: user, role, whether its use is noted."""
    sessions, users = SESSIONS, USERS.table
    times = {name: bindparam(name, type_=TIME.column_type) for name in ("idle", "oldest", "recent")}
    query = select(users.c.trigram, users.c.role, sessions.c.seen_at > times["recent"])
    query = query.join_from(sessions, users, sessions.c.user == users.c.trigram)
    is_unexpired = [sessions.c.seen_at > times["idle"], sessions.c.created_at > times["oldest"], users.c.active]
    by_digest = sessions.c.digest == bindparam("digest", type_=sessions.c.digest.type)
    return compile_statement(engine, query.where(by_digest, *is_unexpired))


@cache
def _used(engine: Engine) -> Statement:
    table = TOKENS.table
    at, which = bindparam("at", type_=TIME.column_type), bindparam("which", type_=INTEGER.column_type)
    return compile_statement(engine, update(table).where(table.c.id == which).values(last_used_at=at))


@cache
def _seen(engine: Engine) -> Statement:
    at, which = bindparam("at", type_=TIME.column_type), bindparam("which", type_=SESSIONS.c.digest.type)
    return compile_statement(engine, update(SESSIONS).where(SESSIONS.c.digest == which).values(seen_at=at))
