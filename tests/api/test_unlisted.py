"""Logs that create the machine that they name, with `unlisted`."""

import asyncio
import secrets

import pytest

from api.access.site import opened
from api.resource_cases import LOGS, MACHINES, entries
from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.services.checks.verify import verify

pytestmark = pytest.mark.asyncio(loop_scope="module")


def new_name() -> str:
    return f"Tour {secrets.token_hex(5)}"


def body(machine: str, **more) -> dict:
    return {"machine": machine, "type": "info", "unlisted": True, **more}


async def machine(client, name: str) -> dict | None:
    response = await client.get(MACHINES.path_of(name))
    return response.json() if response.status_code == 200 else None


@pytest.mark.parametrize("method", ["post", "put", "bulk"])
async def test_a_log_creates_the_machine_that_nobody_knows(seeded, method):
    name, uuid = new_name(), LOGS.new_key()
    if method == "post":
        response = await seeded.post("/logs", json=body(name, uuid=uuid))
    elif method == "put":
        response = await seeded.put(LOGS.path_of(uuid), json=body(name))
    else:
        items = [body(name, uuid=uuid), body(name.upper()), {"machine": name, "type": "info"}]
        response = await seeded.post("/logs/bulk", json={"items": items})
        assert response.json()["counts"]["created"] == 3
    assert response.status_code in (200, 201), response.text
    created = await machine(seeded, name)
    assert (created["name"], created["listed"], created["in_service"], created["version"]) == (name, False, True, 1)
    log = (await seeded.get(LOGS.path_of(uuid))).json()
    assert log["machine"] == name
    assert "unlisted" not in log
    (entry,) = await entries(seeded, LOGS, uuid)
    assert "unlisted" not in entry["changes"]
    (entry,) = await entries(seeded, MACHINES, name)
    assert (entry["op"], entry["changes"]["listed"]) == ("create", [None, False])
    # It is an ordinary machine: found by any spelling, and not created again.
    again = await seeded.post("/logs", json=body(name.upper()))
    assert (again.status_code, again.json()["machine"]) == (201, name)
    found = await seeded.get("/machines", params={"listed": "false", "name": name, "sort": "listed"})
    assert [item["id"] for item in found.json()["items"]] == [created["id"]]
    logs = await seeded.get("/logs", params={"machine.listed": "false", "machine": name})
    assert uuid in {item["uuid"] for item in logs.json()["items"]}
    confirmed = await seeded.patch(MACHINES.path_of(name), json={"listed": True})
    assert (confirmed.status_code, confirmed.json()["listed"]) == (200, True)


async def test_an_existing_log_can_move_to_an_unlisted_machine(seeded):
    name, uuid = new_name(), LOGS.new_key()
    assert (await seeded.put(LOGS.path_of(uuid), json={"machine": "pelle 2", "type": "info"})).status_code == 201
    response = await seeded.put(LOGS.path_of(uuid), json=body(name))
    assert (response.status_code, response.json()["machine"], response.json()["version"]) == (200, name, 2)
    assert (await seeded.put(LOGS.path_of(uuid), json=body(name))).json()["version"] == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"unlisted": False}, "/machine"),
        ({"type": "nonsense"}, "/type"),
        ({"user": "none"}, "/user"),
        ({"severity": "bad"}, "/severity"),
        ({"unlisted": "yes"}, "/unlisted"),
        ({"unlisted": 1}, "/unlisted"),
        ({"unlisted": None}, "/unlisted"),
        ({"machine": "a/b"}, "/machine"),
        ({"machine": "e\u0301" * 100}, "/machine"),
    ],
)
@pytest.mark.parametrize("bulk", [False, True])
async def test_a_refused_log_creates_no_machine(seeded, change, pointer, bulk):
    name = change.get("machine", new_name())
    content = body(name) | change
    if bulk:
        response = await seeded.post("/logs/bulk", json={"items": [content], "mode": "partial"})
        problem = response.json()["results"][0]["problem"]
        pointer = f"/items/0{pointer}"
    else:
        response = await seeded.post("/logs", json=content)
        problem = response.json()
    assert problem["status"] == 422, response.text
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert await machine(seeded, name) is None


async def test_an_atomic_bulk_call_creates_all_machines_or_none(seeded):
    name = new_name()
    items = [body(name), {"machine": new_name(), "type": "info"}]
    response = await seeded.post("/logs/bulk", json={"items": items})
    assert [error["pointer"] for error in response.json()["errors"]] == ["/items/1/machine"]
    assert await machine(seeded, name) is None


async def test_a_conflict_creates_no_machine(seeded):
    name, uuid = new_name(), LOGS.new_key()
    await seeded.put(LOGS.path_of(uuid), json={"machine": "pelle 2", "type": "info"})
    assert (await seeded.post("/logs", json=body(name, uuid=uuid))).status_code == 409
    response = await seeded.put(LOGS.path_of(uuid), json=body(name), headers={"If-Match": '"7"'})
    assert response.status_code == 412
    await seeded.delete(LOGS.path_of(uuid))
    assert (await seeded.put(LOGS.path_of(uuid), json=body(name))).status_code == 410
    assert await machine(seeded, name) is None


async def test_a_patch_knows_no_unlisted(seeded):
    uuid, name = LOGS.new_key(), new_name()
    await seeded.put(LOGS.path_of(uuid), json={"machine": "pelle 2", "type": "info"})
    response = await seeded.patch(LOGS.path_of(uuid), json={"machine": name, "unlisted": True})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/unlisted")
    assert (await seeded.patch(LOGS.path_of(uuid), json={"machine": name})).json()["code"] == "unknown-machine"


async def test_a_retry_with_an_idempotency_key_must_have_the_same_unlisted(seeded):
    name, headers = new_name(), {"Idempotency-Key": secrets.token_hex(8)}
    first = await seeded.post("/logs", json=body(name), headers=headers)
    again = await seeded.post("/logs", json=body(name), headers=headers)
    assert (again.status_code, again.content, again.headers["Idempotency-Replayed"]) == (201, first.content, "true")
    other = await seeded.post("/logs", json=body(name, unlisted=False), headers=headers)
    assert other.json()["code"] == "idempotency-key-reused"


async def test_concurrent_logs_create_one_machine(seeded):
    name = new_name()
    responses = await asyncio.gather(*[seeded.post("/logs", json=body(name)) for _ in range(8)])
    assert {response.status_code for response in responses} == {201}
    assert (await seeded.get("/logs", params={"machine": name, "count": "exact"})).json()["total"] == 8


async def test_the_setting_off_refuses_unknown_machines_as_before(database_url):
    async with serving(Settings(database_url=database_url, unlisted="off")) as client:
        for response in (
            await client.post("/logs", json=body("Tour 4")),
            await client.put(LOGS.path_of(LOGS.new_key()), json=body("Tour 4")),
        ):
            assert (response.status_code, response.json()["code"]) == (422, "unknown-machine")
        bulk = await client.post("/logs/bulk", json={"items": [body("Tour 4")]})
        assert (bulk.status_code, bulk.json()["code"]) == (422, "unknown-machine")
        assert await machine(client, "Tour 4") is None
        await client.post("/machines", json={"name": "Tour 4"})
        assert (await client.post("/logs", json=body("Tour 4"))).status_code == 201


async def test_operators_create_machines_that_supervisors_confirm(database_url):
    async with opened(database_url) as site:
        await site.add_users()
        clients = {role: await site.by_token(role[:3].upper()) for role in ("viewer", "operator", "lead", "supervisor")}
        assert (await clients["viewer"].post("/logs", json=body("Tour IV"))).status_code == 403
        response = await clients["operator"].post("/logs", json=body("Tour IV"))
        assert response.status_code == 201
        (entry,) = (await clients["operator"].get("/machines/Tour IV/history")).json()["items"]
        assert (entry["user"], entry["via"]) == ("OPE", "token")
        # The log would be another user's, which requires a supervisor.
        assert (await clients["operator"].post("/logs", json=body("Tour V", user="LEA"))).status_code == 403
        assert await machine(clients["viewer"], "Tour V") is None
        for role in ("operator", "lead"):
            assert (await clients[role].patch("/machines/Tour IV", json={"listed": True})).status_code == 403
        confirmed = await clients["supervisor"].patch("/machines/Tour IV", json={"listed": True})
        assert confirmed.json()["listed"] is True
        # A lead changes the comment of an unlisted machine without listing it.
        await clients["operator"].post("/logs", json=body("Tour VI"))
        commented = await clients["lead"].patch("/machines/Tour VI", json={"comment": "beside the door"})
        assert commented.json()["listed"] is False
    database = Database(database_url)
    assert verify(database).faults == []
    database.close_writer()
