"""Problem details (RFC 9457): every error has a code, a status and a documented type."""

import asyncio
import json
import re

import pytest

from api.resource_cases import LOGS, MACHINES, RESOURCES, TYPES, USERS, create

pytestmark = pytest.mark.asyncio(loop_scope="module")
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
BIG = b'{"comment": "' + b"x" * (1024 * 1024) + b'"}'
COLLECTION, RECORD = {"GET", "HEAD", "POST"}, {"GET", "HEAD", "PUT", "PATCH", "DELETE"}
ALLOWED = [
    *[(f"/{resource.path}", COLLECTION) for resource in RESOURCES],
    *[(f"/{resource.path}/x", RECORD) for resource in RESOURCES],
    *[
        (path, {"GET", "HEAD"})
        for path in ("/logs/x/history", "/machines/x/history", "/", "/healthz", "/readyz", "/problems/gone")
    ],
    *[(path, {"GET", "HEAD"}) for path in ("/docs", "/openapi.json")],
]
UNKNOWN_PATHS = [
    "/x",
    "/logs/",
    "/machines/",
    "/machines/pelle%202/",
    "/users/ABC/",
    "/log-types/error/",
    "/healthz/",
    "/docs/",
    "//logs",
]
UNKNOWN_PATHS += ["/Logs", "/log_types", "/machines/a/b", "/machines/a%2Fb", "/users/ABC/history"]
INVALID_KEYS = [
    "/logs/abc",
    "/logs/%00",
    "/logs/" + "0" * 32,
    "/machines/%00",
    "/machines/%20a",
    "/machines/a%0Ab",
    "/machines/" + "a" * 121,
]
INVALID_KEYS += [
    "/log-types/a%20b",
    "/log-types/-a",
    "/log-types/%00",
    "/log-types/" + "a" * 41,
    "/users/%C3%A9",
    "/users/" + "a" * 13,
]


def check(response, status: int, code: str) -> dict:
    """Assert that a response is a well-formed problem with this status and code, and return it."""
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-ID"]
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code), response.text
    assert problem["type"] == f"/problems/{code}"
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"].startswith("/")
    for error in problem.get("errors", []):
        assert {"message", "code"} <= error.keys() <= {"message", "code", "allowed", "pointer", "parameter"}
        assert ("pointer" in error) != ("parameter" in error)
    return problem


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
async def test_unknown_paths_are_not_found(seeded, path):
    for method in ("GET", "POST", "DELETE"):
        check(await seeded.request(method, f"http://machine-monitor{path}"), 404, "not-found")


@pytest.mark.parametrize("path", INVALID_KEYS)
async def test_an_invalid_key_is_not_found_and_cannot_be_put(seeded, path):
    check(await seeded.get(path), 404, "not-found")
    assert (await seeded.head(path)).status_code == 404
    body = LOGS.minimal_body if path.startswith("/logs") else {}
    check(await seeded.put(path, json=body), 422, "validation")


@pytest.mark.parametrize(("path", "allowed"), ALLOWED)
async def test_an_unsupported_method_gets_405_with_the_allowed_methods(seeded, path, allowed):
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - allowed:
        response = await seeded.request(method, path)
        check(response, 405, "method-not-allowed")
        assert set(re.split(", *", response.headers["Allow"])) == allowed


async def test_the_type_of_a_problem_links_to_its_description(seeded):
    key, _ = await create(seeded, LOGS)
    await seeded.delete(LOGS.path_of(key))
    problem = check(await seeded.get(LOGS.path_of(key)), 410, "gone")
    page = (await seeded.get(problem["type"])).json()
    assert (page["code"], page["status"], page["title"]) == ("gone", 410, problem["title"])


@pytest.mark.parametrize(
    ("given", "is_returned"),
    [("abc-1.X_y", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("é", False), ("", False), ('"', False)],
)
async def test_every_response_has_a_request_id(seeded, given, is_returned):
    for url in ("/logs", "/nothing", "/healthz", "/logs?x=1", "/docs/static/swagger-ui.css", "/openapi.json"):
        response = await seeded.get(url, headers={b"X-Request-ID": given.encode()})
        assert (response.headers["X-Request-ID"] == given) == is_returned
        assert re.fullmatch(r"[\x21-\x7e]+", response.headers["X-Request-ID"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        TEXT,
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/problem+json"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "json"},
        {"Content-Type": ""},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_another_media_type_is_refused(seeded, headers):
    for resource in RESOURCES:
        key, record = await create(seeded, resource)
        for method, url in (
            ("POST", f"/{resource.path}"),
            ("PUT", resource.path_of(key)),
            ("PATCH", resource.path_of(key)),
        ):
            check(await seeded.request(method, url, content=b"{}", headers=headers), 415, "unsupported-media-type")
        assert (await seeded.get(resource.path_of(key))).json() == record


@pytest.mark.parametrize(
    "media_type",
    [
        *("application/json", "APPLICATION/JSON", 'application/json; charset="UTF-8"', "application/json;x=y"),
        # Parameters that are not well formed do not count.
        *("application/json; charset*=utf-8''a; charset*0=b", f"application/json; charset*{'9' * 5000}=a"),
    ],
)
async def test_json_media_types_are_accepted_in_any_spelling(seeded, media_type):
    body = json.dumps(MACHINES.body(MACHINES.new_key())).encode()
    response = await seeded.post("/machines", content=body, headers={"Content-Type": media_type})
    assert response.status_code == 201
    merge = {"Content-Type": "application/merge-patch+json"}
    assert (await seeded.patch(response.headers["Location"], content=b"{}", headers=merge)).status_code == 200
    for method in ("POST", "PUT"):
        url = "/machines" if method == "POST" else response.headers["Location"]
        check(await seeded.request(method, url, content=body, headers=merge), 415, "unsupported-media-type")


async def test_a_body_has_at_most_a_mebibyte(seeded):
    async def parts():
        for start in range(0, len(BIG), 65_536):
            yield BIG[start : start + 65_536]

    key, _ = await create(seeded, MACHINES)
    for content in (BIG, parts()):
        check(await seeded.patch(MACHINES.path_of(key), content=content, headers=JSON), 413, "payload-too-large")
    fits = b'{"comment": "x"}'.ljust(1024 * 1024)
    assert (await seeded.patch(MACHINES.path_of(key), content=fits, headers=JSON)).status_code == 200
    check(await seeded.patch(MACHINES.path_of(key), content=fits + b" ", headers=JSON), 413, "payload-too-large")


async def test_a_url_has_at_most_8_kib(seeded):
    longest = "/logs?comment=" + "x" * (8192 - len("/logs?comment="))
    assert (await seeded.get(longest)).status_code == 200
    for method, url in (("GET", f"{longest}x"), ("GET", "/machines/" + "a" * 8192), ("DELETE", "/logs/" + "a" * 8192)):
        check(await seeded.request(method, url), 414, "uri-too-long")


# Each row has its own error and, where possible, those of all rows after it; its own must be reported.
async def test_errors_are_reported_in_the_documented_order(seeded):
    (key, _), (gone, _), (in_use, _) = (
        await create(seeded, LOGS),
        await create(seeded, LOGS),
        await create(seeded, MACHINES),
    )
    (taken, _) = await create(seeded, MACHINES)
    await create(seeded, LOGS, machine=in_use)
    await seeded.delete(LOGS.path_of(gone))
    stale = {"If-Match": '"9"'}
    missing, long = LOGS.path_of(LOGS.new_key()), "?x=" + "%FF" * 3000
    bad, unknown = b'{"severity": "bad"}', b'{"machine": "no", "type": "no"}'
    rows = [
        ("PATCH", f"/nothing{long}", BIG, TEXT | stale, 404),
        ("BREW", f"{missing}{long}", BIG, TEXT | stale, 405),
        ("PATCH", f"{missing}{long}", BIG, TEXT | stale, 414),
        ("PATCH", f"{missing}?x=%FF", BIG, TEXT | stale, 413),
        ("PATCH", f"{missing}?x=%FF", b"{", TEXT | stale, 415),
        ("PATCH", f"{missing}?x=%FF", bad, JSON | stale, 400),
        ("PATCH", f"{missing}?x=1", b"{", JSON | stale, 400),
        ("PATCH", missing, bad, JSON | stale, 422),
        ("PATCH", f"{LOGS.path_of(gone)}?x=1", unknown, JSON | stale, 422),
        ("PATCH", missing, unknown, JSON | stale, 404),
        ("PATCH", LOGS.path_of(gone), unknown, JSON | stale, 410),
        ("PATCH", LOGS.path_of(key), unknown, JSON | stale, 412),
        ("PATCH", LOGS.path_of(key), unknown, JSON, 422),
        ("POST", "/logs", json.dumps({"uuid": key, "machine": "no", "type": "no"}).encode(), JSON, 409),
        ("PUT", MACHINES.path_of(in_use), json.dumps({"name": taken}).encode(), JSON | stale, 412),
        ("PUT", MACHINES.path_of(in_use), json.dumps({"name": taken, "id": 0}).encode(), JSON, 409),
        ("DELETE", MACHINES.path_of(in_use), None, stale, 412),
        ("DELETE", MACHINES.path_of(in_use), None, {}, 409),
    ]
    statuses = [
        (await seeded.request(method, url, content=content, headers=headers)).status_code
        for method, url, content, headers, _ in rows
    ]
    assert statuses == [row[-1] for row in rows]


async def test_a_taken_name_is_reported_before_too_many_attributes(seeded):
    key, _ = await create(seeded, MACHINES, attributes={f"k{i}": i for i in range(64)})
    taken, _ = await create(seeded, MACHINES)
    patch = {"name": taken, "attributes": {"one more": 1}}
    check(await seeded.patch(MACHINES.path_of(key), json=patch), 409, "conflict")


async def test_all_errors_of_a_request_are_reported_together(seeded):
    body = {"machine": "", "severity": "bad", "started_at": "soon", "x": 1, "attributes": {"a": []}}
    headers = {"X-Change-Note": "x" * 501}
    problem = check(
        await seeded.put(f"{LOGS.path_of(LOGS.new_key())}?y=1", json=body, headers=headers), 422, "validation"
    )
    places = {error.get("pointer", error.get("parameter")) for error in problem["errors"]}
    assert {"/machine", "/type", "/severity", "/started_at", "/x", "y"} < places
    assert any(name.startswith("/attributes") for name in places)
    assert len(places) == 8


@pytest.mark.parametrize("resource", [MACHINES, LOGS, TYPES, USERS], ids=lambda resource: resource.path)
async def test_a_problem_does_not_echo_what_was_sent(seeded, resource):
    sent = "what-was-sent"
    key, _ = await create(seeded, resource)
    fields = resource.defaults | {"version": 1, "attributes": 1, "started_at": 1, "x": 1}
    bodies = [{name: {"a": sent} for name in fields}, {name: [sent] for name in fields}, {"attributes": {"a": [sent]}}]
    for body in [
        *bodies,
        {"started_at": sent, "severity": sent, "role": sent, "active": sent, "in_service": sent},
    ]:
        responses = [
            await seeded.patch(resource.path_of(key), json=body),
            await seeded.post(f"/{resource.path}", json=body),
        ]
        queries = {"limit": sent, "count": sent, "version": sent, "created_at": sent, "cursor": sent}
        responses += [await seeded.get(f"/{resource.path}", params={name: value}) for name, value in queries.items()]
        for response in responses:
            assert response.status_code in (400, 422)
            assert sent not in response.text


async def test_each_of_many_concurrent_requests_gets_its_response(seeded):
    responses = await asyncio.gather(*[seeded.get(f"/logs?limit={number % 5}") for number in range(40)])
    assert [response.status_code for response in responses] == [200 if number % 5 else 422 for number in range(40)]


@pytest.mark.parametrize(
    ("path", "similar"),
    [
        ("/logs/", "/logs"),
        ("/api/logs", "/logs"),
        ("/machine", "/machines"),
        ("/logs/facets//", "/logs/facets"),
        ("/machines/Lathe%201/history/", "/machines/Lathe 1/history"),
    ],
)
async def test_a_path_that_does_not_exist_is_answered_with_a_similar_one(client, path, similar):
    response = await client.get(path)
    assert response.status_code == 404
    assert response.json()["detail"].endswith(f"`/docs` lists all paths. Did you mean '{similar}'?")
