"""GET /reports/period.*: the figures are those of the API; periods, escaped texts and refused parameters."""

import io
import json
from datetime import UTC, datetime

import pytest
from python_calamine import CalamineWorkbook

from machine_monitor.database import instants
from machine_monitor.services.projections.reliability import groups
from machine_monitor.services.projections.reports.texts import ENGLISH, ENGLISH_LANGUAGE, FRENCH, FRENCH_LANGUAGE

# A Wednesday; the last whole week is that of the worked example in docs/reliability.md.
NOW = datetime(2025, 10, 29, 9, tzinfo=UTC)
WEEK = {"from": "2025-10-20", "to": "2025-10-26"}
BEFORE = {"from": "2025-10-13", "to": "2025-10-19"}
SCRIPT = "<script>alert(1)"
FORMULA = '=HYPERLINK("http://evil.example")'


@pytest.fixture
async def plant(client, monkeypatch):
    """A client of a plant with stops in two weeks, one that is open, and names that look like markup and formulas."""
    monkeypatch.setattr(instants, "now", lambda: datetime(2025, 10, 1, tzinfo=UTC))
    for name in ("Lathe 1", SCRIPT, "Calm"):
        answer = await client.post("/machines", json={"name": name, "sector": "1A"})
        assert answer.status_code == 201
    monkeypatch.setattr(instants, "now", lambda: NOW)
    logs = [
        ("Lathe 1", "Broken belt", "2025-10-14T06:00Z", "2025-10-14T07:30Z"),
        ("Lathe 1", "Broken  Belt", "2025-10-20T06:00Z", "2025-10-20T10:00Z"),
        ("Lathe 1", FORMULA, "2025-10-22T06:00Z", "2025-10-22T06:20Z"),
        (SCRIPT, None, "2025-10-26T20:00Z", None),
    ]
    for machine, cause, start, end in logs:
        body = {"machine": machine, "type": "error", "cause": cause, "started_at": start, "down_from": start}
        answer = await client.post("/logs", json=body | {"down_to": end, "down_kind": "failure"})
        assert answer.status_code == 201, answer.text
    return client


async def page(client, **parameters) -> str:
    answer = await client.get("/reports/period.html", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.text


async def workbook(client, **parameters) -> CalamineWorkbook:
    answer = await client.get("/reports/period.xlsx", params=parameters)
    assert answer.status_code == 200, answer.text
    return CalamineWorkbook.from_filelike(io.BytesIO(answer.content))


def rows(book, name) -> list[list]:
    return book.get_sheet_by_name(name).to_python(skip_empty_area=False)


async def figures(client, **parameters) -> list[dict]:
    return (await client.get("/reliability", params=parameters)).json()["groups"]


def shown(name, value):
    """Return a figure of the API as the workbook has it: times in hours, nothing as an empty cell."""
    if value is None:
        return ""
    return pytest.approx(value / 3600 if name.endswith("_time") or name in ("mtbf", "mttr") else value)


async def test_the_cells_of_the_workbook_are_the_figures_of_the_api(plant):
    book = await workbook(plant)
    assert book.sheet_names == ["Summary", "Machines", "Causes", "Open stops", "Definitions"]
    (now,), (before,) = await figures(plant, **WEEK), await figures(plant, **BEFORE)
    title_of = {ENGLISH[name]: name for name in now}
    summary = {title_of[row[0].removesuffix(" (h)")]: row[1:] for row in rows(book, "Summary")[6:]}
    assert summary.keys() == now.keys()
    for name, cells in summary.items():
        assert cells[:2] == [shown(name, now[name]), shown(name, before[name])], name
        if now[name] is not None and before[name] is not None:
            assert cells[2] == shown(name, now[name] - before[name])
    machines = {row[0]: row for row in rows(book, "Machines")[1:]}
    titles = [title.removesuffix(" (h)") for title in rows(book, "Machines")[0]]
    for group in await figures(plant, **WEEK, group_by="machine"):
        found = dict(zip(titles, machines[group["machine"]], strict=True))
        for title in found.keys() & title_of.keys():
            assert found[title] == shown(title_of[title], group[title_of[title]]), (group["machine"], title)


async def test_causes_are_compared_with_the_same_cause_before_however_it_is_spelled(plant):
    found = rows(await workbook(plant), "Causes")
    answer = (await plant.get("/logs/pareto", params={**WEEK, "by": "cause", "weight": "downtime"})).json()
    for row, group in zip(found[1:4], answer["groups"], strict=True):
        assert row[0] == (group["value"] or "(no cause)")
        assert row[1] == pytest.approx(group["weight"] / 3600)
        assert row[4:6] == pytest.approx([group["share"], group["cumulative"]])
    belt = next(row for row in found[1:4] if row[0] == "Broken  Belt")
    assert belt[1:4] == [4, 1.5, 2.5]


async def test_a_report_says_what_it_does_not_cover(plant, monkeypatch):
    monkeypatch.setattr(groups, "MAX_GROUPS", 1)
    this_week = {"from": "2025-10-27", "to": "2025-11-02"}
    found = await page(plant, **this_week)
    lines = [row[0] for row in rows(await workbook(plant, **this_week), "Summary")]
    for note in ("unfinished", "truncated"):
        assert ENGLISH[note] in found
        assert ENGLISH[note] in lines


async def test_open_stops_are_those_of_now(plant):
    (row,) = rows(await workbook(plant), "Open stops")[1:]
    assert row == [SCRIPT, "1A", "error", "", datetime.fromisoformat("2025-10-26T20:00"), 61.0]
    await plant.post("/logs", json={"machine": "Calm", "type": "error", "down_from": "2025-10-29T08:00Z"})
    assert len(rows(await workbook(plant), "Open stops")) == 3


async def test_texts_are_neither_markup_nor_formulas(plant):
    found = await page(plant)
    assert SCRIPT not in found
    assert "&lt;script&gt;alert(1)" in found
    assert "<script" not in found
    assert FORMULA in [row[0] for row in rows(await workbook(plant), "Causes")]


async def test_the_page_runs_and_loads_nothing(plant):
    answer = await plant.get("/reports/period.html")
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for mark in (" src=", "@import", "url(", "<link", "<img"):
        assert mark not in answer.text


async def test_the_file_is_named_by_its_period(plant):
    for given, name in (
        ({}, "2025-W43"),
        (WEEK, "2025-W43"),
        ({"from": "2025-09-01", "to": "2025-09-30"}, "2025-09"),
        ({"from": "2025-10-01", "to": "2025-10-05"}, "2025-10-01--2025-10-05"),
        ({"from": "2025-10-20T06:00Z", "to": "2025-10-20T14:00Z"}, "2025-10-20T0600--2025-10-20T1400"),
    ):
        for form in ("html", "xlsx"):
            answer = await plant.get(f"/reports/period.{form}", params=given)
            assert answer.status_code == 200, answer.text
            assert f'filename="machine-monitor-{name}.{form}"' in answer.headers["Content-Disposition"]


async def test_links_lead_to_the_console_at_the_host_of_the_request(plant):
    found = await page(plant)
    uuid = (await plant.get("/logs", params={"cause__isnull": "true"})).json()["items"][0]["uuid"]
    assert f"/ui/logs/{uuid}" in found
    link = "machine=Lathe+1&amp;started_at__gte=2025-10-20T00%3A00%3A00Z&amp;started_at__lt=2025-10-27T00%3A00%3A00Z"
    assert f"/ui/logs?{link}" in found


async def test_filters_choose_machines(plant):
    found = rows(await workbook(plant, machine="Lathe 1"), "Machines")
    assert [row[0] for row in found[1:]] == ["Lathe 1"]
    assert len(rows(await workbook(plant, machine="Lathe 1"), "Open stops")) == 1
    assert "machine=Lathe 1" in await page(plant, machine="Lathe 1")


async def test_french(plant):
    found = await page(plant, language="fr")
    assert '<html lang="fr">' in found
    assert FRENCH["down_time"] in found
    assert "26/10/2025 20:00" in found
    assert "8,3\u00a0h" in found
    book = await workbook(plant, language="fr")
    assert book.sheet_names == ["Synthèse", "Machines", "Causes", "Arrêts en cours", "Définitions"]
    assert FRENCH.keys() == ENGLISH.keys()
    assert FRENCH_LANGUAGE.definitions.keys() == ENGLISH_LANGUAGE.definitions.keys()


async def test_an_unfinished_week_is_compared_with_the_same_part_of_the_one_before(plant):
    found = await page(plant, **{"from": "2025-10-27", "to": "2025-11-02"})
    assert "2025-10-20 00:00 \u2013 2025-10-22 09:00" in found
    assert ENGLISH["unfinished"] in found


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"to": "2025-10-26"}, "to"),
        ({"from": "2025-10-26", "to": "2025-10-20"}, "from"),
        ({"from": "2025-12-01"}, "from"),
        ({"from": "soon"}, "from"),
        ({"from": "1970-01-01", "to": "1970-01-31"}, "from"),
        ({"from": "1980-01-01T01:00Z"}, "from"),
        ({"language": "de"}, "language"),
        ({"type": "error"}, "type"),
        ({"group_by": "machine"}, "group_by"),
        ({"machine.colour": "red"}, "machine.colour"),
    ],
)
async def test_what_is_refused(plant, given, parameter):
    for form in ("html", "xlsx"):
        answer = await plant.get(f"/reports/period.{form}", params=given)
        assert answer.status_code == 422
        assert parameter in [fault["parameter"] for fault in json.loads(answer.text)["errors"]]


async def test_a_report_of_an_empty_plant(client):
    assert ENGLISH["none"] in await page(client)
    assert len(rows(await workbook(client), "Machines")) == 1
