"""The OpenAPI document is valid, its examples succeed on the sample plant, and it declares only what is accepted."""

import json
import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from conftest import serving
from machine_monitor.api.openapi import filters_page
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.models.accounts.token import TokenCreate
from machine_monitor.services import demo
from machine_monitor.services.accounts import tokens
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.demo.plant import ADMIN
from query import plant

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
# A secret would have to be filled in.
NEEDS_SECRET = ("sign_in", "set_up", "change_password")
EXAMPLES = [
    pytest.param(method, path, operation, id=operation["operationId"])
    for method, path, operation in OPERATIONS
    if method in ("POST", "PUT", "PATCH")
    and operation["operationId"] not in (*NEEDS_SECRET, "restore_log")
    and "attachment" not in operation["operationId"]
    and "import" not in operation["operationId"]
]


@pytest.fixture
async def client(sqlite_database_url):
    """A client of a service with the sample plant, with a token of its admin."""
    database = Database(sqlite_database_url)
    demo.fill(database, demo.plan(40, 100))
    body, context = TokenCreate(name="test", scope="admin"), ChangeContext("test")
    token = database.transact(lambda tx: tokens.issue(tx, ADMIN, body, context))[1]
    database.close_writer()
    async with serving(Settings(database_url=sqlite_database_url), open_=False) as opened:
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


def example_path(path, operation):
    """Fill in the examples of the path's parameters."""
    for parameter in operation.get("parameters", ()):
        path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example")))
    return path


def example_body(operation):
    return operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")


def test_the_document_is_valid():
    validate(DOCUMENT)


def test_each_operation_has_a_sentence_and_each_tag_has_one():
    tags = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    for method, path, operation in OPERATIONS:
        generated = operation["operationId"].replace("_", " ").title()
        assert operation["summary"] not in ("", generated), f"{method} {path}"
        assert set(operation["tags"]) <= tags.keys()
    assert all(tags.values())


@pytest.mark.parametrize(("method", "path", "operation"), EXAMPLES)
async def test_the_example_of_each_write_succeeds_on_the_sample_plant(client, method, path, operation):
    if "{uuid}" in path and method == "PATCH":
        replaced = DOCUMENT["paths"]["/logs/{uuid}"]["put"]
        assert (await client.put(example_path(path, replaced), json=example_body(replaced))).status_code == 201
    response = await client.request(method, example_path(path, operation), json=example_body(operation))
    assert response.is_success, response.text
    if "/bulk" in path:
        assert response.json()["counts"]["error"] == 0


@pytest.mark.parametrize("path", ["/logs/{uuid}", "/machines/{name}"])
async def test_the_examples_of_attachments_succeed_on_the_sample_plant(client, path):
    log = DOCUMENT["paths"]["/logs/{uuid}"]["put"]
    assert (await client.put(example_path("/logs/{uuid}", log), json=example_body(log))).status_code == 201
    file = DOCUMENT["paths"][f"{path}/attachments/{{id}}"]
    address = example_path(f"{path}/attachments/{{id}}", file["put"])
    assert file["put"]["requestBody"]["content"] == {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
    }
    assert (await client.put(address, content=b"x")).status_code == 201
    assert (await client.patch(address, json=example_body(file["patch"]))).status_code == 200
    form = DOCUMENT["paths"][f"{path}/attachments"]["post"]
    (part,) = form["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    added = await client.post(address.rpartition("/")[0], files={part: b"y"})
    assert (added.status_code, added.json()["attachment_count"]) == (201, 2)
    create = DOCUMENT["paths"]["/logs"]["post"]["requestBody"]["content"]
    assert {*create["multipart/form-data"]["schema"]["properties"]} == {"log", "files"}


@pytest.mark.slow
async def test_the_examples_of_imports_succeed_on_the_sample_plant(client):
    mapping = DOCUMENT["paths"]["/imports/{id}/mapping"]["put"]
    form = DOCUMENT["paths"]["/imports"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {*form["properties"]} == {"file", "mapping", "resource"}
    table = b"Order,Date,Time,Equipment,Text\n1,02/09/2025,10:00,Tour CN 1,It leaks.\n"
    found = (await client.post("/imports", files={"file": ("orders.csv", table)})).json()
    previewed = await client.put(f"/imports/{found['id']}/mapping", json=example_body(mapping))
    assert previewed.json()["preview"]["counts"]["logs"]["created"] == 1
    assert (await client.post(f"/imports/{found['id']}/apply")).status_code == 202


def test_each_parameter_and_field_with_a_pattern_has_an_example_that_matches():
    for method, path, operation in OPERATIONS:
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"].get("items", parameter["schema"])
            if "pattern" in schema:
                example = parameter.get("example") or schema["examples"][0]
                assert re.search(schema["pattern"], example), f"{method} {path}: {parameter['name']}"


def test_no_field_of_a_body_has_a_default():
    """Generators take a field with a default as one that is always sent."""
    for _, _, operation in OPERATIONS:
        if body := operation.get("requestBody"):
            if "application/json" not in body["content"]:
                continue
            name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            fields = DOCUMENT["components"]["schemas"][name]["properties"]
            assert [field for field, schema in fields.items() if "default" in schema] == []


async def test_exports_of_deleted_logs_are_as_declared(client):
    for form in ("csv", "ndjson", "xlsx"):
        declared = [each["name"] for each in DOCUMENT["paths"][f"/logs.{form}"]["get"]["parameters"]]
        assert "deleted" in declared
    uuid = (await client.get("/logs?limit=1")).json()["items"][0]["uuid"]
    assert (await client.delete(f"/logs/{uuid}")).status_code == 204
    exported = (await client.get("/logs.ndjson?deleted=true&fields=uuid")).text
    assert json.loads(exported) == {"uuid": uuid}
    assert uuid not in (await client.get("/logs.ndjson?deleted=false")).text
    assert (await client.get("/logs.csv?deleted=maybe")).status_code == 422


@pytest.mark.parametrize("path", ["/docs/filters", "/redoc"])
async def test_pages_of_documentation_load_files_only_from_this_host(client, path):
    response = await client.get(path)
    assert response.status_code == 200
    assert "http://" not in response.text.replace("http://machine-monitor", "")
    assert "https://" not in response.text


async def test_the_page_of_filters_lists_every_field(client):
    page = (await client.get("/docs/filters")).text
    for field in ("started_at", "machine.manufacturer", "type.counts_as_failure", "attributes.&lt;key&gt;"):
        assert f"<code>{field}</code>" in page


def test_the_page_of_filters_lists_related_fields_and_fields_of_child_rows():
    page = filters_page.render((plant.JOBS,))
    assert "<code>station.site.region.country</code>" in page
    assert "<code>lines.part</code>" in page
