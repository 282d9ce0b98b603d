"""Saved mappings: written, read, listed and deleted; their versions; what is refused, with pointers."""

import json
from datetime import UTC, datetime

import pytest

from api.access.site import opened
from machine_monitor.database.connect import Database
from machine_monitor.models.imports.file_import import FileImportRead
from machine_monitor.services.backup.transfer import transfer
from machine_monitor.services.imports.uploads import file_imports
from services.backup.full_database import verify_database

AT = datetime(2025, 9, 1, tzinfo=UTC)
ORDERS = {
    "zone": "Europe/Paris",
    "key": ["Order"],
    "fields": {"machine": "Equipment", "started_at": {"column": "Date", "dates": ["dmy"]}, "type": {"const": "error"}},
}


async def save(client, name="orders", document=ORDERS, **headers):
    return await client.put(f"/mappings/{name}", json=document, headers=headers)


async def test_a_mapping_is_saved_read_listed_and_deleted(client, database_url):
    saved = await save(client)
    assert (saved.status_code, saved.headers["ETag"], saved.headers["Location"]) == (201, '"1"', "/mappings/orders")
    assert saved.json() == {"name": "orders", **ORDERS}
    read = await client.get("/mappings/orders")
    assert (read.status_code, read.content, read.headers["ETag"]) == (200, saved.content, '"1"')
    (listed,) = (await client.get("/mappings")).json()["items"]
    assert (listed["name"], listed["resource"], listed["version"], listed["user"]) == ("orders", "logs", 1, None)
    assert (await client.delete("/mappings/orders")).status_code == 204
    assert (await client.get("/mappings/orders")).status_code == 404
    assert (await client.delete("/mappings/orders")).status_code == 404
    assert verify_database(database_url).faults == []


async def test_each_change_is_a_version_and_the_same_again_is_none(client):
    await save(client)
    again = await save(client, document={"name": "orders", **ORDERS})
    assert (again.status_code, again.headers["ETag"]) == (200, '"1"')
    changed = await save(client, document={**ORDERS, "resource": "logs", "absent": "reset"})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    stale = await save(client, **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version-conflict")
    assert stale.json()["current"]["absent"] == "reset"
    assert (await save(client, **{"If-Match": '"2"'})).headers["ETag"] == '"3"'
    assert (await save(client, **{"If-None-Match": "*"})).status_code == 412
    assert (await client.get("/mappings/orders", headers={"If-None-Match": '"3"'})).status_code == 304
    assert (await client.delete("/mappings/orders", headers={"If-Match": '"2"'})).status_code == 412
    assert (await save(client, "new", **{"If-Match": '"1"'})).status_code == 412


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ({"fields": {"machine": {"colum": "A"}}}, "/fields/machine/colum", "Did you mean 'column'?"),
        ({"fields": {}, "keys": ["A"]}, "/keys", "Did you mean 'key'?"),
        ({"fields": {"machine": {"column": "A", "const": "B"}}}, "/fields/machine", "exactly one source"),
        ({"resource": "logs"}, "/fields", "missing"),
        ({"name": "other", "fields": {}}, "/name", "'orders'"),
        ({"fields": {}, "unknown_user": "creat"}, "/unknown_user", "Did you mean 'create'?"),
        ({"fields": {}, "unknown_user": None}, "/unknown_user", "must be 'refuse', 'create' or 'null'"),
        ({"fields": {}, "read": {"decimal": None}}, "/read/decimal", "must be '.', ',' or 'any'"),
        ({"fields": {}, "k" * 100_000: 1}, f"/{'k' * 100_000}", "has no word"),
        ({"fields": {}, "zone": "Europe/Pariss"}, "/zone", "Europe/Pariss"),
        ({"fields": {"comment": {"const": "\ud800"}}}, "", "surrogate"),
        ([], "", "object"),
    ],
)
async def test_a_fault_of_a_mapping_has_its_place_and_the_nearest_word(client, document, pointer, message):
    answer = await client.put(
        "/mappings/orders", content=json.dumps(document), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    (error, *_) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert message in error["message"]
    assert (await client.get("/mappings")).json()["items"] == []


async def test_a_name_that_no_mapping_can_have_is_refused(client):
    for name, status in (("x" * 101, 422), ("a%00b", 422), ("a%0Ab", 422)):
        assert (await save(client, name)).status_code == status
        assert (await client.get(f"/mappings/{name}")).status_code == 404
    unknown = await client.get("/mappings/order")
    assert unknown.json()["detail"] == "There is no mapping 'order'."
    await save(client)
    unknown = await client.get("/mappings/order")
    assert unknown.json()["detail"] == "There is no mapping 'order'. Did you mean 'orders'?"


async def test_the_list_has_pages_and_filters(client):
    for name in ("b", "Été", "a", "c"):
        await save(client, name)
    page = (await client.get("/mappings?limit=2")).json()
    assert [each["name"] for each in page["items"]] == ["a", "b"]
    following = (await client.get(f"/mappings?limit=2&cursor={page['next']}")).json()
    assert [each["name"] for each in following["items"]] == ["c", "Été"]
    found = (await client.get("/mappings?name__contains=ete&resource=logs")).json()["items"]
    assert [each["name"] for each in found] == ["Été"]


async def test_supervisors_write_mappings_and_a_mapping_says_who(database_url):
    async with opened(database_url) as site:
        await site.add_users()
        viewer, lead, supervisor = [await site.by_token(each) for each in ("VIE", "LEA", "SUP")]
        assert (await save(lead)).status_code == 403
        assert (await save(supervisor)).status_code == 201
        assert (await lead.delete("/mappings/orders")).status_code == 403
        assert (await viewer.get("/mappings/orders")).json()["key"] == ["Order"]
        assert (await viewer.get("/mappings")).json()["items"][0]["user"] == "SUP"


async def test_a_site_may_require_if_match(database_url):
    async with opened(database_url, require_if_match=True) as site:
        await site.add_users()
        supervisor = await site.by_token("SUP")
        assert (await save(supervisor, **{"If-None-Match": "*"})).status_code == 201
        assert (await save(supervisor)).status_code == 428
        assert (await supervisor.delete("/mappings/orders")).status_code == 428


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_mappings_and_imports_are_copied_with_the_database(client, database_url, new_database_url, engine):
    await save(client)
    source, target = Database(database_url), Database(new_database_url(engine))
    values = {"state": "reading", "file": "t.csv", "bytes": 1, "sha256": "", "expires_at": AT, "created_at": AT}
    try:
        for identity in ("01890a5d-ac96-774b-bcce-b302099a8057", "f1890a5d-ac96-774b-bcce-b302099a8057"):
            row = FileImportRead(id=identity, **values)
            source.transact(lambda tx, row=row: file_imports.create(tx, row))
        done = source.snapshot(lambda read: target.transact(lambda write: transfer(read, write, lambda *_: None)))
        assert (done.tables["mappings"], done.tables["file_imports"]) == (1, 2)
    finally:
        source.close_writer()
        target.close_writer()
