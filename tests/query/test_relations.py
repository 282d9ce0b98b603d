"""Relations of several levels and lists inside records, with the resources of `query.plant`, which only tests use."""

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
import pytest_asyncio

from conftest import ENGINES, client_of, new_database
from machine_monitor.api.app import create_app
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from query import plant

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEGIN = datetime(2025, 7, 1, tzinfo=UTC)
PARTS = ("Seal", "bearing 6204", "Écrou", "Seal kit")
SITES = {"North": ("Lille", "Upper"), "South": (None, "Lower"), "East": ("Nancy", None)}
COUNTRIES = {"Upper": "FR", "Lower": None}
STATIONS = {"L1": ("A", "North"), "L2": ("B", "South"), "L3": ("A", None), "L4": (None, "East")}
KINDS = {"fix": "Repair", "look": None}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def client(request, tmp_path_factory):
    """A client of an API that has the resources of the plant and those of the product."""
    with new_database(request, request.param, tmp_path_factory.mktemp("plant")) as url:
        database = Database(url)
        database.transact(plant.create_tables)
        database.close_writer()
        app = create_app(Settings(database_url=url, open=True))
        for resource in plant.RESOURCES:
            app.router.routes.extend(plant.routes(resource).routes)
        async with app.router.lifespan_context(app), client_of(app) as opened:
            await seed(opened)
            yield opened


async def send(client, method: str, path: str, status: int, **body):
    response = await client.request(method, path, json=body) if body else await client.request(method, path)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


async def seed(client) -> None:
    for name, country in COUNTRIES.items():
        await send(client, "POST", "/regions", 201, name=name, country=country)
    for name, (city, region) in SITES.items():
        await send(client, "POST", "/sites", 201, name=name, city=city, region=region)
    for name, (sector, site) in STATIONS.items():
        await send(client, "POST", "/stations", 201, name=name, sector=sector, site=site)
    for code, label in KINDS.items():
        await send(client, "POST", "/kinds", 201, code=code, label=label)
    for body in job_bodies():
        await send(client, "POST", "/jobs", 201, **body)


def job_bodies() -> list[dict]:
    rng, jobs = random.Random(15), []
    for i, (station, spare) in enumerate(product(STATIONS, (None, *STATIONS))):
        start = BEGIN + timedelta(hours=rng.randrange(3))
        lines = [
            {"part": rng.choice(PARTS), "quantity": rng.choice((None, 1, 2, 3)), "urgent": rng.random() < 0.3}
            for _ in range(i % 4)
        ]
        jobs.append(
            {"code": f"J{i:02}", "station": station, "spare": spare, "kind": rng.choice(list(KINDS)), "lines": lines}
            | {"started_at": start.isoformat(), "ended_at": (start + timedelta(minutes=i)).isoformat(), "minutes": i}
            | {"note": rng.choice((None, "oil", "Öl"))}
        )
    return jobs


async def items(client, path: str = "jobs", **parameters) -> list[dict]:
    response = await client.get(f"/{path}", params={"limit": 500, **parameters})
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def codes(client, **parameters) -> set[str]:
    return {item["code"] for item in await items(client, **parameters)}


def station_field(name: str | None, field: str):
    """Return a field of a station, or of a related site or region, according to the seed."""
    if name is None:
        return None
    sector, site = STATIONS[name]
    city, region = SITES[site] if site else (None, None)
    country = COUNTRIES[region] if region else None
    fields = {"name": name, "sector": sector, "site": site, "site.name": site, "site.city": city}
    return (fields | {"site.region": region, "site.region.name": region, "site.region.country": country})[field]


FIELDS = ("name", "sector", "site", "site.name", "site.city", "site.region", "site.region.name", "site.region.country")
MATCHES = {
    "": lambda found, wanted: found == wanted,
    "__ne": lambda found, wanted: found != wanted,
    "__in": lambda found, wanted: found == wanted,
    "__nin": lambda found, wanted: found != wanted,
    "__gte": lambda found, wanted: found is not None and found >= wanted,
    "__lt": lambda found, wanted: found is not None and found < wanted,
    "__contains": lambda found, wanted: found is not None and wanted.lower() in found.lower(),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("relation", ["station", "spare"])
async def test_a_filter_works_through_any_number_of_relations(client, relation, field):
    all_jobs = await items(client)
    values = sorted({station_field(name, field) for name in STATIONS} - {None})
    for operator, operand in product(MATCHES, values):
        found = await codes(client, **{f"{relation}.{field}{operator}": operand})
        expected = {job["code"] for job in all_jobs if MATCHES[operator](station_field(job[relation], field), operand)}
        assert found == expected, (relation, field, operator, operand)
    for is_null in ("true", "false"):
        found = await codes(client, **{f"{relation}.{field}__isnull": is_null})
        assert found == {
            job["code"] for job in all_jobs if (station_field(job[relation], field) is None) == (is_null == "true")
        }


async def test_a_reference_is_filtered_by_the_name_of_the_related_record(client):
    all_jobs = await items(client)
    for relation in ("station", "spare"):
        assert await codes(client, **{relation: "L2"}) == {job["code"] for job in all_jobs if job[relation] == "L2"}
        assert await codes(client, **{f"{relation}__ne": "L2"}) == {
            job["code"] for job in all_jobs if job[relation] != "L2"
        }
    assert {item["name"] for item in await items(client, "stations", site="North")} == {"L1"}
    assert {item["name"] for item in await items(client, "stations", **{"site.region.country": "FR"})} == {"L1"}


SORTS = (
    "station.site",
    "-spare.site.city",
    "spare.site.region.country,-station.sector",
    "-line_count,spare",
    "spare,note",
)


@pytest.mark.parametrize("sort", SORTS)
async def test_a_sort_by_related_fields_can_be_paged_in_both_directions(client, sort):
    whole = [item["code"] for item in await items(client, sort=sort)]
    pages, address = [], f"/jobs?limit=3&sort={sort}"
    page = (await client.get(address)).json()
    while True:
        pages.append([item["code"] for item in page["items"]])
        if page["next"] is None:
            break
        page = (await client.get(f"{address}&cursor={page['next']}")).json()
    assert [code for codes_of_page in pages for code in codes_of_page] == whole
    assert len(set(whole)) == len(whole) >= 20
    back = []
    while page["previous"] is not None:
        page = (await client.get(f"{address}&cursor={page['previous']}")).json()
        back.append([item["code"] for item in page["items"]])
    assert back == pages[-2::-1]


def sort_key(value):
    return (value is None, value or "")


async def test_a_sort_by_a_related_field_puts_nulls_last(client):
    for direction in ("", "-"):
        jobs = await items(client, sort=f"{direction}spare.site.city")
        ordered = [station_field(job["spare"], "site.city") for job in jobs]
        cities = [city for city in ordered if city is not None]
        assert ordered == sorted(cities, reverse=direction == "-") + [None] * (len(ordered) - len(cities))


async def test_expand_includes_the_related_records(client):
    job = await send(client, "GET", "/jobs/J01?expand=station,spare,kind", 200)
    assert (job["station"], job["spare"]) == ("L1", "L1")
    assert job["expanded"]["station"]["site"] == "North"
    assert job["expanded"]["spare"] == await send(client, "GET", "/stations/L1", 200)
    assert job["expanded"]["kind"]["code"] == job["kind"]
    without = await send(client, "GET", "/jobs/J00?expand=spare", 200)
    assert (without["spare"], without["expanded"]) == (None, {"spare": None})


COLUMNS = ("code", "station", "station.site", "station.site.region.country", "spare.site.city", "lines", "line_count")


async def test_exports_have_one_row_per_record_with_columns_of_related_records(client):
    names = ",".join(COLUMNS)
    response = await client.get("/jobs.csv", params={"fields": names, "sort": "code"})
    rows = list(csv.reader(io.StringIO(response.text)))
    assert rows[0] == list(COLUMNS)
    all_jobs = sorted(await items(client), key=lambda job: job["code"])
    for row, job in zip(rows[1:], all_jobs, strict=True):
        site, country = (station_field(job["station"], field) for field in ("site", "site.region.country"))
        city = station_field(job["spare"], "site.city")
        assert row[:5] == [job["code"], job["station"], site or "", country or "", city or ""]
        assert (json.loads(row[5]), int(row[6])) == (job["lines"], job["line_count"])
    assert list(map(json.loads, (await client.get("/jobs.ndjson?sort=code")).text.splitlines())) == all_jobs
    flat = (await client.get("/jobs.ndjson", params={"fields": names, "sort": "code"})).text.splitlines()
    assert [json.loads(line)["lines"] for line in flat] == [job["lines"] for job in all_jobs]
    assert (await client.get("/jobs.xlsx", params={"fields": names})).status_code == 200
    assert (await client.get("/jobs.csv?fields=lines.part")).status_code == 422


async def test_facets_count_by_related_fields(client):
    all_jobs = await items(client)
    fields = {"station.site": ("station", "site"), "station.site.region.country": ("station", "site.region.country")}
    fields |= {"spare": ("spare", "name"), "spare.site.city": ("spare", "site.city")}
    for narrowing in ({}, {"station": "L1"}, {"q": "seal"}):
        chosen = await items(client, **narrowing)
        response = await client.get("/jobs/facets", params={"by": ",".join(fields), **narrowing})
        assert response.status_code == 200, response.text
        for name, (relation, field) in fields.items():
            counted = {}
            for job in all_jobs if narrowing == {} else chosen:
                value = station_field(job[relation], field)
                counted[value] = counted.get(value, 0) + 1
            assert {row["value"]: row["count"] for row in response.json()["facets"][name]} == counted, (name, narrowing)


async def test_stats_group_by_related_fields_and_sum_declared_metrics(client):
    all_jobs = await items(client, started_at="2025-07-01")
    # Only the jobs of the seed: other tests write jobs at other times, some of which have no end.
    seeded = "started_at=2025-07-01"
    grouped = "group_by=station.site.region.country,kind&metrics=count,total_minutes,worked"
    response = await client.get(f"/jobs/stats?{grouped}&{seeded}")
    expected = {}
    for job in all_jobs:
        key = (station_field(job["station"], "site.region.country"), job["kind"])
        count, minutes = expected.get(key, (0, 0))
        expected[key] = (count + 1, minutes + job["minutes"])
    groups = response.json()["groups"]
    assert {
        (group["station.site.region.country"], group["kind"]): (group["count"], group["total_minutes"])
        for group in groups
    } == expected
    assert [group["worked"] <= group["total_minutes"] * 60 for group in groups] == [True] * len(groups)
    by_day = (await client.get(f"/jobs/stats?group_by=day,station.site&metrics=worked,total_minutes&{seeded}")).json()[
        "groups"
    ]
    assert sum(group["total_minutes"] for group in by_day) == sum(job["minutes"] for job in all_jobs)


async def test_an_unknown_reference_gets_a_suggestion(client):
    response = await send(client, "POST", "/stations", 422, name="L9", site="Nort")
    assert response["errors"] == [
        {
            "pointer": "/site",
            "code": "unknown-site",
            "message": "There is no site 'Nort'. Did you mean 'North'?",
        }
    ]
    response = await send(client, "PATCH", "/jobs/J00", 422, spare="L22")
    assert response["detail"] == "There is no station 'L22'. Did you mean 'L2'?"


async def test_a_rename_changes_only_the_records_that_show_the_name(client):
    await send(client, "POST", "/sites", 201, name="Old town")
    for name in ("R1", "R2"):
        await send(client, "POST", "/stations", 201, name=name, site="Old town")
    await send(client, "POST", "/jobs", 201, code="R-job", station="R1", kind="fix", started_at="2020-01-01T00:00:00Z")
    before = {item["code"]: item["version"] for item in await items(client)}
    await send(client, "PATCH", "/sites/Old town", 200, name="New town")
    stations = await items(client, "stations", site="New town")
    assert [(item["name"], item["version"], item["site"]) for item in stations] == [
        ("R1", 2, "New town"),
        ("R2", 2, "New town"),
    ]
    assert [item["name"] for item in await items(client, "stations", q='"new town"')] == ["R1", "R2"]
    assert await items(client, "stations", q='"old town"') == []
    # Jobs do not show the name of the site, so none has changed; not even that of a station with the id of the site.
    assert {item["code"]: item["version"] for item in await items(client)} == before
    assert await codes(client, **{"station.site": "New town"}) == {"R-job"}
    await send(client, "PATCH", "/stations/R1", 200, name="R one")
    assert await codes(client, q='"r one"') == {"R-job"}
    job = await send(client, "GET", "/jobs/R-job", 200)
    assert (job["station"], job["version"]) == ("R one", 2)
    history = await items(client, "jobs/R-job/history")
    assert [entry["op"] for entry in history] == ["create"]
    await send(client, "DELETE", "/jobs/R-job", 204)
    response = await send(client, "DELETE", "/stations/R one", 409)
    assert response["code"] == "in-use"


async def test_a_referenced_record_cannot_be_deleted(client):
    for path in ("sites/South", "regions/Lower", "stations/L4", "kinds/fix"):
        response = await send(client, "DELETE", f"/{path}", 409)
        assert response["code"] == "in-use", response
    await send(client, "POST", "/sites", 201, name="Nowhere")
    await send(client, "DELETE", "/sites/Nowhere", 204)


# A query, and whether it matches a job with these lines.
CHILD_ROW_FILTERS = {
    "lines.part=Seal": lambda lines: any(line["part"] == "Seal" for line in lines),
    "lines.part__ne=Seal": lambda lines: not any(line["part"] == "Seal" for line in lines),
    "lines.part__in=Seal,Écrou": lambda lines: any(line["part"] in ("Seal", "Écrou") for line in lines),
    "lines.part__nin=Seal,Écrou": lambda lines: not any(line["part"] in ("Seal", "Écrou") for line in lines),
    "lines.part__contains=ecr": lambda lines: any(line["part"] == "Écrou" for line in lines),
    "lines.part__startswith=SEAL k": lambda lines: any(line["part"] == "Seal kit" for line in lines),
    "lines.quantity__gte=2": lambda lines: any((line["quantity"] or 0) >= 2 for line in lines),
    "lines.quantity__isnull=false": lambda lines: any(line["quantity"] is not None for line in lines),
    "lines.quantity__isnull=true": lambda lines: all(line["quantity"] is None for line in lines),
    "lines.urgent=true": lambda lines: any(line["urgent"] for line in lines),
    "lines.urgent=true&lines.part=Seal": lambda lines: (
        any(line["urgent"] for line in lines) and any(line["part"] == "Seal" for line in lines)
    ),
    "line_count=0": lambda lines: not lines,
    "line_count__gt=1": lambda lines: len(lines) > 1,
    "q=seal": lambda lines: any(line["part"].startswith("Seal") for line in lines),
    'q="seal kit"': lambda lines: any(line["part"] == "Seal kit" for line in lines),
    "q=-seal": lambda lines: not any(line["part"].startswith("Seal") for line in lines),
}


@pytest.mark.parametrize("query", CHILD_ROW_FILTERS)
async def test_a_filter_on_child_rows_matches_if_any_row_matches(client, query):
    all_jobs = await items(client)
    response = await client.get(f"/jobs?limit=500&count=exact&{query}")
    assert response.status_code == 200, response.text
    found = {item["code"] for item in response.json()["items"]}
    expected = {job["code"] for job in all_jobs if CHILD_ROW_FILTERS[query](job["lines"])}
    assert found == expected
    assert response.json()["total"] == len(expected)
    assert 0 < len(expected) < len(all_jobs)


async def test_child_rows_are_written_returned_and_recorded_in_history_as_a_whole(client):
    first = {"part": "Pump", "quantity": 2, "urgent": True, "needed_at": "2025-07-01T10:00:00Z"}
    second = {"part": "Belt", "quantity": None, "urgent": False, "needed_at": None}
    job = await send(client, "PUT", "/jobs/H1", 201, station="L3", kind="look", lines=[first, {"part": "Belt"}])
    assert (job["lines"], job["line_count"]) == ([first, second], 2)
    assert (await send(client, "PUT", "/jobs/H1", 200, **job))["version"] == 1
    assert await codes(client, **{"lines.needed_at": "2025-07-01"}) == {"H1"}
    job = await send(client, "PATCH", "/jobs/H1", 200, lines=[second, first])
    assert (job["lines"], job["version"]) == ([second, first], 2)
    await send(client, "PATCH", "/jobs/H1", 200, note="none of it")
    job = await send(client, "PATCH", "/jobs/H1", 200, lines=[])
    assert (job["lines"], job["line_count"], job["version"]) == ([], 0, 4)
    assert await codes(client, q="pump") == set()
    history = await items(client, "jobs/H1/history")
    assert [entry["changes"].get("lines") for entry in history] == [
        [[second, first], []],
        None,
        [[first, second], [second, first]],
        [None, [first, second]],
    ]
    refused = await send(client, "PATCH", "/jobs/H1", 422, lines=[{"part": "x", "quantity": -1}])
    assert refused["errors"][0]["pointer"] == "/lines/0/quantity"
    refused = await send(client, "PATCH", "/jobs/H1", 422, line_count=7)
    assert refused["errors"][0]["code"] == "read-only"


async def test_child_rows_are_deleted_and_restored_with_their_record(client):
    lines = [{"part": "Valve", "quantity": 1, "urgent": False, "needed_at": None}]
    await send(client, "PUT", "/jobs/D1", 201, station="L3", kind="look", lines=lines)
    await send(client, "DELETE", "/jobs/D1", 204)
    assert await codes(client, **{"lines.part": "Valve"}) == set()
    restored = await send(client, "POST", "/jobs/D1/restore", 200)
    assert (restored["lines"], restored["line_count"]) == (lines, 1)
    assert await codes(client, **{"lines.part": "Valve"}) == {"D1"}


async def test_a_deleted_record_cannot_be_referenced(client):
    job, reading = {"station": "L3", "kind": "look"}, {"job": "N1", "value": 1}
    await send(client, "PUT", "/jobs/N1", 201, **job)
    await send(client, "DELETE", "/jobs/N1", 204)
    (error,) = (await send(client, "PUT", "/readings/R1", 422, **reading))["errors"]
    assert (error["code"], error["pointer"], "'N1'?" in error["message"]) == ("unknown-job", "/job", False)
    await send(client, "POST", "/jobs/N1/restore", 200)
    await send(client, "PUT", "/readings/R1", 201, **reading)
    for path in ("/readings/R1", "/jobs/N1"):
        await send(client, "DELETE", path, 204)


async def test_two_relations_to_one_table_are_filtered_independently(client):
    for code, job, station in (("A", "J00", "L2"), ("B", "J07", None), ("C", "J07", "L1")):
        await send(client, "POST", "/readings", 201, code=code, job=job, job_station=station, value=len(code))
    for query in ("job.station=L1&job_station=L2", "job.station.sector=A&job_station.sector=B"):
        assert [item["code"] for item in (await client.get(f"/readings?{query}")).json()["items"]] == ["A"], query
    shown = (await client.get("/readings.csv?fields=code,job.station.sector,job_station.sector&sort=code")).text
    assert list(csv.reader(io.StringIO(shown)))[1:] == [["A", "A", "B"], ["B", "B", ""], ["C", "B", "A"]]


async def test_a_field_path_that_does_not_exist_or_is_not_supported_is_refused(client):
    response = await client.get("/jobs?station.site.citi=x")
    assert (response.status_code, response.json()["code"]) == (422, "unknown-parameter")
    assert "Did you mean 'station.site.city'?" in response.json()["detail"]
    assert (await client.get("/jobs?sort=lines.part")).status_code == 422
    assert (await client.get("/jobs?lines=x")).status_code == 422
