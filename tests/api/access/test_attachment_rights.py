"""Rights on attachments: those of editing the record; their authors remove them for a day, supervisors always."""

import pytest

from api.access import site as sites
from api.files.samples import new_id


@pytest.fixture
async def people(database_url, tmp_path):
    """Two operators, a lead, a supervisor and a viewer, on a site with a machine and attachments."""
    async with sites.opened(database_url, files=str(tmp_path / "files")) as site:
        await site.add_users()
        await site.add("OP2", role="operator")
        clients = {name: await site.by_token(name, "write") for name in ("OPE", "OP2", "LEA", "SUP", "VIE")}
        await clients["SUP"].put("/machines/Saw", json={"sector": "1A"})
        yield clients


async def add(client, path, status=201):
    identity = new_id()
    response = await client.put(f"{path}/attachments/{identity}", content=b"x")
    assert response.status_code == status, response.text
    return f"{path}/attachments/{identity}"


async def test_the_rights_of_editing_the_record_apply(people, clock):
    uuid = (await people["OPE"].post("/logs", json={"machine": "Saw", "type": "info"})).json()["uuid"]
    log = f"/logs/{uuid}"
    files = {name: await add(people[name], log) for name in ("OPE", "LEA", "SUP")}
    for name in ("OP2", "VIE"):
        await add(people[name], log, 403)
        assert (await people[name].post(f"{log}/attachments", files={"files": b"x"})).status_code == 403
        assert (await people[name].patch(files["OPE"], json={"name": "b"})).status_code == 403
        assert (await people[name].delete(files["OPE"])).status_code == 403
    attachments = (await people["VIE"].get(log)).json()["attachments"]
    assert [each["user"] for each in attachments] == ["OPE", "LEA", "SUP"]
    assert (await people["VIE"].get(f"/attachments/{attachments[0]['id']}")).content == b"x"
    assert (await people["OPE"].patch(files["SUP"], json={"name": "b"})).status_code == 200
    # A lead may edit this log, but removes only what is the lead's own.
    assert (await people["LEA"].delete(files["OPE"])).status_code == 403
    assert (await people["LEA"].delete(files["LEA"])).status_code == 204
    clock.advance(hours=25)
    assert (await people["OPE"].delete(files["OPE"])).status_code == 403
    await add(people["OPE"], log, 403)
    assert (await people["SUP"].delete(files["OPE"])).status_code == 204
    assert (await people["SUP"].delete(files["OPE"])).status_code == 404


async def test_leads_add_files_to_machines_and_operators_do_not(people):
    file = await add(people["LEA"], "/machines/Saw")
    await add(people["OPE"], "/machines/Saw", 403)
    assert (await people["LEA"].patch(file, json={"name": "plate.jpg"})).status_code == 200
    assert (await people["LEA"].delete(file)).status_code == 204


async def test_a_refused_client_need_not_send_the_file(people):
    """The service refuses before it reads the body: reading this one fails the test."""
    uuid = (await people["SUP"].post("/logs", json={"machine": "Saw", "type": "info"})).json()["uuid"]

    async def unread():
        raise AssertionError("the body was read")
        yield b""

    response = await people["OPE"].put(f"/logs/{uuid}/attachments/{new_id()}", content=unread())
    assert response.status_code == 403
    assert (await people["SUP"].put(f"/logs/{new_id()}/attachments/{new_id()}", content=unread())).status_code == 404
