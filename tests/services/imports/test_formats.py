"""Tables of each format become the same records by one mapping, and refused rows are read back once fixed."""

import gzip
import io
import json
import lzma
import zipfile
from datetime import datetime, time, timedelta

import openpyxl
import pytest

from machine_monitor.errors import Invalid, UsageError
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.services.imports.mapping import parse
from machine_monitor.services.imports.reader import compression, open_table, workbooks
from services.legacy.cases import counts, read_all

MAPPING = {
    "zone": "Europe/Paris",
    "read": {"header": 3, "null": ["NA"], "decimal": ","},
    "key": ["N°"],
    "fields": {
        "machine": {"template": "M-{Machine:03d}"},
        "started_at": {"columns": ["Début", "Heure"], "dates": ["dmy", "mdy"]},
        "down_to": {"start_plus": "Durée", "durations": ["HhM", "h"], "bad": "null"},
        "type": {"column": "Panne", "map": {"def. lub": "error"}, "as": "code", "default": "info"},
        "comment": "Texte",
        "attributes.cost": {"column": "Coût", "as": "number", "unit": "€"},
    },
    "machine_fields": {"sector": "Atelier"},
}
FILL = MAPPING | {"read": {**MAPPING["read"], "fill_down": ["Atelier"]}}
HEADER = ["N°", "Atelier", "Machine", "Début", "Heure", "Durée", "Panne", "Texte", "Coût"]
ROWS = [
    ["1", "Usinage", "7", "31/01/2024", "8:05", "1h30", "Déf. Lub", "0012", "1,5 €"],
    ["2", "", "12", "01/02/2024", "", "2,5", "Fuite d'huile", 'a;"b"\nc', "NA"],
    ["3", "NA", "7", "03/02/2024", "14:00", "33.0.25", "", "", "-3"],
]
EXPECTED = [
    ("M-007", "error", "2024-01-31T07:05:00Z", "2024-01-31T08:35:00Z", "0012", {"cost": 1.5}),
    ("M-012", "fuite-d-huile", "2024-01-31T23:00:00Z", "2024-02-01T01:30:00Z", 'a;"b"\nc', {}),
    ("M-007", "info", "2024-02-03T13:00:00Z", None, None, {"cost": -3}),
]


def shown(target):
    names = ("machine", "type", "started_at", "down_to", "comment", "attributes")
    return [tuple(log[name] for name in names) for log in read_all(target, LOGS).values()]


def text(delimiter, rows=ROWS):
    def cell(value):
        return f'"{value.replace(chr(34), chr(34) * 2)}"' if any(sign in value for sign in f'{delimiter}"\n') else value

    lines = [delimiter.join(map(cell, row)) for row in (HEADER, *rows)]
    return "Export GMAO\n\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", text(";").encode("cp1252")),
        ("t.csv", text(",").encode("utf-8-sig")),
        ("t.txt", text("\t").encode("utf-16")),
        ("t.tsv.gz", gzip.compress(text("\t").encode())),
        ("t.csv.xz", lzma.compress(text("|").encode())),
    ],
    ids=["cp1252", "mark", "utf-16", "gz", "xz"],
)
def test_text_files(target, import_table, name, data):
    assert import_table(data, FILL, name)["logs"] == counts(created=3)
    assert shown(target) == EXPECTED
    assert {machine["sector"] for machine in read_all(target, MACHINES).values()} == {"Usinage"}
    assert import_table(data, FILL, name)["logs"] == counts(unchanged=3)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_comma_in_each_text_is_no_delimiter(tmp_path, delimiter):
    path = tmp_path / "orders.csv"
    rows = [("Order", "Date", "Text"), *((str(number), "03/09/2025", "Worn, replaced") for number in range(30))]
    path.write_text("".join(f"{delimiter.join(row)}\n" for row in rows))
    table = open_table(path)
    assert (table.read.delimiter, table.names) == (delimiter, ["Order", "Date", "Text"])


def workbook(*rows):
    book = openpyxl.Workbook()
    for row in (["Export GMAO"], [], HEADER, *rows):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


CELLS = [
    [1, "Usinage", 7, datetime(2024, 1, 31), time(8, 5), timedelta(hours=1, minutes=30), "Déf. Lub", "0012", 1.5],  # noqa: DTZ001 -- a cell has no zone
    [2.0, None, "12", datetime(2024, 2, 1), None, 2.5, "Fuite d'huile", 'a;"b"\nc', "NA"],  # noqa: DTZ001 -- a cell has no zone
    ["3", "#N/A", 7, datetime(2024, 2, 3, 14), None, "33.0.25", None, None, -3],  # noqa: DTZ001 -- a cell has no zone
]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_workbook_has_typed_cells_and_the_same_keys(target, import_table, pack):
    assert import_table(pack(workbook(*CELLS)), FILL, "t.xlsx")["logs"] == counts(created=3)
    assert shown(target) == EXPECTED
    assert import_table(text(";"), FILL)["logs"] == counts(unchanged=3)


def test_ndjson_has_dotted_columns(target, import_table):
    lines = [{"a": {"n": 7}, "t": "2024-01-01T00:00:00Z", "k": True}, {"a": {"n": 8.0}, "t": None}]
    fields = {"machine": {"template": "M{a.n}"}, "started_at": "t", "type": {"const": "info"}, "attributes.k": "k"}
    report = import_table("".join(json.dumps(line) + "\n" for line in lines), {"fields": fields}, "t.ndjson")
    assert report["logs"] == counts(created=1, rejected=1)
    (log,) = read_all(target, LOGS).values()
    assert (log["machine"], log["attributes"]) == ("M7", {"k": "true"})


BAD = [
    ["4", "Usinage", "x", "05/02/2024", "", "", "", "é", "1"],
    ["5", "", "7", "32/02/2024", "", "", "", "a;b", "1,5"],
    ["", "", "7", "06/02/2024", "", "", "", "", ""],
]


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_refused_rows_are_written_as_they_were_and_read_back_once_mended(import_table, tmp_path, name):
    rejected = tmp_path / "rejected.csv"
    rows = [ROWS[0], *BAD] if name == "t.csv" else [CELLS[0], *[[cell or None for cell in row] for row in BAD]]
    data = text(";", rows).encode("cp1252") if name == "t.csv" else workbook(*rows)
    mapping = FILL | {"read": FILL["read"] | ({"encoding": "cp1252"} if name == "t.csv" else {"format": "xlsx"})}
    report = import_table(data, mapping, name, rejected=rejected)
    assert report["logs"] == counts(created=1, rejected=3)
    assert {
        (each["field"], each["code"], each["value"]) for each in report["problems"] if each["level"] == "error"
    } == {
        ("machine", "not-an-integer", "x"),
        ("started_at", "not-a-date", "32/02/2024"),
        ("key", "missing", None),
    }
    content = rejected.read_bytes().decode("cp1252" if name == "t.csv" else "utf-8-sig")
    lines = content.split("\r\n")
    assert lines[:3] == ["Export GMAO", "", ";".join([*HEADER, "why"])]
    assert lines[4].startswith('5;Usinage;7;32/02/2024;;;;"a;b";1,5;started_at: ')
    again = import_table(content.encode("cp1252" if name == "t.csv" else "utf-8-sig"), mapping, "rejected.csv")
    assert again["logs"] == counts(rejected=3)
    fixed = (
        content.replace("4;Usinage;x", "4;Usinage;9")
        .replace("32/02", "02/02")
        .replace(";Usinage;7;06", "6;Usinage;7;06")
    )
    assert fixed.count("6;Usinage;7;06") == 1
    encoded = fixed.encode("cp1252" if name == "t.csv" else "utf-8-sig")
    assert import_table(encoded, mapping, "fixed.csv")["logs"] == counts(created=3)
    assert import_table(text(";", [ROWS[0], ["4", "Usinage", "9", *BAD[0][3:]]]), FILL)["logs"] == counts(unchanged=2)


def test_a_refused_date_cell_of_a_workbook_is_read_back(target, import_table, tmp_path):
    rejected = tmp_path / "rejected.csv"
    row = [9, "A", "x", datetime(2024, 2, 1, 10, 30), None, None, None, None, 2.5]  # noqa: DTZ001 -- a cell has no zone
    import_table(workbook(row), FILL, "t.xlsx", rejected=rejected)
    fixed = rejected.read_text(encoding="utf-8-sig").replace(";x;", ";7;")
    assert import_table(("\ufeff" + fixed).encode(), FILL, "fixed.csv")["logs"] == counts(created=1)
    assert shown(target) == [("M-007", "info", "2024-02-01T09:30:00Z", None, None, {"cost": 2.5})]


def faults(mapping):
    with pytest.raises(Invalid) as raised:
        parse({"name": "x", "fields": {}, **mapping})
    return [(fault.pointer, fault.message) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("mapping", "pointer", "message"),
    [
        ({"feilds": {}}, "/feilds", "Did you mean 'fields'?"),
        ({"read": {"delimeter": ";"}}, "/read/delimeter", "Did you mean 'delimiter'?"),
        ({"fields": {"type": {"colum": "a"}}}, "/fields/type/colum", "Did you mean 'column'?"),
        ({"fields": {"type": {"column": "a", "const": "b"}}}, "/fields/type", "exactly one source"),
        ({"fields": {"type": {"map": {}}}}, "/fields/type", "Found none"),
        ({"fields": {"type": {"column": "a", "as": "cod"}}}, "/fields/type/as", "Did you mean 'code'?"),
        ({"resource": "log"}, "/resource", "Did you mean 'logs'?"),
        ({"skip": [{"column": "a"}]}, "/skip/0", "either 'in' or 'not_in'"),
        ({"name": ""}, "/name", "at least 1 character"),
        ({"key": "a"}, "/key", "list"),
        ({"types": {"a": {"lable": "x"}}}, "/types/a/lable", "Did you mean 'label'?"),
        ({"users": {"a": {"role": "boss"}}}, "/users/a/role", "must be"),
        (
            {"fields": {"machine": "a", "type": "b", "started_at": {"column": "a", "dates": ["dym"]}}},
            "/fields/started_at",
            "Did you mean 'ymd'?",
        ),
        (
            {"fields": {"machine": "a", "type": "b", "down_to": {"start_plus": "a", "durations": ["H:Mm"]}}},
            "/fields/down_to",
            "Did you mean 'H:M'?",
        ),
    ],
)
def test_unknown_words_are_named_with_the_nearest(mapping, pointer, message):
    assert [(each, message in text) for each, text in faults(mapping) if each == pointer] == [(pointer, True)]


@pytest.mark.parametrize(
    ("mapping", "pointer", "message"),
    [
        ({"fields": {"machine": "Maschine", "type": "b"}}, "/fields/machine/column", "no column 'Maschine'"),
        ({"fields": {"machine": "A", "type": {"template": "{bb} {a}"}}}, "/fields/type/template", "no column 'bb'"),
        ({"fields": {"machine": "a", "type": "b"}, "key": ["c"]}, "/key/0", "no column 'c'"),
        ({"fields": {"machine": "a"}}, "/fields", "'type' is missing"),
        ({"fields": {"machine": "a", "type": "b", "machin": "a"}}, "/fields/machin", "Did you mean 'machine'?"),
        ({"fields": {"machine": "a", "type": "b", "attributes.a.b": "a"}}, "/fields/attributes.a.b", "no '.'"),
        ({"fields": {"machine": "a", "type": "b"}, "zone": "Mars"}, "/zone", "no time zone"),
        (
            {"fields": {"machine": "a", "type": "b", "severity": {"column": "a", "bad": "keep"}}},
            "/fields/severity",
            "for texts",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_and_writes_nothing(target, import_table, mapping, pointer, message):
    with pytest.raises(Invalid) as raised:
        import_table("a,b\nx,info\n", mapping)
    assert [(fault.pointer, message in fault.message) for fault in raised.value.faults] == [(pointer, True)]
    assert read_all(target, MACHINES) == {}


def test_columns_are_found_by_folded_name_by_number_and_by_position(target, import_table):
    fields = {"machine": "#1", "type": {"const": "info"}, "comment": " DÉBUT ", "cause": "x (2)", "action": "x"}
    at = {"started_at": {"const": "2024-01-01"}}
    import_table("m,début,x,x\nSaw,a,b,c\n", {"fields": fields | at})
    (log,) = read_all(target, LOGS).values()
    assert [log[name] for name in ("machine", "comment", "cause", "action")] == ["Saw", "a", "c", "b"]
    fields = {"machine": "#1", "type": {"const": "info"}, "comment": "#2"}
    assert import_table("Saw;x\nLathe;y\n", {"read": {"header": 0}, "fields": fields | at})["logs"] == counts(created=2)


def bomb(name, size):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open(name, "w", force_zip64=True) as part:
            for _ in range(size):
                part.write(bytes(1024 * 1024))
    return file.getvalue()


def test_bombs_are_refused(import_table, monkeypatch):
    fields = {"machine": "a", "type": {"const": "info"}}
    monkeypatch.setattr(workbooks, "MAX_PART_BYTES", 2 * 1024**2)
    with pytest.raises(UsageError, match="too large"):
        import_table(bomb("xl/sharedStrings.xml", 3), {"fields": fields}, "t.xlsx")
    with pytest.raises(UsageError, match="damaged"):
        import_table(bomb("xl/other.xml", 1), {"fields": fields}, "t.xlsx")
    monkeypatch.setattr(compression, "MAX_UNPACKED_BYTES", 1024**2)
    with pytest.raises(UsageError, match="unpacks to more than"):
        import_table(gzip.compress(b"a,b\n" + bytes(2 * 1024**2)), {"fields": fields}, "t.csv.gz")
