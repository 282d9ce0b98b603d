"""The list of one's own sessions, and ending them one by one."""

import pytest

from api.access.site import PASSWORD
from machine_monitor.services.accounts import sessions, user_agents

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
SIGN_IN = {"trigram": "ADM", "password": PASSWORD}


async def listed(client):
    response = await client.get("/me/sessions")
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def test_a_user_sees_their_sessions_and_ends_one(site, clock):
    desk, phone = await site.by_session("ADM"), site.anonymous()
    clock.advance(minutes=2)
    response = await phone.post("/session", json=SIGN_IN, headers={"User-Agent": FIREFOX})
    phone.headers["X-CSRF-Token"] = response.json()["csrf_token"]
    first, second = await listed(phone)
    assert first.keys() == {"id", "created_at", "last_used_at", "expires_at", "browser", "device", "current"}
    assert (first["browser"], first["device"], first["current"]) == ("Firefox", "Windows", True)
    assert (second["device"], second["current"]) == (None, False)
    assert first["expires_at"] > first["last_used_at"] >= first["created_at"] > second["created_at"]
    assert (await phone.delete(f"/me/sessions/{second['id']}")).status_code == 204
    assert (await desk.get("/me")).status_code == 401
    assert [session["id"] for session in await listed(phone)] == [first["id"]]
    gone = await phone.delete(f"/me/sessions/{second['id']}")
    assert (gone.status_code, "Clear-Site-Data" in gone.headers) == (404, False)
    own = await phone.delete(f"/me/sessions/{first['id']}")
    assert (own.status_code, own.headers["Clear-Site-Data"]) == (204, '"cache"')
    assert "Max-Age=0" in own.headers["Set-Cookie"]
    assert (await phone.get("/me")).status_code == 401


async def test_sessions_of_others_are_neither_shown_nor_ended(site):
    await site.set_password("LEA")
    admin, lead = await site.by_session("ADM"), await site.by_session("LEA")
    (own,) = await listed(admin)
    (other,) = await listed(lead)
    assert (await admin.delete(f"/me/sessions/{other['id']}")).status_code == 404
    for key in ("none", "0", "%00", "x" * 300):
        assert (await admin.delete(f"/me/sessions/{key}")).status_code == 404
    assert await listed(lead) == [other]
    # A token of the user sees the same list, in which no session is its own.
    assert await listed(await site.by_token("ADM")) == [own | {"current": False}]
    assert (await admin.get("/me/sessions?limit=1")).status_code == 422


async def test_signing_in_again_ends_the_former_session_of_the_browser(site):
    client = await site.by_session("ADM")
    former = {"Cookie": f"mm_session={client.cookies['mm_session']}"}
    assert (await client.post("/session", json=SIGN_IN | {"password": "wrong"})).status_code == 401
    assert (await client.get("/me")).status_code == 200
    assert (await client.post("/session", json=SIGN_IN)).status_code == 200
    assert (await site.anonymous().get("/me", headers=former)).status_code == 401
    assert len(await listed(client)) == 1


async def test_expired_sessions_are_removed_and_the_number_is_bounded(site, clock, monkeypatch):
    await site.by_session("ADM")
    clock.advance(minutes=31)
    client = await site.by_session("ADM")
    assert len(await listed(client)) == 1
    assert await count(site) == 1
    monkeypatch.setattr(sessions, "MAX_PER_USER", 3)
    for _ in range(5):
        clock.advance(seconds=1)
        client = await site.by_session("ADM")
    assert len(await listed(client)) == 3


async def count(site):
    return await site.write(lambda tx: tx.cursor.execute("SELECT count(*) FROM sessions").fetchone()[0])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (FIREFOX, ("Firefox", "Windows")),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537",
            ("Chrome", "Android"),
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537 Edg/142.0",
            ("Edge", "Windows"),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605 Version/18.6 Safari/604.1",
            ("Safari", "iPhone"),
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Gecko/1 Firefox/1", ("Firefox", "Mac")),
        ("Mozilla/5.0 (unheard of)", (None, None)),
        ("curl/8.14.1", ("curl", None)),
        ("", (None, None)),
        ("<script>alert(1)</script>", (None, None)),
    ],
)
def test_the_browser_and_the_device_are_named(header, expected):
    assert user_agents.parse(header) == expected
