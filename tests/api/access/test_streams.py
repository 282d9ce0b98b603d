"""Streams and their credentials: a stream ends with its credential, and nobody has too many of them."""

import asyncio

import pytest

from api.access.site import opened
from api.paced_client import PacedClient
from conftest import ENGINES
from machine_monitor.api.serving import stream_limits
from machine_monitor.services.audit import live_feed


@pytest.fixture
def quick_polls(monkeypatch):
    monkeypatch.setattr(live_feed, "POLL_SECONDS", 0.01)


@pytest.fixture
def quick_checks(monkeypatch):
    monkeypatch.setattr(live_feed, "KEEPALIVE_SECONDS", 0.05)


async def open_stream(site, headers, address="10.0.0.1"):
    """Open a stream, and take its start and greeting."""
    stream = PacedClient(site.app, "/events", address=address, **headers)
    start, greeting = await stream.take(2)
    assert (start["status"], greeting["body"][:9]) == (200, b": changes"), greeting
    return stream


async def refused(site, headers, address="10.0.0.1"):
    """Return the response of a stream that is refused, or None if it opens."""
    stream = PacedClient(site.app, "/events", address=address, **headers)
    start, _ = await stream.take(2)
    if start["status"] == 200:
        await stream.leave()
        return None
    await stream.task
    return start


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def cookie(client):
    return {"cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


async def revoke_token(admin, _client):
    number = (await admin.get("/tokens", params={"user": "VIE"})).json()["items"][-1]["id"]
    assert (await admin.delete(f"/tokens/{number}")).status_code == 204


async def switch_off(admin, _client):
    assert (await admin.patch("/users/VIE", json={"active": False})).status_code == 200


async def change_role(admin, _client):
    assert (await admin.patch("/users/VIE", json={"role": "operator"})).status_code == 200


async def delete_user(admin, _client):
    assert (await admin.delete("/users/VIE")).status_code == 204


async def sign_out(_admin, client):
    assert (await client.delete("/session")).status_code == 204


ENDS_OF_TOKENS = (revoke_token, switch_off, delete_user, change_role)
ENDS = [
    *(("token", end) for end in ENDS_OF_TOKENS),
    *(("session", end) for end in (switch_off, delete_user, change_role, sign_out)),
]


@pytest.mark.usefixtures("quick_polls")
@pytest.mark.parametrize(("kind", "end"), ENDS, ids=[f"{kind}-{end.__name__}" for kind, end in ENDS])
async def test_a_stream_sends_nothing_after_its_credential_has_ended(site, kind, end):
    admin, client = await site.by_token("ADM"), None
    if kind == "token":
        headers = bearer(await site.token("VIE", "read"))
    else:
        await site.set_password("VIE")
        client = await site.by_session("VIE")
        headers = cookie(client)
    ended, other = await open_stream(site, headers), await open_stream(site, bearer(await site.token("OPE", "read")))
    await end(admin, client)
    await admin.put("/machines/Press", json={})
    # Each end but a revocation or a sign-out is a change itself. The stream may not send even that.
    rest, is_whole = await asyncio.wait_for(ended.rest(), 5)
    assert (rest, is_whole) == (b"", True)
    received = b""
    while b'"key":"Press"' not in received:
        received += (await other.take())[0]["body"]
    await other.leave()


@pytest.mark.usefixtures("quick_polls", "quick_checks")
async def test_a_quiet_stream_ends_when_its_token_runs_out(site, clock):
    stream = await open_stream(site, bearer(await site.token("VIE", "read", days=1)))
    assert (await stream.take())[0]["body"].startswith(b":")
    clock.advance(days=1, seconds=1)
    assert await asyncio.wait_for(stream.rest(), 5)
    assert stream.task.done()


@pytest.mark.usefixtures("quick_polls", "quick_checks")
async def test_an_open_stream_does_not_keep_its_session_alive(site, clock):
    client = await site.by_session("ADM")
    stream = await open_stream(site, cookie(client))
    clock.advance(minutes=20)
    for _ in range(3):
        await stream.take()
    clock.advance(minutes=11)
    await asyncio.wait_for(stream.rest(), 5)
    assert (await client.get("/me")).status_code == 401


@pytest.mark.usefixtures("quick_polls", "quick_checks")
async def test_an_anonymous_stream_of_an_open_service_ends_with_the_first_account(database_url):
    async with opened(database_url, open=True) as site:
        stream = await open_stream(site, {})
        await site.add("ADM", role="admin")
        await site.set_password("ADM")
        await asyncio.wait_for(stream.rest(), 5)


def test_a_quiet_stream_ends_within_15_seconds():
    assert live_feed.KEEPALIVE_SECONDS < 15


async def test_a_credential_has_few_streams(site):
    one, two = bearer(await site.token("VIE", "read")), bearer(await site.token("VIE", "read"))
    streams = [await open_stream(site, one) for _ in range(8)]
    response = await refused(site, one)
    headers = dict(response["headers"])
    assert (response["status"], headers[b"retry-after"], headers[b"connection"]) == (429, b"15", b"close")
    assert await refused(site, two) is None
    await streams.pop().leave()
    assert await refused(site, one) is None
    for stream in streams:
        await stream.leave()


async def test_a_user_has_a_limit_over_all_credentials(site, monkeypatch):
    assert stream_limits.MAX_PER_USER == 32
    monkeypatch.setattr(stream_limits, "MAX_PER_USER", 3)
    await site.set_password("VIE")
    session = cookie(await site.by_session("VIE"))
    streams = [await open_stream(site, bearer(await site.token("VIE", "read"))) for _ in range(3)]
    assert (await refused(site, session))["status"] == 429
    assert await refused(site, bearer(await site.token("OPE", "read"))) is None
    await streams.pop().leave()
    assert await refused(site, session) is None
    for stream in streams:
        await stream.leave()


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_anonymous_address_has_few_streams(new_database_url, engine):
    async with opened(new_database_url(engine), anonymous="read") as site:
        streams = [await open_stream(site, {}, "2001:db8::1") for _ in range(8)]
        # A client usually has a whole /64 of addresses.
        assert (await refused(site, {}, "2001:db8::2"))["status"] == 429
        assert await refused(site, {}, "2001:db8:0:1::1") is None
        for address in ("::ffff:192.0.2.1", "::ffff:192.0.2.2"):
            streams += [await open_stream(site, {}, address) for _ in range(8)]
            assert (await refused(site, {}, address))["status"] == 429
        for stream in streams:
            await stream.leave()


async def test_a_process_has_a_limit_and_forgets_streams_that_ended(site, monkeypatch):
    assert stream_limits.MAX_PER_PROCESS == 200
    monkeypatch.setattr(stream_limits, "MAX_PER_PROCESS", 2)
    streams = [await open_stream(site, bearer(await site.token(user, "read"))) for user in ("VIE", "OPE")]
    other = bearer(await site.token("LEA", "read"))
    assert (await refused(site, other))["status"] == 429
    for stream in streams:
        await stream.leave()
    assert not site.app.state.open_streams._counts
    assert await refused(site, other) is None


async def test_a_refused_stream_takes_no_place(site):
    headers = bearer(await site.token("VIE", "read"))
    for _ in range(20):
        stream = PacedClient(site.app, "/events?since=9999", **headers)
        start, _ = await stream.take(2)
        assert start["status"] == 410
    assert await refused(site, headers) is None
