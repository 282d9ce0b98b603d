"""Tables of this product are recognized by their header, in any encoding, with any delimiter, and as workbooks."""

from datetime import datetime

import openpyxl
import pytest

from machine_monitor.errors import UsageError
from machine_monitor.models import LOGS, MACHINES
from machine_monitor.services.imports import ImportOptions, files, import_file
from services.imports.lines import AT, BOM, errors_of, lines, log
from services.legacy.cases import counts, read_all
from services.tabular.files import PARIS, UUID

CELLS = (
    ("comment", "sector", "year_of_acquisition", "in_service", "attributes"),
    ("", '""', "2019", "true", '"{""a"":1,""b"":true,""c"":""d,;""}"'),
)
READ = {
    "comment": None,
    "sector": "",
    "year_of_acquisition": 2019,
    "in_service": True,
    "attributes": {"a": 1, "b": True, "c": "d,;"},
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("delimiter", "mark"), [(",", ""), (",", BOM), (";", ""), (";", BOM), ("\t", "")])
def test_the_resource_of_a_table_is_recognized_by_its_header_and_guards_are_taken_off(
    target, import_text, delimiter, mark, end
):
    text = mark + end.join([delimiter.join(["name", *CELLS[0]]), delimiter.join(["'=Saw", *CELLS[1]]), "", ""])
    assert import_text("m.csv", text)["machines"] == counts(created=1)
    machine = read_all(target, MACHINES)["=Saw"]
    assert {field: machine[field] for field in READ} == READ


def test_only_a_plain_export_of_ours_tells_a_literal_apostrophe_by_quotes(target, import_text):
    import_text("m.csv", 'name,comment\r\n"\'=Saw",x\r\n')
    import_text("n.csv", 'name,comment\n"\'=Lathe",x\n')
    assert list(read_all(target, MACHINES)) == ["'=Saw", "=Lathe"]


def test_names_of_columns_are_found_whatever_their_case_and_blanks(import_text):
    text = f"UUID; Machine ;Type;started_at;;\n{UUID.format(1)};Saw;info;{AT};;\n"
    assert import_text("x.csv", text)["logs"] == counts(created=1)
    report = import_text("x.csv", text.replace(";;\n", ";;x\n").replace("started_at;;x", "started_at;;"))
    assert [(each["code"], each["level"]) for each in report["problems"]] == [("ignored-column", "note")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings_are_recognized(target, import_text, encoding):
    import_text("x.csv", "name,comment\nFräse,Öl läuft über\n".encode(encoding))
    assert read_all(target, MACHINES)["Fräse"]["comment"] == "Öl läuft über"


def test_an_unreadable_row_is_reported_with_its_line_number(target, import_text):
    rows = [
        "name,comment,year_of_acquisition,in_service,attributes",
        'A,"two\nlinés",,,{}',
        "B,one",
        'C,"a"b,,,{}',
        "D,,2019.5,,{}",
        "E,,,maybe,{}",
        'F,,,,"{""a"":NaN}"',
        "G,,,TRUE,[]",
        "H,,,,",
        "",
        "I,,,FALSE,{}",
        ",,,,{}",
    ]
    report = import_text("m.csv", "\n".join(rows).encode() + b'\n\xff,,,,{}\nJ,5" pipe,,,{}')
    assert report["machines"] == counts(created=4, rejected=8)
    assert errors_of(report) == [
        ([4, 5], None, "error", "row-shape", None),
        ([6], "year_of_acquisition", "error", "not-an-integer", "2019.5"),
        ([7], "in_service", "error", "not-a-boolean", "maybe"),
        ([8], "attributes", "error", "row-shape", '{"a":NaN}'),
        ([9], "attributes", "error", "not-allowed", "[]"),
        ([13], "name", "error", "missing", None),
        ([14], None, "error", "bad-bytes", None),
    ]
    machines = read_all(target, MACHINES)
    services = {name: machine["in_service"] for name, machine in machines.items()}
    assert services == {"A": None, "H": None, "I": False, "J": None}
    assert (machines["A"]["comment"], machines["J"]["comment"]) == ("two\nlinés", '5" pipe')


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.ndjson", "nothing\n[]\n{}\n", "contains no record"),
        ("x.csv", "name,sectr\nA,B\n", "Did you mean 'sector'?"),
        ("x.csv", "name,sector,sector\nA,B,C\n", "two columns"),
        ("x.csv", "machine,type\nA,info\n", "no column 'uuid'"),
        ("x.xlsx", b"PK\x03\x04", "damaged"),
        ("x.gz", b"\x1f\x8bnothing", "damaged"),
    ],
)
def test_a_file_without_recognizable_records_is_a_usage_error(target, import_text, name, text, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        import_text(name, text)
    assert read_all(target, MACHINES) == {}


@pytest.mark.parametrize(("name", "text"), [("x.csv", ""), ("x.csv", "a,b\n1,2\n"), ("x.txt", "title\n\na;b\n1;2\n")])
def test_a_table_with_other_columns_needs_a_mapping(import_text, name, text):
    with pytest.raises(files.ForeignTable, match="needs a mapping"):
        import_text(name, text)


def test_a_workbook_of_ours_is_read_back(target, import_text, tmp_path):
    stored = {"comment": "0012", "started_at": "2025-07-25T13:18:25.635371Z", "attributes": {"a": "1E5"}, "cause": ""}
    import_text("x.ndjson", lines(log(1, **stored), log(2, started_at="2025-10-26T01:30:00Z")))
    book = openpyxl.Workbook()
    book.active.append(["uuid", "machine", "type", "started_at", "comment", "cause", "attributes"])
    shown = datetime(2025, 7, 25, 15, 18, 25)  # noqa: DTZ001 -- a cell has no zone
    book.active.append([UUID.format(1), "Saw", "info", shown, "0012", None, '{"a": "1E5"}'])
    twice = datetime(2025, 10, 26, 2, 30)  # noqa: DTZ001 -- a cell has no zone
    book.active.append([UUID.format(2), "Saw", "info", twice, None, None, "{}"])
    book.active.append([UUID.format(3), "Saw", "info", shown, 12, None, None])
    book.save(tmp_path / "book.xlsx")
    report = import_file(target, tmp_path / "book.xlsx", ImportOptions(PARIS)).to_dict()
    assert report["logs"] == counts(unchanged=2, created=1)
    logs = read_all(target, LOGS)
    assert {name: logs[UUID.format(1)][name] for name in stored} == stored
    assert (logs[UUID.format(3)]["started_at"], logs[UUID.format(3)]["comment"]) == ("2025-07-25T13:18:25Z", "12")
