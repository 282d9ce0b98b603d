"""Unchanged lists, facets and stats: 304, or the bytes of an earlier response, in every process; never an old one."""

import pytest

from conftest import serving
from machine_monitor.api.serving import conditional
from machine_monitor.config import Settings
from machine_monitor.query import lists

LOG = {"machine": "Saw", "type": "info", "started_at": "2026-01-01T10:00:00Z"}
PATHS = [
    "/logs",
    "/logs?machine=Saw&sort=-started_at&limit=1&count=exact",
    "/logs?q=blade&expand=machine,type",
    "/logs?started_at__gte=2026-01-01",
    "/machines",
    "/machines/Saw/history",
    "/users",
    "/log-types",
    "/logs/facets?by=machine,status",
    "/logs/stats?group_by=machine,month&metrics=count,failures",
]
TIMELY = [
    "/logs?started_at__gte=-7d",
    "/logs?started_at__lte=now",
    "/machines?expand=activity",
    "/logs/facets?by=machine&started_at__gte=today",
    "/logs/stats?metrics=downtime",
    "/logs/stats?from=-7d",
    "/mappings",
]


@pytest.fixture
async def client(database_url):
    async with serving(Settings(database_url=database_url)) as opened:
        assert (await opened.put("/machines/Saw", json={})).status_code == 201
        assert (await opened.post("/logs", json=LOG)).status_code == 201
        yield opened


def conditions(response):
    return {"If-None-Match": response.headers["ETag"]}


@pytest.mark.parametrize("path", PATHS)
async def test_an_unchanged_answer_is_304_until_something_is_recorded(client, path):
    first = await client.get(path)
    assert first.headers["ETag"].startswith('W/"')
    again = await client.get(path, headers=conditions(first))
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (await client.get(path)).content == first.content
    assert (await client.patch("/machines/Saw", json={"comment": "blade"})).status_code == 200
    changed = await client.get(path, headers=conditions(first))
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("path", TIMELY)
async def test_what_depends_on_the_time_or_is_not_in_the_history_has_no_etag(client, path):
    assert "ETag" not in (await client.get(path)).headers


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_proxy_may_change_the_etag_for_its_encoding(client, encoding):
    first = await client.get("/logs", headers={"Accept-Encoding": encoding})
    digest = first.headers["ETag"].removeprefix("W/").strip('"')
    for tag in (f'"{digest}"', f'"{digest}-gzip"', f'W/"{digest};br"', f'"other", W/"{digest}"'):
        assert (await client.get("/logs", headers={"If-None-Match": tag})).status_code == 304
    assert (await client.get("/logs", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_an_earlier_answer_is_sent_in_the_encoding_that_the_client_accepts(client):
    for number in range(20):
        await client.post("/logs", json={**LOG, "comment": f"number {number}"})
    plain = {"Accept-Encoding": "identity"}
    bodies = [(await client.get("/logs", headers=headers)) for headers in ({}, plain, {}, plain)]
    assert [body.headers.get("Content-Encoding") for body in bodies] == ["gzip", None] * 2
    assert len({body.content for body in bodies}) == 1
    assert {body.headers["Vary"] for body in bodies} == {"Accept-Encoding"}


async def test_the_statement_of_an_unchanged_answer_does_not_run_again(client, monkeypatch):
    first, read = await client.get("/logs"), []
    monkeypatch.setattr(lists, "fetch", lambda *given, run=lists.fetch: read.append(given) or run(*given))
    assert (await client.get("/logs")).content == first.content
    assert (await client.get("/logs", headers=conditions(first))).status_code == 304
    assert read == []
    await client.get("/logs?limit=1")
    assert len(read) == 1


async def test_refusals_come_first(client, database_url):
    first = await client.get("/logs")
    assert (await client.get("/logs?limit=x", headers=conditions(first))).status_code == 422
    async with serving(Settings(database_url=database_url), open_=False) as closed:
        assert (await closed.get("/logs", headers=conditions(first))).status_code == 401
    settings = Settings(database_url=database_url, anonymous="read")
    async with serving(settings, open_=False) as readers:
        assert (await readers.get("/logs?deleted=true", headers=conditions(first))).status_code == 401
        # A caller with other rights gets no 304 for what this one got.
        assert (await readers.get("/logs", headers=conditions(first))).status_code == 200


async def test_all_processes_agree(client, database_url):
    first = await client.get("/logs")
    async with serving(Settings(database_url=database_url)) as other:
        assert (await other.get("/logs", headers=conditions(first))).status_code == 304
        assert (await other.get("/logs")).headers["ETag"] == first.headers["ETag"]
        await other.post("/logs", json=LOG)
        changed = await client.get("/logs", headers=conditions(first))
        assert (changed.status_code, len(changed.json()["items"])) == (200, 2)


async def test_another_version_or_zone_makes_other_answers(client, database_url, monkeypatch):
    first = await client.get("/logs")
    async with serving(Settings(database_url=database_url, timezone="Europe/Paris")) as elsewhere:
        assert (await elsewhere.get("/logs", headers=conditions(first))).status_code == 200
    monkeypatch.setattr(conditional, "VERSION", "next")
    assert (await client.get("/logs", headers=conditions(first))).status_code == 200


def test_the_cache_is_bounded_in_bytes():
    size = conditional.MAX_BODY_BYTES
    cache = conditional.ResponseCache(16 * size)
    for number in range(40):
        cache.add(b"state", (str(number), False), conditional.CachedResponse(bytes(size), []))
        cache.find(b"state", ("0", False))
    assert [number for number in range(40) if cache.find(b"state", (str(number), False))] == [0, *range(25, 40)]
    cache.add(b"state", ("large", False), conditional.CachedResponse(bytes(size + 1), []))
    assert cache.find(b"state", ("large", False)) is None
    cache.add(b"next", ("0", False), conditional.CachedResponse(b"", []))
    assert cache.find(b"state", ("0", False)) is None
    assert cache.find(b"state", ("39", False)) is None


async def test_without_a_cache_every_response_is_made_anew(database_url, monkeypatch):
    read = []
    monkeypatch.setattr(lists, "fetch", lambda *given, run=lists.fetch: read.append(given) or run(*given))
    async with serving(Settings(database_url=database_url, cache_size="0")) as client:
        first = await client.get("/log-types")
        assert (await client.get("/log-types")).content == first.content
        assert len(read) == 2
        assert (await client.get("/log-types", headers=conditions(first))).status_code == 304
