"""Follows the recipes of ARCHITECTURE.md and docs/extend/field.md in a copy of the checkout, and checks their promises.

A recipe is a list of text edits, as a developer makes them, and `make migration` if the recipe says so. The database
contains rows that the code wrote before the edits.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from conftest import serving
from machine_monitor.config import Settings
from machine_monitor.database import schema
from servers import Service, environment

pytestmark = [pytest.mark.slow, pytest.mark.untraced]

ROOT = Path(__file__).parents[1]
NEXT = f"{int(schema.head_revision()) + 1:04}"
MACHINES = [{"name": "Lathe", "sector": "1A"}, {"name": "Saw"}, {"name": "Écluse", "sector": "2B"}]
LOGS = [
    {"machine": "Lathe", "type": "error", "comment": "The bearing is loud", "started_at": "2025-01-01T00:00:00Z"},
    {"machine": "Saw", "type": "info", "comment": "New blade", "started_at": "2025-01-02T00:00:00Z"},
    {"machine": "Saw", "type": "info", "started_at": "2025-01-03T00:00:00Z"},
]


class Edit(NamedTuple):
    """A text that a recipe inserts after another text, which must occur once in a file of the package."""

    file: str
    behind: str
    text: str


def field_line(name: str) -> str:
    """Return the line that docs/extend/field.md adds to a model, for a field that no developer adds."""
    (line,) = re.findall(r"^ {4}hall(: .*\n)", (ROOT / "docs/extend/field.md").read_text(), re.MULTILINE)
    return f"    {name}{line}"


FIELD = [
    Edit(
        "models/machine.py",
        '    sector: ShortText | None = kind_field(TEXT, "The sector of the plant.", None)\n',
        field_line("spare_field"),
    ),
    # The search `q` covers a field if the resource declares it.
    Edit("models/machine.py", 'searched=("name", "sector", ', '"spare_field", '),
]
OPERATOR = [
    Edit(
        "query/language/operators.py",
        '"ends with the text; case and accents do not matter", TEXTUAL, _like, "folded", "%{}"),\n',
        """        Operator(
            "notcontains",
            "does not contain the text, or has no value",
            TEXTUAL,
            lambda column, operands: or_(column.is_(None), not_(_like(column, operands))),
            "folded",
            "%{}%",
            complement=CONTAINS,
        ),
""",
    )
]

METRIC = [
    Edit(
        "models/log.py",
        "        FAILURES_FROM_COUNTERS,\n    ),\n",
        '    SumMetric("repairs", "how many are repairs", ("type",), lambda code: one_if(code == "maintenance")),\n',
    )
]
# The resource is declared in `recipes/site.py`; its routes are those of log types, with other names.
RESOURCE = [
    Edit("models/machine.py", "from machine_monitor.query.schema import ", "Reference, "),
    Edit(
        "models/machine.py",
        "import Versioned, patch_schema, replace_schema\n",
        "from machine_monitor.models.site import SITES\n",
    ),
    Edit(
        "models/machine.py",
        "    name_key: str = Field(sa_type=EXACT_TEXT)\n",
        """    site_id: int | None = Field(
        default=None, foreign_key="sites.id", ondelete="RESTRICT", index=True, sa_type=INTEGER.column_type
    )


class MachineReferences(Schema):
    site: Annotated[Name, Reference(SITES, on="site_id", to="id")] | None = kind_field(TEXT, "The site.", None)
""",
    ),
    Edit("models/machine.py", "class MachineValues(MachineFields", ", MachineReferences"),
    Edit("models/machine.py", "class MachineRead(Versioned, MachineFields", ", MachineReferences"),
    Edit("models/__init__.py", "import forbid_writes\n", "from machine_monitor.models.site import SITES\n"),
    Edit("models/__init__.py", "RESOURCES = (", "SITES, "),
    Edit("api/app.py", "from machine_monitor.api.routes import (\n", "    sites,\n"),
    Edit("api/app.py", "MODULES = (", "sites, "),
]
ROUTES = (
    ("log_types", "sites"),
    ("log_type", "site"),
    ("log-types", "sites"),
    ("log types", "sites"),
    ("LOG_TYPES", "SITES"),
    ("LogType", "Site"),
    ("{code}", "{name}"),
    ("code: Code", "name: Name"),
    ("import Code", "import Name"),
    (", code,", ", name,"),
    (", code)", ", name)"),
)


class Checkout:
    """A copy of the checkout with the edits of a recipe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Copy the bytecode as well, so that only edited files have to be compiled, once.
        for name in ("src", "alembic"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("web"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def edit(self, edits: list[Edit]) -> None:
        """Apply the edits of a recipe."""
        for edit in edits:
            path = self.folder / "src/machine_monitor" / edit.file
            text = path.read_text()
            assert text.count(edit.behind) == 1, f"{edit.file} changed: update the recipe"
            path.write_text(text.replace(edit.behind, edit.behind + edit.text))

    def write(self, file: str, text: str) -> None:
        """Add a file to the package."""
        (self.folder / "src/machine_monitor" / file).write_text(text)

    def variables(self, **settings: object) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return inherited | environment(**settings) | {"PYTHONPATH": str(self.folder / "src")}

    def run(self, *words: str, **settings: object) -> str:
        """Run a module of the copy and return its output."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.variables(**settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def mm(self, *words: str, **settings: object) -> str:
        return self.run("machine_monitor.cli.main", *words, **settings)

    @contextmanager
    def served(self, database_url: str) -> Iterator[httpx2.Client]:
        """Start the service of the copy and yield a client."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(self.folder / "src"))
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            service = Service(self.folder, database_url=database_url)
        with service, httpx2.Client(base_url=f"http://127.0.0.1:{service.port}") as client:
            yield client


@pytest.fixture
def database_with_rows(database_url) -> str:
    """A database with rows that were written before the recipe was applied."""

    async def fill() -> None:
        async with serving(Settings(database_url=database_url)) as client:
            for path, bodies in (("/machines", MACHINES), ("/logs", LOGS)):
                for body in bodies:
                    assert (await client.post(path, json=body)).status_code == 201

    asyncio.run(fill())
    return database_url


@pytest.fixture(scope="module")
def with_field(tmp_path_factory) -> Checkout:
    """A checkout with a new text field `spare_field` of machines."""
    checkout = Checkout(tmp_path_factory.mktemp("field"))
    checkout.edit(FIELD)
    # As long as the migration is missing, `migrate` warns about the field, but still creates a new database.
    new = tmp_path_factory.mktemp("new") / "new.db"
    assert "(machines.spare_field" in checkout.mm("migrate", database_url=f"sqlite:///{new}")
    # The command of `make migration NAME=add_location`.
    checkout.run("machine_monitor.database.schema.autogenerate", "add_location")
    assert (checkout.folder / f"alembic/versions/{NEXT}_add_location.py").is_file()
    assert [path.name for path in checkout.folder.rglob("*.db*")] == []
    return checkout


@pytest.fixture(scope="module")
def with_operator(tmp_path_factory) -> Checkout:
    """A checkout with a new operator `notcontains`."""
    checkout = Checkout(tmp_path_factory.mktemp("operator"))
    checkout.edit(OPERATOR)
    return checkout


@pytest.fixture(scope="module")
def with_metric(tmp_path_factory) -> Checkout:
    """A checkout with a new metric `repairs` of logs."""
    checkout = Checkout(tmp_path_factory.mktemp("metric"))
    checkout.edit(METRIC)
    return checkout


@pytest.fixture(scope="module")
def with_resource(tmp_path_factory) -> Checkout:
    """A checkout with a new resource `sites`, which machines refer to and which contains a list of contacts."""
    checkout = Checkout(tmp_path_factory.mktemp("resource"))
    checkout.edit(RESOURCE)
    checkout.write("models/site.py", (ROOT / "tests/recipes/site.py").read_text())
    routes = (ROOT / "src/machine_monitor/api/routes/log_types.py").read_text()
    for old, new in ROUTES:
        routes = routes.replace(old, new)
    checkout.write("api/routes/sites.py", routes)
    checkout.run("machine_monitor.database.schema.autogenerate", "add_sites")
    return checkout


def get(client: httpx2.Client, path: str) -> httpx2.Response:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response


def names(client: httpx2.Client, query: str) -> list[str]:
    return [machine["name"] for machine in get(client, f"/machines?{query}").json()["items"]]


def comments(client: httpx2.Client, query: str) -> list[str | None]:
    return [log["comment"] for log in get(client, f"/logs?sort=started_at&{query}").json()["items"]]


def test_the_recipe_for_a_field_works(with_field, database_with_rows, tmp_path):
    moved = with_field.mm("migrate", database_url=database_with_rows)
    assert f"from {schema.head_revision()} to {NEXT}" in moved
    (tmp_path / "places.csv").write_text("name,spare_field\nÉcluse,Hall 4\n")
    imported = with_field.mm("import", str(tmp_path / "places.csv"), "--json", database_url=database_with_rows)
    assert json.loads(imported)["machines"]["updated"] == 1
    with with_field.served(database_with_rows) as client:
        assert names(client, "spare_field__isnull=true") == ["Lathe", "Saw"]
        assert (
            client.patch("/machines/Lathe", json={"spare_field": "Hall Bézier"}).json()["spare_field"] == "Hall Bézier"
        )
        assert client.post("/machines", json={"name": "Press", "spare_field": "hall 10"}).status_code == 201
        check_lists(client)
        check_history_and_files(client)
        check_document(client)
    assert "Everything is as it was written" in with_field.mm("verify", database_url=database_with_rows)


def check_lists(client: httpx2.Client) -> None:
    """Check that filters, sorting and search support the field, on machines and through the relation from logs."""
    assert names(client, "spare_field=Hall 4") == ["Écluse"]
    assert names(client, "spare_field__contains=BEZ") == ["Lathe"]
    assert names(client, "spare_field__startswith=hall&sort=spare_field") == ["Écluse", "Lathe", "Press"]
    assert names(client, "spare_field__in=Hall 4,hall 10&sort=-spare_field") == ["Press", "Écluse"]
    assert names(client, "q=bezier") == ["Lathe"]
    assert comments(client, "machine.spare_field=Hall Bézier") == ["The bearing is loud"]
    assert comments(client, "machine.spare_field__isnull=true") == ["New blade", None]
    wrong = client.get("/machines?spare_feld=x")
    assert (wrong.status_code, "spare_field" in wrong.text) == (422, True)


def check_history_and_files(client: httpx2.Client) -> None:
    """Check that the history contains the change, and exports the column."""
    entries = get(client, "/machines/Lathe/history").json()["items"]
    assert entries[0]["changes"] == {"spare_field": [None, "Hall Bézier"]}
    rows = get(client, "/machines.csv?fields=name,spare_field&sort=name").text.splitlines()
    assert rows == ["name,spare_field", "Lathe,Hall Bézier", "Press,hall 10", "Saw,", "Écluse,Hall 4"]
    assert '"spare_field":"Hall Bézier"' in get(client, "/machines.ndjson?name=Lathe").text
    rows = get(client, "/logs.csv?fields=machine,machine.spare_field&sort=started_at").text.splitlines()
    assert rows == ["machine,machine.spare_field", "Lathe,Hall Bézier", "Saw,", "Saw,"]


def check_document(client: httpx2.Client) -> None:
    """Check that the OpenAPI document contains the field, its parameters, and its row in the table of filters."""
    document = get(client, "/openapi.json").json()
    for name in ("MachineCreate", "MachineRead", "MachineUpdate"):
        assert "spare_field" in document["components"]["schemas"][name]["properties"]
    assert {"spare_field", "spare_field__contains"} <= parameters(document, "/machines")
    filters = client.get("/docs/filters").text
    assert "<td><code>spare_field</code></td><td>text</td>" in filters
    assert "<td><code>machine.spare_field</code></td><td>text</td>" in filters


def parameters(document: dict, path: str) -> set[str]:
    return {parameter["name"] for parameter in document["paths"][path]["get"]["parameters"] if "name" in parameter}


def test_the_recipe_for_an_operator_works(with_operator, database_with_rows):
    with with_operator.served(database_with_rows) as client:
        assert comments(client, "comment__notcontains=BEARING") == ["New blade", None]
        assert comments(client, "machine__notcontains=lathe") == ["New blade", None]
        assert comments(client, "machine.sector__notcontains=1a") == ["New blade", None]
        assert names(client, "name__notcontains=ecl") == ["Lathe", "Saw"]
        assert get(client, "/logs/facets?by=type&comment__notcontains=blade").status_code == 200
        filters = client.get("/docs/filters").text
        assert "<td><code>notcontains</code></td><td>does not contain the text" in filters
        assert re.search(r"<code>machine\.sector</code></td><td>text</td><td>[^/]*(</code>[^/]*)*notcontains", filters)
        wrong = client.get("/logs?comment__notcontain=x")
        assert (wrong.status_code, "notcontains" in wrong.text) == (422, True)


def test_the_recipe_for_a_metric_works(with_metric, database_with_rows):
    with with_metric.served(database_with_rows) as client:
        maintenance = {"machine": "Saw", "type": "maintenance", "started_at": "2025-01-03T12:00:00Z"}
        assert client.post("/logs", json=maintenance).status_code == 201
        measured = {}
        for query in ("group_by=machine", "group_by=machine&status=done"):
            groups = get(client, f"/logs/stats?{query}&metrics=repairs,count").json()["groups"]
            measured[query] = [(group["machine"], group["repairs"], group["count"]) for group in groups]
        # Without a filter, stats may come from the counters. These lack the type by machine, which the metric needs.
        assert set(map(tuple, measured.values())) == {(("Lathe", 0, 1), ("Saw", 1, 3))}
        by_month = get(client, "/logs/stats?group_by=month&metrics=repairs").json()["groups"]
        assert by_month == [{"month": "2025-01", "repairs": 1}]
        wrong = client.get("/logs/stats?metrics=repair")
        assert (wrong.status_code, "repairs" in wrong.text) == (422, True)
        declared = get(client, "/openapi.json").json()["paths"]["/logs/stats"]["get"]["parameters"]
        assert "`repairs` (how many are repairs)" in json.dumps(declared)


def test_the_recipe_for_a_resource_works(with_resource, database_with_rows, tmp_path):
    assert f"from {schema.head_revision()} to {NEXT}" in with_resource.mm("migrate", database_url=database_with_rows)
    (tmp_path / "machines.csv").write_text("name,site\nÉcluse,South\n")
    imported = json.loads(
        with_resource.mm("import", str(tmp_path / "machines.csv"), "--json", database_url=database_with_rows)
    )
    assert (imported["machines"]["updated"], imported["sites"]["created"]) == (1, 1)
    with with_resource.served(database_with_rows) as client:
        contacts = [{"name": "Zoé", "phone": None}, {"name": "Ada", "phone": "12"}]
        site = client.put("/sites/North", json={"city": "Lille", "contacts": contacts})
        assert (site.status_code, site.json()["contacts"], site.json()["contact_count"]) == (201, contacts, 2)
        assert client.patch("/machines/Lathe", json={"site": "north"}).json()["site"] == "North"
        check_relation(client)
        check_rename_and_deletion(client)
        filters = client.get("/docs/filters").text
        assert "<code>machine.site.city</code>" in filters
        assert "<code>contacts.name</code>" in filters
    written = tmp_path / "sites.csv"
    with_resource.mm("export", str(written), "--resource", "sites", database_url=database_with_rows)
    again = json.loads(with_resource.mm("import", str(written), "--json", database_url=database_with_rows))
    assert again["sites"]["unchanged"] == 2
    assert "Everything is as it was written" in with_resource.mm("verify", database_url=database_with_rows)


def check_relation(client: httpx2.Client) -> None:
    """Check that lists of machines and logs can filter by the site, and that exports and history contain it."""
    assert names(client, "site=North") == ["Lathe"]
    assert names(client, "site.city__contains=LIL") == ["Lathe"]
    assert names(client, "site__isnull=true") == ["Saw"]
    assert names(client, "sort=-site") == ["Écluse", "Lathe", "Saw"]
    assert comments(client, "machine.site.city=Lille") == ["The bearing is loud"]
    assert comments(client, "machine.site.contacts.name__contains=zoe") == ["The bearing is loud"]
    rows = get(client, "/logs.csv?fields=machine,machine.site,machine.site.city&sort=started_at").text.splitlines()
    assert rows == ["machine,machine.site,machine.site.city", "Lathe,North,Lille", "Saw,,", "Saw,,"]
    entries = get(client, "/machines/Lathe/history").json()["items"]
    assert entries[0]["changes"] == {"site": [None, "North"]}
    assert [site["name"] for site in get(client, "/sites?q=ada&contact_count__gte=1").json()["items"]] == ["North"]
    unknown = client.patch("/machines/Saw", json={"site": "Nort"})
    assert (unknown.status_code, "Did you mean 'North'?" in unknown.text) == (422, True)


def check_rename_and_deletion(client: httpx2.Client) -> None:
    """Check that machines follow a renamed site, and that a site with machines cannot be deleted."""
    assert client.patch("/sites/North", json={"name": "Nord"}).status_code == 200
    lathe = get(client, "/machines/Lathe").json()
    assert (lathe["site"], lathe["version"]) == ("Nord", 3)
    assert comments(client, "machine.site=Nord") == ["The bearing is loud"]
    refused = client.delete("/sites/Nord")
    assert (refused.status_code, refused.json()["code"]) == (409, "in-use")
