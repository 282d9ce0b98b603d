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
from machine_monitor.models import IDEMPOTENCY_RECORDS

KEPT_FOR = timedelta(days=7)
PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.1


class StillRunning(Conflict):
    """409: the request that came first is not answered yet."""

    explanation = "A request with this Idempotency-Key is still running: send it again to get its answer."
    retry_after = 5


class Ticket(NamedTuple):
    """What makes a request the same: who asks, where, and the key; `digest` is the SHA-256 of its body."""

    user: str
    path: str
    key: str
    digest: bytes


class Answer(NamedTuple):
    """An answer as it goes out; `replayed` if it is not the first time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    replayed: bool = False


class Retries:
    """The tickets that this process is at: who comes with the same waits for the answer, or for `PATIENCE_SECONDS`."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str, str], asyncio.Event] = {}

    async def once(self, database: Database, ticket: Ticket, make: Callable[[Transaction], Answer]) -> Answer:
        """The answer that `make` gives, or gave when the ticket was first seen; what fails is not kept.

        Raises `IdempotencyKeyReused` if another body came with the key, `StillRunning` if its answer does not come.
        """
        name, end = (ticket.user, ticket.path, ticket.key), asyncio.Event()
        if name in self._ends:
            await self._take_turn(name)
        self._ends[name] = end
        try:
            return await _insist(lambda: database.write(lambda tx: _once(tx, ticket, lambda: make(tx))))
        finally:
            del self._ends[name]
            end.set()

    async def _take_turn(self, name: tuple[str, str, str]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while before := self._ends.get(name):
                    await before.wait()
        except TimeoutError:
            raise StillRunning from None


async def _insist(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again while another process is at it."""
    for _ in range(int(PATIENCE_SECONDS / POLL_SECONDS)):
        try:
            return await ask()
        except StillRunning:
            await asyncio.sleep(POLL_SECONDS)
    return await ask()


def _once(tx: Transaction, ticket: Ticket, make: Callable[[], Answer]) -> Answer:
    named = {"user": ticket.user, "path": ticket.path, "key": ticket.key}
    if not tx.try_advisory_lock(*ticket[:3]):
        raise StillRunning
    now = instants.now()
    oldest = tx.engine.store(instants.text(now - KEPT_FOR), TIME)
    for digest, status, headers, body, is_old in tx.run(_find(tx.engine), {**named, "oldest": oldest}):
        if is_old:
            _forget(tx, [oldest])
        elif bytes(digest) != ticket.digest:
            raise IdempotencyKeyReused
        else:
            return Answer(status, json.loads(headers), bytes(body), replayed=True)
    answer = make()
    row = {
        **named,
        "digest": ticket.digest,
        "created_at": tx.engine.store(instants.text(now), TIME),
        "status": answer.status,
        "headers": canonical_json(dict(answer.headers)),
        "body": answer.body,
    }
    tx.run(_keep(tx.engine), row)
    tx.defer(_forget, oldest)
    return answer


def _forget(tx: Transaction, oldest: Sequence[Any]) -> None:
    """Forget answers that are too old to be asked for again."""
    tx.run(_delete(tx.engine), {"oldest": max(oldest)})


def _named() -> list[Any]:
    columns = [IDEMPOTENCY_RECORDS.c[name] for name in ("user", "path", "key")]
    return [column == bindparam(column.name, type_=column.type) for column in columns]


def _is_old() -> Any:
    created_at = IDEMPOTENCY_RECORDS.c.created_at
    return created_at < bindparam("oldest", type_=created_at.type)


@cache
def _find(engine: Engine) -> Statement:
    columns = [IDEMPOTENCY_RECORDS.c[name] for name in ("digest", "status", "headers", "body")]
    return compile_statement(engine, select(*columns, _is_old()).where(*_named()))


@cache
def _delete(engine: Engine) -> Statement:
    return compile_statement(engine, delete(IDEMPOTENCY_RECORDS).where(_is_old()))


@cache
def _keep(engine: Engine) -> Statement:
    values = {column: bindparam(column.name, type_=column.type) for column in IDEMPOTENCY_RECORDS.columns}
    return compile_statement(engine, insert(IDEMPOTENCY_RECORDS).values(values))
