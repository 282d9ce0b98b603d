"""Bodies of account routes are small, since some of them need no credential."""

import json

import pytest

KIB = 1024


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/session", {"trigram": "ADM", "password": "wrong"}),
        ("POST", "/setup", {"code": "wrong", "password": "wrong"}),
        ("PUT", "/me/password", {"current": "wrong", "new": "wrong"}),
        ("POST", "/tokens", {"name": "phone", "scope": "read"}),
    ],
)
async def test_a_body_of_an_account_route_has_at_most_4_kib(site, method, path, body):
    client = await site.by_token("ADM")
    content = json.dumps(body).encode()
    for more, is_refused in ((4 * KIB - len(content), False), (4 * KIB - len(content) + 1, True), (KIB * KIB, True)):
        response = await client.request(
            method, path, content=content + b" " * more, headers={"Content-Type": "application/json"}
        )
        assert (response.status_code == 413) == is_refused
        assert (
            (response.json().get("code") == "payload-too-large") == is_refused if response.content else not is_refused
        )
