"""A request to the API takes few round trips to a PostgreSQL server, which may be milliseconds away."""

import asyncio
import itertools
import tempfile
import uuid
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from conftest import serving
from database.counting_proxy import CountingProxy
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.accounts import tokens
from machine_monitor.services.accounts.tokens import TokenCreate
from machine_monitor.services.audit.history import ChangeContext

pytestmark = pytest.mark.slow

LOG = {"machine": "Saw", "type": "info", "user": "ABC", "comment": "a new blade"}


@pytest.fixture
def proxy(postgresql_database_url):
    # The path of a Unix socket has at most 107 characters; pytest's temporary folders are longer.
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(CountingProxy(postgresql_database_url, Path(folder))) as opened,
    ):
        yield opened


@pytest.fixture
async def client(proxy):
    """A client with a token, of a service that is connected through the proxy."""
    settings = Settings(database_url=proxy.url.render_as_string(hide_password=False))
    async with serving(settings) as anybody:
        assert (await anybody.put("/machines/Saw", json={})).status_code == 201
        assert (await anybody.put("/users/ABC", json={"role": "admin"})).status_code == 201
    database = Database(settings.database_url)
    body = TokenCreate(name="test", scope="write")
    _, token = database.transact(lambda tx: tokens.issue(tx, "ABC", body, ChangeContext("test")))
    database.close_writer()
    async with serving(settings, open_=False) as opened:
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


async def trips(proxy, *requests):
    """Return the round trips of requests at once, with open connections and prepared statements."""
    counted = []
    for _ in range(10):
        await asyncio.sleep(0.05)  # what an earlier request leaves to do
        before = proxy.trips
        responses = await asyncio.gather(*(request() for request in requests))
        assert all(response.is_success for response in responses), responses[0].text
        counted.append(proxy.trips - before)
    return min(counted)


async def test_a_write_takes_few_round_trips(client, proxy):
    """These are: the token, BEGIN, a retry or the log itself, what it refers to, the log with its counters and the
    lock of the history, and its entry with COMMIT. Others wait during the last two."""
    created = (await client.post("/logs", json=LOG)).json()["uuid"]
    keys, comments = (map(str, iter(uuid.uuid4, None)), map(str, itertools.count()))

    def post(**headers):
        return client.post("/logs", json=LOG, headers=headers)

    assert await trips(proxy, post) <= 5
    assert await trips(proxy, lambda: client.patch(f"/logs/{created}", json={"comment": next(comments)})) <= 5
    assert await trips(proxy, lambda: client.put(f"/logs/{next(keys)}", json=LOG)) <= 6
    assert await trips(proxy, lambda: client.post("/logs", json={**LOG, "uuid": next(keys)})) <= 6
    assert await trips(proxy, lambda: post(**{"Idempotency-Key": next(keys)})) <= 7


async def test_a_page_takes_one_round_trip(client, proxy):
    """The token and the page are sent together, to a client that has the page of an earlier state, too."""
    numbers, keys = itertools.count(), map(str, iter(uuid.uuid4, None))
    assert (await client.post("/logs", json=LOG)).status_code == 201
    assert await trips(proxy, lambda: client.get(f"/logs?comment__ne={next(numbers)}")) == 1
    assert await trips(proxy, lambda: client.get("/machines")) == 1
    etag, counted = "", []
    for _ in range(10):
        assert (await client.put(f"/logs/{next(keys)}", json=LOG)).status_code == 201
        await asyncio.sleep(0.05)
        before = proxy.trips
        response = await client.get("/logs", headers={"If-None-Match": etag})
        assert response.status_code == 200
        counted.append(proxy.trips - before)
        etag = response.headers["etag"]
    assert min(counted) == 1


async def test_writes_that_share_a_commit_share_their_round_trips(client, proxy):
    """The first log is a batch of its own. Each batch has BEGIN, what the logs refer to, the logs with the counters,
    and the history with COMMIT; and there are two checks of the token."""
    assert await trips(proxy, *[lambda: client.post("/logs", json=LOG)] * 16) <= 2 * 4 + 2


async def test_logs_of_different_machines_share_round_trips_too(client, proxy):
    """All units of a batch send their lookups before the first one runs."""
    machines = [f"Press {number}" for number in range(16)]
    for machine in machines:
        assert (await client.put(f"/machines/{machine}", json={})).status_code == 201
    posts = [partial(client.post, "/logs", json={**LOG, "machine": machine}) for machine in machines]
    assert await trips(proxy, *posts) <= 2 * 4 + 2


async def test_pages_at_once_share_the_check_of_their_token(client, proxy):
    """These are: the pages, and twice the token, for requests that find no free connection."""
    numbers = itertools.count()
    assert (await client.post("/logs", json=LOG)).status_code == 201
    assert await trips(proxy, *[lambda: client.get(f"/logs?comment__ne={next(numbers)}")] * 16) <= 16 + 2
