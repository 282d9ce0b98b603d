import pytest

from api.kinds import KINDS, LOGS, MACHINES, TYPES, USERS, create

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMED = [(MACHINES, "machine", "machine-has-logs"), (TYPES, "type", "in-use"), (USERS, "user", "in-use")]


@pytest.mark.parametrize("kind", [MACHINES, TYPES, USERS], ids=lambda kind: kind.path)
async def test_what_no_log_names_is_deleted_for_good(seeded, kind):
    key, record = await create(seeded, kind)
    answer = await seeded.delete(kind.at(key))
    assert (answer.status_code, answer.content) == (204, b"")
    assert "X-Request-ID" in answer.headers
    assert (await seeded.get(f"/{kind.path}", params={kind.key: key})).json()["items"] == []
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        assert (await seeded.request(method, kind.at(key), json=body)).status_code == 404
    again = await seeded.post(f"/{kind.path}", json=kind.body(key))
    assert (again.status_code, again.json()["version"]) == (201, 1)
    if kind is MACHINES:
        assert again.json()["id"] > record["id"]


async def test_a_deleted_log_is_gone_but_its_uuid_is_taken(seeded):
    key, _ = await create(seeded, LOGS, comment="deleted here")
    other, _ = await create(seeded, LOGS, comment="deleted not")
    assert (await seeded.delete(LOGS.at(key))).status_code == 204
    for query in ({"q": "deleted"}, {"comment__contains": "deleted"}, {"uuid__in": f"{key},{other}"}):
        page = (await seeded.get("/logs", params=query | {"count": "exact"})).json()
        assert ([item["uuid"] for item in page["items"]], page["total"]) == ([other], 1)
    rows = [
        ("GET", None, {}),
        ("HEAD", None, {}),
        ("PUT", LOGS.least, {}),
        ("PATCH", {}, {}),
        ("DELETE", None, {}),
        # 410 comes before 412.
        ("PATCH", {}, {"If-Match": '"9"'}),
        ("PUT", LOGS.least, {"If-None-Match": "*"}),
    ]
    for spelling in (key, key.upper()):
        for method, body, headers in rows:
            answer = await seeded.request(method, f"/logs/{spelling}", json=body, headers=headers)
            assert answer.status_code == 410, (method, headers)
            assert method == "HEAD" or answer.json()["code"] == "gone"
        taken = await seeded.post("/logs", json=LOGS.body(spelling))
        assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    assert (await seeded.delete(LOGS.at(other))).status_code == 204


@pytest.mark.parametrize(("kind", "field", "code"), NAMED, ids=str)
async def test_what_logs_name_stays_even_if_they_are_deleted(seeded, kind, field, code):
    key, record = await create(seeded, kind)
    log, _ = await create(seeded, LOGS, **{field: key})
    for _ in range(2):
        answer = await seeded.delete(kind.at(key))
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert "PATCH" in answer.json()["detail"]
        assert (await seeded.get(kind.at(key))).json() == record
        await seeded.delete(LOGS.at(log))
    # 412 comes before 409.
    stale = await seeded.delete(kind.at(key), headers={"If-Match": '"9"'})
    assert stale.status_code == 412


# An author never changes.
@pytest.mark.parametrize(("kind", "field", "code"), [row for row in NAMED if row[1] != "user"], ids=str)
async def test_a_record_that_no_log_names_any_more_is_deleted(seeded, kind, field, code):
    key, _ = await create(seeded, kind)
    log, _ = await create(seeded, LOGS, **{field: key})
    assert (await seeded.delete(kind.at(key))).json()["code"] == code
    assert (await seeded.patch(LOGS.at(log), json={field: LOGS.least[field]})).status_code == 200
    assert (await seeded.delete(kind.at(key))).status_code == 204


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.path)
async def test_a_deletion_takes_no_parameters(seeded, kind):
    key, _ = await create(seeded, kind)
    answer = await seeded.delete(kind.at(key), params={"force": "true"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-parameter")
    assert (await seeded.get(kind.at(key))).status_code == 200
