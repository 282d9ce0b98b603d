"""Sessions of the console: cookies, expiry, CSRF protection, and the responses to failed sign-ins."""

import re

import pytest

from api.access.site import PASSWORD, opened
from machine_monitor.services.accounts import rate_limit

SIGN_IN = {"trigram": "ADM", "password": PASSWORD}
WRITE = ("PUT", "/machines/Saw")


async def me_status(client):
    return (await client.get("/me")).status_code


@pytest.mark.parametrize(
    ("scheme", "name", "flags"),
    [
        ("http", "mm_session", {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"}),
        ("https", "__Host-mm_session", {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200", "Secure"}),
    ],
)
async def test_the_cookie_is_for_this_host_and_no_script(site, scheme, name, flags):
    client = site.anonymous(scheme)
    response = await client.post("/session", json=SIGN_IN | {"trigram": "adm"})
    assert response.json().keys() == {"user", "csrf_token"}
    assert response.json()["user"]["trigram"] == "ADM"
    assert response.headers["Cache-Control"] == "no-store"
    session, device = response.headers.get_list("Set-Cookie")
    cookie, *attributes = session.split("; ")
    assert re.fullmatch(name + "=[A-Za-z0-9_-]{43}", cookie)
    assert set(attributes) == flags
    device_cookie, *attributes = device.split("; ")
    assert re.fullmatch(name.replace("session", "device") + "=[A-Za-z0-9_-]{43}", device_cookie)
    assert set(attributes) == flags - {"Max-Age=43200"} | {"Max-Age=7776000"}
    assert await me_status(client) == 200
    client.headers["X-CSRF-Token"] = response.json()["csrf_token"]
    ended = await client.delete("/session")
    assert (ended.status_code, "Max-Age=0" in ended.headers["Set-Cookie"]) == (204, True)
    assert ended.headers["Clear-Site-Data"] == '"cache"'
    assert await me_status(client) == 401
    # The cookie is no longer valid on the server, either.
    assert (await site.anonymous(scheme).get("/me", headers={"Cookie": cookie})).status_code == 401


async def test_a_cookie_of_the_other_scheme_is_ignored(site):
    cookie = (await site.anonymous().post("/session", json=SIGN_IN)).headers["Set-Cookie"].split(";")[0]
    assert (await site.anonymous("https").get("/me", headers={"Cookie": cookie})).status_code == 401
    assert (await site.anonymous().get("/me", headers={"Cookie": f"{cookie}x"})).status_code == 401
    # Browsers send the cookie of the longest path first: the second is that of another console on this host.
    for others in (f"other=1; {cookie}", f"{cookie}; mm_session=other"):
        assert (await site.anonymous().get("/me", headers={"Cookie": others})).status_code == 200


async def test_a_write_with_a_cookie_requires_the_csrf_token(site):
    client, other = await site.by_session("ADM"), await site.by_session("ADM")
    good = client.headers.pop("X-CSRF-Token")
    assert (await client.get("/me")).json()["csrf_token"] == good
    for given in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "é".encode()}, {"X-CSRF-Token": good[:-1]}):
        response = await client.request(*WRITE, json={}, headers=given)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    response = await client.request(*WRITE, json={}, headers={"X-CSRF-Token": other.headers["X-CSRF-Token"]})
    assert response.status_code == 403
    assert (await client.delete("/session")).status_code == 403
    assert (await client.request(*WRITE, json={}, headers={"X-CSRF-Token": good})).status_code == 201
    # A bearer token needs no CSRF token: browsers never attach it by themselves.
    assert (await (await site.by_token("ADM")).request(*WRITE, json={})).status_code == 200


CROSS_SITE_HEADERS = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://machine-monitor.evil.example"},
    {"Origin": "http://machine-monitor@evil.example"},
    {"Origin": "http://machine-monitor:81"},
    {"Origin": "https://machine-monitor:80"},
    {"Origin": "https://console.example:444"},
    {"Origin": "http://["},
    {"Origin": "http://machine-monitor:x"},
    {"Origin": "null", "Referer": "http://machine-monitor/ui/"},
    {"Referer": "https://evil.example/http://machine-monitor"},
    {"Referer": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "unknown"},
    {"Origin": "http://machine-monitor", "Sec-Fetch-Site": "cross-site"},
]
SAME_SITE_HEADERS = [
    {"Origin": "http://machine-monitor"},
    {"Origin": "http://machine-monitor:80"},
    {"Origin": "HTTP://Machine-Monitor"},
    # A proxy with TLS that does not send X-Forwarded-Proto.
    {"Origin": "https://machine-monitor"},
    {"Origin": "https://machine-monitor", "Host": "machine-monitor:443"},
    {"Origin": "http://127.0.0.1:8823", "Host": "127.0.0.1:8823"},
    {"Origin": "http://[::1]:8823", "Host": "[::1]:8823"},
    {"Origin": "https://console.example"},
    {"Origin": "https://console.example:443", "Sec-Fetch-Site": "cross-site"},
    {"Referer": "http://machine-monitor/ui/"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    # The proxy changes the host name, but the browser knows.
    {
        "Sec-Fetch-Site": "same-origin",
        "Origin": "https://machines.example.com",
        "Referer": "https://machines.example.com/",
    },
    {},
]


async def test_a_page_of_another_site_cannot_write_with_the_cookie(database_url):
    async with opened(database_url, cors_origins="https://console.example") as site:
        await site.add_users()
        client = await site.by_session("ADM")
        for headers in CROSS_SITE_HEADERS:
            for method, path in (WRITE, ("DELETE", "/session"), ("POST", "/session"), ("POST", "/setup")):
                body = {} if method == "DELETE" else {"json": SIGN_IN}
                response = await client.request(method, path, headers=headers, **body)
                assert (response.status_code, response.json()["code"]) == (403, "cross-site"), (headers, path)
                assert "FORWARDED_ALLOW_IPS" in response.json()["detail"]
            assert (await client.get("/me", headers=headers)).status_code == 200
        for headers in SAME_SITE_HEADERS:
            assert (await client.request(*WRITE, json={}, headers=headers)).status_code < 300, headers
        for headers in SAME_SITE_HEADERS[-3:]:
            assert (await client.post("/session", json=SIGN_IN, headers=headers)).status_code == 200, headers


# Headers of a request with `Host: 127.0.0.1:8000`, and whether they are of a page of this service if a proxy that is
# trusted, or one that is not, sent them.
FORWARDED_HEADERS = [
    ({"X-Forwarded-Host": "plant.example", "Origin": "http://plant.example"}, True, False),
    ({"X-Forwarded-Host": "plant.example:8443", "Origin": "https://plant.example:8443"}, True, False),
    ({"X-Forwarded-Host": "plant.example, inner", "Origin": "http://plant.example"}, True, False),
    ({"X-Forwarded-Proto": "https", "Origin": "http://127.0.0.1:8000"}, True, True),
    (
        {"X-Forwarded-Host": "plant.example", "X-Forwarded-Proto": "https", "Origin": "https://plant.example"},
        True,
        False,
    ),
    ({"X-Forwarded-Host": "plant.example", "X-Forwarded-Proto": "wss", "Origin": "http://plant.example"}, False, False),
    ({"X-Forwarded-Host": "plant.example", "Origin": "http://plant.example:81"}, False, False),
    ({"X-Forwarded-Host": "plant.example", "Origin": "http://127.0.0.1:8000"}, True, True),
    ({"X-Forwarded-Host": "<plant>", "Origin": "http://<plant>"}, False, False),
]


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_only_a_trusted_proxy_can_name_another_host(sqlite_database_url, monkeypatch, is_trusted):
    # The address of the test's client.
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.0/24, 127.0.0.1" if is_trusted else "192.0.2.0/24")
    async with opened(sqlite_database_url) as site:
        await site.add_users()
        for headers, by_trusted, by_other in FORWARDED_HEADERS:
            client = site.anonymous()
            response = await client.post("/session", json=SIGN_IN, headers={"Host": "127.0.0.1:8000", **headers})
            expected = by_trusted if is_trusted else by_other
            assert (response.status_code == 200, "Secure" in response.headers.get("Set-Cookie", "")) == (
                expected,
                expected and is_trusted and "X-Forwarded-Proto" in headers,
            ), headers
        admin = await site.by_token("ADM")
        headers = {"Host": "127.0.0.1:8000", "X-Forwarded-Host": "plant.example", "X-Forwarded-Proto": "https"}
        link = (await admin.post("/users/LEA/invitation", headers=headers)).json()["url"]
        expected = "https://plant.example" if is_trusted else "http://127.0.0.1:8000"
        assert link.startswith(f"{expected}/ui/setup#code=")


async def test_only_allowed_cors_origins_may_send_cookies(sqlite_database_url):
    for origins, allowed in (("https://console.example", "true"), ("*", None)):
        async with opened(sqlite_database_url, cors_origins=origins) as site:
            response = await site.anonymous().get("/healthz", headers={"Origin": "https://console.example"})
            assert response.headers.get("Access-Control-Allow-Credentials") == allowed


async def test_a_session_expires_after_half_an_hour_without_requests(site, clock):
    client = await site.by_session("ADM")
    for _ in range(3):
        clock.advance(minutes=29)
        assert await me_status(client) == 200
        await site.app.state.authenticator.close()
    clock.advance(minutes=31)
    assert await me_status(client) == 401


async def test_a_session_expires_after_twelve_hours_even_if_used(site, clock):
    client = await site.by_session("ADM")
    for _ in range(12 * 3 - 1):
        clock.advance(minutes=20)
        assert await me_status(client) == 200
        await site.app.state.authenticator.close()
    clock.advance(minutes=21)
    assert await me_status(client) == 401


async def test_the_use_of_a_session_is_recorded_once_a_minute(site, clock, monkeypatch):
    writes, write = [], site.database.write
    client = await site.by_session("ADM")

    async def record_write(unit):
        writes.append(unit)
        return await write(unit)

    monkeypatch.setattr(site.database, "write", record_write)
    for _ in range(5):
        await me_status(client)
    assert len(writes) == 0
    clock.advance(seconds=61)
    for _ in range(5):
        await me_status(client)
        await site.app.state.authenticator.close()
    assert len(writes) == 1


async def change_password(client, current=PASSWORD, new="un autre long secret"):
    return await client.put("/me/password", json={"current": current, "new": new})


async def test_changing_a_password_requires_the_current_one_and_ends_all_sessions(site):
    client, other = await site.by_session("ADM"), await site.by_session("ADM")
    token = await site.by_token("ADM")
    wrong = await change_password(client, "not this one here")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/current")
    short = await change_password(client, new="short")
    assert (short.status_code, short.json()["errors"][0]["pointer"]) == (422, "/new")
    assert await me_status(other) == 200
    assert (await change_password(client)).status_code == 204
    assert [await me_status(one) for one in (client, other, token)] == [401, 401, 200]
    assert (await site.anonymous().post("/session", json=SIGN_IN)).status_code == 401
    response = await site.anonymous().post("/session", json=SIGN_IN | {"password": "un autre long secret"})
    assert response.status_code == 200
    assert (await change_password(await site.by_token("VIE"))).status_code == 422


@pytest.mark.parametrize(
    ("change", "status"), [({"role": "operator"}, 401), ({"active": False}, 401), ({"last_name": "X"}, 200)]
)
async def test_changing_role_or_active_ends_the_sessions_of_a_user(site, change, status):
    await site.set_password("LEA")
    client, token = await site.by_session("LEA"), await site.by_token("LEA")
    await (await site.by_token("ADM")).patch("/users/LEA", json=change)
    assert await me_status(client) == status
    assert await me_status(token) == (401 if "active" in change else 200)
    if "role" in change:
        assert (await token.get("/me")).json()["user"]["role"] == "operator"
        assert (await token.patch("/machines/none", json={})).status_code == 403


WRONG = [
    {"trigram": "ADM", "password": "not the password"},
    {"trigram": "none", "password": PASSWORD},
    {"trigram": "no such user, at all", "password": PASSWORD},
    {"trigram": "VIE", "password": PASSWORD},
    {"trigram": "LEA", "password": PASSWORD},
]


async def test_every_failed_sign_in_gets_the_same_response(site, monkeypatch):
    await site.set_password("LEA")
    await (await site.by_token("ADM")).patch("/users/LEA", json={"active": False})
    verified = []
    register = rate_limit.register
    monkeypatch.setattr(rate_limit, "register", lambda *given: verified.append(given) or register(*given))
    responses = [await site.anonymous().post("/session", json=body) for body in WRONG]
    bodies = [{**response.json(), "request_id": None} for response in responses]
    assert [response.status_code for response in responses] == [401] * len(WRONG)
    assert bodies == [bodies[0]] * len(WRONG)
    assert len(verified) == len(WRONG)
    assert {response.headers.get("Set-Cookie") for response in responses} == {None}


async def test_each_failed_sign_in_computes_one_hash(site, monkeypatch):
    from machine_monitor.services.accounts import passwords  # noqa: PLC0415 -- only this test patches it

    hashed, verify = [], passwords._HASHER.verify
    monkeypatch.setattr(passwords._HASHER, "verify", lambda *given: hashed.append(given) or verify(*given))
    for body in WRONG:
        await site.anonymous().post("/session", json=body)
    assert len(hashed) == len(WRONG)
