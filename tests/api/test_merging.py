"""Merging a machine into another: its logs move, and it is deleted."""

import asyncio
import secrets

import pytest

from api.resource_cases import LOGS, MACHINES, create, entries
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify

pytestmark = pytest.mark.asyncio(loop_scope="module")


def new_name(word: str) -> str:
    return f"{word} {secrets.token_hex(5)}"


async def add_machine(client, *, logs: int = 0, **more) -> tuple[str, list[str]]:
    name = new_name("Tour")
    assert (await client.post("/machines", json={"name": name, **more})).status_code == 201
    return name, [(await create(client, LOGS, machine=name, comment="merged sentence"))[0] for _ in range(logs)]


def merge(client, name: str, into: str, **headers):
    return client.post(f"{MACHINES.path_of(name)}/merge", json={"into": into}, headers=headers)


async def uuids(client, **query) -> set[str]:
    response = await client.get("/logs", params={"limit": 500, **query})
    assert response.status_code == 200, response.text
    return {item["uuid"] for item in response.json()["items"]}


async def facet(client, name: str) -> dict[str, int]:
    """Return the counts of all logs by machine; without filters they come from the counters."""
    response = await client.get("/logs/facets", params={"by": "machine", "limit": 100})
    return {each["value"]: each["count"] for each in response.json()["facets"]["machine"]}.get(name, 0)


def verification_faults(url: str) -> list[str]:
    database = Database(url)
    try:
        return verify(database).faults
    finally:
        database.close_writer()


async def test_a_merge_moves_all_logs_and_deletes_the_machine(seeded, seeded_url):
    old, moved = await add_machine(seeded, logs=3, sector="1A", comment="by the door")
    new, own = await add_machine(seeded, logs=2)
    assert (await seeded.delete(LOGS.path_of(moved[2]))).status_code == 204
    before = (await seeded.get(MACHINES.path_of(new))).json()
    response = await merge(seeded, old.upper(), new.upper(), **{"X-Change-Note": "the same lathe"})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert response.json() == before | {"version": 2, "updated_at": response.json()["updated_at"]}
    assert (await seeded.get(MACHINES.path_of(old))).status_code == 404
    assert (await seeded.get(MACHINES.path_of(new))).content == response.content
    log = (await seeded.get(LOGS.path_of(moved[0]))).json()
    assert (log["machine"], log["version"], log["updated_at"]) == (new, 2, response.json()["updated_at"])
    assert (await seeded.get(LOGS.path_of(own[0]))).json()["version"] == 1
    assert len(await entries(seeded, LOGS, moved[0])) == 1
    live = {*moved[:2], *own}
    assert await uuids(seeded, machine=new) == live
    assert await uuids(seeded, q=f'"{new}" "merged sentence"') == live
    assert await uuids(seeded, q=f'"{old}"') == set()
    assert (await facet(seeded, new), await facet(seeded, old)) == (4, 0)
    restored = await seeded.post(f"{LOGS.path_of(moved[2])}/restore")
    assert (restored.json()["machine"], restored.json()["version"]) == (new, 4)
    assert await uuids(seeded, q=f'"{new}" merged') == {*moved, *own}
    assert verification_faults(seeded_url) == []


async def test_both_machines_have_an_entry_with_both_names(seeded):
    old, _ = await add_machine(seeded, logs=1, sector="1A", listed=False)
    new, _ = await add_machine(seeded)
    await merge(seeded, old, new, **{"X-Change-Note": "twice"})
    entry, first = await entries(seeded, MACHINES, new)
    assert (entry["op"], entry["version"], entry["note"], first["op"]) == ("merge", 2, "twice", "create")
    assert entry["changes"] == {"name": [old, new]}
    head = (await seeded.get(f"{MACHINES.path_of(new)}/history", params={"limit": 1})).json()["items"][0]["seq"]
    gone, kept = (await seeded.get("/changes", params={"since": head - 2})).json()["items"]
    assert kept == entry | {"resource": "machines", "key": new}
    assert (gone["op"], gone["resource"], gone["key"], gone["version"]) == ("merge", "machines", old, 2)
    assert gone["changes"] == {
        "name": [old, new],
        "sector": ["1A", None],
        "in_service": [True, None],
        "listed": [False, None],
        "attributes": [{}, None],
        "attachments": [[], None],
        "attachment_count": [0, None],
    }
    assert (await seeded.get(f"{MACHINES.path_of(new)}/history", params={"op": "merge"})).json()["items"] == [entry]


async def test_the_other_machine_must_exist_and_differ(seeded):
    name, (log,) = await add_machine(seeded, logs=1)
    cases = [(name.swapcase(), "same-machine"), (new_name("none"), "unknown-machine")]
    for into, code in cases:
        response = await merge(seeded, name, into)
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
        assert [(error["code"], error["pointer"]) for error in response.json()["errors"]] == [(code, "/into")]
    assert (await merge(seeded, new_name("none"), name)).status_code == 404
    for wrong in ({}, {"into": None}, {"into": ""}, {"into": "a/b"}, {"into": 4}, {"into": name, "more": 1}):
        response = await seeded.post(f"{MACHINES.path_of(name)}/merge", json=wrong)
        assert (response.status_code, response.json()["code"]) == (422, "validation"), response.text
    assert (await seeded.get(LOGS.path_of(log))).json()["version"] == 1
    assert len(await entries(seeded, MACHINES, name)) == 1


async def test_if_match_names_the_version_of_the_machine_that_disappears(seeded):
    old, _ = await add_machine(seeded)
    new, _ = await add_machine(seeded)
    stale = await merge(seeded, old, new, **{"If-Match": '"2"'})
    assert (stale.status_code, stale.json()["current"]["name"]) == (412, old)
    assert (await merge(seeded, old, new, **{"If-Match": '"1"'})).status_code == 200


async def test_if_match_can_be_required(database_url):
    async with serving(Settings(database_url=database_url, require_if_match=True)) as client:
        for name in ("a", "b"):
            await client.post("/machines", json={"name": name})
        assert (await merge(client, "a", "b")).status_code == 428
        assert (await merge(client, "a", "b", **{"If-Match": '"1"'})).status_code == 200


async def test_merges_and_writes_can_run_at_once(seeded, seeded_url):
    machines = [(await add_machine(seeded, logs=2))[0] for _ in range(4)]
    last = machines[-1]
    writes = [
        write
        for name in machines
        for write in (
            seeded.post("/logs", json={"machine": name, "type": "info", "unlisted": True}),
            merge(seeded, name, last),
            seeded.post("/logs", json={"machine": name, "type": "error", "unlisted": True}),
        )
    ]
    responses = await asyncio.gather(*writes)
    assert {response.status_code for response in responses} <= {200, 201, 409}
    assert verification_faults(seeded_url) == []
    assert sum([await facet(seeded, name) for name in machines]) == 16


async def test_two_machines_cannot_be_merged_into_each_other(seeded, seeded_url):
    (a, _), (b, _) = [await add_machine(seeded, logs=1) for _ in range(2)]
    responses = await asyncio.gather(merge(seeded, a, b), merge(seeded, b, a))
    assert sorted(response.status_code for response in responses) in ([200, 404], [200, 409])
    assert verification_faults(seeded_url) == []
