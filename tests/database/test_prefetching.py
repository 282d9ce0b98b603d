"""On PostgreSQL, a page is sent together with the authentication of its request, and runs only if that succeeds."""

import asyncio
import time

import psycopg
import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.database.engines.postgresql.readers import READERS
from machine_monitor.services.access import authentication
from machine_monitor.services.accounts import tokens
from machine_monitor.services.accounts.tokens import TokenCreate
from machine_monitor.services.audit.history import ChangeContext
from waiting import wait_until

pytestmark = pytest.mark.slow

QUERY_TIMEOUT = 0.5
# With another offset, this is another page of the same statement.
PAGE = "/logs?limit=40&count=exact&offset="
ROWS_READ = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'logs'"
END_WAITING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()"""


def bearer(url, user):
    """Issue a token; return its id and the header that carries it."""
    database = Database(url)
    body = TokenCreate(name="test", scope="admin")
    created, secret = database.transact(lambda tx: tokens.issue(tx, user, body, ChangeContext("test")))
    database.close_writer()
    return created, {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def admin(postgresql_database_url):
    """A client with the token of an admin; 100 logs are recorded."""
    settings = Settings(database_url=postgresql_database_url)
    async with serving(settings) as anybody:
        for user, role in (("ADM", "admin"), ("ABC", "supervisor")):
            assert (await anybody.put(f"/users/{user}", json={"role": role})).status_code == 201
    _, headers = bearer(postgresql_database_url, "ADM")
    async with serving(settings, open_=False) as opened:
        opened.headers.update(headers)
        assert (await opened.put("/machines/Saw", json={})).status_code == 201
        for _ in range(100):
            log = {"machine": "Saw", "type": "info", "user": "ABC"}
            assert (await opened.post("/logs", json=log)).status_code == 201
        yield opened


@pytest.fixture
async def client(postgresql_database_url, admin):  # noqa: ARG001 -- the logs have to be there
    """A client with a token, whose id is its attribute, and which has read a page with it."""
    settings = Settings(database_url=postgresql_database_url, query_timeout=QUERY_TIMEOUT)
    async with serving(settings, open_=False) as opened:
        opened.token_id, headers = bearer(postgresql_database_url, "ABC")
        opened.headers.update(headers)
        assert (await opened.get(f"{PAGE}0")).status_code == 200
        yield opened


@pytest.fixture
def prefetched(monkeypatch):
    """What `fetch_and_prefetch` has returned."""
    outcomes, fetch_and_prefetch = [], Database.fetch_and_prefetch

    async def recording(self, *arguments):
        outcomes.append(await fetch_and_prefetch(self, *arguments))
        return outcomes[-1]

    monkeypatch.setattr(Database, "fetch_and_prefetch", recording)
    return outcomes


@pytest.fixture
def server(postgresql_database_url):
    with psycopg.connect(database_urls.parse(postgresql_database_url).conninfo, autocommit=True) as connection:
        yield connection


async def rows_read(client, server, path, **headers):
    """Return the response, and how many rows of logs the server has read for it."""

    async def total():
        # A connection reports what it has read with its first statement a second later.
        await asyncio.sleep(1.1)
        for _ in range(2 * READERS):
            await client.get("/readyz")
        return server.execute(ROWS_READ).fetchone()[0]

    before = await total()
    response = await client.get(path, headers=headers)
    return response, await total() - before


async def test_rows_are_read_for_a_valid_token_alone(client, admin, server, prefetched):
    response, rows = await rows_read(client, server, f"{PAGE}1")
    assert (response.status_code, len(prefetched[-1])) == (200, 1)
    assert rows >= 100
    assert (await admin.delete(f"/tokens/{client.token_id}")).status_code == 204
    response, rows = await rows_read(client, server, f"{PAGE}2")
    assert (response.status_code, prefetched[-1], rows) == (401, [], 0)
    assert (await client.get(f"{PAGE}3")).status_code == 401
    # Who it was is forgotten, so the second 401 took no connection of that user.
    assert len(prefetched) == 2


async def test_an_unchanged_page_is_not_read(client, admin, server, prefetched):
    etag = (await client.get(f"{PAGE}0")).headers["etag"]
    for headers in ({}, {"If-None-Match": etag}):
        response, rows = await rows_read(client, server, f"{PAGE}0", **headers)
        assert (response.status_code, rows) == (304 if headers else 200, 0)
    log = {"machine": "Saw", "type": "info", "user": "ABC"}
    created = await admin.post("/logs", json=log)
    changed = await client.get(f"{PAGE}0", headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["total"]) == (200, 101)
    assert changed.json()["items"][0]["uuid"] == created.json()["uuid"]
    assert changed.headers["etag"] != etag
    assert [len(rows) for rows in prefetched] == [1] * 4


async def test_a_page_without_records_is_empty(client):
    for offset in (0, 200, 200):
        response = await client.get(f"/logs?limit=40&offset={offset}")
        assert (response.status_code, len(response.json()["items"])) == (200, 0 if offset else 40)


async def test_a_change_of_role_counts_at_once(client, admin):
    assert (await client.get("/logs?deleted=true")).status_code == 200
    assert (await admin.patch("/users/ABC", json={"role": "operator"})).status_code == 200
    assert (await client.get("/logs?deleted=true")).status_code == 403
    assert (await client.get("/logs")).status_code == 200
    assert (await admin.patch("/users/ABC", json={"active": False})).status_code == 200
    assert (await client.get("/logs")).status_code == 401


async def test_authentication_comes_before_the_check_of_the_query(client, admin):
    assert (await client.get("/logs?limit=x")).status_code == 422
    assert (await admin.delete(f"/tokens/{client.token_id}")).status_code == 204
    assert (await client.get("/logs?limit=x")).status_code == 401


@pytest.mark.timed
async def test_the_query_timeout_of_a_page_is_that_of_one_query(client, server, prefetched):
    with server.transaction():
        server.execute("LOCK TABLE logs")
        start = time.monotonic()
        response = await client.get(f"{PAGE}1")
        assert (response.status_code, response.json()["code"]) == (503, "query-timeout")
        assert time.monotonic() - start < 1.9 * QUERY_TIMEOUT
    assert len(prefetched) == 1
    assert (await client.get(f"{PAGE}1")).status_code == 200


async def test_a_page_does_not_fail_with_its_connection(client, server, prefetched):
    """The server ends the connection while it waits for a lock."""
    with server.transaction():
        server.execute("LOCK TABLE logs")
        page = asyncio.create_task(client.get(f"{PAGE}1"))
        await wait_until(lambda: server.execute(END_WAITING).fetchall())
    assert (await page).status_code == 200
    assert prefetched == [None]


async def test_the_callers_of_few_credentials_are_kept(client, admin, monkeypatch):
    monkeypatch.setattr(authentication, "KEPT_CALLERS", 2)
    own = client.headers["Authorization"]
    for number in range(3):
        body = {"name": f"test {number}", "scope": "read", "user": "ABC"}
        token = (await admin.post("/tokens", json=body)).json()["token"]
        assert (await client.get("/logs", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    authenticator = client._transport.app.state.authenticator
    assert authenticator.last_authenticated(token).caller.user == "ABC"
    assert authenticator.last_authenticated(own.removeprefix("Bearer ")) is None
