"""Access rules that depend on the record: author and age of a log, changed fields of a machine."""

import pytest

from api.access.site import JSON

LOG = {"machine": "Saw", "type": "info"}
NEW = "00000000-0000-4000-8000-{:012x}"


@pytest.fixture
async def people(site):
    """A client for each role, on a site with a machine."""
    clients = {name: await site.by_token(name, "write") for name in ("OPE", "LEA", "SUP")}
    await clients["SUP"].put("/machines/Saw", json={"sector": "1A", "attributes": {"kw": 3}})
    return clients


async def write(client, **more):
    response = await client.post("/logs", json=LOG | more)
    assert response.status_code == 201, response.text
    return response.json()


def assert_refused(response, *pointers):
    assert (response.status_code, response.json()["code"]) == (403, "forbidden"), response.text
    assert [error["pointer"] for error in response.json().get("errors", [])] == list(pointers)
    return True


async def test_the_author_of_a_log_defaults_to_the_current_user(people):
    operator, supervisor = people["OPE"], people["SUP"]
    assert (await write(operator))["user"] == "OPE"
    assert (await write(operator, user="OPE"))["user"] == "OPE"
    assert (await operator.put(f"/logs/{NEW.format(1)}", json=LOG)).json()["user"] == "OPE"
    assert (await write(supervisor, user="LEA"))["user"] == "LEA"
    assert (await write(supervisor, user=None))["user"] is None
    bulk = {"items": [LOG, LOG | {"user": "OPE"}, LOG | {"user": None}]}
    results = (await supervisor.post("/logs/bulk", json=bulk)).json()["results"]
    authors = [(await supervisor.get(f"/logs/{result['uuid']}")).json()["user"] for result in results]
    assert authors == ["SUP", "OPE", None]
    # A bulk call that replaces a log preserves its author.
    again = {"items": [LOG | {"uuid": results[1]["uuid"], "comment": "x"}]}
    assert (await supervisor.post("/logs/bulk", json=again)).json()["counts"]["updated"] == 1


@pytest.mark.parametrize("user", ["LEA", None, "nobody"])
async def test_only_supervisors_write_logs_for_other_authors(people, user):
    for name in ("OPE", "LEA"):
        assert assert_refused(
            await people[name].post("/logs", json=LOG | {"user": user if user != name else "SUP"}), "/user"
        )
        assert assert_refused(await people[name].put(f"/logs/{NEW.format(2)}", json=LOG | {"user": "SUP"}), "/user")
    # The error about the author comes before errors about references and preconditions.
    unknown = {"machine": "no", "type": "no", "user": "SUP"}
    response = await people["OPE"].put(f"/logs/{NEW.format(2)}", json=unknown, headers={"If-Match": '"1"'})
    assert assert_refused(response, "/user")
    response = await people["OPE"].put(f"/logs/{NEW.format(2)}", json=LOG, headers={"If-Match": '"1"'})
    assert response.status_code == 412


async def may_edit(client, log):
    """Return whether a client may change and replace a log; PATCH and PUT must agree."""
    path = f"/logs/{log['uuid']}"
    patched = await client.patch(path, json={"comment": f"by {id(client)}"})
    put = await client.put(path, json=LOG | {"comment": f"again by {id(client)}"})
    assert (patched.status_code == 200) == (put.status_code == 200), (patched.text, put.text)
    return patched.status_code == 200 or not (assert_refused(patched) and assert_refused(put))


async def test_roles_decide_whose_logs_a_user_may_edit(site, people):
    await site.add("OP2", role="operator")
    await site.add("LE2", role="lead")
    logs = {name: await write(people["SUP"], user=name) for name in ("OPE", "OP2", "LEA", "LE2", "SUP", "VIE", None)}
    may = {
        "OPE": {"OPE"},
        "LEA": {"OPE", "OP2", "LEA"},
        "SUP": set(logs),
    }
    for name, expected in may.items():
        assert {author for author, log in logs.items() if await may_edit(people[name], log)} == expected, name


async def test_operators_edit_their_logs_for_a_day_and_leads_those_of_operators(site, people, clock):
    log = await write(people["OPE"], started_at="2001-01-01T00:00:00Z")
    clock.advance(hours=23, minutes=59)
    assert await may_edit(people["OPE"], log)
    clock.advance(minutes=2)
    assert not await may_edit(people["OPE"], log)
    assert await may_edit(people["LEA"], log)
    admin = await site.by_token("ADM")
    await admin.patch("/users/OPE", json={"role": "lead"})
    assert not await may_edit(people["LEA"], log)
    assert await may_edit(people["OPE"], log)


async def test_403_comes_after_404_and_410_and_before_412_and_422(people):
    mine, other, gone = await write(people["OPE"]), await write(people["SUP"]), await write(people["SUP"])
    await people["SUP"].delete(f"/logs/{gone['uuid']}")
    stale = JSON | {"If-Match": '"9"'}
    rows = [(NEW.format(9), 404), (gone["uuid"], 410), (other["uuid"], 403), (mine["uuid"], 412)]
    for uuid, status in rows:
        response = await people["OPE"].patch(f"/logs/{uuid}", content=b'{"machine": "no"}', headers=stale)
        assert response.status_code == status, response.text
    response = await people["OPE"].patch(f"/logs/{mine['uuid']}", json={"user": "SUP"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "read-only")


async def test_a_lead_may_change_only_two_fields_of_a_machine(people):
    lead, path = people["LEA"], "/machines/Saw"
    changed = await lead.patch(path, json={"comment": "grince", "in_service": False})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stored = (await lead.get(path)).json()
    # A client may send the record of a GET back, with these two fields changed.
    put = await lead.put(path, json=stored | {"comment": None, "in_service": None})
    assert (put.status_code, put.json()["in_service"]) == (200, None)
    rest = {name: stored[name] for name in ("sector", "attributes")}
    assert (await lead.put(path, json=rest | {"comment": "x"})).status_code == 200
    assert (await lead.patch(path, json={"sector": "1A", "attributes": {"kw": 3}})).status_code == 200
    assert_refused(await lead.put(path, json={"comment": "x"}), "/attributes", "/sector")
    assert_refused(await lead.patch(path, json={"sector": "2B", "comment": "y"}), "/sector")
    assert_refused(await lead.patch(path, json={"name": "SAW"}), "/name")
    assert_refused(
        await lead.patch(path, json={"attributes": {"kw": None}}, headers={"If-Match": '"1"'}), "/attributes"
    )
    assert (await lead.get(path)).json()["comment"] == "x"
    assert (await lead.patch("/machines/none", json={"sector": "2B"})).status_code == 404
    assert_refused(await lead.put("/machines/none", json={}, headers={"If-Match": '"1"'}))
    assert (await people["SUP"].put("/machines/none", json={})).status_code == 201


async def test_history_shows_the_user_and_the_kind_of_credential(site, people):
    log = await write(people["OPE"])
    await site.set_password("LEA")
    lead = await site.by_session("LEA")
    await lead.patch(f"/logs/{log['uuid']}", json={"comment": "vu"}, headers={"X-Change-Note": "why"})
    entries = (await lead.get(f"/logs/{log['uuid']}/history")).json()["items"]
    assert [(entry["user"], entry["via"], entry["note"]) for entry in entries] == [
        ("LEA", "session", "why"),
        ("OPE", "token", None),
    ]


async def test_only_supervisors_list_deleted_logs(site, people):
    log = await write(people["OPE"])
    assert (await people["SUP"].delete(f"/logs/{log['uuid']}")).status_code == 204
    for trigram in ("OPE", "LEA"):
        assert (await people[trigram].get("/logs?deleted=true")).json()["code"] == "forbidden"
        assert (await people[trigram].get("/logs?deleted=false")).json()["items"] == []
    supervisor = await site.by_token("SUP", "read")
    assert [found["uuid"] for found in (await supervisor.get("/logs?deleted=true")).json()["items"]] == [log["uuid"]]


async def test_an_idempotency_key_belongs_to_its_user(people):
    key, body = {"Idempotency-Key": "one"}, {"machine": "Saw", "type": "info"}
    responses = [await people[trigram].post("/logs", json=body, headers=key) for trigram in ("OPE", "LEA", "OPE")]
    assert [response.status_code for response in responses] == [201] * 3
    assert responses[0].content == responses[2].content != responses[1].content
