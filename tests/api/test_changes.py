"""The change feed: `/changes` in pages, `/events` as a live stream."""

import json
import re

import pytest

from api.paced_client import PacedClient, running
from machine_monitor.models import MACHINES
from machine_monitor.services import records
from machine_monitor.services.audit import live_feed
from machine_monitor.services.audit.history import ChangeContext
from query import samples

LISTS = (
    ("/logs", "logs", "uuid"),
    ("/machines", "machines", "name"),
    ("/users", "users", "trigram"),
    ("/log-types", "log_types", "code"),
)


async def all_changes(client, limit=1000):
    """Fetch all changes, page by page, as a client that follows the feed does."""
    since, items = 0, []
    while (page := (await client.get("/changes", params={"since": since, "limit": limit})).json())["items"]:
        items += page["items"]
        since = page["next"]
    return items


def replay(items):
    """Apply changes to an empty copy and return it."""
    base = {}
    for item in items:
        where = (item["resource"], item["key"])
        changed = {name: after for name, (_, after) in item["changes"].items()}
        if item["op"] == "rename":
            old, _ = item["changes"]["name"]
            base[where] = base.pop((item["resource"], old))
        is_merged = item["op"] == "merge" and item["key"] == item["changes"]["name"][0]
        if item["op"] == "delete" or is_merged:
            del base[where]
        else:
            base[where] = {name: value for name, value in (base.get(where, {}) | changed).items() if value is not None}
    return base


async def write_records(client):
    await samples.seed(client)
    logs = (await client.get("/logs")).json()["items"]
    for log in logs[:4]:
        await client.patch(f"/logs/{log['uuid']}", json={"comment": "seen", "project": None})
        await client.delete(f"/logs/{log['uuid']}")
    await client.post(f"/logs/{logs[0]['uuid']}/restore")
    await client.post("/machines", json={"name": "gone"})
    await client.delete("/machines/gone")
    await client.patch("/machines/pelle 2", json={"name": "pelle 3"})
    await client.post("/machines", json={"name": "twin", "listed": False})
    await client.post("/machines/twin/merge", json={"into": "pelle 3"})


async def test_replaying_all_changes_gives_a_copy_of_the_records(client):
    await write_records(client)
    copy = replay(await all_changes(client, limit=7))
    # A renamed machine changes its logs without an entry for each log.
    for record in copy.values():
        if record.get("machine") == "pelle 2":
            record["machine"] = "pelle 3"
    read_only = {"id", "version", "created_at", "updated_at"}
    for path, resource, key in LISTS:
        items = (await client.get(path, params={"limit": 500})).json()["items"]
        assert items
        assert {item[key]: without_read_only(item, read_only) for item in items} == {
            key: record for (kind, key), record in copy.items() if kind == resource
        }


def without_read_only(item, read_only):
    return {name: value for name, value in item.items() if name not in read_only and value is not None}


async def test_changes_are_ordered_by_number_and_contain_the_changed_values(client):
    await client.post("/machines", json={"name": "Press"}, headers={"X-Change-Note": "new"})
    page = (await client.get("/changes", params={"since": 7})).json()
    (item,) = page["items"]
    assert item.keys() == {"seq", "at", "user", "via", "op", "version", "changes", "note", "resource", "key"}
    assert (item["seq"], item["resource"], item["key"], item["op"], item["note"]) == (
        8,
        "machines",
        "Press",
        "create",
        "new",
    )
    assert page["next"] == 8
    nothing = {"items": [], "next": 8, "epoch": page["epoch"]}
    assert (await client.get("/changes", params={"since": 8})).json() == nothing
    assert [change["seq"] for change in (await client.get("/changes", params={"limit": 3})).json()["items"]] == [
        1,
        2,
        3,
    ]


async def test_the_changes_of_one_machine_outlive_it(client):
    for name in ("Saw", "Saw III"):
        await client.post("/machines", json={"name": name})
    await client.post("/logs", json={"machine": "Saw III", "type": "info"})
    machine_id = (await client.get("/machines/Saw III")).json()["id"]
    await client.patch("/machines/Saw III", json={"name": "Saw 3b"})
    await client.post("/machines/Saw 3b/merge", json={"into": "Saw"})
    page = (await client.get("/changes", params={"machine_id": machine_id})).json()
    assert [(item["op"], item["key"]) for item in page["items"]] == [
        ("create", "Saw III"),
        ("rename", "Saw 3b"),
        ("merge", "Saw 3b"),
    ]
    assert page["items"][-1]["changes"]["name"] == ["Saw 3b", "Saw"]
    rest = {"machine_id": machine_id, "since": page["items"][0]["seq"], "limit": 1}
    assert (await client.get("/changes", params=rest)).json()["items"] == page["items"][1:2]
    assert (await client.get("/changes", params={"machine_id": 10_000})).json()["items"] == []


@pytest.mark.parametrize("machine_id", ["0", "x", "9007199254740992"])
async def test_an_invalid_machine_id_is_refused(client, machine_id):
    response = await client.get("/changes", params={"machine_id": machine_id})
    assert [error["parameter"] for error in response.json()["errors"]] == ["machine_id"]


@pytest.mark.parametrize("path", ["/changes", "/events"])
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("since=x", "since"),
        ("since=-1", "since"),
        ("since=9007199254740992", "since"),
        ("since=", "since"),
        ("since=1&since=2", "since"),
        ("since=1&epoch=x", "epoch"),
        ("since=1&epoch=", "epoch"),
        ("epoch=0123456789abcdef", "epoch"),
        ("sinc=1", "sinc"),
        ("cursor=abc", "cursor"),
    ],
)
async def test_an_invalid_query_is_refused(client, path, query, parameter):
    response = await client.get(f"{path}?{query}")
    assert response.status_code == 422
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_a_limit_outside_its_bounds_is_refused(client, limit):
    assert (await client.get("/changes", params={"limit": limit})).status_code == 422


def event(message):
    lines = dict(line.split(": ", 1) for line in message["body"].decode().strip().split("\n"))
    number, _, epoch = lines["id"].partition("-")
    assert re.fullmatch("[0-9a-f]{16}", epoch)
    return lines["event"], int(number), json.loads(lines["data"])


async def test_events_start_after_a_number_and_continue_live(database_url, monkeypatch):
    monkeypatch.setattr(live_feed, "POLL_SECONDS", 0.01)
    async with running(database_url) as app:
        client = PacedClient(app, "/events?since=5")
        start, _greeting = await client.take(2)
        headers = dict(start["headers"])
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert b"content-length" not in headers
        seen = [event(message) for message in await client.take(2)]
        assert [(name, number, change["seq"]) for name, number, change in seen] == [("change", 6, 6), ("change", 7, 7)]
        await write_a_machine(app)
        name, number, change = event((await client.take(1))[0])
        assert (name, number, change["key"]) == ("change", 8, "Press")
        await client.leave()


async def test_events_without_since_start_with_the_next_change_and_send_keepalives(database_url, monkeypatch):
    monkeypatch.setattr(live_feed, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(live_feed, "KEEPALIVE_SECONDS", 0.02)
    async with running(database_url) as app:
        client = PacedClient(app, "/events")
        _, _, comment = await client.take(3)
        assert comment["body"].startswith(b":")
        await write_a_machine(app)
        while not (message := (await client.take(1))[0])["body"].startswith(b"event"):
            pass
        assert event(message)[1] == 8
        await client.leave()


async def write_a_machine(app):
    values = MACHINES.create.model_validate({"name": "Press"}).model_dump(mode="json")
    await app.state.database.write(lambda tx: records.insert(tx, MACHINES, values, ChangeContext("test")))
