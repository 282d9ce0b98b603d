"""By what requests take turns before anybody has checked their credential."""

import pytest
from fastapi import Request

from machine_monitor.api.access import turn_key_of


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
