"""Roles and scopes: every route of the application, with every kind of credential."""

import pytest
import pytest_asyncio

from api.access.site import ROLES, SCOPES, opened, trigram_of
from machine_monitor.api.access import action_of, needs
from machine_monitor.api.app import create_app
from machine_monitor.api.route import Route, create_router
from machine_monitor.config import Settings
from machine_monitor.models.accounts.token import SCOPE
from machine_monitor.models.fields import ROLE
from machine_monitor.services.access.permissions import Role, Scope
from machine_monitor.services.accounts import tokens
from machine_monitor.services.audit.history import ChangeContext

pytestmark = pytest.mark.asyncio(loop_scope="module")
FORMATS = ("csv", "ndjson", "xlsx")
READS = (
    *(
        "/machines",
        "/machines/{name}",
        "/machines/{name}/history",
        "/machines/{name}/label.svg",
        "/log-types",
        "/log-types/{code}",
    ),
    *(
        "/logs",
        "/logs/{uuid}",
        "/logs/{uuid}/history",
        "/logs/facets",
        "/logs/stats",
        "/logs/pareto",
        "/users",
        "/users/{trigram}",
    ),
    *("/reliability", "/reports/period.html", "/reports/period.xlsx"),
    *("/mappings", "/mappings/{name}"),
    *("/attachments/{id}", "/attachments/{id}/preview"),
    *("/tokens", "/tokens/{id}", "/me", "/me/sessions", "/changes", "/events", "/metrics"),
    *(f"/{name}.{form}" for name in ("logs", "machines") for form in FORMATS),
)
# The role that may edit the record, and the methods of one of its files. Who may delete is a rule of each file.
ATTACHED, FILES = {"/logs/{uuid}": "operator", "/machines/{name}": "lead"}, ("PUT", "PATCH", "DELETE")
PAGES = ("/docs", "/docs/filters", "/openapi.json", "/redoc")
# The role and scope that each operation requires, written independently of the code; None means no credentials.
EXPECTED = {
    **{("GET", path): ("viewer", "read") for path in READS},
    ("POST", "/logs"): ("operator", "write"),
    ("PUT", "/logs/{uuid}"): ("operator", "write"),
    ("PATCH", "/logs/{uuid}"): ("operator", "write"),
    ("DELETE", "/logs/{uuid}"): ("supervisor", "write"),
    ("POST", "/logs/bulk"): ("supervisor", "write"),
    ("POST", "/logs/{uuid}/restore"): ("supervisor", "write"),
    ("POST", "/machines"): ("supervisor", "write"),
    ("PUT", "/machines/{name}"): ("lead", "write"),
    ("PATCH", "/machines/{name}"): ("lead", "write"),
    ("DELETE", "/machines/{name}"): ("supervisor", "write"),
    ("POST", "/machines/{name}/merge"): ("supervisor", "write"),
    ("GET", "/service"): ("admin", "read"),
    ("POST", "/log-types"): ("supervisor", "write"),
    **{(method, "/log-types/{code}"): ("supervisor", "write") for method in ("PUT", "PATCH", "DELETE")},
    ("POST", "/users"): ("admin", "admin"),
    **{(method, "/users/{trigram}"): ("admin", "admin") for method in ("PUT", "PATCH", "DELETE")},
    ("POST", "/users/{trigram}/invitation"): ("admin", "admin"),
    **{("POST", f"{path}/attachments"): (role, "write") for path, role in ATTACHED.items()},
    **{(method, f"{path}/attachments/{{id}}"): (role, "write") for path, role in ATTACHED.items() for method in FILES},
    **{(method, "/mappings/{name}"): ("supervisor", "write") for method in ("PUT", "DELETE")},
    **{
        ("GET", f"/imports{path}"): ("supervisor", "read")
        for path in ("", "/{id}", "/{id}/events", "/{id}/rejected.csv")
    },
    **{
        ("POST", f"/imports{path}"): ("supervisor", "write")
        for path in ("", "/{id}/apply", "/{id}/proposal", "/{id}/undo")
    },
    ("PUT", "/imports/{id}/mapping"): ("supervisor", "write"),
    ("POST", "/tokens"): ("viewer", "write"),
    ("DELETE", "/tokens/{id}"): ("viewer", "write"),
    ("PUT", "/me/password"): ("viewer", "write"),
    ("DELETE", "/me/sessions/{id}"): ("viewer", "write"),
    ("DELETE", "/session"): ("viewer", "read"),
    **{("GET", path): None for path in ("/", "/healthz", "/readyz", "/problems/{code}", *PAGES)},
    **{("GET", path): None for path in ("/https", "/https/authority.crt")},
    ("POST", "/session"): None,
    ("POST", "/setup"): None,
}
ROUTES = [
    (method, route.path)
    for route in create_app(Settings.model_construct()).routes
    if isinstance(route, Route)
    for method in sorted(route.methods)
]
KEYS = {"{uuid}": "00000000-0000-4000-8000-000000000000", "{code}": "gone", "{name}": "none", "{trigram}": "none"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def credentials(seeded_url):
    """Clients with valid credentials by role and scope, and a list of clients with missing or invalid credentials."""
    async with opened(seeded_url) as site:
        await site.add_users()
        found = {(role, scope): await site.by_token(trigram_of(role), scope) for role in ROLES for scope in SCOPES}
        late, revoked = await site.token("ADM"), await site.token("ADM")
        number = int(late.split("_")[1])
        await site.write(lambda tx: tx.cursor.execute(f"UPDATE tokens SET expires_at = created_at WHERE id = {number}"))
        await site.write(lambda tx: tokens.revoke(tx, revoked.split("_")[1], ChangeContext("test")))
        await site.add("OFF", role="admin")
        off = await site.by_token("OFF")
        assert (await found["admin", "admin"].patch("/users/OFF", json={"active": False})).is_success
        changed = f"{late[:-1]}{'A' if late[-1] != 'A' else 'B'}"
        texts = (late, revoked, changed, "mm_1_short", "mm_999_" + "a" * 43, "none", "")
        yield found, [site.anonymous(), off, *map(site.with_token, texts)]


async def ask(client, method, path):
    for name, key in KEYS.items():
        path = path.replace(name, key)
    # No operation accepts a list as body: an authorized request fails validation and writes nothing.
    body = {"json": []} if method in ("POST", "PUT", "PATCH") else {}
    # The event stream has no end, so request it with an invalid parameter.
    path = path.replace("{id}", "9999").replace("/events", "/events?since=x")
    return await client.request(method, path, **body)


async def test_every_route_is_listed_here():
    assert set(EXPECTED) == set(ROUTES)


@pytest.mark.proof("every route with every role and scope, and missing, expired, revoked, bad credentials")
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_each_route_allows_exactly_the_documented_roles_and_scopes(credentials, record_counts, method, path):
    clients, invalid_clients = credentials
    needed = EXPECTED.get((method, path))
    record_counts(len(clients) + len(invalid_clients), routes=1, contract_violations=0)
    if needed is None:
        for client in (*invalid_clients, *clients.values()):
            answer = await ask(client, method, path)
            assert answer.status_code not in (401, 403), answer.text
        return
    for client in invalid_clients:
        answer = await ask(client, method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        invalid = ' error="invalid_token"' if "Authorization" in client.headers else ""
        assert answer.headers["WWW-Authenticate"] == f"Bearer{invalid}"
    for (role, scope), client in clients.items():
        answer = await ask(client, method, path)
        may = ROLES.index(role) >= ROLES.index(needed[0]) and SCOPES.index(scope) >= SCOPES.index(needed[1])
        if may:
            assert answer.status_code not in (401, 403), (role, scope, answer.text)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (role, scope, answer.text)


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "bearer mm_1_" + "a" * 43, "mm_1_x", "é"])
async def test_an_invalid_authorization_header_is_refused(credentials, header):
    client = credentials[1][0]
    answer = await client.get("/logs", headers={"Authorization": header.encode()})
    assert answer.status_code == 401


async def test_the_bearer_scheme_is_case_insensitive(credentials):
    token = credentials[0]["viewer", "read"].headers["Authorization"].split()[1]
    assert (await credentials[1][0].get("/me", headers={"Authorization": f"BEARER  {token}"})).status_code == 200


# Each row also has the errors of all rows after it. A client without access gets only 401 or 403.
@pytest.mark.parametrize(("kind", "expected"), [("nobody", 401), ("viewer", 403), ("operator", None)])
async def test_authorization_is_checked_before_the_request_is_validated(credentials, kind, expected):
    client = credentials[1][0] if kind == "nobody" else credentials[0][kind, "write"]
    long = "x" * 9_000
    rows = [
        ("POST", f"/logs?{long}", b"{}", {}, 414),
        ("POST", "/logs", b"{" * 2_000_000, {}, 413),
        ("POST", "/logs", b"{}", {"Content-Type": "text/plain"}, 415),
        ("POST", "/logs", b"{", {"Content-Type": "application/json"}, 400),
        ("POST", "/logs?x=1", b"{}", {"Content-Type": "application/json"}, 422),
        ("PATCH", f"/logs/{KEYS['{uuid}']}", b"{}", {"Content-Type": "application/json"}, 404),
    ]
    for method, path, content, headers, otherwise in rows:
        answer = await client.request(method, path, content=content, headers=headers)
        assert answer.status_code == (expected or otherwise), (path[:20], answer.text)
    assert (await client.get("/nothing")).status_code == 404
    assert (await client.put("/logs")).status_code == 405


async def test_head_requires_the_same_access_as_get(credentials):
    clients, invalid_clients = credentials
    assert (await invalid_clients[0].head("/logs")).status_code == 401
    assert (await clients["viewer", "read"].head("/logs")).status_code == 200


async def test_roles_and_scopes_are_those_of_the_models():
    assert [role.name.lower() for role in Role] == list(ROLE.choices)
    assert [scope.name.lower() for scope in Scope] == list(SCOPE.choices)


async def test_a_route_without_an_action_is_refused_at_declaration():
    with pytest.raises(TypeError, match="needs"):
        create_router("test").get("/test")(needs)
    with pytest.raises(TypeError, match="needs"):
        action_of("/test", {"dependencies": []})


async def test_the_openapi_document_describes_the_access_of_each_operation():
    document = create_app(Settings.model_construct()).openapi()
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    for (method, path), needed in EXPECTED.items():
        if path in (*PAGES, "/https", "/https/authority.crt"):
            continue
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == ([] if needed is None else [{"token": []}, {"session": []}])
        assert needed is None or "401" in operation["responses"]
        # Listing and exporting deleted logs require a supervisor, and a write with the cookie its CSRF token.
        lists_deleted = path in ("/logs", "/logs.csv", "/logs.ndjson", "/logs.xlsx")
        narrower = lists_deleted or needed not in (None, ("viewer", "read")) or method != "GET"
        assert ("403" in operation["responses"]) == narrower
