"""The history of accounts: what happens to credentials has entries that only admins see."""

import asyncio
import json

import pytest

from api.access.site import PASSWORD, ROLES, trigram_of
from api.paced_client import PacedClient
from machine_monitor.services.accounts import generated_secrets
from machine_monitor.services.audit import hash_chain, live_feed


async def entries(client, since=0):
    """Return all entries about accounts."""
    page = (await client.get("/changes", params={"since": since, "limit": 1000})).json()
    return [item for item in page["items"] if item["resource"] == "accounts"]


async def newest(client):
    return (await entries(client))[-1]


async def test_each_change_of_a_credential_has_an_entry(site):
    admin = await site.by_token("ADM")
    made = (await admin.post("/tokens", json={"name": "dash", "scope": "read", "user": "VIE"})).json()
    entry = await newest(admin)
    token = {"id": made["id"], "name": "dash", "scope": "read", "expires_at": made["expires_at"]}
    assert (entry["op"], entry["key"], entry["user"], entry["via"]) == ("update", "VIE", "ADM", "token")
    assert entry["changes"] == {"token": [None, token]}
    await admin.delete(f"/tokens/{made['id']}", headers={"X-Change-Note": "leaked"})
    entry = await newest(admin)
    assert (entry["changes"], entry["note"]) == ({"token": [token, None]}, "leaked")

    link = (await admin.post("/users/LEA/invitation")).json()
    invitation = {"expires_at": link["expires_at"]}
    entry = await newest(admin)
    assert (entry["key"], entry["user"], entry["changes"]) == ("LEA", "ADM", {"invitation": [None, invitation]})
    client = site.anonymous()
    response = await client.post("/setup", json={"code": link["url"].partition("#code=")[2], "password": PASSWORD})
    client.headers["X-CSRF-Token"] = response.json()["csrf_token"]
    used, password = (await entries(admin))[-2:]
    assert used["changes"] == {"invitation": [invitation, None]}
    assert {(entry["key"], entry["user"], entry["via"]) for entry in (used, password)} == {("LEA", "LEA", "setup")}
    before, first = password["changes"]["password_set_at"]
    assert (before, first) == (None, password["changes"]["password_set_at"][1])

    await client.put("/me/password", json={"current": PASSWORD, "new": "un autre long secret"})
    entry = await newest(admin)
    assert (entry["user"], entry["via"], entry["changes"]["password_set_at"][0]) == ("LEA", "session", first)


async def test_sessions_that_an_admin_or_the_user_ends_have_an_entry(site):
    await site.set_password("LEA")
    admin, lead = await site.by_token("ADM"), await site.by_session("LEA")
    (session,) = (await lead.get("/me/sessions")).json()["items"]
    recorded = {name: session[name] for name in ("id", "created_at", "browser", "device")}
    await admin.patch("/users/LEA", json={"role": "operator"})
    entry = await newest(admin)
    assert (entry["key"], entry["user"], entry["changes"]) == ("LEA", "ADM", {"session": [recorded, None]})
    one, other = await site.by_session("LEA"), await site.by_session("LEA")
    (theirs,) = [item["id"] for item in (await one.get("/me/sessions")).json()["items"] if not item["current"]]
    await one.delete(f"/me/sessions/{theirs}")
    entry = await newest(admin)
    assert (entry["user"], entry["changes"]["session"][0]["id"]) == ("LEA", theirs)
    # Users who sign out themselves add no entry.
    seen = len(await entries(admin))
    await one.delete("/session")
    await other.delete("/session")
    assert len(await entries(admin)) == seen


async def test_the_first_admin_has_entries(empty_site):
    from machine_monitor.services.accounts import invitations  # noqa: PLC0415 -- only this test invites by hand

    code = (await empty_site.write(invitations.invite_first)).code
    await empty_site.anonymous().post("/setup", json={"code": code, "password": PASSWORD, "trigram": "BOS"})
    admin = await empty_site.by_session("BOS")
    assert [[*entry["changes"]] for entry in await entries(admin)] == [["invitation"], ["password_set_at"]]


async def test_entries_contain_no_secret(site):
    admin = await site.by_token("ADM")
    token = (await admin.post("/tokens", json={"name": "x", "scope": "read"})).json()["token"]
    url = (await admin.post("/users/OPE/invitation")).json()["url"]
    code = url.partition("#code=")[2]
    client = site.anonymous()
    await client.post("/setup", json={"code": code, "password": PASSWORD})
    await admin.patch("/users/OPE", json={"role": "lead"})
    text = json.dumps(await entries(admin))
    secrets = [token.split("_", 2)[2], code, PASSWORD, client.cookies["mm_session"], client.cookies["mm_device"]]
    for secret in secrets:
        assert secret not in text
        assert generated_secrets.digest(secret)[:16] not in text
    assert "argon2" not in text


async def test_only_admins_see_the_entries(site):
    admin = await site.by_token("ADM", "read")
    await admin.get("/me")
    everything = (await admin.get("/changes?limit=1000")).json()["items"]
    for role in ROLES[:-1]:
        client = await site.by_token(trigram_of(role))
        seen = (await client.get("/changes?limit=1000")).json()
        assert seen["items"] == [item for item in everything if item["resource"] != "accounts"]
        assert seen["next"] == seen["items"][-1]["seq"]
        # Pages are filled with what the caller may see.
        assert (await client.get("/changes?since=7&limit=3")).json()["items"] == seen["items"][7:10]
    assert len(await entries(admin)) > 0


async def test_the_stream_passes_over_the_entries_for_others(site, monkeypatch):
    monkeypatch.setattr(live_feed, "POLL_SECONDS", 0.01)
    admin = await site.by_token("ADM")
    for user, expected in (("VIE", {"users"}), ("ADM", {"users", "accounts"})):
        token = await site.token(user)
        stream = PacedClient(site.app, "/events?since=7", authorization=f"Bearer {token}")
        await stream.take(2)
        await admin.post("/tokens", json={"name": "x", "scope": "read"})
        await admin.patch("/users/LEA", json={"first_name": f"For {user}"})
        seen = []
        while not seen or f"For {user}" not in json.dumps(seen[-1]["changes"]):
            (message,) = await stream.take(1)
            seen += [json.loads(line[6:]) for line in message["body"].decode().split("\n") if line.startswith("data: ")]
        assert {item["resource"] for item in seen} == expected
        stream.gone.set()
        await asyncio.wait_for(stream.task, 5)


async def test_the_entries_are_part_of_the_hash_chain(site):
    await site.token("LEA")
    assert await site.database.read(hash_chain.verify) == []


@pytest.mark.parametrize("path", ["/users/LEA/history", "/accounts/LEA/history"])
async def test_there_is_no_other_way_to_the_entries(site, path):
    assert (await (await site.by_token("ADM")).get(path)).status_code == 404
