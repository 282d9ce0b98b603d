"""Logs refer to machines by name: renames, spellings and names that do not exist."""

import secrets
import unicodedata

import pytest

from api.resource_cases import LOGS, MACHINES, TYPES, USERS, create, entries

pytestmark = pytest.mark.asyncio(loop_scope="module")


def new_name(*words: str) -> str:
    return " ".join([*words, secrets.token_hex(5)])


async def machine_with_logs(client, name: str) -> list[str]:
    assert (await client.post("/machines", json={"name": name})).status_code == 201
    return [(await create(client, LOGS, machine=name, comment="unique sentence"))[0] for _ in range(2)]


async def find_uuids(client, **query) -> set[str]:
    response = await client.get("/logs", params={"limit": 500, **query})
    assert response.status_code == 200, response.text
    return {item["uuid"] for item in response.json()["items"]}


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(("Old", "Été"), ("New", "one", "of", "many")), (("a-b", "🛠", "c"), ("Ω",)), (("İ", "ß", "ﬁ"), ("x", "y"))],
)
async def test_logs_follow_a_renamed_machine(seeded, method, before, after):
    old, new = new_name(*before), new_name(*after)
    logs = await machine_with_logs(seeded, old)
    assert (await seeded.delete(LOGS.path_of(logs[1]))).status_code == 204
    response = await getattr(seeded, method)(MACHINES.path_of(old), json={"name": new})
    assert (response.status_code, response.json()["name"], response.headers["ETag"]) == (200, new, '"2"')
    log = await seeded.get(LOGS.path_of(logs[0]))
    assert (log.json()["machine"], log.json()["version"], log.headers["ETag"]) == (new, 2, '"2"')
    assert log.json()["updated_at"] == response.json()["updated_at"]
    assert len(await entries(seeded, LOGS, logs[0])) == 1
    assert await find_uuids(seeded, machine=new) == {logs[0]}
    assert await find_uuids(seeded, machine=old) == set()
    assert await find_uuids(seeded, q=f'"{new}"') == {logs[0]}
    assert await find_uuids(seeded, q=f'"{old}"') == set()
    assert await find_uuids(seeded, q=f'"{new}" "unique sentence"') == {logs[0]}
    assert await find_uuids(seeded, q=f'"{new} unique"') == set()
    stale = await seeded.patch(LOGS.path_of(logs[0]), json={"comment": "-"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    # The search index is still correct after a change of the log and another rename.
    assert (await seeded.patch(LOGS.path_of(logs[0]), json={"comment": "other sentence"})).status_code == 200
    third = new_name("third")
    assert (await seeded.patch(MACHINES.path_of(new), json={"name": third})).status_code == 200
    assert await find_uuids(seeded, q=f'"{third}" "other sentence" -unique') == {logs[0]}
    renamed, first, _ = await entries(seeded, MACHINES, third)
    assert (renamed["op"], renamed["changes"]) == ("rename", {"name": [new, third]})
    assert (first["op"], first["changes"]) == ("rename", {"name": [old, new]})


async def test_an_old_name_is_free_again_and_a_taken_name_is_refused(seeded):
    old, new, taken = new_name("old"), new_name("new"), new_name("Taken")
    await machine_with_logs(seeded, old)
    await seeded.post("/machines", json={"name": taken})
    for method in ("put", "patch"):
        response = await getattr(seeded, method)(MACHINES.path_of(old), json={"name": taken.upper()})
        assert (response.status_code, response.json()["code"]) == (409, "conflict")
    identity = (await seeded.get(MACHINES.path_of(old))).json()["id"]
    both = await seeded.patch(MACHINES.path_of(old), json={"name": new, "sector": "S"})
    assert (both.status_code, both.json()["id"]) == (200, identity)
    assert [entry["op"] for entry in await entries(seeded, MACHINES, new)] == ["rename", "create"]
    assert (await seeded.get(MACHINES.path_of(old))).status_code == 404
    assert (await seeded.get(f"{MACHINES.path_of(old)}/history")).status_code == 404
    again = await seeded.put(MACHINES.path_of(old), json={"name": old})
    assert again.status_code == 201
    assert again.json()["id"] > identity
    assert len(await entries(seeded, MACHINES, old)) == 1


@pytest.mark.parametrize(("before", "after"), [("Pelle É", "PELLE é"), ("Pelle \u00e9", "Pelle e\u0301"), ("ß", "SS")])
async def test_another_spelling_of_the_same_name_is_a_rename(seeded, before, after):
    mark = secrets.token_hex(4)
    old, new = f"{before} {mark}", f"{after} {mark}"
    (log, _) = await machine_with_logs(seeded, old)
    response = await seeded.patch(MACHINES.path_of(old), json={"name": new})
    assert (response.status_code, response.json()["name"]) == (200, new)
    assert (await entries(seeded, MACHINES, old))[0]["op"] == "rename"
    assert (await seeded.get(MACHINES.path_of(old))).json() == (await seeded.get(MACHINES.path_of(new))).json()
    assert (await seeded.get(LOGS.path_of(log))).json()["machine"] == new
    assert await find_uuids(seeded, machine=new) >= {log}
    assert await find_uuids(seeded, machine=old) == set()


@pytest.mark.parametrize("spelling", ["pelle nº1", "PELLE Nº1"])
async def test_a_machine_is_found_by_any_spelling_and_returned_as_stored(seeded, spelling):
    assert (await seeded.get(MACHINES.path_of(spelling))).json()["name"] == "Pelle Nº1"
    key, record = await create(seeded, LOGS, machine=spelling)
    assert record["machine"] == "Pelle Nº1"
    assert (await seeded.put(LOGS.path_of(key), json={"machine": spelling, "type": "info"})).headers["ETag"] == '"1"'
    assert (await entries(seeded, LOGS, key))[0]["changes"]["machine"] == [None, "Pelle Nº1"]
    assert (await seeded.post("/machines", json={"name": spelling})).status_code == 409
    assert (await seeded.put(MACHINES.path_of("e\u0301CLUSE"), json={})).status_code == 200
    assert (await seeded.get(MACHINES.path_of("écluse"))).json()["name"] in ("Écluse", "e\u0301CLUSE")
    assert await find_uuids(seeded, machine=spelling) == set()


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"machine": "pele 2"}, "unknown-machine", "/machine"),
        ({"type": "errror"}, "unknown-type", "/type"),
        ({"user": "ABD"}, "unknown-user", "/user"),
    ],
)
async def test_a_log_must_refer_to_existing_records(seeded, body, code, pointer):
    key, record = await create(seeded, LOGS)
    responses = [
        await seeded.post("/logs", json=LOGS.minimal_body | body),
        await seeded.put(LOGS.path_of(LOGS.new_key()), json=LOGS.minimal_body | body),
    ]
    if code != "unknown-user":
        responses.append(await seeded.put(LOGS.path_of(key), json=LOGS.minimal_body | body))
        responses.append(await seeded.patch(LOGS.path_of(key), json=body))
    for response in responses:
        assert (response.status_code, response.json()["code"]) == (422, code)
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
        assert "Did you mean" in response.json()["detail"]
    assert (await seeded.get(LOGS.path_of(key))).json() == record


async def test_all_unknown_references_are_reported_together(seeded):
    response = await seeded.post("/logs", json={"machine": "no", "type": "no", "user": "no"})
    assert (response.status_code, response.json()["code"]) == (422, "validation")
    assert {error["pointer"] for error in response.json()["errors"]} == {"/machine", "/type", "/user"}


@pytest.mark.parametrize(("resource", "field"), [(TYPES, "type"), (USERS, "user")], ids=["type", "user"])
async def test_a_new_log_cannot_refer_to_an_inactive_record(seeded, resource, field):
    key, _ = await create(seeded, resource)
    log, record = await create(seeded, LOGS, **{field: key})
    switched = await seeded.patch(resource.path_of(key), json={"active": False})
    assert switched.status_code == 200, switched.text
    for response in (
        await seeded.post("/logs", json=LOGS.minimal_body | {field: key}),
        await seeded.put(LOGS.path_of(LOGS.new_key()), json=LOGS.minimal_body | {field: key}),
    ):
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, f"/{field}")
    # An existing log keeps its reference through PATCH and PUT.
    assert (await seeded.patch(LOGS.path_of(log), json={"comment": "x"})).status_code == 200
    same = {name: record[name] for name in ("machine", "type", "user")}
    assert (await seeded.put(LOGS.path_of(log), json=same)).status_code == 200


async def test_a_log_that_moves_to_another_machine_is_found_by_its_new_name(seeded):
    one, other = new_name("one"), new_name("another", "longer", "name")
    logs = await machine_with_logs(seeded, one)
    await seeded.post("/machines", json={"name": other})
    moved = await seeded.patch(LOGS.path_of(logs[0]), json={"machine": other.upper()})
    assert (moved.status_code, moved.json()["machine"]) == (200, other)
    assert (await entries(seeded, LOGS, logs[0]))[0]["changes"] == {"machine": [one, other]}
    assert await find_uuids(seeded, q=f'"{other}"') == {logs[0]}
    assert await find_uuids(seeded, q=f'"{one}"') == {logs[1]}
    for name, renamed in ((one, new_name("1")), (other, new_name("2"))):
        assert (await seeded.patch(MACHINES.path_of(name), json={"name": renamed})).status_code == 200
        assert len(await find_uuids(seeded, q=f'"{renamed}" "unique sentence"')) == 1


@pytest.mark.parametrize(
    "tail", ["?a=1", "#x", "%25", "100%", "a b", "é", "a;b", "a&b=c", "🛠", "\\", "..a", "%2F", "+", '"', "\ufffd"]
)
async def test_any_name_works_as_an_encoded_path(seeded, tail):
    name = f"{secrets.token_hex(4)}{tail}"
    created = await seeded.post("/machines", json={"name": name})
    assert created.status_code == 201
    assert created.headers["Location"].isascii()
    for method, body in (("GET", None), ("PATCH", {"sector": "1"}), ("PUT", {}), ("HEAD", None), ("DELETE", None)):
        response = await seeded.request(method, created.headers["Location"], json=body)
        assert response.status_code in (200, 204)
        assert method in ("HEAD", "DELETE") or response.json()["name"] == name
    put = await seeded.put(created.headers["Location"], json={})
    assert (put.status_code, put.headers["Location"]) == (201, created.headers["Location"])


async def test_a_long_name_is_found_in_any_unicode_normalization(seeded):
    name = "é" * 110 + secrets.token_hex(5)
    apart = unicodedata.normalize("NFD", name)
    assert (await seeded.post("/machines", json={"name": name})).status_code == 201
    assert (await seeded.get(MACHINES.path_of(apart))).status_code == 200
    assert (await create(seeded, LOGS, machine=apart))[1]["machine"] == name
