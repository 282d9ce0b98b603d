"""Helpers for streaming tests: many logs, a client that reads at its own pace, and a check for leaked resources."""

import asyncio
import contextlib
import sqlite3
import threading

import psycopg
import pytest

from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext

UUID = "00000000-0000-4000-8000-{:012x}"


def fill(url, count, comment="as it was"):
    """Create `count` logs of one machine, with the uuids 0 to `count` - 1."""

    def unit(tx):
        context = ChangeContext("test")
        machine = MACHINES.create.model_validate({"name": "Saw"})
        records.insert(tx, MACHINES, machine.model_dump(mode="json"), context)
        for number in range(count):
            values = {"uuid": UUID.format(number), "machine": "Saw", "type": "info", "comment": comment}
            body = LOGS.create.model_validate({**values, "started_at": "2025-01-01T00:00:00Z"})
            records.insert(tx, LOGS, body.model_dump(mode="json"), context)

    database = Database(url)
    database.transact(unit)
    database.close_writer()


@contextlib.asynccontextmanager
async def running(url, **settings):
    app = create_app(Settings(database_url=url, open=True, **settings))
    async with app.router.lifespan_context(app):
        yield app


class PacedClient:
    """An ASGI client that accepts response messages only when the test calls `take` or `rest`."""

    def __init__(self, app, path, method="GET", address="127.0.0.1", **headers):
        self.path, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": self.path, "query_string": query.encode(), "scheme": "http"}
        scope["client"] = (address, 50_000)
        scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.messages = asyncio.Queue()
        self.takes = asyncio.Semaphore(0)
        self.gone = asyncio.Event()
        self.task = asyncio.create_task(app(scope, self.receive, self.send))

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await self.takes.acquire()
        self.messages.put_nowait(message)

    async def take(self, count=1):
        """Accept and return the next `count` messages."""
        for _ in range(count):
            self.takes.release()
        return [await self.messages.get() for _ in range(count)]

    async def leave(self):
        """Disconnect, and wait until the server has noticed."""
        self.gone.set()
        await asyncio.wait_for(self.task, 5)

    async def rest(self):
        """Accept all remaining messages; return the body and whether it ended properly."""
        for _ in range(10_000):
            self.takes.release()
        await self.task
        messages = [self.messages.get_nowait() for _ in range(self.messages.qsize())]
        ended = bool(messages) and not messages[-1].get("more_body", False)
        return b"".join(message.get("body", b"") for message in messages), ended


async def assert_resources_released(app):
    """Assert that no stream holds a slot, a thread or a transaction."""
    database = app.state.database
    assert database.utilization()["stream"] == (0, 0)
    for _ in range(100):
        if not [thread for thread in threading.enumerate() if thread.name.startswith("stream")]:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the thread of a stream is still running")
    parsed_url = database.url
    if parsed_url.engine.name == "postgresql":
        with psycopg.connect(parsed_url.conninfo) as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE '%in trans%'"
            )
            assert connection.execute(query).fetchall() == [(0,)]
    else:
        # The checkpoint reports busy (1) while a reader is active.
        with contextlib.closing(sqlite3.connect(parsed_url.path)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS probe (x)")
            connection.execute("INSERT INTO probe VALUES (1)")
            connection.commit()
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
