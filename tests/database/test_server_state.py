"""A PostgreSQL server that is a standby, or may lose what it commits: `mm doctor` and `/readyz` say so."""

import asyncio
import signal
from pathlib import Path

import psutil
import psycopg
import pytest

import postgresql_server
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.services.checks import health
from machine_monitor.services.projections import maintenance

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql():
    with postgresql_server.running_server(durable=False) as (url, server):
        database = Database(url)
        maintenance.prepare_database(database)
        database.close_writer()
        yield url, server


def examine(url):
    return health.examine(Settings(database_url=url))


async def readiness(url):
    async with serving(Settings(database_url=url, open=True)) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        return answer.json().get("warnings", [])


async def test_a_primary_that_keeps_what_it_commits_has_no_fault(postgresql):
    url, _ = postgresql
    found = examine(url)
    assert (found.faults, found.facts["server"], found.facts["synchronous_commit"]) == ([], "the primary", "on")
    assert await readiness(url) == []


@pytest.mark.parametrize("setting", ["off", "local", "remote_write"])
async def test_commits_that_may_be_lost_are_a_fault(postgresql, setting):
    url, server = postgresql
    server.psql(f"ALTER DATABASE postgres SET synchronous_commit = {setting}")
    try:
        (fault,) = examine(url).faults
        assert fault.startswith(f"The server's synchronous_commit is {setting}: a commit does not wait ")
        assert await readiness(url) == [fault]
    finally:
        server.psql("ALTER DATABASE postgres RESET synchronous_commit")


async def test_a_standby_is_a_fault_and_still_answers_reads(postgresql):
    url, server = postgresql
    folder = Path(database_urls.parse(url).sqlalchemy_url.query["host"])
    signal_file = folder / "standby.signal"
    server.psql("CHECKPOINT")
    await restart(server, lambda: signal_file.write_text(""), folder)
    try:
        found = examine(url)
        (fault,) = found.faults
        assert found.facts["server"].startswith("a standby")
        assert fault.startswith(f"MM_DATABASE_URL leads to {found.facts['server']}. It can only be read.")
        assert await readiness(url) == [fault]
        async with serving(Settings(database_url=url, open=True)) as client:
            assert (await client.get("/logs")).status_code == 200
            answer = await client.post("/machines", json={"name": "Saw"})
            assert (answer.status_code, answer.json()["code"]) == (503, "database-busy")
    finally:
        await restart(server, signal_file.unlink, folder)
    assert examine(url).faults == []


async def restart(server, change, folder):
    """Stop the server, change its folder, start it, and wait until it takes connections."""
    postmaster = psutil.Process(server.get_pid())
    postmaster.send_signal(signal.SIGINT)
    postmaster.wait(30)
    change()
    server.ensure_postgres_running()
    for _ in range(100):
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError
