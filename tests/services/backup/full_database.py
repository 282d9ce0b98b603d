"""A database with every kind of value and every state of a record, and functions to compare two databases."""

from pathlib import Path

from sqlalchemy import inspect

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls, tables
from machine_monitor.database.connect import Database
from machine_monitor.database.schema import migrations
from machine_monitor.services import backup, idempotency
from machine_monitor.services.audit import sealing
from machine_monitor.services.backup.manifest import Manifest
from machine_monitor.services.backup.transfer import TABLES, Contents
from machine_monitor.services.checks import last_backup, verify
from query import samples

ODD = {"temp": -0.0, "tiny": 5e-324, "huge": 1.7976931348623157e308, "n": 9007199254740991, "é\u2028": 'a"\\\u0001🛠'}
LISTS = (
    "/machines?limit=500",
    "/machines?sort=-sector,name&expand=activity",
    "/logs?limit=500&expand=machine,type,user",
    "/logs?limit=500&sort=machine,-severity",
    "/logs?limit=500&deleted=true",
    "/logs?q=huile",
    '/logs?q="godet moteur"',
    "/logs?attributes.temp__lte=80",
    "/logs/facets?by=type,machine,severity,status,user",
    "/logs/stats?group_by=machine,month&metrics=count,failures",
    "/log-types?limit=500",
    "/users?limit=500",
    "/changes?limit=1000",
)
IMPORTED = """INSERT INTO legacy_imports (resource, key, record_id, version, raw, imported_at)
VALUES ('logs', 'a b.json', 1, 1, '{{ "b":1.0,\n"a": "é" }}', '2025-01-01T00:00:00.5{}')"""

TICKET = idempotency.IdempotencyKey("ABC", "/logs", "a key", bytes(range(32)))
STORED_RESPONSE = idempotency.StoredResponse(201, {"ETag": '"1"'}, bytes(range(256)))


async def fill(url: str) -> None:
    """Write the samples; rename, change, delete and restore some. The highest ids of each table are unused."""
    async with serving(Settings(database_url=url)) as client:
        await samples.seed(client)
        name = samples.MACHINES[0]["name"]
        await client.patch(f"/machines/{name}", json={"name": "Renamed 🛠", "attributes": ODD})
        for number in (1, 2, 25):
            await client.delete(f"/logs/{samples.uuid_of(number)}")
        await client.post(f"/logs/{samples.uuid_of(2)}/restore")
        note = {"X-Change-Note": "seen%20again"}
        await client.patch(f"/logs/{samples.uuid_of(3)}", json={"comment": None, "attributes": ODD}, headers=note)
        for path, body in (
            ("machines", {"name": "gone"}),
            ("users", {"trigram": "gone"}),
            ("log-types", {"code": "gone"}),
        ):
            created = await client.post(f"/{path}", json=body)
            assert created.status_code == 201
            assert (await client.delete(f"/{path}/gone")).status_code == 204
        await client.post("/logs", json={"machine": "twin", "type": "info", "unlisted": True})
        assert (await client.post("/machines/twin/merge", json={"into": "Renamed 🛠"})).status_code == 200
        await client.post("/logs", json={"machine": "unlisted", "type": "info", "unlisted": True})
    database = Database(url)
    tail = "Z" if database.engine.name == "postgresql" else "00000"
    database.transact(lambda tx: tx.cursor.execute(IMPORTED.format(tail)))
    database.transact(lambda tx: idempotency._run_or_replay(tx, TICKET, lambda: STORED_RESPONSE))
    # `mm backup` and `mm copy` begin with this, which changes rows that the tests compare.
    sealing.seal_and_add_now(database)
    database.close_writer()


async def api_responses(url: str) -> dict[str, bytes]:
    """Return the response bodies of all lists and histories."""
    async with serving(Settings(database_url=url)) as client:
        paths = [*LISTS, *[f"/logs/{log['uuid']}/history?limit=500" for log in samples.LOGS]]
        paths += [f"/machines/{machine['name']}/history" for machine in samples.MACHINES[1:]]
        responses = {path: await client.get(path) for path in [*paths, "/machines/Renamed 🛠/history"]}
    assert {response.status_code for response in responses.values()} == {200}
    return {path: response.content for path, response in responses.items()}


def stored_rows(url: str) -> dict[str, object]:
    """Return all stored rows of all tables, and the highest ids ever assigned."""
    database = Database(url)
    try:
        rows = database.snapshot(
            lambda tx: (
                {table.name: list(tables.read(tx, table)) for table in TABLES} | {"ids": tables.last_ids(tx, TABLES)}
            )
        )
    finally:
        database.close_writer()
    # A backup cannot contain the note of itself.
    return rows | {"derived": [row for row in rows["derived"] if row[0] != last_backup.NAME]}


def verify_database(url: str) -> verify.Verdict:
    database = Database(url)
    try:
        return verify.verify(database)
    finally:
        database.close_writer()


def ignore_progress(_done: int, _total: int) -> None:
    """Ignore progress."""


def save(url: str, file: Path, *, replace: bool = False) -> Manifest:
    database = Database(url)
    try:
        return backup.save(database, file, replace=replace, progress=ignore_progress)
    finally:
        database.close_writer()


def restore(file: Path, url: str) -> Contents:
    return backup.restore(file, database_urls.parse(url), ignore_progress)


def is_empty(url: str) -> bool:
    """Return whether there is still no database at `empty_url`."""
    parsed_url = database_urls.parse(url)
    if parsed_url.engine.name == "sqlite":
        return not [path for path in parsed_url.path.parent.iterdir() if parsed_url.path.name in path.name]
    with migrations.transaction(parsed_url) as connection:
        return inspect(connection).get_table_names() == []
