"""POST /logs/bulk: many logs in one call."""

import pytest

UUID = "018f0000-0000-7000-8000-{:012x}"


def item(number: int, **more) -> dict:
    return {"uuid": UUID.format(number), "machine": "Press", "type": "error", "comment": f"nr {number}", **more}


@pytest.fixture
async def press(client):
    await client.post("/machines", json={"name": "Press"})
    return client


async def put(client, *items, mode=None, status=200):
    response = await client.post("/logs/bulk", json={"items": items} | ({"mode": mode} if mode else {}))
    assert response.status_code == status, response.text
    return response.json()


async def total(client) -> int:
    return (await client.get("/logs?count=exact&limit=1")).json()["total"]


async def test_items_are_created_then_unchanged_then_updated(press):
    first = await put(press, item(1), item(2, started_at="2025-01-01T00:00:00Z"))
    assert first["counts"] == {"created": 2, "updated": 0, "unchanged": 0, "error": 0}
    assert first["results"][0] == {
        "index": 0,
        "uuid": UUID.format(1),
        "status": "created",
        "version": 1,
        "problem": None,
    }
    again = await put(press, item(1), item(2, comment="another"), item(3))
    assert [(result["status"], result["version"]) for result in again["results"]] == [
        ("unchanged", 1),
        ("updated", 2),
        ("created", 1),
    ]
    stored = (await press.get(f"/logs/{UUID.format(2)}")).json()
    assert (stored["comment"], stored["started_at"]) == ("another", "2025-01-01T00:00:00Z")
    history = (await press.get(f"/logs/{UUID.format(2)}/history")).json()["items"]
    assert [entry["op"] for entry in history] == ["update", "create"]
    assert history[0]["changes"] == {"comment": ["nr 2", "another"]}


async def test_done_logs_with_an_open_stop_get_one_warning(press):
    stop = {"status": "done", "down_from": "2025-01-01T00:00:00Z"}
    items = [item(1, **stop), item(2), item(3, **stop, machine="Pres"), item(4, **stop)]
    for _ in range(2):  # created, then unchanged
        answer = await press.post("/logs/bulk", json={"mode": "partial", "items": items})
        assert answer.headers["Warning"].startswith('299 - "2 of 4 items (0, 3): This log is done, but its stop has no')
    answer = await press.post("/logs/bulk", json={"items": [item(1, **stop, down_to="2025-01-01T01:00:00Z")]})
    assert "Warning" not in answer.headers
    many = [item(number, **stop) for number in range(10, 40)]
    answer = await press.post("/logs/bulk", json={"items": many})
    assert ", 19, ...): " in answer.headers["Warning"]


async def test_an_item_without_uuid_is_created_and_its_uuid_returned(press):
    response = await put(press, {"machine": "press", "type": "info"})
    uuid = response["results"][0]["uuid"]
    assert (await press.get(f"/logs/{uuid}")).json()["machine"] == "Press"


async def test_atomic_mode_reports_every_error_and_writes_nothing(press):
    problem = await put(press, item(1), item(2, machine="Pres"), item(3, severity="bad", type=None), status=422)
    assert {(error["pointer"], error["code"]) for error in problem["errors"]} == {
        ("/items/1/machine", "unknown-machine"),
        ("/items/2/severity", "invalid"),
        ("/items/2/type", "invalid"),
    }
    assert await total(press) == 0
    assert (await press.get("/logs?q=nr")).json()["items"] == []


async def test_partial_mode_writes_the_valid_items(press):
    response = await put(press, item(1), item(2, machine="Pres"), item(1), item(3), mode="partial")
    assert [result["status"] for result in response["results"]] == ["created", "error", "error", "created"]
    assert response["counts"] == {"created": 2, "updated": 0, "unchanged": 0, "error": 2}
    unknown, double = response["results"][1]["problem"], response["results"][2]["problem"]
    assert (unknown["code"], unknown["status"]) == ("unknown-machine", 422)
    assert unknown["errors"][0]["pointer"] == "/items/1/machine"
    assert double["errors"][0]["pointer"] == "/items/2/uuid"
    assert [log["comment"] for log in (await press.get("/logs?q=nr&sort=comment")).json()["items"]] == ["nr 1", "nr 3"]


async def test_an_item_may_contain_read_only_fields(press):
    await put(press, item(1))
    stored = (await press.get(f"/logs/{UUID.format(1)}")).json()
    response = await put(press, {**stored, "version": 99, "comment": "changed"})
    assert response["results"][0]["version"] == 2


@pytest.mark.parametrize(
    ("change", "pointer"), [({"user": "XYZ"}, "/items/0/user"), ({"machin": 1}, "/items/0/machin")]
)
async def test_a_bad_item_of_a_stored_log_points_to_its_field(press, change, pointer):
    await press.post("/users", json={"trigram": "XYZ"})
    await put(press, item(1))
    problem = await put(press, {**item(1), **change}, status=422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_a_deleted_log_is_an_error_that_points_to_its_item(press):
    await put(press, item(1))
    assert (await press.delete(f"/logs/{UUID.format(1)}")).status_code == 204
    problem = await put(press, item(2), item(1), status=422)
    assert problem["errors"] == [{"pointer": "/items/1", "code": "gone", "message": problem["detail"]}], (
        "a record that was deleted is not made again"
    )
    response = await put(press, item(2), item(1), mode="partial")
    assert response["results"][1]["problem"]["code"] == "gone"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({"items": []}, "/items"),
        ({"items": [{}] * 1001}, "/items"),
        ({"items": [1]}, "/items/0"),
        ({"items": [item(1), None]}, "/items/1"),
        ({"items": {}}, "/items"),
        ({"items": [{}], "mode": "some"}, "/mode"),
        ({"items": [{"uuid": "abc", "machine": "Press", "type": "info"}]}, "/items/0/uuid"),
        ({"items": [dict.fromkeys(map(str, range(101)))]}, "/items/0"),
        ({"items": [item(1)], "more": 1}, "/more"),
    ],
)
async def test_a_bad_body_is_refused(press, body, pointer):
    response = await press.post("/logs/bulk", json=body)
    assert response.status_code == 422, response.text
    assert pointer in [error["pointer"] for error in response.json()["errors"]]
    assert await total(press) == 0


async def test_a_thousand_items_are_searchable_in_their_order(press):
    at = "2025-01-01T00:00:00Z"
    await put(press, *(item(number, started_at=at) for number in range(1, 1001)))
    found = (await press.get("/logs?q=nr&limit=500&sort=started_at")).json()["items"]
    assert [log["comment"] for log in found] == [f"nr {number}" for number in range(1, 501)]


async def test_unknown_references_in_many_items_get_few_suggestions(press):
    items = [item(number, machine=f"Pres {number}") for number in range(300)]
    response = await put(press, *items, mode="partial")
    problems = [result["problem"]["detail"] for result in response["results"]]
    assert sum("Did you mean 'Press'?" in problem for problem in problems) == 10
    assert all(problem.startswith("There is no machine") for problem in problems)


async def test_a_body_with_too_many_lists_is_refused_before_parsing(client):
    body = '{"items": [' + "[]," * 300_000 + "[]]}"
    response = await client.post("/logs/bulk", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "bad-json")
