"""`mm user` and `mm token`, and the link that creates the first admin."""

import asyncio
import io
import json
import re
import signal
import sys
from urllib.parse import parse_qsl

import httpx2
import pytest
import typer
import uvicorn

from conftest import client_of
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings

PASSWORD = "trois vaches bleues"  # noqa: S105 -- only a test password
LINK = r"http://127\.0\.0\.1:8000/ui/setup#code=([A-Za-z0-9_-]{43})\n"


async def ask(url: str, method: str, path: str, **options) -> httpx2.Response:
    app = create_app(Settings(database_url=url))
    async with app.router.lifespan_context(app), client_of(app) as client:
        return await client.request(method, path, **options)


async def test_a_user_is_added_with_a_link_to_choose_a_password(mm, database_url):
    code, out, err = mm("user", "add", "LEA", "--role", "lead", "--first-name", "Léa", database_url=database_url)
    assert code == 0
    assert "sets the password" in err
    link = re.fullmatch(LINK, out)[1]
    response = await ask(database_url, "POST", "/setup", json={"code": link, "password": PASSWORD})
    assert response.json()["user"] | {"role": "lead", "first_name": "Léa"} == response.json()["user"]
    # Adding an existing user updates only the given fields and prints a new link.
    assert re.fullmatch(LINK, mm("user", "add", "lea", "--last-name", "Roux")[1])
    (user,) = json.loads(mm("user", "list", "--json")[1])
    assert (user["trigram"], user["role"], user["last_name"], user["version"]) == ("LEA", "lead", "Roux", 2)


async def test_a_password_comes_from_stdin(mm, database_url, monkeypatch):
    def add_user_with_password(text, *words):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return mm("user", "add", *words, "--password-stdin", database_url=database_url)

    assert add_user_with_password(f"{PASSWORD}\n", "ADM", "--role", "admin") == (0, "", "")
    sign_in = {"trigram": "ADM", "password": PASSWORD}
    assert (await ask(database_url, "POST", "/session", json=sign_in)).status_code == 200
    code, out, err = add_user_with_password("short\n", "BOB")
    assert (code, out) == (2, "")
    assert "15 to 200" in err
    assert [user["trigram"] for user in json.loads(mm("user", "list", "--json")[1])] == ["ADM"]
    code, _, err = add_user_with_password(f"{PASSWORD}\n", "ADM", "--role", "lead")
    assert code == 2
    assert "last active admin" in err


@pytest.mark.parametrize("words", [["user", "add", "no good"], ["token", "add", "none"], ["token", "revoke", "7"]])
def test_invalid_account_commands_give_a_clear_error(mm, database_url, words):
    code, out, err = mm(*words, database_url=database_url)
    assert (code, out, err.count("\n")) == (2, "", 1)


async def test_a_token_can_be_created_listed_and_revoked(mm, database_url):
    mm("user", "add", "ADM", "--role", "admin", database_url=database_url)
    code, out, err = mm("token", "add", "ADM", "--scope", "admin", "--days", "3", "--name", "Sync")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"mm_1_[A-Za-z0-9_-]{43}\n", out)
    headers = {"Authorization": f"Bearer {out.strip()}"}
    assert (await ask(database_url, "GET", "/me", headers=headers)).json()["scope"] == "admin"
    (token,) = json.loads(mm("token", "list", "--json")[1])
    assert (token["id"], token["name"], token["user"], token["scope"]) == (1, "Sync", "ADM", "admin")
    assert out.strip() not in mm("token", "list")[1]
    assert "Sync" in mm("token", "list")[1]
    assert mm("token", "revoke", "1")[0] == 0
    assert json.loads(mm("token", "list", "--json")[1]) == []
    assert (await ask(database_url, "GET", "/me", headers=headers)).status_code == 401
    assert mm("token", "add", "ADM", "--days", "0")[0] == 2
    assert mm("token", "add", "ADM", "--scope", "all")[0] == 2
    assert mm("token", "add", "ADM", "--name", "")[0] == 2


@pytest.mark.usefixtures("uvicorn_calls")
def test_the_demo_prints_credentials_of_its_admin(mm, monkeypatch):
    printed, responses = [], []

    def serve(app, **_):
        async def ask():
            token = printed[-1].rpartition("Authorization: Bearer ")[2]
            form = dict(parse_qsl(re.search("/ui/setup#(.*)", printed[-1])[1]))
            async with app.router.lifespan_context(app), client_of(app) as client:
                responses.append(await client.get("/me", headers={"Authorization": f"Bearer {token}"}))
                responses.append(await client.post("/setup", json=form))
                responses.append(await client.post("/setup", json=form))

        asyncio.run(ask())

    monkeypatch.setattr(uvicorn, "run", serve)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(typer, "echo", printed.append)
    assert mm("demo", "--machines", "2", "--logs", "3", "--port", "8123")[0] == 0
    assert [response.json()["user"]["role"] for response in responses[:2]] == ["admin", "admin"]
    assert responses[2].status_code == 410
    assert "http://127.0.0.1:8123/ui/setup#code=" in printed[-1]


@pytest.mark.usefixtures("uvicorn_calls")
def test_links_carry_the_root_path(mm, sqlite_database_url):
    serving = mm("serve", "--root-path", "plant/", database_url=sqlite_database_url)[1]
    assert "http://127.0.0.1:8000/plant/ui/setup#code=" in serving
    for root_path, reason in (("/logs", "a path of the API"), ("a b", "such as /plant")):
        code, _, refused = mm("serve", "--root-path", root_path)
        assert (code, reason in refused) == (2, True)
    added = mm("user", "add", "ADM", "--role", "admin", root_path="/plant")[1]
    assert added.startswith("http://127.0.0.1:8000/plant/ui/setup#code=")


@pytest.mark.usefixtures("uvicorn_calls")
async def test_serve_prints_a_link_while_no_admin_has_a_password(mm, empty_url):
    mm("user", "add", "ABC", "--role", "admin", database_url=empty_url)
    outputs = [mm("serve", "--host", host, database_url=empty_url)[1] for host in ("0.0.0.0", "::1")]  # noqa: S104 -- the test does not listen on it
    assert "http://[::1]:8000/ui/setup#code=" in outputs[1]
    code = re.search(LINK, outputs[0])[1]
    body = {"code": code, "password": PASSWORD, "trigram": "ADM"}
    assert (await ask(empty_url, "POST", "/setup", json=body)).json()["user"]["role"] == "admin"
    assert mm("serve")[1] == ""
