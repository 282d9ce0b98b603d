"""Rate limits of sign-in: each account has a count at each address and on each known device."""

import json
import logging

import pytest

from api.access.site import PASSWORD
from machine_monitor.api.serving import metrics
from machine_monitor.services.accounts import known_devices, rate_limit

WRONG = "not the password"
HERE, ELSEWHERE = "10.0.0.1", "10.0.0.2"


def browser(site, address=HERE):
    """Return a client at an address; it stores cookies."""
    client = site.anonymous()
    client._transport.client = (address, 1)
    return client


async def sign_in(client, trigram="ADM", password=WRONG):
    return await client.post("/session", json={"trigram": trigram, "password": password})


async def statuses(client, times, trigram="ADM", password=WRONG):
    return [(await sign_in(client, trigram, password)).status_code for _ in range(times)]


@pytest.mark.parametrize("trigram", ["ADM", "none"])
async def test_an_account_is_limited_at_each_address_by_itself(site, clock, trigram):
    spellings = [trigram.lower(), trigram] * (rate_limit.MAX_PER_ACCOUNT // 2)
    assert [(await sign_in(browser(site), name)).status_code for name in spellings] == [401] * len(spellings)
    for password in (WRONG, PASSWORD):
        response = await sign_in(browser(site), trigram, password)
        assert (response.status_code, response.json()["code"]) == (429, "rate-limited")
        assert 0 < int(response.headers["Retry-After"]) <= 900
    expected = 200 if trigram == "ADM" else 401
    assert (await sign_in(browser(site, ELSEWHERE), trigram, PASSWORD)).status_code == expected
    clock.advance(minutes=16)
    assert (await sign_in(browser(site), trigram)).status_code == 401


@pytest.mark.proof("an attacker without a credential tries to lock an account, from many addresses")
async def test_failures_elsewhere_do_not_lock_an_account(site, record_counts):
    at_home, times = browser(site), 8
    assert await statuses(at_home, 1, password=PASSWORD) == [200]
    for number in range(times):
        attacker = browser(site, f"10.9.0.{number}")
        assert await statuses(attacker, rate_limit.MAX_PER_ACCOUNT + 1) == [*[401] * rate_limit.MAX_PER_ACCOUNT, 429]
    assert await statuses(at_home, 1, password=PASSWORD) == [200]
    assert await statuses(browser(site, HERE), 1, password=PASSWORD) == [200]
    record_counts(times, locked_out=0)


async def test_a_known_device_has_its_own_count_at_the_same_address(site):
    at_home = browser(site)
    await sign_in(at_home, password=PASSWORD)
    # An attacker behind the same router, without the cookie: first one account, then the whole address.
    assert (await statuses(browser(site), rate_limit.MAX_PER_ACCOUNT + 1))[-1] == 429
    for number in range(rate_limit.MAX_PER_ADDRESS // rate_limit.MAX_PER_ACCOUNT):
        await statuses(browser(site), rate_limit.MAX_PER_ACCOUNT, f"no{number}")
    assert await statuses(browser(site), 1, "other") == [429]
    assert await statuses(at_home, 1, password=PASSWORD) == [200]
    # The device is known for this account only, and is limited itself.
    assert await statuses(at_home, 1, "SUP") == [429]
    assert await statuses(at_home, rate_limit.MAX_PER_ACCOUNT + 1) == [*[401] * rate_limit.MAX_PER_ACCOUNT, 429]


async def test_an_invented_or_old_device_cookie_counts_as_none(site, clock):
    invented = browser(site)
    invented.cookies.set("mm_device", "a" * 43)
    assert (await statuses(invented, rate_limit.MAX_PER_ACCOUNT + 1))[-1] == 429
    at_home = browser(site, ELSEWHERE)
    await sign_in(at_home, password=PASSWORD)
    clock.advance(days=91)
    assert (await statuses(browser(site, ELSEWHERE), rate_limit.MAX_PER_ACCOUNT + 1))[-1] == 429
    assert await statuses(at_home, 1) == [429]


async def test_the_device_cookie_serves_all_users_of_a_browser(site):
    await site.set_password("LEA")
    shared = browser(site)
    await sign_in(shared, password=PASSWORD)
    first = shared.cookies["mm_device"]
    await sign_in(shared, "LEA", PASSWORD)
    assert shared.cookies["mm_device"] == first
    assert (await statuses(browser(site), rate_limit.MAX_PER_ACCOUNT + 1, "LEA"))[-1] == 429
    assert await statuses(shared, 1, "lea", PASSWORD) == [200]


async def test_the_number_of_known_devices_of_a_user_is_bounded(site, monkeypatch):
    monkeypatch.setattr(known_devices, "MAX_PER_USER", 2)
    browsers = [browser(site, f"10.0.0.{number}") for number in range(3)]
    for client in browsers:
        await sign_in(client, password=PASSWORD)
    digests = [
        await site.database.read(lambda tx, c=client: known_devices.find(tx, "adm", c.cookies["mm_device"]))
        for client in browsers
    ]
    assert [digest is not None for digest in digests] == [False, True, True]


async def test_an_address_is_limited_for_all_accounts(site, monkeypatch):
    monkeypatch.setattr(rate_limit, "MAX_PER_ADDRESS", 4)
    for number in range(4):
        assert await statuses(browser(site, "2001:db8::1"), 1, f"no{number}") == [401]
    assert await statuses(browser(site, "2001:db8::2"), 1, "more") == [429]
    assert await statuses(browser(site, "2001:db8:0:1::1"), 1, "more") == [401]
    # IPv4 clients of a socket for both families are not one network.
    for number in range(6):
        assert await statuses(browser(site, f"::ffff:10.0.0.{number}"), 1, "more") == [401]


async def test_what_is_no_address_is_counted_together(site, monkeypatch):
    monkeypatch.setattr(rate_limit, "MAX_PER_ADDRESS", 4)
    results = [(await sign_in(browser(site, "a" * number), f"no{number}")).status_code for number in range(1, 7)]
    assert results == [401, 401, 401, 401, 429, 429]


async def test_a_rejected_attempt_does_not_count_for_the_address(site, monkeypatch):
    monkeypatch.setattr(rate_limit, "MAX_PER_ADDRESS", 12)
    assert (await statuses(browser(site), 20))[-1] == 429
    assert await statuses(browser(site), 1, "SUP") == [401]


async def test_successful_sign_ins_are_not_limited(site, monkeypatch):
    monkeypatch.setattr(rate_limit, "MAX_PER_ADDRESS", 4)
    for _ in range(rate_limit.MAX_PER_ACCOUNT + 2):
        assert await statuses(browser(site), 1, password=PASSWORD) == [200]
    for _ in range(rate_limit.MAX_PER_ACCOUNT // 4):
        assert await statuses(browser(site), 1) == [401]
        assert await statuses(browser(site), 1, password=PASSWORD) == [200]


async def test_changing_a_password_has_its_own_limit(site):
    await statuses(browser(site), rate_limit.MAX_PER_ACCOUNT)
    client = await site.by_token("ADM")
    body = {"current": WRONG, "new": "un autre long secret"}
    results = [(await client.put("/me/password", json=body)).status_code for _ in range(rate_limit.MAX_PER_ACCOUNT)]
    assert results == [422] * rate_limit.MAX_PER_ACCOUNT
    assert (await client.put("/me/password", json=body | {"current": PASSWORD})).status_code == 429
    assert await statuses(browser(site, ELSEWHERE), 1, password=PASSWORD) == [200]


def counted(result):
    return metrics.REGISTRY.get_sample_value("machine_monitor_sign_ins_total", {"result": result}) or 0


async def test_failed_sign_ins_are_logged_and_counted(site, caplog):
    caplog.set_level(logging.WARNING, "machine_monitor")
    before = {result: counted(result) for result in ("success", "failure", "limited")}
    client = browser(site)
    response = await sign_in(client)
    await sign_in(client, "a whole password, typed in the wrong place")
    await statuses(client, rate_limit.MAX_PER_ACCOUNT)
    await sign_in(browser(site, ELSEWHERE), password=PASSWORD)
    await (await site.by_token("ADM")).put("/me/password", json={"current": WRONG, "new": "un autre long secret"})
    failures = rate_limit.MAX_PER_ACCOUNT + 2
    assert {result: counted(result) - before[result] for result in before} == {
        "success": 1,
        "failure": failures,
        "limited": 1,
    }
    events = [record.fields for record in caplog.records if record.message == "sign-in failed"]
    assert len(events) == failures + 1
    assert events[0] == {
        "request_id": response.json()["request_id"],
        "result": "failure",
        "account": "ADM",
        "remote": HERE,
    }
    assert events[1]["account"] is None
    assert "password" not in json.dumps(events)
