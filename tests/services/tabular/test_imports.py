"""Imports of NDJSON and CSV files, line by line."""

import json

import pytest

from machine_monitor.errors import UsageError
from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.services import tabular
from machine_monitor.services.tabular import imports, read
from services.legacy.cases import counts, delete, history, patch, read_all
from services.tabular.files import PARIS, UTC, UUID

BOM = "\ufeff"


@pytest.fixture
def import_text(target, tmp_path):
    """A function that imports a text as a file with a given name."""

    def import_text(name, text, zone=UTC, **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tabular.import_file(target, path, zone, **options).document()

    return import_text


def lines(*found):
    return "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in found)


def log(number, **members):
    return {"uuid": UUID.format(number), "machine": "Saw", "type": "info", **members}


def problems_of(report):
    return [(problem["file"], problem["field"], problem["level"], problem["code"]) for problem in report["problems"]]


def test_each_line_works_like_a_put_by_its_key(target, import_text):
    first = lines(log(1, comment="a", user="abc", started_at="2025-01-01T00:00:00Z"), log(2, severity="minor"))
    report = import_text("first.ndjson", first)
    assert (report["logs"], report["machines"], report["users"]) == (
        counts(created=2),
        counts(created=1),
        counts(created=1),
    )
    assert import_text("again.ndjson", first)["logs"] == counts(unchanged=2)
    report = import_text("second.ndjson", lines(log(1, cause="b"), log(2, severity="minor"), log(3)))
    assert report["logs"] == counts(created=1, updated=1, unchanged=1)
    found = read_all(target, LOGS)[UUID.format(1)]
    assert (found["comment"], found["cause"], found["user"], found["version"]) == (None, "b", "abc", 2)
    assert found["started_at"] == "2025-01-01T00:00:00Z"
    assert [(op, via) for op, _, _, via, *_ in history(target, LOGS, UUID.format(1))] == [
        ("create", "import"),
        ("update", "import"),
    ]


def test_records_that_a_log_refers_to_are_created_and_reported(target, import_text):
    report = import_text("x.ndjson", lines(log(1), log(2, machine="saw", type="PM01", user="nr"), log(3, user="nr")))
    assert problems_of(report) == [
        ("x.ndjson:1", "machine", "note", "undeclared-machine"),
        ("x.ndjson:2", "type", "note", "undeclared-type"),
        ("x.ndjson:2", "user", "note", "undeclared-user"),
    ]
    assert (report["machines"], report["log_types"], report["users"]) == (counts(created=1),) * 3
    assert read_all(target, MACHINES)["Saw"]["in_service"] is None
    assert {entry["machine"] for entry in read_all(target, LOGS).values()} == {"Saw"}


def test_a_rejected_line_creates_nothing_and_the_import_continues(target, import_text):
    report = import_text(
        "x.ndjson",
        lines(
            log(1, machine="Gone", severity="dreadful", user="nobody"),
            "not JSON\n",
            "[1]\n",
            "\n",
            '{"uuid": 1}\n',
            '{"uuid": "a", "uuid": "b"}\n',
            {"machine": "Gone", "type": "info"},
            log(2, machine="Gone", unheard=1),
            log(3, machine="a/b"),
            log(4, machine=7),
            log(5, type="INFO"),
            '{"uuid": "' + UUID.format(6) + '", "machine": "\\ud800", "type": "info"}\n',
            '{"uuid": "not-a-uuid", "machine": "Saw", "type": "info"}\n',
            '{"uuid": "' + UUID.format(7) + '", "machine": "Saw", "type": "info", "attributes": {"n": 1e999}}\n',
            log(8, ended_at="1999-01-01T00:00:00Z"),
            log(9),
        ),
    )
    assert (report["logs"], report["machines"], report["users"]) == (
        counts(created=1, rejected=14),
        counts(created=1),
        counts(),
    )
    assert [place for place in problems_of(report) if place[2] == "error"] == [
        ("x.ndjson:1", "severity", "error", "invalid"),
        ("x.ndjson:2", None, "error", "unreadable"),
        ("x.ndjson:3", None, "error", "unreadable"),
        ("x.ndjson:5", None, "error", "unreadable"),
        ("x.ndjson:6", None, "error", "unreadable"),
        ("x.ndjson:7", None, "error", "unreadable"),
        ("x.ndjson:8", "unheard", "error", "unknown"),
        ("x.ndjson:9", "machine", "error", "invalid"),
        ("x.ndjson:10", "machine", "error", "invalid"),
        ("x.ndjson:11", "type", "error", "unknown-type"),
        ("x.ndjson:12", "machine", "error", "invalid"),
        ("x.ndjson:13", "uuid", "error", "pattern"),
        ("x.ndjson:14", None, "error", "unreadable"),
        ("x.ndjson:15", "ended_at", "error", "invalid"),
    ]
    assert list(read_all(target, LOGS)) == [UUID.format(9)]
    assert not {"Gone", "nobody"} & {*read_all(target, MACHINES), *read_all(target, USERS)}


def test_a_log_that_is_deleted_in_the_database_is_a_conflict(target, import_text):
    import_text("x.ndjson", lines(log(1), log(2)))
    delete(target, LOGS, UUID.format(1))
    report = import_text("x.ndjson", lines(log(1), log(2, comment="new")))
    assert report["logs"] == counts(updated=1, conflict=1)
    assert problems_of(report) == [("x.ndjson:1", None, "error", "conflict")]


def test_a_later_line_updates_the_record_of_an_earlier_line(target, import_text, monkeypatch):
    monkeypatch.setattr(imports, "BATCH_SIZE", 3)
    numbers = [1, 2, 1, 3, 4, 5, 2, 1]
    report = import_text("x.ndjson", lines(*[log(number, comment=str(place)) for place, number in enumerate(numbers)]))
    assert report["logs"] == counts(created=5, updated=3)
    found = {entry["uuid"][-1]: (entry["comment"], entry["version"]) for entry in read_all(target, LOGS).values()}
    assert found == {"1": ("7", 3), "2": ("6", 2), "3": ("3", 1), "4": ("4", 1), "5": ("5", 1)}
    assert import_text("m.ndjson", lines({"name": "É"}, {"name": "é"}, {"name": "E\u0301"}))["machines"] == counts(
        created=1, updated=2
    )


def test_a_dry_run_gives_the_same_report_and_writes_nothing(target, import_text):
    text = lines(log(1), log(2, severity="dreadful"), log(3, machine="Lathe"))
    planned = import_text("x.ndjson", text, dry_run=True)
    assert (read_all(target, LOGS), read_all(target, MACHINES)) == ({}, {})
    assert planned == import_text("x.ndjson", text)
    assert planned["logs"] == counts(created=2, rejected=1)


def test_read_only_fields_are_ignored(target, import_text):
    members = {
        "id": 99,
        "version": 7,
        "created_at": "2001-01-01T00:00:00Z",
        "updated_at": "x",
        "expanded": {},
        "a.b": 1,
    }
    assert import_text("m.ndjson", lines({"name": "Saw", **members}))["machines"] == counts(created=1)
    assert read_all(target, MACHINES)["Saw"]["version"] == 1
    patch(target, MACHINES, "Saw", sector="1A")
    assert import_text("m.csv", "name,sector,version,id\nSaw,1A,1,5\n")["machines"] == counts(unchanged=1)


def test_times_without_an_offset_are_in_the_sites_time_zone(target, import_text):
    import_text("x.csv", f"uuid,machine,type,started_at,ended_at\n{UUID.format(1)},Saw,info,2025-07-25T15:18,\n", PARIS)
    assert read_all(target, LOGS)[UUID.format(1)]["started_at"] == "2025-07-25T13:18:00Z"
    report = import_text("x.csv", f"uuid,machine,type,started_at\n{UUID.format(2)},Saw,info,yesterday\n", PARIS)
    assert problems_of(report) == [("x.csv:2", "started_at", "error", "invalid")]


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
@pytest.mark.parametrize(("delimiter", "mark"), [(",", ""), (",", BOM), (";", ""), (";", BOM)])
def test_the_resource_of_a_table_is_recognized_by_its_header(target, import_text, delimiter, mark, end):
    text = mark + end.join([delimiter.join(["name", *CELLS[0]]), delimiter.join(["'=Saw", *CELLS[1]]), "", ""])
    assert import_text("m.csv", text)["machines"] == counts(created=1)
    name = "=Saw" if delimiter == ";" else "'=Saw"
    found = read_all(target, MACHINES)[name]
    assert {field: found[field] for field in READ} == READ


@pytest.mark.parametrize(("mark", "name"), [("", "'=Saw"), (BOM, "=Saw")])
def test_the_byte_order_mark_decides_the_dialect_of_a_single_column(target, import_text, mark, name):
    import_text("m.csv", f"{mark}name\n'=Saw\n")
    assert list(read_all(target, MACHINES)) == [name]


def test_an_unreadable_row_is_reported_with_its_line_number(target, import_text):
    rows = [
        "name,comment,year_of_acquisition,in_service,attributes",
        'A,"two\nlines",,,{}',
        "B,one",
        'C,a"b,,,{}',
        "D,,2019.5,,{}",
        "E,,,maybe,{}",
        'F,,,,"{""a"":NaN}"',
        "G,,,TRUE,[]",
        "H,,,,",
        "",
        "I,,,FALSE,{}",
        ",,,,{}",
    ]
    report = import_text("m.csv", "\n".join(rows).encode() + b"\n\xff,,,,{}\nJ,,,,{}")
    assert report["machines"] == counts(created=3, rejected=9)
    assert problems_of(report) == [
        ("m.csv:4", None, "error", "unreadable"),
        ("m.csv:5", None, "error", "unreadable"),
        ("m.csv:6", "year_of_acquisition", "error", "invalid"),
        ("m.csv:7", "in_service", "error", "invalid"),
        ("m.csv:8", None, "error", "unreadable"),
        ("m.csv:9", "attributes", "error", "invalid"),
        ("m.csv:10", "attributes", "error", "invalid"),
        ("m.csv:13", None, "error", "unreadable"),
        ("m.csv:14", None, "error", "unreadable"),
    ]
    found = read_all(target, MACHINES)
    assert {name: machine["in_service"] for name, machine in found.items()} == {"A": None, "I": False, "J": None}
    assert found["A"]["comment"] == "two\nlines"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.txt", "", "must end with .ndjson or .csv"),
        ("x.ndjson", "nothing\n[]\n{}\n", "no log and no machine"),
        ("x.csv", "", "must be a header"),
        ("x.csv", "a,b\n1,2\n", "must be a header"),
        ("x.csv", '"name\n', "must be a header"),
        ("x.csv", b"\xffname\n", "must be a header"),
        ("x.csv", "name,sectr\nA,B\n", "Did you mean 'sector'?"),
        ("x.csv", "name,sector,sector\nA,B,C\n", "two columns"),
        ("x.csv", "machine,type\nA,info\n", "no column 'uuid'"),
        ("x.csv", "name,\nA,\n", "no field ''"),
    ],
)
def test_a_file_without_recognizable_records_is_a_usage_error(target, import_text, name, text, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        import_text(name, text)
    assert read_all(target, MACHINES) == {}


@pytest.mark.parametrize("name", ["missing.csv", "missing.ndjson", "folder.csv"])
def test_an_unreadable_file_is_a_usage_error(target, tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        tabular.import_file(target, tmp_path / name, UTC)


@pytest.mark.parametrize(("name", "text"), [("x.ndjson", ""), ("x.ndjson", BOM + "\n\n"), ("x.csv", "name\r\n")])
def test_a_file_without_records_is_valid(import_text, name, text):
    report = import_text(name, text)
    assert [report[resource] for resource in ("logs", "machines")] == [counts(), counts()]


def test_a_bad_first_line_does_not_prevent_recognizing_the_resource(import_text):
    report = import_text("x.ndjson", BOM + "oops\n" + lines({"name": "Saw"}, log(1)))
    assert report["machines"] == counts(created=1, rejected=2)


def test_progress_runs_from_zero_to_the_file_size(import_text, monkeypatch):
    monkeypatch.setattr(imports, "BATCH_SIZE", 2)
    calls = []
    text = lines(*[log(number) for number in range(5)])
    import_text("x.ndjson", text, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert (len(calls), calls[-1]) == (3, (len(text), len(text)))


def test_an_overlong_line_is_refused(import_text):
    report = import_text("x.ndjson", lines({"name": "Saw"}, '{"name": "' + "x" * 2**21 + '"}\n', {"name": "Lathe"}))
    assert report["machines"] == counts(created=2, rejected=1)
    assert problems_of(report) == [("x.ndjson:2", None, "error", "unreadable")]


def test_a_file_is_read_line_by_line(tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text(lines(*[{"name": f"M{number}"} for number in range(3)]))
    entries = read.open_file(path).entries()
    assert next(entries).members == {"name": "M0"}
    assert next(entries).line == 2
    entries.close()
