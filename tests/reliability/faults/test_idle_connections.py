"""PostgreSQL ends connections that are idle in the pools, or becomes read-only: no request fails that need not."""

import asyncio
import time

import psycopg
import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.postgresql import driver
from reliability.clients.http_client import HttpClient
from reliability.clients.traffic import Traffic, add_machine, stored_uuids
from servers import ForkedService

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def administrator(postgresql_database_url):
    """A connection with which tests act on the server."""
    with psycopg.connect(database_urls.parse(postgresql_database_url).conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def client(postgresql_database_url):
    async with serving(Settings(database_url=postgresql_database_url)) as opened:
        yield opened


def terminate(administrator) -> int:
    ended = len(administrator.execute(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}").fetchall())
    time.sleep(0.05)
    return ended


async def fill_pools(client, pages=12) -> None:
    await asyncio.gather(*[client.get("/machines") for _ in range(pages)])
    assert (await client.put("/machines/Saw", json={})).status_code in (200, 201)


async def test_no_request_fails_when_idle_connections_were_ended(client, administrator):
    for number in range(5):
        await fill_pools(client)
        assert terminate(administrator) > 1
        assert (await client.get("/machines")).status_code == 200
        assert (await client.put(f"/machines/M{number}", json={})).status_code == 201
        assert (await client.get("/readyz")).status_code == 200


async def test_a_connection_that_ends_at_the_moment_of_use_is_replaced(client, administrator, monkeypatch):
    """`is_dead` cannot see a connection that ends right after the check."""
    await fill_pools(client, pages=3)
    monkeypatch.setattr(driver, "is_dead", lambda _: False)
    assert (await client.put("/machines/Once", json={})).status_code == 201
    administrator.execute(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS} AND query LIKE '%COMMIT%'")
    assert (await client.put("/machines/Twice", json={})).status_code == 201
    history = (await client.get("/machines/Twice/history")).json()["items"]
    assert len(history) == 1


async def test_a_unit_whose_connection_ends_before_the_commit_runs_again(postgresql_database_url, administrator):
    database, runs = Database(postgresql_database_url), []
    await database.open()

    def unit(tx):
        tx.cursor.execute("INSERT INTO derived VALUES ('x', %s)", [str(len(runs))])
        runs.append(tx.cursor.connection.info.backend_pid)
        if len(runs) == 1:
            administrator.execute("SELECT pg_terminate_backend(%s, 5000)", [runs[0]])
            tx.cursor.execute("SELECT 1")

    await asyncio.gather(database.write(unit), database.write(lambda tx: tx.cursor.execute("SELECT 2") and None))
    rows = database.snapshot(lambda tx: tx.cursor.execute("SELECT value FROM derived WHERE name = 'x'").fetchall())
    await database.close()
    assert rows == [(str(len(runs) - 1),)]
    assert len({*runs}) == len(runs) > 1


async def test_a_server_that_is_read_only_refuses_writes_until_it_is_not(client, administrator, caplog):
    name = administrator.info.dbname
    assert (await client.put("/machines/Saw", json={})).status_code == 201
    administrator.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    terminate(administrator)
    for _ in range(3):
        refused = await client.put("/machines/Lost", json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "database-busy")
        assert "read-only" in refused.json()["detail"]
        assert "retry-after" in refused.headers
        assert (await client.get("/machines")).status_code == 200
    administrator.execute("SET default_transaction_read_only = off")
    administrator.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    # The connections that still are read-only are not used again.
    assert (await client.put("/machines/After", json={})).status_code == 201
    names = [item["name"] for item in (await client.get("/machines")).json()["items"]]
    assert names == ["After", "Saw"]
    assert caplog.text.count("read-only") == 1
    assert "accepts writes again" in caplog.text


@pytest.mark.proof("idle PostgreSQL connections ended by the server")
def test_no_request_is_refused_when_idle_connections_end(
    tmp_path, postgresql_database_url, administrator, extent, record_counts
):
    ended = 0
    with ForkedService(tmp_path, database_url=postgresql_database_url) as service, HttpClient(service.port) as http:
        add_machine(service.port)
        for number in range(times := extent(short=5, long=50)):
            with Traffic(service.port, writers=4, readers=4) as traffic:
                traffic.wait_for(8, 201)
            assert {*traffic.write_statuses, *traffic.read_statuses} == {200, 201}
            ended += terminate(administrator)
            assert http.send("GET", "/logs").status == 200
            assert http.send("PUT", f"/machines/M{number}", {}).status == 201
        assert traffic.acknowledged <= stored_uuids(service.port)
    record_counts(times, connections=ended, status_503=0)
