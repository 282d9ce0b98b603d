"""Who may import, and what an import may do to users."""

import asyncio
import json

import pytest

from api.access.site import opened
from api.imports.conftest import HEADER, ORDERS, done, rows, upload
from machine_monitor.api.routes import imports as routes

pytestmark = pytest.mark.slow
WITH_USERS = {**ORDERS, "fields": {**ORDERS["fields"], "user": "Text"}}
AUTHORED = HEADER + "1;02/09/2025;Saw;SUP\r\n2;02/09/2025;Saw;NEW\r\n"


@pytest.fixture
async def clients(database_url, folder):
    """Clients with tokens: of a lead, a supervisor, an admin, and an admin's that may not manage users."""
    async with opened(database_url, files=str(folder)) as site:
        await site.add_users()
        given = (("LEA", "admin"), ("SUP", "admin"), ("ADM", "admin"), ("ADM", "write"))
        yield [await site.by_token(*each) for each in given]


async def test_supervisors_import_and_the_history_says_who_applied(clients):
    lead, supervisor, admin, _ = clients
    assert (await upload(lead, rows([1]), mapping=json.dumps(ORDERS))).status_code == 403
    found = (await upload(supervisor, rows([1]), mapping=json.dumps(ORDERS))).json()
    assert found["user"] == "SUP"
    for path in ("", f"/{found['id']}", f"/{found['id']}/rejected.csv"):
        assert (await lead.get(f"/imports{path}")).status_code == 403
    assert (await done(admin, found["id"], "apply"))["user"] == "ADM"
    (log,) = (await lead.get("/logs")).json()["items"]
    (entry,) = (await lead.get(f"/logs/{log['uuid']}/history")).json()["items"]
    assert (entry["user"], entry["via"], log["user"]) == ("ADM", "import", None)


async def test_only_admins_create_and_change_users_by_an_import(clients):
    _, supervisor, admin, limited = clients
    forbidden = [
        (AUTHORED, {"mapping": json.dumps({**WITH_USERS, "unknown_user": "create"})}, "/mapping/unknown_user"),
        (AUTHORED, {"mapping": json.dumps({**WITH_USERS, "users": {"ADM": {"role": "viewer"}}})}, "/mapping/users"),
        ("trigram,role\r\nADM,viewer\r\n", {}, None),
    ]
    for client in (supervisor, limited):
        for table, fields, pointer in forbidden:
            answer = await upload(client, table, name="table.csv", **fields)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert [each["pointer"] for each in answer.json().get("errors", [])] == ([pointer] if pointer else [])
        assert (await client.get("/imports")).json()["items"] == []
    refused = (await upload(supervisor, AUTHORED, mapping=json.dumps(WITH_USERS))).json()["preview"]
    assert (refused["counts"]["logs"]["created"], refused["counts"]["logs"]["rejected"]) == (1, 1)
    own = "machine,type,started_at,user\r\nSaw,info,2025-01-01T00:00:00Z,NEW\r\n"
    refused = (await upload(supervisor, own, name="logs.csv")).json()["preview"]
    assert [each["code"] for each in refused["problems"]] == ["unknown-user"]
    made = (await upload(admin, own, name="logs.csv")).json()
    # The rights of the user who applies decide, not those of the uploader.
    assert (await done(supervisor, made["id"], "apply"))["report"]["logs"]["rejected"] == 1
    assert (await supervisor.get("/users/NEW")).status_code == 404


async def test_only_admins_undo_an_import_that_changed_users(clients):
    _, supervisor, admin, limited = clients
    demoted = (await upload(admin, "trigram,role\r\nLEA,viewer\r\n", name="users.csv")).json()
    await done(admin, demoted["id"], "apply")
    for client in (supervisor, limited):
        answer = await client.post(f"/imports/{demoted['id']}/undo")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "changed users" in answer.json()["detail"]
    assert (await admin.get("/users/LEA")).json()["role"] == "viewer"
    assert (await done(admin, demoted["id"], "undo"))["state"] == "undone"
    assert (await admin.get("/users/LEA")).json()["role"] == "lead"
    # An import that only made users has nothing of them to change back.
    made = (await upload(admin, "trigram,role\r\nNEW,viewer\r\n", name="users.csv")).json()
    await done(admin, made["id"], "apply")
    assert (await done(supervisor, made["id"], "undo"))["state"] == "undone"


async def test_a_file_that_is_too_large_is_refused(clients, folder, monkeypatch):
    monkeypatch.setattr(routes, "MAX_BYTES", 100)
    answer = await upload(clients[1], rows(range(20)))
    assert (answer.status_code, answer.json()["code"]) == (413, "table-too-large")
    assert "100 bytes" in answer.json()["detail"]
    # A thread removes what was received.
    for _ in range(200):
        if not (left := [path for path in folder.rglob("*") if path.is_file()]):
            break
        await asyncio.sleep(0.02)
    assert left == []


async def test_without_a_folder_for_files_there_are_no_imports(postgresql_database_url):
    async with opened(postgresql_database_url) as site:
        await site.add_users()
        supervisor = await site.by_token("SUP")
        answer = await upload(supervisor, rows([1]))
        assert (answer.status_code, answer.json()["code"]) == (503, "files-unavailable")
        assert (await supervisor.get("/imports")).json()["items"] == []
