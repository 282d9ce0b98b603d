"""API tokens: creation, listing, use and revocation. Their secret is shown only once."""

import asyncio
import json
import re

import pytest

from api.access.site import PASSWORD, SCOPES
from machine_monitor.database import database_urls
from machine_monitor.database.connect import Database
from machine_monitor.services.accounts import invitations, tokens

BODY = {"name": "Étiquettes", "scope": "read"}


async def make(client, status=201, **more):
    response = await client.post("/tokens", json=BODY | more)
    assert response.status_code == status, response.text
    return response.json()


async def test_a_token_is_shown_once_and_then_without_its_text(site):
    client = await site.by_token("OPE", "write")
    response = await client.post("/tokens", json=BODY)
    token = response.json()
    assert list(token) == ["id", "name", "user", "scope", "created_at", "expires_at", "last_used_at", "token"]
    assert re.fullmatch(rf"mm_{token['id']}_[A-Za-z0-9_-]{{43}}", token["token"])
    assert response.headers["Location"] == f"/tokens/{token['id']}"
    assert response.headers["Cache-Control"] == "no-store"
    shown = (await client.get(response.headers["Location"])).json()
    assert shown == {name: value for name, value in token.items() if name != "token"}
    assert shown in (await client.get("/tokens")).json()["items"]
    assert (await site.with_token(token["token"]).get("/me")).json() == {
        "user": (await client.get("/users/OPE")).json(),
        "scope": "read",
        "via": "token",
        "csrf_token": None,
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "scope": "read"},
        {"name": "x" * 201, "scope": "read"},
        BODY | {"scope": "all"},
        BODY | {"days": 0},
        BODY | {"days": 3_651},
        BODY | {"days": "90"},
        BODY | {"id": 1},
        BODY | {"user": "nobody"},
        BODY | {"user": "OFF"},
    ],
)
async def test_an_invalid_token_request_is_refused(site, body):
    await site.add("OFF", active=False)
    assert (await (await site.by_token("ADM")).post("/tokens", json=body)).status_code == 422


async def test_a_token_expires_and_ends_with_its_user(site, clock):
    admin = await site.by_token("ADM")
    one, two = [site.with_token((await make(admin, user="LEA", days=days))["token"]) for days in (1, 2)]
    clock.advance(hours=25)
    assert [(await client.get("/me")).status_code for client in (one, two)] == [401, 200]
    await admin.patch("/users/LEA", json={"active": False})
    assert (await two.get("/me")).status_code == 401


async def test_a_credential_cannot_create_a_token_of_a_wider_scope(site):
    for scope in SCOPES[1:]:
        client = await site.by_token("ADM", scope)
        for requested in SCOPES:
            fits = SCOPES.index(requested) <= SCOPES.index(scope)
            body = await make(client, 201 if fits else 403, scope=requested)
            assert fits or body["errors"][0]["pointer"] == "/scope"
    # A session has the full rights of its user.
    await make(await site.by_session("ADM"), scope="admin")


async def test_a_token_that_is_made_with_a_token_expires_no_later(site):
    short = site.with_token(await site.token("ADM", days=2))
    (own,) = (await short.get("/tokens")).json()["items"]
    for user in (None, "LEA"):
        made = await make(short, days=3_650, user=user)
        assert made["expires_at"] == own["expires_at"]
        made_with_it = await make(site.with_token((await make(short, scope="write"))["token"]), days=90)
        assert made_with_it["expires_at"] == own["expires_at"]
    assert (await make(short, days=1))["expires_at"] < own["expires_at"]
    assert (await make(await site.by_session("ADM"), days=90))["expires_at"] > own["expires_at"]


async def test_the_number_of_valid_tokens_of_a_user_is_bounded(site, clock, monkeypatch):
    monkeypatch.setattr(tokens, "MAX_PER_USER", 3)
    admin = await site.by_token("ADM")
    for _ in range(2):
        await make(admin, days=1)
    assert (await make(admin, 409))["code"] == "conflict"
    await make(admin, user="LEA")
    clock.advance(hours=25)
    await make(admin)


async def test_users_manage_their_own_tokens_and_admins_all(site):
    admin, narrow = await site.by_token("ADM"), await site.by_token("ADM", "write")
    lead = await site.by_token("LEA", "write")
    for client in (lead, narrow):
        refused = await make(client, 403, user="OPE")
        assert refused["errors"][0]["pointer"] == "/user"
    foreign, own = (await make(admin, user="OPE"))["id"], (await make(lead, user="LEA"))["id"]
    listed = {name: (await client.get("/tokens")).json()["items"] for name, client in (("LEA", lead), ("all", admin))}
    assert {token["user"] for token in listed["LEA"]} == {"LEA"}
    assert {token["user"] for token in listed["all"]} == {"ADM", "LEA", "OPE"}
    assert [token["id"] for token in listed["all"]] == sorted(token["id"] for token in listed["all"])
    assert {token["user"] for token in (await narrow.get("/tokens")).json()["items"]} == {"ADM"}
    for client in (lead, narrow):
        assert (await client.get(f"/tokens/{foreign}")).status_code == 404
        assert (await client.delete(f"/tokens/{foreign}")).status_code == 404
    assert (await lead.delete(f"/tokens/{own}")).status_code == 204
    assert (await admin.delete(f"/tokens/{foreign}")).status_code == 204
    for key in (own, foreign, "abc", "0", "9" * 30, "%00", "1.0"):
        assert (await admin.get(f"/tokens/{key}")).status_code == 404
        assert (await admin.delete(f"/tokens/{key}")).status_code == 404


async def test_a_revoked_token_stops_working_at_once(site):
    client = await site.by_token("OPE", "write")
    (own,) = (await client.get("/tokens")).json()["items"]
    assert (await client.delete(f"/tokens/{own['id']}")).status_code == 204
    assert (await client.get("/me")).status_code == 401


async def test_the_list_of_tokens_supports_the_query_language(site):
    admin = await site.by_token("ADM")
    for number in range(5):
        await make(admin, name=f"Nr {number}", scope=SCOPES[number % 3], user="LEA" if number % 2 else None)

    async def names(query):
        response = await admin.get(f"/tokens?{query}")
        assert response.status_code == 200, response.text
        return [token["name"] for token in response.json()["items"]]

    assert await names("name__startswith=NR&scope__gte=write&sort=-name") == ["Nr 4", "Nr 2", "Nr 1"]
    assert await names("user=LEA") == ["Nr 1", "Nr 3"]
    assert await names("user.role=lead&last_used_at__isnull=true") == ["Nr 1", "Nr 3"]
    first = (await admin.get("/tokens?name__contains=nr&limit=2&count=exact")).json()
    assert first["total"] == 5
    assert await names(f"name__contains=nr&limit=2&cursor={first['next']}") == ["Nr 2", "Nr 3"]
    shown = (await admin.get("/tokens?fields=id,user&expand=user&user=LEA&limit=1")).json()["items"][0]
    assert (shown.keys(), shown["expanded"]["user"]["role"]) == ({"id", "user", "expanded"}, "lead")
    for query in ("digest=x", "token=x", "q=x", "sort=digest", "fields=digest", "user.password=x"):
        assert (await admin.get(f"/tokens?{query}")).status_code == 422


async def test_the_last_use_of_a_token_is_recorded_once_a_minute(site, clock):
    token = await make(await site.by_token("LEA", "write"))
    client, admin = site.with_token(token["token"]), await site.by_token("ADM")

    async def last_used_at():
        await site.app.state.authenticator.close()
        return (await admin.get(f"/tokens/{token['id']}")).json()["last_used_at"]

    assert await last_used_at() is None
    await asyncio.gather(*[client.get("/me") for _ in range(5)])
    first = await last_used_at()
    assert first is not None
    clock.advance(seconds=30)
    await client.get("/me")
    assert await last_used_at() == first
    clock.advance(seconds=31)
    await client.get("/me")
    assert await last_used_at() > first


async def test_failing_to_record_the_last_use_does_not_fail_requests(site, monkeypatch, caplog):
    client = await site.by_token("LEA")

    async def fail(*_):
        raise OSError("secret-reason")

    monkeypatch.setattr(Database, "write", fail)
    assert [(await client.get("/me")).status_code for _ in range(3)] == [200] * 3
    await site.app.state.authenticator.close()
    assert "cannot update the last use of a credential: OSError" in caplog.text
    assert "secret-reason" not in caplog.text


async def database_content(site) -> str:
    """Return the whole content of the database as text: the SQLite file, or all rows of PostgreSQL."""
    parsed_url = database_urls.parse(site.app.state.settings.database_url)
    if parsed_url.engine.name == "sqlite":
        return "".join(path.read_bytes().decode("latin-1") for path in parsed_url.path.parent.glob("test.db*"))
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    tables = [row[0] for row in await site.write(lambda tx: tx.cursor.execute(query).fetchall())]
    return "".join(
        [
            str(await site.write(lambda tx, table=table: tx.cursor.execute(f"SELECT * FROM {table}").fetchall()))
            for table in tables
        ]
    )


async def test_a_secret_appears_only_in_the_response_that_creates_it(site, caplog):
    caplog.set_level(0)
    admin = await site.by_token("ADM")
    token = (await make(admin, user="OPE"))["token"]
    invitation = (await admin.post("/users/LEA/invitation")).json()["url"].partition("=")[2]
    setup = (await site.write(lambda tx: invitations._issue(tx, None, invitations.FIRST_ADMIN_LIFETIME))).code
    session = await site.by_session("ADM")
    cookie, csrf = session.cookies["mm_session"], session.headers["X-CSRF-Token"]
    secrets = [token, token.split("_", 2)[2], invitation, setup, cookie, PASSWORD]
    used = site.with_token(token)
    responses = [
        await used.get("/me"),
        await used.get("/users"),
        await used.get("/tokens"),
        await used.post("/tokens", json={}),
        await used.patch("/users/OPE", json={}),
        await admin.get("/users"),
        await admin.get("/users?expand=x"),
        await admin.get("/tokens"),
        await session.put("/me/password", json={"current": "x", "new": PASSWORD}),
        await session.post("/session", json={"trigram": "ADM", "password": PASSWORD, "x": 1}),
        await session.post("/setup", json={"code": setup, "password": PASSWORD}),
        await session.post("/setup", json={"code": f"{setup}x", "password": PASSWORD}),
        await session.get("/problems/unauthenticated", headers={"Authorization": f"Bearer {token}"}),
    ]
    await site.app.state.authenticator.close()
    contents = "".join(response.text + str(response.headers) for response in responses)
    content = await database_content(site)
    assert "argon2id" in content
    for secret in secrets:
        assert secret not in content
        assert secret not in contents
        assert secret not in caplog.text
    assert csrf not in content
    assert json.loads(responses[0].text)["via"] == "token"
