"""Concurrent requests, and requests that are cancelled or time out."""

import asyncio
import sqlite3
import threading
from functools import partial

import psycopg
import pytest

from api.resource_cases import LOGS, MACHINES, create
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.sqlite import driver
from machine_monitor.database.statements import Statement
from machine_monitor.services.audit import history
from machine_monitor.services.records import storage
from query import samples

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


@pytest.fixture
async def filled(client):
    await samples.seed(client)
    return client


def change(database_url: str, *statements: str) -> list[tuple]:
    """Run statements without the application, and return the rows of the last one."""
    parsed_url = database_urls.parse(database_url)
    if parsed_url.engine.name == "sqlite":
        with sqlite3.connect(parsed_url.path, isolation_level=None) as connection:
            rows = [connection.execute(statement).fetchall() for statement in statements]
        connection.close()
        return rows[-1]
    with psycopg.connect(parsed_url.conninfo, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


async def test_a_machine_deleted_while_logs_are_added_leaves_no_orphan(filled, database_url):
    for number in range(6):
        name = f"short-lived {number}"
        await filled.post("/machines", json={"name": name})
        adding = [filled.post("/logs", json=LOGS.minimal_body | {"machine": name}) for _ in range(4)]
        responses = await asyncio.gather(*adding[:2], filled.delete(f"/machines/{name}"), *adding[2:])
        deletion, logs = responses.pop(2), responses
        assert deletion.status_code in (204, 409)
        assert {response.status_code for response in logs} <= {201, 422}
        if deletion.status_code == 204:
            assert {response.json()["code"] for response in logs} == {"unknown-machine"}
    orphans = "SELECT count(*) FROM logs WHERE machine_id NOT IN (SELECT id FROM machines)"
    assert tuple(change(database_url, orphans)[0]) == (0,)


@pytest.mark.parametrize(("path", "field"), [("log-types", "type"), ("users", "user")])
async def test_a_record_deleted_while_logs_refer_to_it_leaves_no_orphan(filled, path, field):
    for number in range(4):
        key = f"K{number}"
        await filled.put(f"/{path}/{key}", json={"label": key} if field == "type" else {})
        adding = [filled.post("/logs", json=LOGS.minimal_body | {field: key}) for _ in range(4)]
        responses = await asyncio.gather(*adding[:2], filled.delete(f"/{path}/{key}"), *adding[2:])
        deletion = responses.pop(2).status_code
        assert deletion in (204, 409)
        assert {response.status_code for response in responses} <= {201, 422}
        logs = (await filled.get("/logs", params={field: key, "expand": field})).json()["items"]
        assert all(log["expanded"][field] for log in logs)
        assert bool(logs) == (deletion == 409)


def pause(monkeypatch, module, name, when=lambda *_: True):
    """Make a function wait before it runs; return two events: the call has been reached, and the call may continue."""
    reached, released, original = threading.Event(), threading.Event(), getattr(module, name)

    def waiting(*arguments, **named):
        if when(*arguments) and not reached.is_set():
            reached.set()
            released.wait(10)
        return original(*arguments, **named)

    monkeypatch.setattr(module, name, waiting)
    return reached, released


async def test_a_log_added_while_its_machine_is_renamed_is_found_by_the_new_name(filled, monkeypatch):
    reached, released = pause(monkeypatch, storage, "insert")
    adding = asyncio.create_task(filled.post("/logs", json=LOGS.minimal_body | {"comment": "added late"}))
    await asyncio.to_thread(reached.wait, 10)
    renaming = asyncio.create_task(filled.patch("/machines/pelle 2", json={"name": "Grand Renamed"}))
    # On SQLite, the rename waits for the log; on PostgreSQL, it may finish first.
    await asyncio.wait({renaming}, timeout=1)
    released.set()
    added, renamed = await asyncio.gather(adding, renaming)
    assert (added.status_code, renamed.status_code) in ((201, 200), (422, 200))
    if added.status_code == 201:
        for query in ("added late", "grand renamed late", '"grand renamed" "added late" -pelle'):
            logs = (await filled.get("/logs", params={"q": query})).json()["items"]
            assert [log["machine"] for log in logs] == ["Grand Renamed"], query


async def test_a_log_changed_while_its_machine_is_renamed_keeps_its_machine(filled, monkeypatch):
    key, _ = await create(filled, LOGS)
    # The rename has already changed the rows of machine and log; the change of the log has to wait for them.
    reached, released = pause(monkeypatch, history, "append_entries", when=lambda _, op, *__: op == "rename")
    renaming = asyncio.create_task(filled.patch("/machines/pelle 2", json={"name": "Grand Renamed"}))
    await asyncio.to_thread(reached.wait, 10)
    changing = asyncio.create_task(filled.patch(LOGS.path_of(key), json={"comment": "changed"}))
    await asyncio.sleep(0.6)
    released.set()
    renamed, changed = await asyncio.gather(renaming, changing)
    assert (renamed.status_code, changed.status_code) == (200, 200), changed.text
    log = (await filled.get(LOGS.path_of(key))).json()
    assert (log["machine"], log["comment"], log["version"]) == ("Grand Renamed", "changed", 3)
    for query in ("grand renamed changed", '"grand renamed" changed -pelle'):
        assert len((await filled.get("/logs", params={"q": query})).json()["items"]) == 1


async def test_two_renames_to_one_name_leave_one_machine_with_it(filled):
    keys = [(await create(filled, MACHINES))[0] for _ in range(4)]
    responses = await asyncio.gather(*[filled.patch(MACHINES.path_of(key), json={"name": "The One"}) for key in keys])
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409]


async def test_many_writers_lose_nothing(filled):
    key, _ = await create(filled, LOGS)
    writes = [filled.patch(LOGS.path_of(key), json={"attributes": {f"k{number}": number}}) for number in range(24)]
    responses = await asyncio.gather(*writes)
    assert {response.status_code for response in responses} == {200}
    assert len({response.headers["ETag"] for response in responses}) == 24
    log = (await filled.get(LOGS.path_of(key))).json()
    assert (log["version"], log["attributes"]) == (25, {f"k{number}": number for number in range(24)})
    entries = (await filled.get(f"{LOGS.path_of(key)}/history")).json()["items"]
    assert [entry["version"] for entry in entries] == list(range(25, 0, -1))


async def test_a_locked_sqlite_file_refuses_writers_and_serves_readers(sqlite_database_url, monkeypatch):
    # Patch before the service starts, because it opens its writer connection at startup.
    monkeypatch.setattr(driver, "connect_writer", partial(driver.connect_writer, busy_seconds=0.05))
    async with serving(Settings(database_url=sqlite_database_url)) as client:
        other = sqlite3.connect(database_urls.parse(sqlite_database_url).path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for method, url, body in (("POST", "/users", {"trigram": "A"}), ("DELETE", "/log-types/info", None)):
            response = await client.request(method, url, json=body)
            assert (response.status_code, response.json()["code"]) == (503, "database-busy")
            assert int(response.headers["Retry-After"]) > 0
        assert (await client.get("/log-types")).status_code == 200
        other.execute("ROLLBACK")
        other.close()
        assert (await client.post("/users", json={"trigram": "A"})).status_code == 201


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_slow_query_is_cancelled_and_the_next_one_succeeds(database_url, monkeypatch, cancelled):
    async def compile_slow_statement(database, *_):
        return Statement(SLOW[database.engine.name], (), {}, uses_fulltext=True)

    async with serving(Settings(database_url=database_url, query_timeout=0.3)) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Database, "get_statement", compile_slow_statement)
            tasks = [asyncio.create_task(client.get("/logs")) for _ in range(6)]
            await asyncio.sleep(0.1)
            if cancelled:
                for task in tasks:
                    task.cancel()
            for response in await asyncio.gather(*tasks, return_exceptions=cancelled):
                if not cancelled:
                    assert (response.status_code, response.json()["code"]) == (503, "query-timeout")
                    assert int(response.headers["Retry-After"]) > 0
        responses = await asyncio.gather(*[client.get("/log-types") for _ in range(10)])
        assert {response.status_code for response in responses} == {200}
