"""Requests take turns: by a key that needs no authentication, and before anything else is done for them."""

import pytest
from fastapi import Request

from machine_monitor.api.access import turn_key_of
from machine_monitor.fairness import FairThread, FairTurns


def key(client="10.0.0.1", scheme="http", **headers):
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": encoded, "scheme": scheme, "client": (client, 1), "path": "/", "root_path": ""}
    return turn_key_of(Request(scope))


@pytest.mark.parametrize("cookie", ["", "a=1", "mm_session=s"])
def test_a_token_has_one_key_in_every_spelling_and_beside_any_cookie(cookie):
    headers = [f"Bearer {'t' * 8}", f"bearer   {'t' * 8} "]
    assert {key(cookie=cookie, authorization=header) for header in headers} == {"t" * 8}


def test_a_session_has_one_key_beside_any_other_cookie():
    assert {key(cookie="mm_session=s"), key(cookie="a=1; mm_session=s"), key(cookie="mm_session=s; a=2")} == {"s"}
    assert key(scheme="https", cookie="__Host-mm_session=s") == "s"


def test_without_a_credential_the_network_is_the_key():
    anonymous = [{}, {"cookie": "a=1"}, {"authorization": "Basic eA=="}]
    assert len({key(**headers) for headers in anonymous}) == 1
    assert key("2001:db8::1") == key("2001:db8::2") != key("2001:db8:1::1")


async def test_every_request_waits_for_its_turn(client, monkeypatch):
    waited = []

    async def wait_for_turn(_, key):
        waited.append(key)

    monkeypatch.setattr(FairTurns, "wait_for_turn", wait_for_turn)
    for token in ("a", "b"):
        assert (await client.get("/logs", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await client.get("/healthz", headers={"Authorization": "Bearer c"})).status_code == 200
    assert waited == ["a", "b", "c"]


async def test_only_authenticated_requests_make_other_users_share_the_computing_thread(client, monkeypatch):
    noted = []
    monkeypatch.setattr(FairThread, "note_request", lambda _, user: noted.append(user))
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/logs", headers={"Authorization": "Bearer a"})).status_code == 401
    assert noted == []
    assert (await client.get("/logs")).status_code == 200
    assert len(noted) == 1
