"""Create, read, replace and update records of every resource."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest

from api.resource_cases import LOGS, MACHINES, RESOURCES, TYPES, USERS, create, entries

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.path)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


@every_resource
async def test_a_post_returns_the_record_that_get_returns(seeded, resource):
    key = resource.new_key()
    answer = await seeded.post(f"/{resource.path}", json=resource.body(key))
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert unquote(answer.headers["Location"]) == f"/{resource.path}/{key}"
    assert re.fullmatch(r"[\x21-\x7e]+", answer.headers["Location"])
    record = answer.json()
    assert record.items() >= (resource.defaults | resource.body(key) | {"version": 1}).items()
    assert TIME.fullmatch(record["created_at"])
    assert record["created_at"] == record["updated_at"]
    found = await seeded.get(answer.headers["Location"])
    assert (found.status_code, found.json(), found.headers["ETag"]) == (200, record, '"1"')
    listed = await seeded.get(f"/{resource.path}", params={resource.key: key})
    assert listed.json()["items"] == [record]


@every_resource
async def test_head_is_a_get_without_a_body(seeded, resource):
    key, _ = await create(seeded, resource)
    for url, status in (
        (resource.path_of(key), 200),
        (f"/{resource.path}?count=exact", 200),
        (resource.path_of(resource.new_key()), 404),
    ):
        got, headed = await seeded.get(url), await seeded.head(url)
        assert (headed.status_code, headed.content) == (status, b"")
        same = [name for name in ("ETag", "Content-Type", "Content-Length", "X-Total-Count") if name in got.headers]
        # A problem contains the request id, whose length is constant.
        assert [headed.headers.get(name) for name in same] == [got.headers[name] for name in same]


@every_resource
async def test_a_key_is_unique_in_any_spelling(seeded, resource):
    key, record = await create(seeded, resource)
    for spelling in (key, key.upper(), key.lower()):
        answer = await seeded.post(f"/{resource.path}", json=resource.body(spelling) | resource.change)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await seeded.get(resource.path_of(key))).json() == record


@every_resource
async def test_a_repeated_put_creates_a_record_once(seeded, resource):
    key = resource.new_key()
    first = await seeded.put(resource.path_of(key), json=resource.minimal_body | resource.change)
    assert (first.status_code, first.headers["ETag"]) == (201, '"1"')
    assert unquote(first.headers["Location"]) == f"/{resource.path}/{key}"
    for body in (resource.minimal_body | resource.change, resource.body(key) | resource.change, first.json()):
        again = await seeded.put(resource.path_of(key), json=body)
        assert (again.status_code, again.json(), again.headers["ETag"]) == (200, first.json(), '"1"')
    if resource in (LOGS, MACHINES):
        assert len(await entries(seeded, resource, key)) == 1


@every_resource
async def test_a_put_replaces_and_resets_absent_fields_to_defaults(seeded, resource):
    key, record = await create(seeded, resource, **resource.change)
    answer = await seeded.put(resource.path_of(key), json=resource.minimal_body)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    changed = {name for name, value in answer.json().items() if value != record[name]}
    assert changed == {"version", "updated_at", *resource.change}
    if resource is TYPES:
        assert answer.json()["label"] == key


@every_resource
async def test_a_patch_changes_only_the_given_fields(seeded, resource):
    key, record = await create(seeded, resource)
    for media_type in ("application/json", "application/merge-patch+json"):
        empty = await seeded.patch(resource.path_of(key), content=b"{}", headers={"Content-Type": media_type})
        assert (empty.status_code, empty.json(), empty.headers["ETag"]) == (200, record, '"1"')
    for _ in range(2):
        answer = await seeded.patch(resource.path_of(key), json=resource.change)
        assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
        assert answer.json() == record | resource.change | {"version": 2, "updated_at": answer.json()["updated_at"]}
    assert answer.json()["updated_at"] > record["updated_at"]


@every_resource
@pytest.mark.parametrize("method", ["put", "patch"])
async def test_read_only_fields_may_be_sent_back_unchanged(seeded, resource, method):
    key, record = await create(seeded, resource)
    send = getattr(seeded, method)
    assert (await send(resource.path_of(key), json=record)).json() == record
    stale = await send(resource.path_of(key), json=record | resource.change | {"version": 9})
    assert (stale.status_code, stale.json()["code"], stale.json()["current"]) == (412, "version-conflict", record)
    others = {"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z", "id": 0}
    for name in others.keys() & record.keys():
        answer = await send(resource.path_of(key), json=record | resource.change | {name: others[name]})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "read-only")
        assert answer.json()["errors"][0]["pointer"] == f"/{name}"
    assert (await seeded.get(resource.path_of(key))).json() == record


@every_resource
@pytest.mark.parametrize("name", ["version", "created_at", "updated_at", "id"])
async def test_read_only_fields_are_refused_on_creation(seeded, resource, name):
    key, value = resource.new_key(), 1 if name in ("id", "version") else "2025-01-01T00:00:00Z"
    for answer in (
        await seeded.post(f"/{resource.path}", json=resource.body(key) | {name: value}),
        await seeded.put(resource.path_of(key), json=resource.body(key) | {name: value}),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")
    assert (await seeded.get(resource.path_of(key))).status_code == 404


@pytest.mark.parametrize("resource", [LOGS, TYPES, USERS], ids=lambda resource: resource.path)
@pytest.mark.parametrize("method", ["put", "patch"])
async def test_an_immutable_key_must_equal_the_path(seeded, resource, method):
    key, record = await create(seeded, resource)
    for at in (key, resource.new_key()) if method == "put" else (key,):
        answer = await getattr(seeded, method)(
            resource.path_of(at), json=resource.body(resource.new_key()) | resource.change
        )
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{resource.key}")
    assert (await seeded.get(resource.path_of(key))).json() == record


async def test_a_put_preserves_start_and_author(seeded):
    key, record = await create(seeded, LOGS, user="ABC", started_at="2020-02-02T00:00:00Z", project="P")
    answer = await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body)
    assert (answer.json()["started_at"], answer.json()["user"]) == ("2020-02-02T00:00:00Z", "ABC")
    assert answer.json()["project"] is None
    for body in ({"user": "DEF"}, {"user": None}):
        for refused in (
            await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body | body),
            await seeded.patch(LOGS.path_of(key), json=body),
        ):
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/user")
    moved = await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body | {"started_at": "2020-02-03T00:00:00Z"})
    assert (moved.status_code, moved.json()["started_at"]) == (200, "2020-02-03T00:00:00Z")
    assert moved.json()["created_at"] == record["created_at"]


async def test_a_log_without_uuid_and_start_gets_version_7_and_now(seeded):
    before = datetime.now(UTC) - timedelta(seconds=1)
    records = [(await seeded.post("/logs", json=LOGS.minimal_body)).json() for _ in range(3)]
    for record in records:
        assert uuid.UUID(record["uuid"]).version == 7
        assert before < datetime.fromisoformat(record["started_at"]) <= datetime.now(UTC)
    assert records[0]["uuid"][:13] <= records[-1]["uuid"][:13]


@pytest.mark.parametrize("text", ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"])
async def test_any_uuid_is_accepted_and_returned_in_lower_case(seeded, text):
    answer = await seeded.put(f"/logs/{text}", json=LOGS.minimal_body | {"uuid": text.swapcase()})
    assert answer.status_code in (200, 201)
    assert answer.json()["uuid"] == text.lower()
    assert (await seeded.get(f"/logs/{text.swapcase()}")).json() == answer.json()


@pytest.mark.parametrize(
    ("stored", "patch", "expected"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"b": "x"}, {"a": 1, "b": "x"}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"z": None}, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": True}, {"a": True}),
        ({"a": 1}, {"a": 1.5}, {"a": 1.5}),
        ({"a": False}, {"a": 0}, {"a": 0}),
        ({"é 🛠": ""}, {"é 🛠": '\u2028"\\'}, {"é 🛠": '\u2028"\\'}),
        ({"a": 1e300}, {"b": -(2**53) + 1}, {"a": 1e300, "b": -(2**53) + 1}),
    ],
)
@pytest.mark.parametrize("resource", [LOGS, MACHINES], ids=lambda resource: resource.path)
async def test_a_patch_merges_attributes(seeded, resource, stored, patch, expected):
    key, record = await create(seeded, resource, attributes=stored)
    assert record["attributes"] == stored
    answer = await seeded.patch(resource.path_of(key), json={"attributes": patch})
    found = answer.json()["attributes"]
    assert (found, {name: type(value) for name, value in found.items()}) == (
        expected,
        {name: type(value) for name, value in expected.items()},
    )
    same = {name: repr(value) for name, value in expected.items()} == {n: repr(v) for n, v in stored.items()}
    assert answer.headers["ETag"] == ('"1"' if same else '"2"')
    replaced = await seeded.put(
        resource.path_of(key), json=resource.minimal_body | {"attributes": patch and {"only": True}}
    )
    assert replaced.json()["attributes"] == (patch and {"only": True})


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        ("2025-07-25T13:18:25Z", "2025-07-25T13:18:25Z"),
        ("2025-07-25T13:18:25.1234567Z", "2025-07-25T13:18:25.123456Z"),
        ("2025-07-25T13:18", "2025-07-25T11:18:00Z"),
        ("2025-10-26T02:30:00", "2025-10-26T00:30:00Z"),
        ("2025-03-30T02:30:00", "2025-03-30T01:30:00Z"),
        ("2025-07-25t13:18:25.50+05:30", "2025-07-25T07:48:25.500000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2100-12-31T23:59:59.999999Z", "2100-12-31T23:59:59.999999Z"),
    ],
)
async def test_times_are_returned_in_one_format(seeded, text, answered):
    key, record = await create(seeded, LOGS, started_at=text, ended_at=text, down_from=text, down_to=text)
    assert {record[name] for name in ("started_at", "ended_at", "down_from", "down_to")} == {answered}
    # Sending the same text again does not change the stored time.
    assert (await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body | {"started_at": text})).json()[
        "started_at"
    ] == answered


TEXTS = ["", " ", "é", "e\u0301", "🛠", "\u0001\t\r\n\u007f\u2028\ufeff\uffff", '"\\/<>', "null", "é" * 200, "🛠" * 200]


@pytest.mark.parametrize("text", TEXTS)
async def test_text_is_stored_as_it_was_sent(seeded, text):
    key, record = await create(seeded, LOGS, project=text, comment=text * 3)
    found = (await seeded.get(LOGS.path_of(key))).json()
    assert (record["project"], found["project"], found["comment"]) == (text, text, text * 3)
    assert (await seeded.patch(LOGS.path_of(key), json={"project": text})).headers["ETag"] == '"1"'
    name, machine = await create(seeded, MACHINES, sector=text, attributes={"k": text})
    assert (machine["sector"], machine["attributes"]) == (text, {"k": text})
    assert (await seeded.get(MACHINES.path_of(name))).json() == machine


async def test_fields_and_expand_select_the_content_of_a_record(seeded):
    key, record = await create(seeded, LOGS, user="ABC")
    chosen = (await seeded.get(LOGS.path_of(key), params={"fields": "comment,uuid", "expand": "user,machine"})).json()
    assert list(chosen) == ["comment", "uuid", "expanded"]
    machine, user = (await seeded.get("/machines/pelle 2")).json(), (await seeded.get("/users/ABC")).json()
    assert chosen["expanded"] == {"user": user, "machine": machine}
    assert (await seeded.get(LOGS.path_of(key), params={"expand": "type"})).json().keys() == record.keys() | {
        "expanded"
    }
    nobody, _ = await create(seeded, LOGS)
    assert (await seeded.get(LOGS.path_of(nobody), params={"expand": "user"})).json()["expanded"] == {"user": None}
    listed = (await seeded.get("/logs", params={"uuid": key, "fields": "uuid", "expand": "user"})).json()["items"]
    assert listed == [{"uuid": key, "expanded": {"user": user}}]


async def test_a_done_log_with_an_open_stop_gets_a_warning(seeded):
    stop = {"status": "done", "down_from": "2025-01-01T00:00:00Z"}
    key = LOGS.new_key()
    written = await seeded.put(LOGS.path_of(key), json=LOGS.body(key) | stop)
    assert written.status_code == 201
    for answer in (written, await seeded.get(LOGS.path_of(key))):
        assert answer.headers["Warning"].startswith('299 - "This log is done, but its stop has no end.')
        assert "Warning" not in answer.json()
    assert "Warning" not in (await seeded.get(LOGS.path_of(key), params={"fields": "uuid"})).headers
    for change in ({"status": "open"}, {"status": "done", "down_to": "2025-01-01T01:00:00Z"}):
        assert "Warning" not in (await seeded.patch(LOGS.path_of(key), json=change)).headers
