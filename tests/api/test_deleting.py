"""Deleting and restoring records: soft for logs, permanent for the others."""

import pytest

from api.resource_cases import LOGS, MACHINES, RESOURCES, TYPES, USERS, create

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMED = [(MACHINES, "machine", "machine-has-logs"), (TYPES, "type", "in-use"), (USERS, "user", "in-use")]


@pytest.mark.parametrize("resource", [MACHINES, TYPES, USERS], ids=lambda resource: resource.path)
async def test_a_record_without_logs_is_deleted_permanently(seeded, resource):
    key, record = await create(seeded, resource)
    response = await seeded.delete(resource.path_of(key))
    assert (response.status_code, response.content) == (204, b"")
    assert "X-Request-ID" in response.headers
    assert (await seeded.get(f"/{resource.path}", params={resource.key: key})).json()["items"] == []
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        assert (await seeded.request(method, resource.path_of(key), json=body)).status_code == 404
    again = await seeded.post(f"/{resource.path}", json=resource.body(key))
    assert (again.status_code, again.json()["version"]) == (201, 1)
    if resource is MACHINES:
        assert again.json()["id"] > record["id"]


async def test_a_deleted_log_is_gone_but_its_uuid_is_taken(seeded):
    key, _ = await create(seeded, LOGS, comment="deleted here")
    other, _ = await create(seeded, LOGS, comment="deleted not")
    assert (await seeded.delete(LOGS.path_of(key))).status_code == 204
    for query in ({"q": "deleted"}, {"comment__contains": "deleted"}, {"uuid__in": f"{key},{other}"}):
        page = (await seeded.get("/logs", params=query | {"count": "exact"})).json()
        assert ([item["uuid"] for item in page["items"]], page["total"]) == ([other], 1)
    rows = [
        ("GET", None, {}),
        ("HEAD", None, {}),
        ("PUT", LOGS.minimal_body, {}),
        ("PATCH", {}, {}),
        ("DELETE", None, {}),
        # 410 takes precedence over 412.
        ("PATCH", {}, {"If-Match": '"9"'}),
        ("PUT", LOGS.minimal_body, {"If-None-Match": "*"}),
    ]
    for spelling in (key, key.upper()):
        for method, body, headers in rows:
            response = await seeded.request(method, f"/logs/{spelling}", json=body, headers=headers)
            assert response.status_code == 410, (method, headers)
            assert method == "HEAD" or response.json()["code"] == "gone"
        response = await seeded.post("/logs", json=LOGS.body(spelling))
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert (await seeded.delete(LOGS.path_of(other))).status_code == 204


@pytest.mark.parametrize(("resource", "field", "code"), NAMED, ids=str)
async def test_a_record_with_logs_cannot_be_deleted_even_if_they_are_deleted(seeded, resource, field, code):
    key, record = await create(seeded, resource)
    log, _ = await create(seeded, LOGS, **{field: key})
    for _ in range(2):
        response = await seeded.delete(resource.path_of(key))
        assert (response.status_code, response.json()["code"]) == (409, code)
        assert "PATCH" in response.json()["detail"]
        assert (await seeded.get(resource.path_of(key))).json() == record
        await seeded.delete(LOGS.path_of(log))
    # 412 takes precedence over 409.
    stale = await seeded.delete(resource.path_of(key), headers={"If-Match": '"9"'})
    assert stale.status_code == 412


# Without users: the author of a log is immutable.
@pytest.mark.parametrize(("resource", "field", "code"), [row for row in NAMED if row[1] != "user"], ids=str)
async def test_a_record_that_lost_its_logs_can_be_deleted(seeded, resource, field, code):
    key, _ = await create(seeded, resource)
    log, _ = await create(seeded, LOGS, **{field: key})
    assert (await seeded.delete(resource.path_of(key))).json()["code"] == code
    assert (await seeded.patch(LOGS.path_of(log), json={field: LOGS.minimal_body[field]})).status_code == 200
    assert (await seeded.delete(resource.path_of(key))).status_code == 204


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.path)
async def test_a_deletion_accepts_no_parameters(seeded, resource):
    key, _ = await create(seeded, resource)
    response = await seeded.delete(resource.path_of(key), params={"force": "true"})
    assert (response.status_code, response.json()["code"]) == (422, "unknown-parameter")
    assert (await seeded.get(resource.path_of(key))).status_code == 200


async def test_a_deleted_log_is_restored_as_it_was(seeded):
    key, record = await create(seeded, LOGS, comment="came back", attributes={"a": 1})
    path = f"{LOGS.path_of(key)}/restore"
    assert (await seeded.post(path)).json()["code"] == "conflict"
    await seeded.delete(LOGS.path_of(key))
    stale = await seeded.post(path, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current"]["version"]) == (412, 2)
    before = (await seeded.get("/logs/facets", params={"by": "type"})).json()
    response = await seeded.post(path, headers={"X-Change-Note": "by mistake"})
    restored = response.json()
    changed = {"version": 3, "updated_at": restored["updated_at"]}
    assert (response.status_code, response.headers["etag"], restored) == (200, '"3"', record | changed)
    assert (await seeded.get(LOGS.path_of(key))).content == response.content
    found = (await seeded.get("/logs", params={"q": "came back", "uuid": key})).json()["items"]
    assert [log["uuid"] for log in found] == [key]
    entry = (await seeded.get(f"{LOGS.path_of(key)}/history")).json()["items"][0]
    assert (entry["op"], entry["version"], entry["note"]) == ("restore", 3, "by mistake")
    assert entry["changes"]["comment"] == [None, "came back"]
    after = (await seeded.get("/logs/facets", params={"by": "type"})).json()
    counted = [{item["value"]: item["count"] for item in facets["facets"]["type"]} for facets in (before, after)]
    assert counted[1][record["type"]] == counted[0].get(record["type"], 0) + 1


async def test_a_log_that_never_existed_cannot_be_restored(seeded):
    assert (await seeded.post("/logs/00000000-0000-4000-8000-00000000dead/restore")).status_code == 404
    assert (await seeded.post("/logs/abc/restore")).status_code == 404
    assert (await seeded.get("/logs/abc/restore")).status_code == 405


async def test_deleted_logs_have_a_list_of_their_own(seeded):
    keys = [(await create(seeded, LOGS, comment=f"removed {number}", project="gone"))[0] for number in range(3)]
    for key in keys[:2]:
        await seeded.delete(LOGS.path_of(key))

    async def list_uuids(**query):
        page = (await seeded.get("/logs", params={"project": "gone", "sort": "comment", **query})).json()
        return [item["uuid"] for item in page["items"]]

    assert await list_uuids(deleted="true") == keys[:2]
    assert await list_uuids(deleted="false") == await list_uuids() == keys[2:]
    assert await list_uuids(deleted="true", q="removed 1") == [keys[1]]
    first = (await seeded.get("/logs", params={"deleted": "true", "project": "gone", "limit": 1})).json()
    again = await seeded.get("/logs", params={"project": "gone", "cursor": first["next"]})
    assert again.json()["code"] == "cursor-mismatch"
    rest = await seeded.get("/logs", params={"deleted": "true", "project": "gone", "cursor": first["next"]})
    assert [item["uuid"] for page in (first, rest.json()) for item in page["items"]] == [keys[1], keys[0]]


@pytest.mark.parametrize("query", ["deleted=", "deleted=1", "deleted=yes", "deleted=true&deleted=true"])
async def test_an_invalid_or_repeated_deleted_parameter_is_refused(seeded, query):
    response = await seeded.get(f"/logs?{query}")
    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (422, "deleted")
