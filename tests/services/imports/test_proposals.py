"""A foreign table gets a proposed mapping, and a preview shows what it does."""

import json
from dataclasses import replace

import pytest

from machine_monitor.models import LOGS
from machine_monitor.models.fields import MAX_ATTRIBUTES
from machine_monitor.services.imports import ForeignTable, ImportOptions, import_file, open_file, propose_file
from machine_monitor.services.imports.mapping import parse
from machine_monitor.services.imports.mapping.proposal import propose
from machine_monitor.services.imports.reader import open_table
from services.legacy.cases import counts, read_all
from services.tabular.files import UTC

FRENCH = """Interventions;;;;;;;
N° OT;Date;Heure;Équipement;Type d'intervention;Technicien;Durée;Coût;Problème
101;31/01/2024;08:05;Tour 1;Panne;Dupont;1h30;12,5;Fuite
102;01/02/2024;14:10;Tour 2;Réglage;Durand;0h45;1,25;
103;02/02/2024;09:00;Tour 1;panne;Dupont;2h00;3,0;Bruit
"""
GERMAN = "Datum,Maschine,Störungsart,Beschreibung,Priorität,Dauer\n" + "".join(
    f"{day:02}.03.2024,Fräse {day % 3},Ausfall,Text {day},hoch,{day}:30\n" for day in range(1, 29)
)
ENGLISH = "Work Order\tStart Date\tEnd Date\tAsset\tCategory\tStatus\n" + "".join(
    f"{n}\t{n % 12 + 1}/{n + 1}/2024 9:05 AM\t{n % 12 + 1}/{n + 1}/2024 1:05 PM\tRig {n % 2}\tPM\tclosed\n"
    for n in range(1, 28)
)
MACHINES = "Bezeichnung;Hersteller;Baujahr;Standort\nFräse 1;DMG;2007;Halle 2\nFräse 2;DMG;2011;Halle 1\n"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            FRENCH,
            {
                "machine": "Équipement",
                "started_at": {"columns": ["Date", "Heure"], "dates": ["dmy"]},
                "type": {"column": "Type d'intervention", "as": "code", "default": "info"},
                "comment": "Problème",
                "user": {"column": "Technicien", "as": "code"},
            },
        ),
        (
            GERMAN,
            {
                "machine": "Maschine",
                "started_at": {"column": "Datum", "dates": ["dmy"]},
                "comment": "Beschreibung",
                "severity": {"column": "Priorität", "map": {"hoch": "major"}},
            },
        ),
        (
            ENGLISH,
            {
                "machine": "Asset",
                "started_at": {"column": "Start Date", "dates": ["mdy"]},
                "down_to": {"column": "End Date", "dates": ["mdy"]},
                "status": {"column": "Status", "map": {"closed": "done"}},
            },
        ),
        (
            MACHINES,
            {
                "name": "Bezeichnung",
                "manufacturer": "Hersteller",
                "year_of_acquisition": "Baujahr",
                "sector": "Standort",
            },
        ),
    ],
    ids=["french", "german", "english", "machines"],
)
def test_a_proposal_imports_every_row(target, tmp_path, text, fields):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="cp1252")
    document = propose(open_table(path), "proposed", "Europe/Paris")
    assert {name: document["fields"].get(name) for name in fields} == fields
    report = import_file(target, path, ImportOptions(UTC), parse(document)).to_dict()
    rows = text.count("\n") - (2 if text is FRENCH else 1)
    assert report[document["resource"]] == counts(created=rows)
    assert [each for each in report["problems"] if each["level"] == "error"] == []
    if text is FRENCH:
        first = min(read_all(target, LOGS).values(), key=lambda log: log["started_at"])
        assert (first["started_at"], first["down_to"]) == ("2024-01-31T07:05:00Z", "2024-01-31T08:35:00Z")
        assert (document["key"], first["attributes"], document["read"]["header"]) == (["N° OT"], {"Coût": 12.5}, 2)


def test_a_proposal_is_written_beside_the_file_and_never_over_another(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(GERMAN, encoding="utf-8")
    with pytest.raises(ForeignTable) as raised:
        open_file(path, ImportOptions(UTC))
    target, is_new, left_out = propose_file(raised.value.table, UTC)
    assert (target.name, json.loads(target.read_text())["name"]) == ("orders.csv.map.json", "orders")
    target.write_text("{}")
    assert (is_new, left_out, propose_file(raised.value.table, UTC)) == (True, [], (target, False, ()))
    assert target.read_text() == "{}"


def wide(names):
    """A table of logs with more columns, whose cells are their positions."""
    cells = ",".join(map(str, range(len(names))))
    return f"Machine,Date,{','.join(names)}\nSaw,2024-01-01,{cells}\n"


def test_a_proposal_has_as_many_attributes_as_a_record_may_have_and_names_the_rest(target, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(wide([f"Sensor {number}" for number in range(MAX_ATTRIBUTES + 2)]))
    proposed = propose_file(open_table(path), UTC)
    assert proposed.left_out == ["Sensor 64", "Sensor 65"]
    import_file(target, path, ImportOptions(UTC), parse(json.loads(proposed.path.read_text())))
    (log,) = read_all(target, LOGS).values()
    assert log["attributes"] == {f"Sensor {number}": number for number in range(MAX_ATTRIBUTES)}


@pytest.mark.parametrize(
    "names", [["a.b", "a_b", "a..b"], ["x" * 70 + "1", "x" * 70 + "2"], ["a", "a (2)", "a", "", ""], ["a__b", "a_b"]]
)
def test_columns_whose_names_are_alike_become_attributes_of_their_own(target, tmp_path, names):
    path = tmp_path / "alike.csv"
    path.write_text(wide(names))
    document = propose(open_table(path), "alike", "UTC")
    import_file(target, path, ImportOptions(UTC), parse(document))
    (log,) = read_all(target, LOGS).values()
    assert sorted(log["attributes"].values()) == [*range(len(names))]


def test_a_proposal_reads_the_file_once(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(FRENCH, encoding="cp1252")
    table, runs = open_table(path), []

    def iterate():
        runs.append(1)
        return table.iterate()

    propose(replace(table, iterate=iterate), "once", "UTC")
    assert len(runs) == 1


def test_a_preview_counts_fields_values_and_dates_and_writes_nothing(target, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "d,m,t,c\n" + "".join(f"{n % 9 + 1}/2/2024,Presse,Fuite{'s' * (n == 1)},{'x' * n}\n" for n in range(12))
    )
    fields = {"machine": "m", "type": {"column": "t", "as": "code"}, "started_at": {"column": "d", "dates": ["dmy"]}}
    mapping = parse(
        {
            "name": "x",
            "zone": "UTC",
            "fields": fields | {"comment": "c", "attributes.n": {"column": "c", "as": "number"}},
        }
    )
    found = open_file(path, ImportOptions(UTC), mapping).preview(target)
    preview = found["preview"]
    assert (found["columns"], found["read"]["delimiter"], found["mapping"]["name"]) == (["d", "m", "t", "c"], ",", "x")
    assert preview["counts"]["logs"] == counts(created=1, rejected=11)
    assert preview["fields"]["attributes.n"] == {"filled": 0, "empty": 1, "refused": 11}
    assert [record["machine"] for record in preview["records"]] == ["Presse"]
    assert preview["dates"]["started_at"]["deciding"] == 0
    assert "day and month" in preview["dates"]["started_at"]["warning"]
    assert preview["span"] == ["2024-02-01T00:00:00Z"] * 2
    assert read_all(target, LOGS) == {}
    near = parse({"name": "x", "zone": "UTC", "fields": fields})
    values = open_file(path, ImportOptions(UTC), near).preview(target)["preview"]["values"]["type"]
    assert values == [
        {"value": "fuite", "count": 11, "near": ["fuites"]},
        {"value": "fuites", "count": 1, "near": ["fuite"]},
    ]
