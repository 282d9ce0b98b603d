"""A clock that jumps ten years ahead, and back again, lets nobody in and locks nobody out."""

from datetime import datetime, timedelta

import pytest

from api.access.site import PASSWORD, opened
from machine_monitor.config import Settings
from machine_monitor.database import instants
from machine_monitor.services.accounts import invitations, rate_limit, tokens
from machine_monitor.services.checks import health

AHEAD = {"days": 3_653}
BACK = {"days": -3_653}


async def status(client):
    return (await client.get("/me")).status_code


async def sign_in(site, password=PASSWORD):
    return await site.anonymous().post("/session", json={"trigram": "ADM", "password": password})


async def invite(admin, trigram):
    url = (await admin.post(f"/users/{trigram}/invitation")).json()["url"]
    return {"code": url.partition("#code=")[2], "password": PASSWORD}


@pytest.mark.proof("the clock of the server jumps ten years ahead and back")
async def test_a_clock_that_was_ahead_lets_nobody_in_and_locks_nobody_out(site, clock, record_counts):
    admin, session = await site.by_token("ADM"), await site.by_session("ADM")
    before = await invite(admin, "OPE")
    clock.advance(**AHEAD)
    assert [await status(client) for client in (admin, session)] == [401, 401]
    for _ in range(rate_limit.MAX_PER_ACCOUNT + 1):
        failed = await sign_in(site, "not the password")
    assert failed.status_code == 429
    # Credentials that are made now, by a command, are valid until the clock is right again.
    await site.set_password("LEA")
    late = [await site.by_token("ADM"), await site.by_session("LEA")]
    invited = await invite(late[0], "VIE")
    assert [await status(client) for client in late] == [200, 200]
    clock.advance(**BACK)
    assert [await status(client) for client in late] == [401, 401]
    assert (await site.anonymous().post("/setup", json=invited)).status_code == 410
    assert [await status(client) for client in (admin, session)] == [200, 200]
    assert (await site.anonymous().post("/setup", json=before)).status_code == 200
    assert (await sign_in(site)).status_code == 200
    record_counts(1, let_in=0, locked_out=0)


async def test_a_session_that_was_used_while_the_clock_was_ahead_ends(site, clock):
    session = await site.by_session("ADM")
    clock.advance(minutes=20)
    assert await status(session) == 200
    await site.app.state.authenticator.close()
    clock.advance(minutes=-20)
    assert await status(session) == 401


async def test_operators_cannot_edit_a_log_of_the_future_for_years(site, clock):
    await (await site.by_token("SUP")).put("/machines/Saw", json={})
    clock.advance(**AHEAD)
    log = (await (await site.by_token("OPE")).post("/logs", json={"machine": "Saw", "type": "info"})).json()
    clock.advance(**BACK)
    edit = {"comment": "years later"}
    operator = await site.by_token("OPE")
    assert (await operator.patch(f"/logs/{log['uuid']}", json=edit)).status_code == 403
    assert (await (await site.by_token("SUP")).patch(f"/logs/{log['uuid']}", json=edit)).status_code == 200


async def test_the_link_for_the_first_admin_is_not_valid_for_longer_than_15_minutes(empty_site, clock):
    clock.advance(hours=1)
    code = (await empty_site.write(invitations.invite_first)).code
    clock.advance(hours=-1)
    body = {"code": code, "password": PASSWORD, "trigram": "BOS"}
    assert (await empty_site.anonymous().post("/setup", json=body)).status_code == 410


async def test_expired_tokens_are_removed_when_the_next_one_is_created(site, clock):
    admin = await site.by_token("ADM")
    for days in (1, 2):
        await admin.post("/tokens", json={"name": f"for {days}", "scope": "read", "days": days})
    clock.advance(hours=30)
    await admin.post("/tokens", json={"name": "next", "scope": "read"})
    assert [token["name"] for token in (await admin.get("/tokens")).json()["items"]] == ["test", "for 2", "next"]


async def test_the_use_of_a_token_is_recorded_again_after_a_jump(site, clock):
    client = await site.by_token("ADM")
    clock.advance(days=1)
    await client.get("/me")
    await site.app.state.authenticator.close()
    clock.advance(days=-1)
    await client.get("/me")
    await site.app.state.authenticator.close()
    (token,) = await site.database.read(tokens.read_all)
    assert datetime.fromisoformat(token["last_used_at"]) < instants.now() + timedelta(minutes=1)


async def test_a_clock_behind_the_history_is_a_warning(site, clock):
    admin = await site.by_token("ADM")
    assert (await admin.get("/readyz")).json() == {"status": "ready"}
    clock.advance(minutes=-1)
    response = await admin.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "warnings": [health.CLOCK_BEHIND]})
    examination = health.examine(Settings(database_url=site.app.state.settings.database_url))
    assert examination.faults == [health.CLOCK_BEHIND]


async def test_a_new_database_has_no_warning(database_url):
    async with opened(database_url) as empty:
        assert (await empty.anonymous().get("/readyz")).json() == {"status": "ready"}
