"""Reads from a standby that is behind: none is stale for a client that names its last write, and none fails."""

import asyncio
import json
import tempfile
import time
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import httpx2
import psycopg
import pytest
from benchmarks.standby_server import StandbyServer, running_standby

import postgresql_server
from conftest import prepare, serving
from database.counting_proxy import CountingProxy
from machine_monitor.client import Client
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.postgresql import standby as standby_module
from machine_monitor.database.engines.postgresql.standby import FAILING, NO_FEEDBACK, NOT_A_STANDBY, OTHER_DATABASE
from machine_monitor.database.read_point import BEGINNING, ReadPoint
from machine_monitor.database.statements import Statement
from machine_monitor.errors import BadSetting, QueryTimeout
from machine_monitor.services.checks import health
from reliability.clients.accounts import add_users
from servers import ForkedService
from waiting import wait_until

pytestmark = pytest.mark.slow
LAG_MS = 200


class Servers(NamedTuple):
    """A primary and its standby, with the URLs of one database on both."""

    url: str
    standby_url: str
    standby: StandbyServer

    @property
    def settings(self) -> Settings:
        """The settings of a service that reads from the standby, and never from its cache."""
        return Settings(database_url=self.url, database_read_url=self.standby_url, cache_size=0, open=True)


@pytest.fixture(scope="module")
def running_servers():
    """A primary, and a standby that applies each change LAG_MS after its commit."""
    with postgresql_server.running_server(durable=False) as (url, server):
        server.psql("CREATE DATABASE template")
        prepare(url_of_database(url, "template"))
        with running_standby(url, server) as standby:
            standby.set("recovery_min_apply_delay", str(LAG_MS))
            yield url, standby


@pytest.fixture
def servers(running_servers):
    """Both servers, with a new database."""
    url, standby = running_servers
    name = f"mm_{uuid.uuid4().hex[:8]}"
    execute(url, f"CREATE DATABASE {name} TEMPLATE template")
    created = Servers(url_of_database(url, name), standby.url(name), standby)
    wait_for_standby(created)
    return created


def url_of_database(url, name):
    return database_urls.parse(url).sqlalchemy_url.set(database=name).render_as_string(hide_password=False)


def execute(url, statement, *values):
    with psycopg.connect(database_urls.parse(url).conninfo, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def wait_for_standby(servers):
    """Wait until the standby has all that the primary has."""
    ((position,),) = execute(servers.url, "SELECT pg_current_wal_insert_lsn()::text")
    query = "SELECT pg_last_wal_replay_lsn() >= %s::text::pg_lsn"
    for _ in range(1_000):
        if execute(servers.standby.url(), query, position) == [(True,)]:
            return
        time.sleep(0.01)
    raise TimeoutError


def log_of(machine="Saw", **fields):
    return {"machine": machine, "type": "info", **fields}


async def reads(client, **headers):
    """Return how many reads each server has answered."""
    lines = (await client.get("/metrics", headers=headers)).text.splitlines()
    found = {line.split('"')[1]: float(line.split()[-1]) for line in lines if line.startswith("machine_monitor_reads_")}
    return found.get("standby", 0), found.get("primary", 0)


@pytest.mark.proof(f"a read after each write, with a standby that is {LAG_MS} ms behind")
async def test_a_client_that_names_its_write_reads_it(servers, extent, record_counts):
    writes = extent(short=60, long=1_000)
    async with serving(servers.settings) as client:
        await client.put("/machines/Saw", json={})
        for number in range(writes):
            written = await client.post("/logs", json=log_of(comment=f"number {number}"))
            after = {"X-Read-After": written.headers["X-Read-After"]}
            log = written.json()
            path = f"/logs/{log['uuid']}"
            assert (await client.get(path, headers=after)).json() == log
            page = await client.get("/logs", params={"limit": 1}, headers=after)
            assert page.json()["items"][0]["uuid"] == log["uuid"]
            # Now and then a client waits, and the standby has the log.
            await asyncio.sleep(0.001 * (LAG_MS * 2 if number % 20 == 19 else 1))
        wait_for_standby(servers)
        before = await reads(client)
        assert (await client.get(path, headers=after)).json() == log
        assert await reads(client) == (before[0] + 1, before[1])
    record_counts(writes, stale=0, by_standby=int(before[0]))


async def test_without_a_position_the_standby_answers_from_what_it_has(servers):
    async with serving(servers.settings) as client:
        await client.put("/machines/Saw", json={})
        wait_for_standby(servers)
        key = (await client.post("/logs", json=log_of())).json()["uuid"]
        assert (await client.get(f"/logs/{key}")).status_code == 404
        # For a position that no server has reached, and for an invalid one, the primary answers.
        for position in ("FFFFFFFF/0", "yesterday"):
            assert (await client.get(f"/logs/{key}", headers={"X-Read-After": position})).status_code == 200
        wait_for_standby(servers)
        assert (await client.get(f"/logs/{key}")).status_code == 200


async def test_a_page_of_an_earlier_state_has_no_entity_tag(servers):
    async with serving(servers.settings) as client:
        await client.put("/machines/Saw", json={})
        wait_for_standby(servers)
        current = await client.get("/logs?limit=1")
        assert "ETag" in current.headers
        key = (await client.post("/logs", json=log_of())).json()["uuid"]
        stale = await client.get("/logs?limit=1", headers={"If-None-Match": current.headers["ETag"]})
        assert (stale.status_code, "ETag" in stale.headers) == (200, False)
        wait_for_standby(servers)
        later = await client.get("/logs?limit=1")
        assert later.json()["items"][0]["uuid"] == key
        again = await client.get("/logs?limit=1", headers={"If-None-Match": later.headers["ETag"]})
        assert again.status_code == 304


async def test_a_revoked_token_is_refused_at_once(servers):
    tokens = add_users(servers.url, ONE="write")
    headers = {"Authorization": f"Bearer {tokens['ONE']}"}
    async with serving(servers.settings, open_=False) as client:
        wait_for_standby(servers)
        before = await reads(client, **headers)
        assert (await client.get("/logs", headers=headers)).status_code == 200
        assert (await reads(client, **headers))[0] == before[0] + 1
        made = (await client.get("/tokens", headers=headers)).json()["items"][0]
        assert (await client.delete(f"/tokens/{made['id']}", headers=headers)).status_code == 204
        assert (await client.get("/logs", headers=headers)).status_code == 401


@pytest.fixture
def service(servers, tmp_path):
    settings = {"database_url": servers.url, "database_read_url": servers.standby_url, "cache_size": 0}
    with ForkedService(tmp_path, **settings) as running:
        yield running


def test_the_python_client_reads_what_it_has_written(service):
    with Client(f"http://127.0.0.1:{service.port}") as client:
        client.request("PUT", "/machines/Saw", body={})
        for number in range(10):
            uuid = client.record("Saw", "info", comment=f"number {number}")["uuid"]
            assert client.log(uuid)["comment"] == f"number {number}"
            assert next(client.logs(limit=1))["uuid"] == uuid


def test_a_follower_reads_what_it_was_told(service):
    url = f"http://127.0.0.1:{service.port}"
    with Client(url) as writer, Client(url) as follower, httpx2.stream("GET", f"{url}/events") as events:
        lines = events.iter_lines()
        assert next(lines) == ": changes follow"
        writer.request("PUT", "/machines/Saw", body={})
        event = next(json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        assert httpx2.get(f"{url}/machines/Saw", headers={"X-Read-After": event["read_after"]}).status_code == 200
        writer.request("PUT", "/machines/Lathe", body={})
        [batch] = follower.follow(interval=None)
        assert [follower.machine(change["key"])["name"] for change in batch.changes[-2:]] == ["Saw", "Lathe"]


async def test_a_list_takes_one_round_trip_to_each_server(servers):
    with ExitStack() as stack:
        # The path of a Unix socket has at most 107 characters; pytest's temporary folders are longer.
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        primary, other = (
            stack.enter_context(closing(CountingProxy(each, folder)))
            for each, folder in zip((servers.url, servers.standby_url), folders, strict=True)
        )
        urls = [each.url.render_as_string(hide_password=False) for each in (primary, other)]
        async with serving(Settings(database_url=urls[0], database_read_url=urls[1], open=True)) as client:
            # The first ones connect, compare the databases and prepare statements.
            for limit in range(1, 21):
                assert (await client.get(f"/logs?limit={limit}")).status_code == 200
            before = primary.trips, other.trips
            for limit in range(21, 31):
                assert (await client.get(f"/logs?limit={limit}")).status_code == 200
            assert (primary.trips - before[0], other.trips - before[1]) == (10, 10)


@pytest.mark.proof("a standby killed under 8 readers")
async def test_the_primary_answers_while_the_standby_is_dead(servers, record_counts):
    async with serving(servers.settings) as client:
        wait_for_standby(servers)
        statuses = []

        async def read():
            while len(statuses) < 300:
                statuses.append((await client.get("/logs?limit=5")).status_code)

        task = asyncio.gather(*(read() for _ in range(8)))
        await wait_until(lambda: len(statuses) > 50)
        servers.standby.kill()
        await task
        assert {*statuses} == {200}
        servers.standby.start()
        before = (await reads(client))[0]
        for _ in range(100):
            assert (await client.get("/logs?limit=5")).status_code == 200
            if (await reads(client))[0] > before:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("the standby answers nothing")
    record_counts(1, reads=len(statuses), failed=0)


async def test_an_export_comes_from_the_standby_only_if_that_keeps_its_snapshot(servers):
    async with serving(servers.settings) as client:
        await client.put("/machines/Saw", json={})
        written = await client.post("/logs", json=log_of())
        headers = {"X-Read-After": written.headers["X-Read-After"]}
        wait_for_standby(servers)
        assert (await client.get("/logs", headers=headers)).status_code == 200
        before = await reads(client)
        lines = (await client.get("/logs.ndjson", headers=headers)).text.splitlines()
        assert written.json()["uuid"] in {json.loads(line)["uuid"] for line in lines}
        assert await reads(client) == (before[0] + 1, before[1])
        late = await client.post("/logs", json=log_of())
        headers = {"X-Read-After": late.headers["X-Read-After"]}
        lines = (await client.get("/logs.ndjson", headers=headers)).text.splitlines()
        assert late.json()["uuid"] in {json.loads(line)["uuid"] for line in lines}
        assert await reads(client) == (before[0] + 1, before[1] + 1)


async def test_a_server_that_is_no_standby_answers_nothing(servers):
    """Two primaries beside each other have the same database for a while, and then each its own writes."""
    other = servers._replace(standby_url=servers.url)
    async with serving(other.settings) as client:
        before = await reads(client)
        assert (await client.get("/logs")).status_code == 200
        assert await reads(client) == (before[0], before[1] + 1)
    assert FAILING.format(NOT_A_STANDBY) in health.examine(other.settings).faults


async def test_a_standby_that_does_not_react_costs_no_error(servers):
    settings = servers.settings.model_copy(update={"query_timeout": 0.3})
    async with serving(settings) as client:
        assert (await client.get("/logs?limit=1")).status_code == 200
        servers.standby.pause()
        try:
            began = time.monotonic()
            answers = await asyncio.gather(*(client.get(f"/logs?limit={limit}") for limit in range(2, 12)))
            assert {answer.status_code for answer in answers} == {200}
            assert time.monotonic() - began < 5
        finally:
            servers.standby.resume()


async def test_exports_come_from_the_primary_if_the_standby_keeps_no_snapshots(servers):
    servers.standby.set("hot_standby_feedback", "off")
    try:
        async with serving(servers.settings) as client:
            assert (await client.get("/logs")).status_code == 200
            before = await reads(client)
            assert (await client.get("/logs.ndjson")).status_code == 200
            assert await reads(client) == (before[0], before[1] + 1)
        assert NO_FEEDBACK in health.examine(servers.settings).faults
    finally:
        servers.standby.set("hot_standby_feedback", "on")


async def test_an_export_that_fails_before_its_first_row_comes_from_the_primary(servers, monkeypatch):
    failed = []

    def fail(*_):
        failed.append(True)
        raise psycopg.errors.SerializationFailure
        yield

    monkeypatch.setattr(standby_module, "stream_snapshot", fail)
    async with serving(servers.settings) as client:
        assert (await client.get("/logs")).status_code == 200
        assert (await client.get("/logs.ndjson")).status_code == 200
    assert failed == [True]


async def test_a_download_in_a_browser_has_its_position_in_a_cookie(servers):
    async with serving(servers.settings) as client:
        await client.put("/machines/Saw", json={})
        written = await client.post("/logs", json=log_of())
        cookie = {"Cookie": f"mm_read_after={written.headers['X-Read-After']}"}
        # Exports come from a standby only after a list has.
        assert (await client.get("/logs")).status_code == 200
        assert written.json()["uuid"] in (await client.get("/logs.csv", headers=cookie)).text
        # The higher one of both counts.
        path = f"/logs/{written.json()['uuid']}"
        assert (await client.get(path, headers={**cookie, "X-Read-After": "0/1"})).status_code == 200


async def test_a_conflict_has_the_position_of_the_write_that_it_is_about(servers):
    async with serving(servers.settings) as one, serving(servers.settings) as other:
        await one.put("/machines/Saw", json={})
        conflict = await other.post("/machines", json={"name": "Saw"})
        assert conflict.status_code == 409
        headers = {"X-Read-After": conflict.headers["X-Read-After"]}
        assert (await other.get("/machines/Saw", headers=headers)).status_code == 200
        stale = await other.patch("/machines/Saw", json={"comment": "a"}, headers={"If-Match": '"7"'})
        assert (stale.status_code, "X-Read-After" in stale.headers) == (412, True)


async def test_a_standby_far_behind_answers_nothing(servers, monkeypatch):
    monkeypatch.setattr(standby_module, "MAX_SECONDS_BEHIND", -1.0)
    async with serving(servers.settings) as client:
        wait_for_standby(servers)
        before = await reads(client)
        assert (await client.get("/logs")).status_code == 200
        assert await reads(client) == (before[0], before[1] + 1)


async def test_a_timeout_of_a_query_is_not_asked_of_the_primary_again(servers):
    by_standby = []
    database = Database(servers.url, 0.2, read_url=servers.standby_url, on_read=by_standby.append)
    await database.open()
    try:
        reading = database.reading_from(ReadPoint(BEGINNING, b""))
        assert await reading.fetch(Statement("SELECT 1", (), {}, uses_fulltext=False), {}) == [(1,)]
        with pytest.raises(QueryTimeout):
            await reading.fetch(Statement("SELECT pg_sleep(10)", (), {}, uses_fulltext=False), {})
    finally:
        await database.close()
    assert by_standby == [True]


async def test_another_database_answers_nothing_and_is_a_fault(servers, caplog):
    settings = servers.settings.model_copy(update={"database_read_url": servers.standby.url("template")})
    async with serving(settings) as client:
        before = await reads(client)
        assert (await client.get("/logs")).status_code == 200
        assert await reads(client) == (before[0], before[1] + 1)
    assert OTHER_DATABASE in [record.message for record in caplog.records]
    assert OTHER_DATABASE in health.examine(settings).faults


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql://h/d"])
def test_a_file_has_no_standby(tmp_path, url):
    with pytest.raises(BadSetting, match="is for a standby of a PostgreSQL server"):
        Database(f"sqlite:///{tmp_path / 'a.db'}", read_url=url)
