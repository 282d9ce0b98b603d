"""Safe retries: a request with a key is done once, and its answer is kept with what it wrote."""

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
from machine_monitor.models import KEPT_ANSWERS

RETENTION = timedelta(days=7)
WAIT_SECONDS = 5.0
POLL_SECONDS = 0.1


class RequestInProgress(Conflict):
    """409: the request that came first is not answered yet."""

    explanation = "A request with this Idempotency-Key is still running: send it again to get its answer."
    retry_after = 5


class IdempotencyKey(NamedTuple):
    """What makes a request the same: who asks, where, and the key; `digest` is the SHA-256 of its body."""

    user: str
    path: str
    key: str
    digest: bytes


class StoredResponse(NamedTuple):
    """An answer as it goes out; `replayed` if it is not the first time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    replayed: bool = False


class IdempotencyStore:
    """The tickets that this process is at: who comes with the same waits for the answer, or for `WAIT_SECONDS`."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str, str], asyncio.Event] = {}

    async def run_once(
        self, database: Database, ticket: IdempotencyKey, make: Callable[[Transaction], StoredResponse]
    ) -> StoredResponse:
        """The answer that `make` gives, or gave when the ticket was first seen; what fails is not kept.

        Raises `IdempotencyKeyReused` if another body came with the key, `RequestInProgress` if the first does not end.
        """
        name, end = (ticket.user, ticket.path, ticket.key), asyncio.Event()
        if name in self._ends:
            await self._wait_for_first(name)
        self._ends[name] = end
        try:
            return await _poll_until_released(
                lambda: database.write(lambda tx: _run_or_replay(tx, ticket, lambda: make(tx)))
            )
        finally:
            del self._ends[name]
            end.set()

    async def _wait_for_first(self, name: tuple[str, str, str]) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while before := self._ends.get(name):
                    await before.wait()
        except TimeoutError:
            raise RequestInProgress from None


async def _poll_until_released(ask: Callable[[], Awaitable[StoredResponse]]) -> StoredResponse:
    """Ask again while another process is at it."""
    for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
        try:
            return await ask()
        except RequestInProgress:
            await asyncio.sleep(POLL_SECONDS)
    return await ask()


def _run_or_replay(tx: Transaction, ticket: IdempotencyKey, make: Callable[[], StoredResponse]) -> StoredResponse:
    named = {"user": ticket.user, "path": ticket.path, "key": ticket.key}
    if not tx.try_advisory_lock(*ticket[:3]):
        raise RequestInProgress
    now = instants.now()
    oldest = tx.engine.to_db(instants.format_instant(now - RETENTION), TIME)
    for digest, status, headers, body, is_old in tx.execute(_find(tx.engine), {**named, "oldest": oldest}):
        if is_old:
            _delete_expired(tx, [oldest])
        elif bytes(digest) != ticket.digest:
            raise IdempotencyKeyReused
        else:
            return StoredResponse(status, json.loads(headers), bytes(body), replayed=True)
    answer = make()
    row = {
        **named,
        "digest": ticket.digest,
        "created_at": tx.engine.to_db(instants.format_instant(now), TIME),
        "status": answer.status,
        "headers": canonical_json(dict(answer.headers)),
        "body": answer.body,
    }
    tx.execute(_insert(tx.engine), row)
    tx.defer(_delete_expired, oldest)
    return answer


def _delete_expired(tx: Transaction, oldest: Sequence[Any]) -> None:
    """Forget answers that are too old to be asked for again."""
    tx.execute(_delete(tx.engine), {"oldest": max(oldest)})


def _matches_key() -> list[Any]:
    columns = [KEPT_ANSWERS.c[name] for name in ("user", "path", "key")]
    return [column == bindparam(column.name, type_=column.type) for column in columns]


def _is_old() -> Any:
    created_at = KEPT_ANSWERS.c.created_at
    return created_at < bindparam("oldest", type_=created_at.type)


@cache
def _find(engine: Engine) -> Statement:
    columns = [KEPT_ANSWERS.c[name] for name in ("digest", "status", "headers", "body")]
    return compile_statement(engine, select(*columns, _is_old()).where(*_matches_key()))


@cache
def _delete(engine: Engine) -> Statement:
    return compile_statement(engine, delete(KEPT_ANSWERS).where(_is_old()))


@cache
def _insert(engine: Engine) -> Statement:
    values = {column: bindparam(column.name, type_=column.type) for column in KEPT_ANSWERS.columns}
    return compile_statement(engine, insert(KEPT_ANSWERS).values(values))
