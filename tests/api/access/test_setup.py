"""Setup of the first admin, invitations, and the rule that one admin must remain."""

import asyncio

import pytest

from api.access.site import PASSWORD, opened
from machine_monitor.services.accounts import invitations

BODY = {"password": PASSWORD, "trigram": "BOS", "first_name": "Zoé"}


async def first_admin_code(site):
    return (await site.write(invitations.invite_first)).code


async def set_up(site, code, **more):
    return await site.anonymous().post("/setup", json=BODY | {"code": code} | more)


async def test_the_first_admin_signs_up_and_is_signed_in(empty_site):
    code = await first_admin_code(empty_site)
    client = empty_site.anonymous()
    response = await client.post("/setup", json=BODY | {"code": code})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    user = response.json()["user"]
    assert (user["trigram"], user["first_name"], user["role"], user["active"]) == ("BOS", "Zoé", "admin", True)
    me = (await client.get("/me")).json()
    assert me == {"user": user, "scope": "admin", "via": "session", "csrf_token": response.json()["csrf_token"]}
    assert await empty_site.write(invitations.invite_first) is None
    for again in (
        await set_up(empty_site, code),
        await set_up(empty_site, "x" * 43),
        await set_up(empty_site, "é\u0000"[:1]),
    ):
        assert (again.status_code, again.json()["code"]) == (410, "gone")


async def test_one_of_twenty_concurrent_setups_creates_the_first_admin(empty_site):
    # Use one code, and another code from a second server.
    codes = [await first_admin_code(empty_site)] * 15 + [await first_admin_code(empty_site)] * 5
    responses = await asyncio.gather(
        *[set_up(empty_site, code, trigram=f"B{number}") for number, code in enumerate(codes)]
    )
    assert sorted(response.status_code for response in responses) == [200, *[410] * 19]
    (winner,) = [response.json()["user"]["trigram"] for response in responses if response.status_code == 200]
    admin = await empty_site.by_session(winner)
    assert [user["trigram"] for user in (await admin.get("/users")).json()["items"]] == [winner]


async def test_an_existing_user_can_become_the_first_admin(empty_site):
    await empty_site.add("bos", role="viewer", last_name="Martin", active=False)
    response = await set_up(empty_site, await first_admin_code(empty_site))
    user = response.json()["user"]
    assert (user["trigram"], user["first_name"], user["last_name"]) == ("bos", "Zoé", "Martin")
    assert (user["role"], user["active"], user["version"]) == ("admin", True, 2)


async def test_a_setup_code_expires_after_15_minutes(empty_site, clock):
    code = await first_admin_code(empty_site)
    clock.advance(minutes=16)
    assert (await set_up(empty_site, code)).status_code == 410
    assert (await set_up(empty_site, await first_admin_code(empty_site))).status_code == 200


async def test_a_setup_code_remains_valid_after_a_failed_attempt(empty_site):
    code = await first_admin_code(empty_site)
    response = await set_up(empty_site, code, trigram=None)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/trigram")
    response = await set_up(empty_site, code, password="court")  # noqa: S106 -- only a test password
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/password")
    assert (await set_up(empty_site, code)).status_code == 200


async def invite(site, trigram):
    response = await (await site.by_token("ADM")).post(f"/users/{trigram}/invitation")
    assert response.status_code == 201, response.text
    url = response.json()["url"]
    assert url.startswith("http://machine-monitor/ui/setup#code=")
    return url.partition("#code=")[2]


async def test_an_invitation_can_be_used_once(site):
    code = await invite(site, "LEA")
    for wrong in ({"trigram": "OPE"}, {"password": "lea lea lea lea lea lea"}):
        assert (
            await site.anonymous().post("/setup", json={"code": code, "password": PASSWORD} | wrong)
        ).status_code == 422
    response = await site.anonymous().post("/setup", json={"code": code, "password": PASSWORD, "first_name": "Léa"})
    assert (response.json()["user"]["role"], response.json()["user"]["first_name"]) == ("lead", "Léa")
    assert (await set_up(site, code, trigram="LEA")).status_code == 410
    assert (await (await site.by_session("LEA")).get("/me")).json()["user"]["trigram"] == "LEA"


async def test_one_of_many_concurrent_uses_of_an_invitation_succeeds(site):
    code = await invite(site, "OPE")
    responses = await asyncio.gather(*[set_up(site, code, trigram="OPE") for _ in range(8)])
    assert sorted(response.status_code for response in responses) == [200, *[410] * 7]


async def test_an_invitation_is_void_when_expired_replaced_or_for_an_inactive_user(site, clock):
    admin = await site.by_token("ADM")
    old = await invite(site, "OPE")
    new = await invite(site, "OPE")
    assert (await set_up(site, old, trigram="OPE")).status_code == 410
    clock.advance(hours=23)
    assert (await set_up(site, new, trigram="OPE")).status_code == 200
    late = await invite(site, "OPE")
    clock.advance(hours=25)
    assert (await set_up(site, late, trigram="OPE")).status_code == 410
    off = await invite(site, "OPE")
    await admin.patch("/users/OPE", json={"active": False})
    assert (await set_up(site, off, trigram="OPE")).status_code == 410
    assert (await admin.post("/users/OPE/invitation")).status_code == 409
    for nobody in ("none", "%00", "%C3%A9", "x" * 50):
        assert (await admin.post(f"/users/{nobody}/invitation")).status_code == 404
    assert (await admin.post("/users/OPE/invitation?x=1")).status_code == 422


ADMIN_REMOVALS = [
    ("PATCH", {"role": "supervisor"}, "/role"),
    ("PATCH", {"active": False}, "/active"),
    ("PUT", {}, "/role"),
    ("DELETE", None, None),
]


@pytest.mark.parametrize(("method", "body", "pointer"), ADMIN_REMOVALS)
async def test_the_last_admin_cannot_be_removed(site, method, body, pointer):
    await site.add("AD2", role="admin")
    admin = await site.by_token("ADM")
    # An admin without a password cannot sign in and does not count.
    response = await admin.request(method, "/users/ADM", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    [error] = response.json()["errors"]
    assert (error["code"], error.get("pointer")) == ("last-admin", pointer)
    assert (await admin.patch("/users/ADM", json={"last_name": "X", "role": "admin"})).status_code == 200
    assert (await admin.request(method, "/users/AD2", json=body)).status_code < 300
    if method == "DELETE":
        await site.add("AD2", role="admin")
    else:
        await admin.patch("/users/AD2", json={"role": "admin", "active": True})
    await site.set_password("AD2")
    assert (await admin.request(method, "/users/ADM", json=body)).status_code < 300


async def test_two_admins_who_demote_each_other_leave_one_admin(site):
    for number in range(4):
        name = f"A{number}"
        await site.add(name, role="admin")
        await site.set_password(name)
        one, other = await site.by_token("ADM"), await site.by_token(name)
        responses = await asyncio.gather(
            one.patch(f"/users/{name}", json={"role": "viewer"}),
            other.patch("/users/ADM", json={"active": False}),
        )
        assert sorted(response.status_code for response in responses) in ([200, 409], [200, 401], [200, 403])
        users = [(await client.get("/me")).json().get("user") for client in (one, other)]
        (left,) = [user["trigram"] for user in users if user and user["role"] == "admin"]
        await (other if left == name else one).patch("/users/ADM", json={"active": True, "role": "admin"})
        assert (await one.patch(f"/users/{name}", json={"role": "viewer"})).status_code == 200


async def test_deleting_a_user_deletes_its_credentials(site):
    token = await site.by_token("VIE")
    await invite(site, "VIE")
    await site.set_password("VIE")
    session = await site.by_session("VIE")
    assert (await (await site.by_token("ADM")).delete("/users/VIE")).status_code == 204
    assert [(await client.get("/me")).status_code for client in (token, session)] == [401, 401]
    tables = ("sessions", "known_devices", "invitations", "tokens", "credentials")
    counts = [
        await site.write(lambda tx, table=table: tx.cursor.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        for table in tables
    ]
    assert counts == [0, 0, 0, 2, 1]


async def test_a_new_user_does_not_get_the_stored_responses_of_a_deleted_one(site):
    admin, key = await site.by_token("ADM"), {"Idempotency-Key": "press-1"}
    await site.add("NEW", role="supervisor")
    first = await (await site.by_token("NEW")).post("/machines", json={"name": "Saw"}, headers=key)
    await admin.delete("/users/NEW")
    await site.add("NEW", role="supervisor")
    again = await (await site.by_token("NEW")).post("/machines", json={"name": "Saw"}, headers=key)
    assert (first.status_code, again.status_code) == (201, 409)


async def test_links_use_the_host_of_the_request(database_url):
    async with opened(database_url, allowed_hosts="monitor.example") as site:
        await site.add_users()
        client = await site.by_token("ADM")
        response = await client.post("https://monitor.example/users/OPE/invitation")
        assert response.json()["url"].startswith("https://monitor.example/ui/setup#code=")
