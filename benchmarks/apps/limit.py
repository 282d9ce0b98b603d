"""The limit: how fast Python can respond at all. A bare ASGI app with sqlite3, handwritten SQL and msgspec."""

import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

ITEM = """logs.uuid, machines.name, logs.type,
    CASE logs.severity WHEN 0 THEN 'info' WHEN 1 THEN 'minor' WHEN 2 THEN 'major' ELSE 'critical' END,
    logs.status, logs.comment, logs.cause, logs.action, logs.project, logs."user",
    logs.started_at || 'Z', logs.ended_at || 'Z', logs.down_from || 'Z', logs.down_to || 'Z',
    logs.down_kind, logs.version, logs.created_at || 'Z', logs.updated_at || 'Z', CAST(logs.attributes AS BLOB)"""
FROM = "FROM logs JOIN machines ON machines.id = logs.machine_id WHERE logs.deleted_at IS NULL"
ONE = f"SELECT {ITEM} {FROM} AND logs.uuid = ?"
# The SQL condition of each parameter. Times are stored without a `Z`.
FILTERS = {
    "type": "logs.type = ?",
    "machine": "logs.machine_id = (SELECT id FROM machines WHERE name = ?)",
    "started_at__gte": "logs.started_at >= rtrim(?, 'Z')",
    "started_at__lt": "logs.started_at < rtrim(?, 'Z')",
}
JSON = [(b"content-type", b"application/json")]


class Log(msgspec.Struct):
    """A log with the fields that the benchmark compares: those of the product's API without attachments."""

    uuid: str
    machine: str
    type: str
    severity: str
    status: str
    comment: str | None
    cause: str | None
    action: str | None
    project: str | None
    user: str | None
    started_at: str
    ended_at: str | None
    down_from: str | None
    down_to: str | None
    down_kind: str | None
    version: int
    created_at: str
    updated_at: str
    attributes: msgspec.Raw


class Page(msgspec.Struct):
    """The response of a list."""

    items: list[Log]


class Reader:
    """A read-only connection."""

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA query_only=ON")

    def one(self, uuid: str) -> Log | None:
        """Return the log with this uuid."""
        row = self.connection.execute(ONE, (uuid,)).fetchone()
        return None if row is None else _log(row)

    def page(self, parameters: Mapping[str, str]) -> Page:
        """Return the newest logs that match the parameters."""
        filters = [name for name in FILTERS if name in parameters]
        conditions = "".join(f" AND {FILTERS[name]}" for name in filters)
        values = [*(parameters[name] for name in filters), int(parameters.get("limit", 50))]
        order = "ORDER BY logs.started_at DESC, logs.id DESC LIMIT ?"
        rows = self.connection.execute(f"SELECT {ITEM} {FROM}{conditions} {order}", values).fetchall()
        return Page([_log(row) for row in rows])


def _log(row: tuple) -> Log:
    return Log(*row[:-1], msgspec.Raw(row[-1]))


def create_app(path: str) -> Callable[..., Awaitable[None]]:
    """Create the app for a database file."""
    reader, encode = Reader(path), msgspec.json.Encoder().encode

    async def app(scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] == "/logs":
            found = reader.page(dict(parse_qsl(scope["query_string"].decode())))
        else:
            found = reader.one(scope["path"].removeprefix("/logs/"))
        body = encode(found)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 404 if found is None else 200, "headers": [*JSON, length]})
        await send({"type": "http.response.body", "body": body})

    return app


def create() -> Callable[..., Awaitable[None]]:
    """Create the app for the file in the variable BENCH_FILE."""
    return create_app(os.environ["BENCH_FILE"])
