"""Imports of uploaded tables: upload and preview, apply, undo, refused rows, and what is refused."""

import gzip
import json

import pytest

from api.imports.conftest import ORDERS, done, rows, upload
from machine_monitor.services.imports.uploads import progress

pytestmark = pytest.mark.slow
OTHER_ID = "00000000-0000-4000-8000-000000000000"
MISFIT = json.dumps({**ORDERS, "fields": {**ORDERS["fields"], "machine": "Equipement"}})


async def logs(client, query=""):
    return (await client.get(f"/logs?limit=500&sort=started_at{query}")).json()["items"]


async def listed(client):
    """Return the newest import as the list shows it."""
    return (await client.get("/imports")).json()["items"][0]


async def test_a_table_is_uploaded_previewed_imported_and_undone(client):
    answer = await upload(client, rows(range(1, 6)) + "6;31/09/2025;Saw 1;No day\r\n", mapping=json.dumps(ORDERS))
    found = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/imports/{found['id']}"), answer.text
    assert (found["state"], found["columns"]) == ("ready", ["Order", "Date", "Equipment", "Text"])
    assert (found["mapping"], found["mapping_name"], found["resource"]) == (ORDERS, "orders", "logs")
    assert found["preview"]["counts"]["logs"] == {
        "created": 5, "updated": 0, "unchanged": 0, "conflict": 0, "rejected": 1
    }  # fmt: skip
    assert [each["code"] for each in found["preview"]["problems"]] == ["unknown-machine"] * 3 + ["not-a-date"]
    assert len(found["preview"]["records"]) == 5
    assert await logs(client) == []
    assert (await listed(client)).items() >= {"created": 5, "updated": 0, "conflict": 0, "rejected": 1}.items()

    applied = await done(client, found["id"], "apply")
    assert (applied["state"], applied["done"], applied["total"]) == ("done", 6, 6)
    assert (applied["report"]["logs"]["created"], applied["report"]["machines"]["created"]) == (5, 3)
    assert [log["comment"] for log in await logs(client)] == ["It leaks."] * 5
    (entry,) = (await client.get(f"/logs/{(await logs(client))[0]['uuid']}/history")).json()["items"]
    assert (entry["via"], entry["note"]) == ("import", "orders")
    rejected = await client.get(f"/imports/{found['id']}/rejected.csv")
    assert rejected.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert rejected.text.splitlines()[0] == "Order;Date;Equipment;Text;why"
    assert rejected.text.splitlines()[1].startswith("6;31/09/2025;Saw 1;No day;started_at: ")

    undone = await done(client, found["id"], "undo")
    assert undone["state"] == "undone"
    assert undone["undone"]["deleted"] == 5
    assert undone["undone"]["stay"] == {"machines": ["Saw 1", "Saw 2", "Saw 0"], "log_types": [], "users": []}
    assert await logs(client) == []
    assert (await client.get(f"/imports/{found['id']}/rejected.csv")).status_code == 404


async def test_the_progress_of_an_import_is_a_stream_that_ends_with_the_import(client, monkeypatch):
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.01)
    found = (await upload(client, rows(range(1, 5_000)), mapping=json.dumps(ORDERS))).json()
    assert (await client.post(f"/imports/{found['id']}/apply")).status_code == 202
    answer = await client.get(f"/imports/{found['id']}/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    blocks = answer.text.strip().split("\n\n")
    # On a slow machine, lines that keep the connection open are between.
    events = [block.split("\n") for block in blocks if not block.startswith(":")]
    assert {name for name, _ in events} == {"event: progress"}
    seen = [json.loads(data.removeprefix("data: ")) for _, data in events]
    assert {each["id"] for each in seen} == {found["id"]}
    assert [each["done"] for each in seen] == sorted(each["done"] for each in seen)
    assert [each["state"] for each in seen] == ["applying"] * (len(seen) - 1) + ["done"]
    assert (len(seen) > 2, seen[-1]["done"], seen[-1]["total"]) == (True, 4_999, 4_999)
    # An import that nobody works on has one event.
    again = await client.get(f"/imports/{found['id']}/events")
    assert again.text == f"event: progress\ndata: {json.dumps(seen[-1], separators=(',', ':'))}\n\n"
    assert (await client.get(f"/imports/{OTHER_ID}/events")).status_code == 404


async def test_undo_keeps_what_others_have_changed_and_a_later_import_restores_the_rest(client):
    first = (await upload(client, rows(range(1, 4)), mapping=json.dumps(ORDERS))).json()
    await done(client, first["id"], "apply")
    edited = (await logs(client))[0]
    assert (await client.patch(f"/logs/{edited['uuid']}", json={"action": "Repaired."})).status_code == 200
    undone = await done(client, first["id"], "undo")
    assert (undone["undone"]["deleted"], [log["uuid"] for log in await logs(client)]) == (2, [edited["uuid"]])
    again = await done(client, first["id"], "apply")
    assert again["report"]["logs"] | {"created": 2, "unchanged": 1} == again["report"]["logs"]
    assert len(await logs(client)) == 3
    assert (await listed(client)).items() >= {"state": "done", "created": 2, "rejected": 0}.items()
    assert (await done(client, first["id"], "undo"))["undone"]["deleted"] == 2


async def test_without_a_mapping_one_is_proposed_and_can_be_replaced_without_a_new_upload(client):
    found = (await upload(client, rows(range(1, 4)), name="Commandes SAP.csv")).json()
    assert (found["state"], found["mapping"]["name"]) == ("ready", "Commandes SAP")
    assert found["mapping"]["fields"]["machine"] == "Equipment"
    path = f"/imports/{found['id']}/mapping"
    misfit = await client.put(path, json={**ORDERS, "fields": {**ORDERS["fields"], "machine": "Equipement"}})
    (error,) = misfit.json()["errors"]
    assert (misfit.status_code, error["pointer"]) == (422, "/fields/machine/column")
    assert "Did you mean 'Equipment'?" in error["message"]
    unknown = await client.put(path, json={**ORDERS, "kee": []})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/kee")
    same = (await client.get(f"/imports/{found['id']}")).json()
    assert (same["state"], same["mapping"], same["preview"]) == ("ready", found["mapping"], found["preview"])
    replaced = (await client.put(path, json=ORDERS)).json()
    assert (replaced["state"], replaced["mapping"], replaced["problem"]) == ("ready", ORDERS, None)
    assert replaced["preview"]["records"][0]["started_at"] == "2025-09-01T22:00:00Z"


async def test_a_saved_mapping_is_used_by_its_name(client):
    assert (await client.put("/mappings/orders", json=ORDERS)).status_code == 201
    found = (await upload(client, rows(range(1, 3)), mapping="orders")).json()
    assert found["mapping"] == ORDERS
    unknown = await upload(client, rows(range(1, 3)), mapping="order")
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/mapping")
    assert "Did you mean 'orders'?" in unknown.text


async def test_a_table_with_columns_of_this_product_needs_no_mapping(client):
    table = "machine,type,started_at,comment\r\nSaw,info,2025-01-01T00:00:00Z,One\r\nSaw,info,2025-01-02T00:00:00Z,\r\n"
    found = (await upload(client, table, name="logs.csv", resource="logs")).json()
    assert (found["mapping"], found["mapping_name"], found["preview"]["counts"]["logs"]["created"]) == (None, None, 2)
    assert (await done(client, found["id"], "apply"))["report"]["logs"]["created"] == 2
    again = (await upload(client, gzip.compress(table.encode()), name="logs.csv.gz")).json()
    assert again["preview"]["counts"]["logs"]["unchanged"] == 2


@pytest.mark.parametrize(
    ("table", "fields", "pointer", "message"),
    [
        (rows([1]), {"mapping": MISFIT}, "/mapping/fields/machine/column", "Did you mean 'Equipment'?"),
        (
            rows([1]),
            {"mapping": '{"name": "a", "fields": {}, "field": {}}'},
            "/mapping/field",
            "Did you mean 'fields'?",
        ),
        (rows([1]), {"mapping": "[]"}, "/mapping", "no mapping '[]'"),
        (rows([1]), {"resource": "log"}, "/resource", "machines"),
        (rows([1]), {"resource": "users"}, "/resource", "columns are those of logs"),
        ("", {}, "/file", "no table"),
        (b"PK\x03\x04 damaged", {}, "/file", "damaged"),
        (rows([1]), {"mappings": "a"}, "/mappings", "mapping"),
    ],
)
async def test_what_cannot_be_imported_is_refused_with_its_place_and_leaves_nothing(
    client, folder, table, fields, pointer, message
):
    answer = await upload(client, table, **fields)
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert error["pointer"] == pointer
    assert message in error["message"]
    assert str(folder) not in answer.text
    assert (await client.get("/imports")).json()["items"] == []
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_requests_that_fit_no_import_are_refused(client):
    assert (await client.post("/imports", json={})).status_code == 415
    assert (await client.post("/imports", files={"other": b"x"})).status_code == 422
    for path in ("01890a5d-ac96-774b-bcce-b302099a8057", "x", "%00"):
        assert (await client.get(f"/imports/{path}")).status_code == 404
        for action in ("apply", "undo"):
            assert (await client.post(f"/imports/{path}/{action}")).status_code == 404
        assert (await client.put(f"/imports/{path}/mapping", json=ORDERS)).status_code == 404
    found = (await upload(client, rows([1]), mapping=json.dumps(ORDERS))).json()
    undo = await client.post(f"/imports/{found['id']}/undo")
    assert (undo.status_code, undo.json()["detail"]) == (409, "The import is `ready`; it must be `done`.")
    assert (await client.get(f"/imports/{found['id']}/rejected.csv")).status_code == 404
    assert (await done(client, found["id"], "apply"))["state"] == "done"
    assert (await done(client, found["id"], "apply"))["report"]["logs"]["created"] == 1
    assert (await client.put(f"/imports/{found['id']}/mapping", json=ORDERS)).status_code == 409
    assert (await client.get("/imports?state=done&file__contains=ORD")).json()["items"][0]["id"] == found["id"]
