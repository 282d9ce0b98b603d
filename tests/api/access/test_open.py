"""Access without accounts: refused, unless the site is configured as open."""

import pytest

from api.access.site import opened
from machine_monitor.services.accounts import invitations, tokens
from machine_monitor.services.audit.history import ChangeContext

LOG = {"machine": "Saw", "type": "info"}


async def test_nothing_is_open_by_default(empty_site):
    client = empty_site.anonymous()
    for method, path in (("GET", "/logs"), ("GET", "/me"), ("PUT", "/machines/Saw"), ("GET", "/logs.csv")):
        response = await client.request(method, path)
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_an_open_site_without_accounts_allows_reading_and_writing(database_url):
    async with opened(database_url, open=True) as site:
        client = site.anonymous()
        assert (await client.get("/me")).json() == {
            "user": None,
            "scope": "admin",
            "via": "anonymous",
            "csrf_token": None,
        }
        assert (await client.put("/machines/Saw", json={})).status_code == 201
        assert (await client.put("/users/ABC", json={"role": "admin"})).status_code == 201
        assert (await client.post("/logs", json=LOG)).json()["user"] is None
        log = (await client.post("/logs", json=LOG | {"user": "ABC"})).json()
        assert log["user"] == "ABC"
        (entry,) = (await client.get(f"/logs/{log['uuid']}/history")).json()["items"]
        assert (entry["user"], entry["via"]) == (None, "anonymous")
        # Open access does not allow creating credentials.
        for method, path in (("POST", "/users/ABC/invitation"), ("POST", "/tokens"), ("GET", "/tokens")):
            body = {"json": {"name": "x", "scope": "admin", "user": "ABC"}} if path == "/tokens" else {}
            assert (await client.request(method, path, **(body if method == "POST" else {}))).status_code == 401
        assert (await client.put("/me/password", json={})).status_code == 401
        assert (await client.get("/logs", headers={"Authorization": "Bearer x"})).status_code == 401


@pytest.mark.parametrize("first", ["password", "token"])
async def test_the_first_account_ends_open_access_in_every_process_at_once(database_url, first):
    async with opened(database_url, open=True) as one, opened(database_url, open=True) as other:
        await one.add("ABC", role="viewer")
        clients = [one.anonymous(), other.anonymous()]
        assert [(await client.get("/logs")).status_code for client in clients] == [200, 200]
        number = await one.token("ABC") if first == "token" else await one.set_password("ABC")
        assert [(await client.get("/logs")).status_code for client in clients] == [401, 401]
        if number:
            # Open access does not return when the last account is removed.
            await one.write(lambda tx: tokens.revoke(tx, number.split("_")[1], ChangeContext("test")))
            assert [(await client.get("/logs")).status_code for client in clients] == [401, 401]


async def test_anonymous_reading_does_not_allow_writing(database_url):
    async with opened(database_url, anonymous="read", open=True) as site:
        await site.add_users()
        client = site.anonymous()
        assert (await client.get("/me")).json()["scope"] == "read"
        for path in ("/logs", "/machines", "/logs.ndjson", "/users", "/logs/facets?by=type"):
            assert (await client.get(path)).status_code == 200
        for method, path in (("POST", "/logs"), ("PUT", "/machines/x"), ("GET", "/tokens"), ("DELETE", "/session")):
            assert (await client.request(method, path)).status_code == 401
        for headers in ({"Authorization": "Bearer bad"}, {"Cookie": "mm_session=bad"}):
            assert (await client.get("/logs", headers=headers)).status_code == 401
        assert (await client.get("/logs", headers={"Cookie": "other=1"})).status_code == 200


async def test_an_admin_is_needed_until_one_has_a_password(database_url):
    async with opened(database_url) as site:
        await site.add("ABC", role="admin")
        await site.token("ABC")
        assert await site.write(invitations.invite_first) is not None
        await site.set_password("ABC")
        assert await site.write(invitations.invite_first) is None
