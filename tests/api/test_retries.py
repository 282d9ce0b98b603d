"""Idempotency keys: a request that is repeated with the same `Idempotency-Key` is executed once."""

import asyncio
import threading
from datetime import timedelta

import pytest

from conftest import client_of, serving
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.services import idempotency

KEY = {"Idempotency-Key": "4f6b-1"}
LOG = {"machine": "Press", "type": "info", "comment": "seen"}
BODIES = {
    "/machines": {"name": "Saw"},
    "/logs": LOG,
    "/log-types": {"code": "drain"},
    "/users": {"trigram": "ABC"},
    "/logs/bulk": {"items": [LOG, LOG | {"comment": "seen again"}]},
}
REPLAYED = "idempotency-replayed"


@pytest.fixture
async def press(client):
    await client.post("/machines", json={"name": "Press"})
    return client


def replayed_parts(response):
    """Return those parts of a response that a replay repeats."""
    return response.status_code, response.headers.get("location"), response.headers.get("etag"), response.content


async def count(client, path):
    return (await client.get(path, params={"count": "exact"})).json()["total"]


@pytest.mark.parametrize("path", BODIES)
async def test_the_same_request_gets_the_same_response(press, path):
    first = await press.post(path, json=BODIES[path], headers=KEY)
    assert first.status_code in (200, 201)
    assert REPLAYED not in first.headers
    again = await press.post(path, json=BODIES[path], headers=KEY)
    assert (replayed_parts(again), again.headers[REPLAYED]) == (replayed_parts(first), "true")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    seqs = [change["seq"] for change in (await press.get("/changes", params={"limit": 1000})).json()["items"]]
    assert len(seqs) == 7 + 1 + (2 if path == "/logs/bulk" else 1)


async def test_the_stored_response_is_replayed_unchanged(press):
    first = await press.post("/logs", json=LOG, headers=KEY)
    await press.patch(first.headers["location"], json={"comment": "changed since"})
    await press.delete(first.headers["location"])
    assert replayed_parts(await press.post("/logs", json=LOG, headers=KEY)) == replayed_parts(first)


async def test_another_body_with_the_same_key_is_refused(press):
    await press.post("/logs", json=LOG, headers=KEY)
    for body in (b'{"machine":"Press","type":"info"}', b' {"machine":"Press","type":"info","comment":"seen"}'):
        response = await press.post("/logs", content=body, headers={**KEY, "Content-Type": "application/json"})
        assert (response.status_code, response.json()["code"]) == (422, "idempotency-key-reused")
    assert await count(press, "/logs") == 1


async def test_failed_requests_are_not_stored(press):
    refused = await press.post("/logs", json=LOG | {"machine": "Saw"}, headers=KEY)
    assert refused.json()["code"] == "unknown-machine"
    assert (await press.post("/logs", json=LOG, headers=KEY)).status_code == 201
    response = await press.post("/machines", json={"name": "press"}, headers=KEY)
    assert response.status_code == 409
    assert (await press.post("/machines", json={"name": "Saw"}, headers=KEY)).status_code == 201


async def test_a_key_belongs_to_its_path(press):
    assert (await press.post("/logs", json=LOG, headers=KEY)).status_code == 201
    other = await press.post("/machines", json={"name": "Saw"}, headers=KEY)
    assert (other.status_code, REPLAYED in other.headers) == (201, False)


async def test_other_methods_ignore_the_key(press):
    created = await press.post("/logs", json=LOG, headers=KEY)
    path = created.headers["location"]
    for text in ("first", "second"):
        response = await press.patch(path, json={"comment": text}, headers=KEY)
        assert (response.json()["comment"], REPLAYED in response.headers) == (text, False)
    assert (await press.get(path, headers={"Idempotency-Key": "a b"})).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "tab\there"])
async def test_a_key_must_be_visible_ascii(press, key):
    response = await press.post("/logs", json=LOG, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (422, "Idempotency-Key")
    assert await count(press, "/logs") == 0


@pytest.mark.parametrize("key", ["!", "~" * 255, '"quoted"'])
async def test_a_key_may_be_any_visible_characters(press, key):
    headers = {"Idempotency-Key": key}
    first = await press.post("/logs", json=LOG, headers=headers)
    assert first.status_code == 201
    assert replayed_parts(await press.post("/logs", json=LOG, headers=headers)) == replayed_parts(first)


async def test_two_key_headers_are_refused(press):
    response = await press.post("/logs", json=LOG, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
    assert response.status_code == 422


async def test_a_key_expires_after_a_week(press, monkeypatch):
    first = await press.post("/logs", json=LOG, headers=KEY)
    real = instants.now
    monkeypatch.setattr(instants, "now", lambda: real() + timedelta(days=6, hours=23))
    assert replayed_parts(await press.post("/logs", json=LOG, headers=KEY)) == replayed_parts(first)
    monkeypatch.setattr(instants, "now", lambda: real() + timedelta(days=7, seconds=1))
    later = await press.post("/logs", json=LOG | {"comment": "another"}, headers=KEY)
    assert (later.status_code, REPLAYED in later.headers) == (201, False)


async def test_a_response_is_replayed_after_its_record_was_deleted(press):
    """The replay says what the first request did, not what became of the record."""
    first = await press.post("/machines", json={"name": "Saw"}, headers=KEY)
    await press.delete("/machines/Saw")
    again = await press.post("/machines", json={"name": "Saw"}, headers=KEY)
    assert replayed_parts(again) == replayed_parts(first)
    assert (await press.get("/machines/Saw")).status_code == 404


async def test_twenty_concurrent_repeats_are_executed_once(press, database_url):
    """Send them to two applications on one database, mixed with requests that have other keys."""
    async with serving(Settings(database_url=database_url)) as other:
        same = [client.post("/logs", json=LOG, headers=KEY) for client in (press, other) for _ in range(10)]
        own = [press.post("/logs", json=LOG, headers={"Idempotency-Key": f"own-{n}"}) for n in range(5)]
        responses = await asyncio.gather(*same, *own)
    assert {response.status_code for response in responses} == {201}
    assert len({replayed_parts(response) for response in responses[:20]}) == 1
    assert sum(REPLAYED not in response.headers for response in responses[:20]) == 1
    assert await count(press, "/logs") == 6


async def test_a_concurrent_repeat_waits_for_the_first_request_up_to_a_limit(database_url, monkeypatch):
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.2)
    app = create_app(Settings(database_url=database_url, open=True))
    async with app.router.lifespan_context(app), client_of(app) as client:
        released = threading.Event()
        slow = asyncio.create_task(app.state.database.write(lambda _tx: released.wait(10)))
        await asyncio.sleep(0.05)
        first = asyncio.create_task(client.post("/machines", json={"name": "Saw"}, headers=KEY))
        await asyncio.sleep(0.05)
        impatient = await client.post("/machines", json={"name": "Saw"}, headers=KEY)
        assert (impatient.status_code, impatient.json()["code"]) == (409, "conflict")
        assert int(impatient.headers["retry-after"]) > 0
        patient = asyncio.create_task(client.post("/machines", json={"name": "Saw"}, headers=KEY))
        released.set()
        await slow
        assert replayed_parts(await first) == replayed_parts(await patient)
