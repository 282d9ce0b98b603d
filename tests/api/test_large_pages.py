"""A page ends at 8 MiB, whatever its `limit` is, and the next one continues after it."""

import json

import httpx2
import pytest
import pytest_asyncio

from api.paced_client import UUID
from conftest import client_of
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.models.log import LogUpdate
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.records import Target
from machine_monitor.services.records.preconditions import Preconditions

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT, UPDATES = 50, 25
MAX_BYTES = 8 * 1024 * 1024
# Characters of three bytes in UTF-8: bytes count, not characters.
ATTRIBUTES = {f"reading {number}": "€" * 1_000 for number in range(64)}
KEYS = [UUID.format(number) for number in range(COUNT)]
# The log whose history is large.
UPDATED = KEYS[0]


def fill(url):
    """Create large logs, a minute apart, and change the first one until its history is larger than a page."""

    def unit(tx):
        context = ChangeContext("test")
        machine = MACHINES.create.model_validate({"name": "Saw"})
        records.insert(tx, MACHINES, machine.model_dump(mode="json"), context)
        for number, key in enumerate(KEYS):
            values = {"uuid": key, "machine": "Saw", "type": "info", "attributes": ATTRIBUTES}
            body = LOGS.create.model_validate(values | {"started_at": f"2025-01-01T00:{number:02}:00Z"})
            records.insert(tx, LOGS, body.model_dump(mode="json"), context)
        for number in range(UPDATES):
            patch = LogUpdate.model_validate({"attributes": {"reading 0": str(number)}})
            records.update(tx, Target(LOGS, UPDATED, Preconditions(None, None, required=False)), patch, context)

    database = Database(url)
    database.transact(unit)
    database.close_writer()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(seeded_url):
    fill(seeded_url)
    app = create_app(Settings(database_url=seeded_url, open=True))
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


async def read(client: httpx2.AsyncClient, url: str) -> dict:
    response = await client.get(url)
    assert response.status_code == 200, response.text[:1_000]
    assert len(response.content) <= MAX_BYTES
    return json.loads(response.content)


def uuids(page: dict) -> list[str]:
    return [item["uuid"] for item in page["items"]]


@pytest.mark.parametrize(
    "more", ["", "&count=exact", "&sort=machine,-started_at&count=capped", "&attributes.x__isnull=true"]
)
async def test_pages_end_at_8_mib_and_follow_each_other(large, more):
    page = await read(large, f"/logs?limit=500{more}")
    assert 30 < len(page["items"]) < COUNT
    assert page["total"] in (None, COUNT)
    following = await read(large, f"/logs?limit=500{more}&cursor={page['next']}")
    assert uuids(page) + uuids(following) == KEYS[::-1]
    assert following["next"] is None
    before = await read(large, f"/logs?limit=500{more}&cursor={following['previous']}")
    assert uuids(before) == uuids(page)


async def test_a_page_that_is_read_backward_ends_at_8_mib_too(large):
    last = await read(large, "/logs?limit=1&sort=started_at&started_at__gte=2025-01-01T00:49:00Z")
    page = await read(large, "/logs?limit=500&sort=-started_at")
    while page["next"] is not None:
        page = await read(large, f"/logs?limit=1&cursor={page['next']}")
    page = await read(large, f"/logs?limit=500&cursor={page['previous']}")
    assert 30 < len(page["items"]) < COUNT - 1
    assert uuids(page)[-1] == KEYS[1]
    first = await read(large, f"/logs?limit=500&cursor={page['previous']}")
    assert uuids(first) + uuids(page) == KEYS[:0:-1]
    assert uuids(first)[0] == uuids(last)[0] == KEYS[-1]


async def test_a_page_with_an_offset_names_a_limit_that_fits(large):
    response = await large.get("/logs?limit=500&offset=1")
    problem = response.json()
    assert (response.status_code, problem["errors"][0]["parameter"]) == (422, "limit")
    fitting = int(problem["detail"].partition("limit=")[2].split()[0])
    page = await read(large, f"/logs?limit={fitting}&offset=1")
    assert uuids(page) == KEYS[-2 : -2 - fitting : -1]
    assert (await large.get(f"/logs?limit={fitting + 1}&offset=1")).status_code == 422
    # The rest of the list fits.
    assert len(uuids(await read(large, f"/logs?limit=500&offset={COUNT - fitting}"))) == fitting


async def test_changes_end_at_8_mib_and_none_is_missing(large):
    since, seen = 0, []
    pages = 0
    while items := (page := await read(large, f"/changes?limit=1000&since={since}"))["items"]:
        seen += [item["seq"] for item in items]
        pages, since = pages + 1, page["next"]
        assert since == seen[-1]
    assert pages > 1
    assert seen == [*range(1, len(seen) + 1)]
    assert len(seen) > COUNT + UPDATES


async def test_a_history_ends_at_8_mib_and_goes_on(large):
    url, versions = f"/logs/{UPDATED}/history?limit=500", []
    page = await read(large, url)
    while page["next"] is not None:
        versions += [item["version"] for item in page["items"]]
        page = await read(large, f"{url}&cursor={page['next']}")
    versions += [item["version"] for item in page["items"]]
    assert len(page["items"]) < UPDATES + 1
    assert versions == [*range(UPDATES + 1, 0, -1)]
    assert (await large.get(f"{url}&offset=0")).status_code == 422
