"""What a mapping does about unknown records, repeated rows and missing keys; and a real table of 5,485 work orders."""

from collections import Counter

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services.imports import ImportOptions, import_file
from machine_monitor.services.imports.mapping import parse
from machine_monitor.services.imports.plan import Planner
from services.legacy.cases import counts, create, read_all
from services.tabular.files import UTC

FIELDS = {"machine": "m", "type": "t", "started_at": {"const": "2024-01-01T00:00:00Z"}, "user": "u"}
ROWS = "m,t,u\nSaw,info,abc\nSaw,info,abc\nNew,leak,xyz\n"


def codes(report, level="error"):
    return {(each["field"], each["code"], each["value"]) for each in report["problems"] if each["level"] == level}


@pytest.mark.parametrize(
    ("policy", "outcome", "problems"),
    [
        ({}, counts(rejected=3), [("user", "unknown-user", "abc"), ("user", "unknown-user", "xyz")]),
        ({"unknown_user": "create"}, counts(created=3), []),
        ({"unknown_user": "null"}, counts(created=3), []),
        (
            {"unknown_user": "null", "unknown_machine": "refuse"},
            counts(created=2, rejected=1),
            [("machine", "unknown-machine", "New")],
        ),
        (
            {"unknown_user": "null", "unknown_type": "refuse"},
            counts(created=2, rejected=1),
            [("type", "unknown-type", "leak")],
        ),
    ],
    ids=["default", "create", "null", "machine", "type"],
)
def test_unknown_records(target, import_table, policy, outcome, problems):
    create(target, MACHINES, name="Saw")
    report = import_table(ROWS, {"fields": FIELDS, **policy})
    assert (report["logs"], codes(report)) == (outcome, set(problems))
    authors = {log["user"] for log in read_all(target, LOGS).values()}
    assert authors == ({"abc", "xyz"} if policy == {"unknown_user": "create"} else {None} if policy else set())
    assert set(read_all(target, USERS)) == authors - {None}
    assert ("leak" in read_all(target, LOG_TYPES)) == (outcome == counts(created=3))


@pytest.mark.parametrize(("policy", "code"), [("refuse", "unknown-user"), ("create", "not-a-code"), ("null", None)])
def test_a_name_that_is_no_trigram_is_an_unknown_user(target, import_table, policy, code):
    report = import_table("m,t,u\nSaw,info,Jean Dupont\n", {"fields": FIELDS, "unknown_user": policy})
    assert codes(report) == ({("user", code, "Jean Dupont")} if code else set())
    assert (("user", "unknown-user", "Jean Dupont") in codes(report, "note")) == (policy == "null")
    assert [log["user"] for log in read_all(target, LOGS).values()] == ([None] if policy == "null" else [])


def test_without_a_key_a_row_is_its_content(import_table):
    fields = {name: FIELDS[name] for name in ("machine", "type", "started_at")}
    report = import_table(ROWS, {"fields": fields})
    assert report["logs"] == counts(created=3)
    assert (None, "no-key", None) in codes(report, "note")
    assert import_table(ROWS + "Saw,info,abc\nSaw,error,abc\n", {"fields": fields})["logs"] == counts(
        created=2, unchanged=3
    )


def test_of_rows_with_one_key_the_first_counts_and_equal_rows_are_one(target, import_table):
    text = "m,t,u\nSaw,info,1\nSaw,info,1\nSaw,error,1\n,,\n,,2\nSaw,info,\n"
    fields = {name: FIELDS[name] for name in ("machine", "type", "started_at")}
    report = import_table(text, {"fields": fields, "key": ["u"]})
    assert report["logs"] == counts(created=1, rejected=3)
    assert codes(report) == {
        ("key", "duplicate-key", "1"),
        ("machine", "missing", None),
        ("type", "missing", None),
        ("key", "missing", None),
    }
    assert [log["type"] for log in read_all(target, LOGS).values()] == ["info"]


def test_machines_types_and_users_are_imported_by_a_mapping(target, import_table):
    table = "Nom;Année;En service;Secteur\nTour 1;2007,0;Oui;A\nTour 2;;non;\ntour 1;2008;oui;A\n"
    fields = {"name": "Nom", "year_of_acquisition": "Année", "in_service": "En service", "sector": "Secteur"}
    mapping = {"resource": "machines", "read": {"decimal": ","}, "fields": fields}
    report = import_table(table, mapping)
    assert (report["machines"], codes(report)) == (
        counts(created=2, rejected=1),
        {("name", "duplicate-key", "tour 1")},
    )
    machines = read_all(target, MACHINES)
    assert [(each["year_of_acquisition"], each["in_service"]) for each in machines.values()] == [
        (2007, True),
        (None, False),
    ]
    assert import_table(table, mapping)["machines"] == counts(unchanged=2, rejected=1)
    types = {"resource": "log_types", "fields": {"code": {"column": "a", "as": "code"}, "label": "a"}}
    assert import_table("a\nFuite d'huile\n", types)["log_types"] == counts(created=1)
    users = {"resource": "users", "fields": {"trigram": {"column": "a", "as": "code"}, "last_name": "a"}}
    assert import_table("a\nJean-Baptiste Dupont\n", users)["users"] == counts(created=1)
    assert set(read_all(target, USERS)) == {"jean-baptist"}


def test_what_a_row_says_about_its_machine_is_checked_too(target, import_table):
    table = "m,t,y,s\nSaw,info,3000,a\nLathe,info,2000," + "x" * 201 + "\n"
    fields = {name: FIELDS[name] for name in ("machine", "type", "started_at")}
    year, sector = {"column": "y"}, {"column": "s"}
    report = import_table(table, {"fields": fields, "machine_fields": {"year_of_acquisition": year, "sector": sector}})
    assert (report["logs"], read_all(target, MACHINES)) == (counts(rejected=2), {})
    assert codes(report) == {
        ("machine.year_of_acquisition", "out-of-range", "3000"),
        ("machine.sector", "too-long", "x" * 100),
    }
    bad = {"year_of_acquisition": year | {"bad": "null"}, "sector": sector | {"bad": "null"}}
    assert import_table(table, {"fields": fields, "machine_fields": bad})["logs"] == counts(created=2)
    machines = read_all(target, MACHINES)
    assert [(each["year_of_acquisition"], each["sector"]) for each in machines.values()] == [(None, "a"), (2000, None)]


def test_a_batch_that_runs_again_says_the_same(import_table, monkeypatch):
    """After a conflict with another writer, a batch is planned a second time."""
    plan = Planner.plan
    monkeypatch.setattr(Planner, "plan", lambda *arguments: (plan(*arguments), plan(*arguments))[1])
    fields = {name: FIELDS[name] for name in ("machine", "type", "started_at")}
    year = {"year_of_acquisition": {"column": "u", "bad": "null"}}
    report = import_table("m,t,u\nSaw,info,3000\n", {"fields": fields, "machine_fields": year})
    assert (report["logs"], report["machines"]) == (counts(created=1), counts(created=1))
    assert ("machine.year_of_acquisition", "out-of-range", "3000") in codes(report, "note")


def test_a_mapping_without_a_zone_is_one_problem(target, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("m,t,d\n" + "".join(f"Saw,info,2025-01-02 10:{minute:02}\n" for minute in range(60)))
    mapping = parse({"name": "test", "fields": {"machine": "m", "type": "t", "started_at": "d"}})
    report = import_file(target, path, ImportOptions(UTC), mapping).to_dict()
    (problem,) = [problem for problem in report["problems"] if problem["level"] == "error"]
    assert (problem["code"], problem["value"], problem["count"]) == ("no-zone", None, 60)


EXCAVATORS = {
    "name": "excavators",
    "zone": "Australia/Perth",
    "key": ["id"],
    "fields": {
        "machine": {"template": "Excavator {Asset}"},
        "started_at": "BscStartDate",
        "type": "PMType",
        "comment": "OriginalShorttext",
        "attributes.cost": {"column": "Cost", "as": "number"},
        "user": {"const": "uwa"},
    },
    "unknown_user": "create",
}


@pytest.mark.slow
@pytest.mark.untraced
def test_the_excavators_are_imported_and_again_unchanged(sqlite_database_url, shared):
    database, path = Database(sqlite_database_url), shared / "data/excavators/excavators.csv"
    for outcome in (counts(created=5485), counts(unchanged=5485)):
        report = import_file(database, path, ImportOptions(UTC), parse(EXCAVATORS)).to_dict()
        assert (report["logs"], codes(report)) == (outcome, set())
    logs = read_all(database, LOGS).values()
    database.close_writer()
    assert Counter(log["type"] for log in logs) == {
        "PM01": 5217,
        "PM02": 153,
        "PM06": 98,
        "PM04": 7,
        "PM13": 6,
        "PM05": 4,
    }
    assert Counter(log["machine"][-1] for log in logs) == {"A": 151, "B": 1017, "C": 992, "D": 2374, "E": 951}
    assert sum(log["attributes"].get("cost", 0) >= 1000 for log in logs) == 1522
