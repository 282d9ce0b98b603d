"""Idempotency keys: a POST with an `Idempotency-Key` runs once.

Its response is stored in the transaction that writes the record, and replayed for retries of the request.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.database.engines import Engine, canonical_json
from machine_monitor.database.kinds import TIME
from machine_monitor.database.statements import Statement, compile_statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import Conflict, IdempotencyKeyReused
from machine_monitor.models import IDEMPOTENCY_RECORDS

RETENTION = timedelta(days=7)
# How long a retry waits for the first request, and how often it checks whether another process still runs it.
WAIT_SECONDS = 5.0
POLL_SECONDS = 0.1


class RequestInProgress(Conflict):
    """409: the first request with this key is still running."""

    explanation = "A request with this Idempotency-Key is still running. Send it again after the time in Retry-After."
    retry_after = 5


class IdempotencyKey(NamedTuple):
    """Identifies a request by user, path and the client's key.

    `digest` is the SHA-256 of the body; a retry must have the same body.
    """

    user: str
    path: str
    key: str
    digest: bytes


class StoredResponse(NamedTuple):
    """A response that can be stored and replayed; `replayed` is True for a retry."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    replayed: bool = False


class IdempotencyStore:
    """Runs each idempotency key once.

    A concurrent retry in this process waits up to WAIT_SECONDS for the first request.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[str, str, str], asyncio.Event] = {}

    async def run_once(
        self,
        database: Database,
        key: IdempotencyKey,
        respond: Callable[[Transaction], StoredResponse],
        records: int = 1,
    ) -> StoredResponse:
        """Run `respond` and store its response, or return the stored one. Failed requests are not stored.

        Raises `IdempotencyKeyReused` if the body differs from the first request's, `RequestInProgress` if the first
        request does not finish in time.
        """
        identity, finished = (key.user, key.path, key.key), asyncio.Event()
        if identity in self._running:
            await self._wait_for_first(identity)
        self._running[identity] = finished
        try:
            return await _poll_until_released(
                lambda: database.write(lambda tx: _run_or_replay(tx, key, lambda: respond(tx)), records)
            )
        finally:
            del self._running[identity]
            finished.set()

    async def _wait_for_first(self, identity: tuple[str, str, str]) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while first := self._running.get(identity):
                    await first.wait()
        except TimeoutError:
            raise RequestInProgress from None


async def _poll_until_released(attempt: Callable[[], Awaitable[StoredResponse]]) -> StoredResponse:
    """Retry while another process holds the key's advisory lock."""
    for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
        try:
            return await attempt()
        except RequestInProgress:
            await asyncio.sleep(POLL_SECONDS)
    return await attempt()


def _run_or_replay(tx: Transaction, key: IdempotencyKey, respond: Callable[[], StoredResponse]) -> StoredResponse:
    identity = {"user": key.user, "path": key.path, "key": key.key}
    is_locked = tx.try_advisory_lock(*key[:3])
    now = instants.now()
    oldest = tx.engine.to_db(instants.format_instant(now - RETENTION), TIME)
    # The server runs this after it has taken the lock, and so finds what an earlier holder stored.
    stored = tx.execute(_find(tx.engine), {**identity, "oldest": oldest})
    if not is_locked():
        raise RequestInProgress
    for digest, status, headers, body, is_expired in stored:
        if is_expired:
            _delete_expired(tx, [oldest])
        elif bytes(digest) != key.digest:
            raise IdempotencyKeyReused
        else:
            return StoredResponse(status, json.loads(headers), bytes(body), replayed=True)
    response = respond()
    row = {
        **identity,
        "digest": key.digest,
        "created_at": tx.engine.to_db(instants.format_instant(now), TIME),
        "status": response.status,
        "headers": canonical_json(dict(response.headers)),
        "body": response.body,
    }
    tx.execute_later(_insert(tx.engine), row)
    tx.defer(_delete_expired, oldest)
    return response


def _delete_expired(tx: Transaction, oldest: Sequence[Any]) -> None:
    """Delete responses that are older than RETENTION."""
    tx.execute_later(_delete(tx.engine), {"oldest": max(oldest)})


def _matches_key() -> list[Any]:
    columns = [IDEMPOTENCY_RECORDS.c[name] for name in ("user", "path", "key")]
    return [column == bindparam(column.name, type_=column.type) for column in columns]


def _is_expired() -> Any:
    created_at = IDEMPOTENCY_RECORDS.c.created_at
    return created_at < bindparam("oldest", type_=created_at.type)


@cache
def _find(engine: Engine) -> Statement:
    columns = [IDEMPOTENCY_RECORDS.c[name] for name in ("digest", "status", "headers", "body")]
    return compile_statement(engine, select(*columns, _is_expired()).where(*_matches_key()))


@cache
def _delete(engine: Engine) -> Statement:
    return compile_statement(engine, delete(IDEMPOTENCY_RECORDS).where(_is_expired()))


@cache
def _insert(engine: Engine) -> Statement:
    values = {column: bindparam(column.name, type_=column.type) for column in IDEMPOTENCY_RECORDS.columns}
    return compile_statement(engine, insert(IDEMPOTENCY_RECORDS).values(values))
