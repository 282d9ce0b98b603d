"""An export contains the same records and values as the list, without pagination."""

import csv
import io
import json
import re
from datetime import datetime
from urllib.parse import urlencode

import openpyxl
import pytest

from conftest import serving
from machine_monitor.config import Settings
from query import samples
from query.samples import collect

# Fixtures with module scope require an event loop with module scope.
module = pytest.mark.asyncio(loop_scope="module")

QUERIES = (
    {},
    {"sort": "machine.sector,-severity"},
    {"sort": "-ended_at,user"},
    {"q": "huile -moteur"},
    {"q": "?!"},
    {"machine.sector": "1A", "severity__gte": "minor"},
    {"started_at": "2025-07-25", "sort": "started_at"},
    {"comment__contains": "50%"},
    {"user__isnull": "true", "expand": "machine,type,user"},
    {"fields": "comment,uuid", "expand": "machine"},
    {"fields": "uuid,attributes,started_at"},
)


async def lines(client, path, **parameters):
    response = await client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def table(client, path, delimiter=",", **parameters):
    response = await client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    assert response.text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff"), newline=""), delimiter=delimiter))


async def workbook(client, path, **parameters):
    response = await client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    sheet = openpyxl.load_workbook(io.BytesIO(response.content)).active
    header, *rows = sheet.iter_rows()
    return sheet, [{name.value: cell for name, cell in zip(header, row, strict=True)} for row in rows]


def flat(record):
    """Return a record as CSV cells, with the fields of related records as further columns."""
    related = record.pop("expanded", {})
    for name, values in related.items():
        record |= {f"{name}.{field}": value for field, value in (values or {}).items()}
    return {name: cell(value) for name, value in record.items()}


def cell(value):
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@module
@pytest.mark.parametrize("query", QUERIES, ids=urlencode)
async def test_ndjson_has_the_items_of_the_list(seeded, query):
    assert await lines(seeded, "/logs.ndjson", **query) == await collect(seeded, "logs", **query)


@module
@pytest.mark.parametrize("query", QUERIES, ids=urlencode)
@pytest.mark.parametrize(("dialect", "delimiter"), [("rfc4180", ","), ("excel", ";")])
async def test_csv_has_the_items_of_the_list(seeded, query, dialect, delimiter):
    rows = await table(seeded, "/logs.csv", delimiter, dialect=dialect, **query)
    items = [flat(item) for item in await collect(seeded, "logs", **query)]
    # All cells of a missing related record are empty.
    assert [{name: row[name] for name in row if row[name] or name in item} for row, item in zip(rows, items)] == items  # noqa: B905 -- the next line compares the lengths
    assert len(rows) == len(items)


@module
async def test_ndjson_lines_equal_the_json_of_the_list(seeded):
    response = await seeded.get("/logs.ndjson", params={"sort": "machine"})
    listed = await seeded.get("/logs", params={"sort": "machine", "limit": 500})
    assert response.text == "".join(f"{line}\n" for line in response.text.splitlines())
    assert '{"items":[' + ",".join(response.text.splitlines()) + '],"next"' in listed.text


@module
async def test_machines_are_exported_too(seeded):
    items = await collect(seeded, "machines", sort="-name")
    assert await lines(seeded, "/machines.ndjson", sort="-name") == items
    assert await table(seeded, "/machines.csv", sort="-name") == [flat(item) for item in items]
    _, rows = await workbook(seeded, "/machines.xlsx", sort="-name")
    assert [row["name"].value for row in rows] == [item["name"] for item in items]
    assert {type(row["in_service"].value) for row in rows} == {bool, type(None)}


@module
async def test_fields_select_and_order_columns_including_related_ones(seeded):
    fields = "attributes.temp,machine.sector,uuid,user.role,severity,attributes.none"
    rows = await lines(seeded, "/logs.ndjson", fields=fields, expand="user")
    whole = await collect(seeded, "logs", expand="machine,user")
    assert rows == [
        {
            "attributes.temp": log["attributes"].get("temp"),
            "machine.sector": log["expanded"]["machine"]["sector"],
            "uuid": log["uuid"],
            "user.role": log["expanded"]["user"] and log["expanded"]["user"]["role"],
            "severity": log["severity"],
            "attributes.none": None,
            "expanded": {"user": log["expanded"]["user"]},
        }
        for log in whole
    ]
    header = (await seeded.get("/logs.csv", params={"fields": fields})).text.split("\r\n")[0]
    assert header == fields
    assert [row["attributes.temp"] for row in await table(seeded, "/logs.csv", fields=fields)].count("80") == 2


@module
async def test_csv_distinguishes_null_from_empty_and_quotes_by_rfc_4180(seeded):
    response = await seeded.get(
        "/logs.csv", params={"fields": "project,comment,attributes,cause,action", "sort": "uuid"}
    )
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = response.content.decode().split("\r\n")
    assert rows[0] == "project,comment,attributes,cause,action"
    assert rows[5] == ",,{},huile,"
    assert rows[6] == '"","",{},,'
    assert rows[7] == 'Pé,Vidange godet PN-0042,"{""temp"":80,""note"":""Été""}",,huile'
    assert rows[9].startswith('"P,1",PN-00421,"{')
    assert rows[10].startswith('"P""1",câble USÉ,')
    assert rows[13] == 'z,aXb,{},"","huile\nmoteur"'.replace("z,aXb,{}", rows[13].split(',"",')[0])


async def test_the_excel_dialect_prevents_formula_injection(client):
    texts = ["=1+1", "+1", "-1", "@a", "\ttab", "\rcr", "'quoted", "a;b", 'a"b', "a,b", "", "plain", "x=1"]
    for number, text in enumerate(texts):
        name = f"M{number:02}"
        body = {"comment": text, "attributes": {"key": text, "n": -1}, "year_of_acquisition": 2000}
        assert (await client.put(f"/machines/{name}", json=body)).status_code == 201
    fields = "comment,attributes.key,attributes.n,attributes,sector"
    response = await client.get("/machines.csv", params={"dialect": "excel", "fields": fields})
    text = response.content.decode()
    assert text.startswith("\ufeff" + fields.replace(",", ";") + "\r\n")
    rows = await table(client, "/machines.csv", ";", dialect="excel", fields=fields)
    guarded = [f"'{text}" if re.match(r"[=+\-@\t\r']", text) else text for text in texts]
    assert [row["comment"] for row in rows] == guarded == [row["attributes.key"] for row in rows]
    assert {row["attributes.n"] for row in rows} == {"-1"}
    assert [json.loads(row["attributes"])["key"] for row in rows] == texts
    assert 'plain;plain;-1;"{""key"":""plain"",""n"":-1}";\r\n' in text
    assert '"";"";-1;' in text


@pytest.mark.parametrize("timezone", ["Europe/Paris"])
async def test_a_workbook_has_typed_values_and_no_formulas(client):
    await client.put("/machines/Saw", json={"sector": "=1+1", "year_of_acquisition": 2019})
    log = {
        "machine": "Saw",
        "type": "error",
        "comment": "=HYPERLINK(A1)",
        "cause": "",
        "action": "https://workshop.example/manual",
        "started_at": "2025-07-25T13:18:25Z",
        "ended_at": "2025-12-25T13:18:25.5Z",
        "attributes": {"cost": 12.5, "text": "12", "paid": True, "long": "x" * 1000},
    }
    assert (await client.post("/logs", json=log)).status_code == 201
    fields = ",".join([*log, "version", "attributes.cost", "attributes.text", "attributes.paid", "down_to"])
    sheet, (row,) = await workbook(client, "/logs.xlsx", fields=fields, expand="machine")
    assert row["started_at"].value == datetime(2025, 7, 25, 15, 18, 25)  # noqa: DTZ001 -- Excel has no time zones
    assert row["ended_at"].value == datetime(2025, 12, 25, 14, 18, 25, 500_000)  # noqa: DTZ001 -- the same
    assert row["started_at"].number_format == "yyyy-mm-dd hh:mm:ss"
    cells = {name: (cell.value, cell.data_type) for name, cell in row.items()}
    assert cells["comment"] == ("=HYPERLINK(A1)", "s")
    assert cells["machine.sector"] == ("=1+1", "s")
    assert cells["action"] == ("https://workshop.example/manual", "s")
    assert row["action"].hyperlink is None
    assert cells["attributes.cost"] == (12.5, "n")
    assert cells["attributes.text"] == ("12", "s")
    assert cells["attributes.paid"] == (True, "b")
    assert cells["version"] == (1, "n")
    assert cells["machine.year_of_acquisition"] == (2019, "n")
    assert (cells["cause"][0], cells["down_to"]) == ("", (None, "n"))
    assert json.loads(row["attributes"].value) == log["attributes"]
    assert (sheet.title, sheet.freeze_panes, sheet.auto_filter.ref) == (
        "logs",
        "A2",
        f"A1:{row['machine.attachment_count'].coordinate}",
    )


async def test_an_overlong_text_is_cut_to_the_limit_of_a_cell(client):
    attributes = {f"key{number}": "\U0001f6e0" * 1000 for number in range(40)}
    await client.put("/machines/Saw", json={"comment": "a\x01b\ufffe", "attributes": attributes})
    _, (row,) = await workbook(client, "/machines.xlsx")
    assert len(row["attributes"].value.encode("utf-16-le")) // 2 in (32_766, 32_767)
    assert row["comment"].value.startswith("a")


async def test_a_workbook_that_would_be_too_long_is_refused(client, monkeypatch):
    monkeypatch.setattr("machine_monitor.services.tabular.xlsx.MAX_ROWS", 2)
    for name in ("A", "B", "C"):
        await client.put(f"/machines/{name}", json={})
    response = await client.get("/machines.xlsx")
    assert (response.status_code, response.json()["code"]) == (422, "validation")
    assert response.json()["errors"][0]["code"] == "too-many"
    assert (await client.get("/machines.xlsx?name__ne=A")).status_code == 200


@pytest.mark.parametrize("path", ["/logs.ndjson", "/logs.csv", "/logs.xlsx", "/machines.ndjson", "/machines.csv"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=10", "unknown-parameter"),
        ("offset=1", "unknown-parameter"),
        ("count=exact", "unknown-parameter"),
        ("cursor=x", "unknown-parameter"),
        ("unheard=1", "unknown-parameter"),
        ("fields=unheard", "validation"),
        ("fields=attributes.", "validation"),
        ("fields=attributes.a.b", "validation"),
        ("fields=attributes.a__b", "validation"),
        (f"fields=attributes.{'a' * 65}", "validation"),
        ("fields=expanded", "validation"),
        ("expand=unheard", "validation"),
        ("sort=attributes", "validation"),
        ("created_at__gte=never", "validation"),
        ("q=a&q=b", "validation"),
        ("dialect=unix", None),
    ],
)
async def test_an_unknown_parameter_of_an_export_is_422(client, path, query, code):
    response = await client.get(f"{path}?{query}")
    if code is None:
        code = "validation" if path.endswith("csv") else "unknown-parameter"
    assert (response.status_code, response.json()["code"]) == (422, code)
    names = response.json()["errors"][0].get("allowed", [])
    assert not {"limit", "cursor", "offset", "count"} & set(names)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/logs.ndjson", "application/x-ndjson"),
        ("/machines.csv", "text/csv; charset=utf-8"),
        ("/logs.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati"])
async def test_head_has_the_headers_of_get_and_no_body(client, path, media_type):
    got, head = await client.get(path), await client.head(path)
    for response in (got, head):
        assert response.status_code == 200
        assert response.headers["Content-Type"] == media_type
        name, day, suffix = re.fullmatch(
            r'attachment; filename="(\w+)-(\d{4}-\d\d-\d\d)\.(\w+)"', response.headers["Content-Disposition"]
        ).groups()
        assert (f"/{name}.{suffix}", datetime.fromisoformat(day).year > 2000) == (path, True)
        assert "Content-Length" not in response.headers
    assert head.content == b""
    assert (await client.head(f"{path}?unheard=1")).status_code == 422


async def test_an_empty_export_is_a_valid_file(client):
    assert (await client.get("/logs.ndjson")).content == b""
    assert (await client.get("/machines.csv?fields=name,attributes.a")).content == b"name,attributes.a\r\n"
    sheet, rows = await workbook(client, "/machines.xlsx")
    assert (rows, sheet["A1"].value) == ([], "name")


async def test_exports_do_not_contain_deleted_logs(client):
    await client.put("/machines/Saw", json={})
    log = (await client.post("/logs", json={"machine": "Saw", "type": "info"})).json()["uuid"]
    await client.delete(f"/logs/{log}")
    assert (await client.get("/logs.ndjson")).content == b""


async def test_an_export_may_select_more_attributes_than_sqlite_function_arguments(client):
    attributes = {f"k{number}": number for number in range(64)}
    await client.put("/machines/Saw", json={"attributes": attributes})
    columns = [f"attributes.k{number}" for number in range(64)] + [f"attributes.'\"%({i}" for i in range(120)]
    (row,) = await lines(client, "/machines.ndjson", fields=",".join(columns))
    assert {name: value for name, value in row.items() if value is not None} == {
        f"attributes.{name}": value for name, value in attributes.items()
    }
    assert len(row) == len(columns)


async def test_days_are_in_the_sites_time_zone(sqlite_database_url):
    async with serving(Settings(database_url=sqlite_database_url, timezone="Europe/Paris")) as client:
        await samples.seed(client)
        query = {"started_at": "2025-07-25", "fields": "uuid"}
        assert await lines(client, "/logs.ndjson", **query) == await collect(client, "logs", **query)
