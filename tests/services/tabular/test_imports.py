"""What becomes of each line of a file that is read in."""

import json

import pytest

from machine_monitor.errors import UsageError
from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.services import tabular
from machine_monitor.services.tabular import imports, read
from services.legacy.cases import counts, delete, history, patch, read_all
from services.tabular.files import PARIS, UTC, UUID

MARK = "\ufeff"


@pytest.fixture
def bring(target, tmp_path):
    """Imports a text as a file of that name."""

    def bring(name, text, zone=UTC, **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tabular.import_file(target, path, zone, **options).document()

    return bring


def lines(*found):
    return "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in found)


def log(number, **members):
    return {"uuid": UUID.format(number), "machine": "Saw", "type": "info", **members}


def told(report):
    return [(problem["file"], problem["field"], problem["level"], problem["code"]) for problem in report["problems"]]


def test_a_line_is_a_put_by_its_key(target, bring):
    first = lines(log(1, comment="a", user="abc", started_at="2025-01-01T00:00:00Z"), log(2, severity="minor"))
    report = bring("first.ndjson", first)
    assert (report["logs"], report["machines"], report["users"]) == (
        counts(created=2),
        counts(created=1),
        counts(created=1),
    )
    assert bring("again.ndjson", first)["logs"] == counts(unchanged=2)
    report = bring("second.ndjson", lines(log(1, cause="b"), log(2, severity="minor"), log(3)))
    assert report["logs"] == counts(created=1, updated=1, unchanged=1)
    found = read_all(target, LOGS)[UUID.format(1)]
    assert (found["comment"], found["cause"], found["user"], found["version"]) == (None, "b", "abc", 2)
    assert found["started_at"] == "2025-01-01T00:00:00Z"
    assert [(op, via) for op, _, _, via, *_ in history(target, LOGS, UUID.format(1))] == [
        ("create", "import"),
        ("update", "import"),
    ]


def test_what_a_log_names_and_is_not_there_is_created_and_told(target, bring):
    report = bring("x.ndjson", lines(log(1), log(2, machine="saw", type="PM01", user="nr"), log(3, user="nr")))
    assert told(report) == [
        ("x.ndjson:1", "machine", "note", "undeclared-machine"),
        ("x.ndjson:2", "type", "note", "undeclared-type"),
        ("x.ndjson:2", "user", "note", "undeclared-user"),
    ]
    assert (report["machines"], report["log_types"], report["users"]) == (counts(created=1),) * 3
    assert read_all(target, MACHINES)["Saw"]["in_service"] is None
    assert {entry["machine"] for entry in read_all(target, LOGS).values()} == {"Saw"}


def test_a_line_that_is_refused_creates_nothing_and_the_rest_goes_on(target, bring):
    report = bring(
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
    assert [place for place in told(report) if place[2] == "error"] == [
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


def test_a_log_that_was_deleted_here_is_a_conflict(target, bring):
    bring("x.ndjson", lines(log(1), log(2)))
    delete(target, LOGS, UUID.format(1))
    report = bring("x.ndjson", lines(log(1), log(2, comment="new")))
    assert report["logs"] == counts(updated=1, conflict=1)
    assert told(report) == [("x.ndjson:1", None, "error", "conflict")]


def test_a_later_line_of_one_record_finds_what_an_earlier_one_put(target, bring, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 3)
    numbers = [1, 2, 1, 3, 4, 5, 2, 1]
    report = bring("x.ndjson", lines(*[log(number, comment=str(place)) for place, number in enumerate(numbers)]))
    assert report["logs"] == counts(created=5, updated=3)
    found = {entry["uuid"][-1]: (entry["comment"], entry["version"]) for entry in read_all(target, LOGS).values()}
    assert found == {"1": ("7", 3), "2": ("6", 2), "3": ("3", 1), "4": ("4", 1), "5": ("5", 1)}
    assert bring("m.ndjson", lines({"name": "É"}, {"name": "é"}, {"name": "E\u0301"}))["machines"] == counts(
        created=1, updated=2
    )


def test_a_dry_run_says_the_same_and_writes_nothing(target, bring):
    text = lines(log(1), log(2, severity="dreadful"), log(3, machine="Lathe"))
    planned = bring("x.ndjson", text, dry_run=True)
    assert (read_all(target, LOGS), read_all(target, MACHINES)) == ({}, {})
    assert planned == bring("x.ndjson", text)
    assert planned["logs"] == counts(created=2, rejected=1)


def test_read_only_fields_are_left_out(target, bring):
    members = {
        "id": 99,
        "version": 7,
        "created_at": "2001-01-01T00:00:00Z",
        "updated_at": "x",
        "expanded": {},
        "a.b": 1,
    }
    assert bring("m.ndjson", lines({"name": "Saw", **members}))["machines"] == counts(created=1)
    assert read_all(target, MACHINES)["Saw"]["version"] == 1
    patch(target, MACHINES, "Saw", sector="1A")
    assert bring("m.csv", "name,sector,version,id\nSaw,1A,1,5\n")["machines"] == counts(unchanged=1)


def test_times_that_name_no_zone_are_the_site_s(target, bring):
    bring("x.csv", f"uuid,machine,type,started_at,ended_at\n{UUID.format(1)},Saw,info,2025-07-25T15:18,\n", PARIS)
    assert read_all(target, LOGS)[UUID.format(1)]["started_at"] == "2025-07-25T13:18:00Z"
    report = bring("x.csv", f"uuid,machine,type,started_at\n{UUID.format(2)},Saw,info,yesterday\n", PARIS)
    assert told(report) == [("x.csv:2", "started_at", "error", "invalid")]


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
@pytest.mark.parametrize(("delimiter", "mark"), [(",", ""), (",", MARK), (";", ""), (";", MARK)])
def test_a_table_is_told_by_its_header(target, bring, delimiter, mark, end):
    text = mark + end.join([delimiter.join(["name", *CELLS[0]]), delimiter.join(["'=Saw", *CELLS[1]]), "", ""])
    assert bring("m.csv", text)["machines"] == counts(created=1)
    name = "=Saw" if delimiter == ";" else "'=Saw"
    found = read_all(target, MACHINES)[name]
    assert {field: found[field] for field in READ} == READ


@pytest.mark.parametrize(("mark", "name"), [("", "'=Saw"), (MARK, "=Saw")])
def test_where_a_table_has_one_column_the_mark_tells(target, bring, mark, name):
    bring("m.csv", f"{mark}name\n'=Saw\n")
    assert list(read_all(target, MACHINES)) == [name]


def test_a_row_that_cannot_be_read_is_named_by_its_line(target, bring):
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
    report = bring("m.csv", "\n".join(rows).encode() + b"\n\xff,,,,{}\nJ,,,,{}")
    assert report["machines"] == counts(created=3, rejected=9)
    assert told(report) == [
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
    ("name", "text", "said"),
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
def test_what_is_no_file_of_records_is_usage(target, bring, name, text, said):
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        bring(name, text)
    assert read_all(target, MACHINES) == {}


@pytest.mark.parametrize("name", ["missing.csv", "missing.ndjson", "folder.csv"])
def test_a_file_that_cannot_be_read_is_usage(target, tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        tabular.import_file(target, tmp_path / name, UTC)


@pytest.mark.parametrize(("name", "text"), [("x.ndjson", ""), ("x.ndjson", MARK + "\n\n"), ("x.csv", "name\r\n")])
def test_a_file_without_records_is_no_fault(bring, name, text):
    report = bring(name, text)
    assert [report[resource] for resource in ("logs", "machines")] == [counts(), counts()]


def test_a_first_line_that_is_bad_does_not_hide_what_the_file_holds(bring):
    report = bring("x.ndjson", MARK + "oops\n" + lines({"name": "Saw"}, log(1)))
    assert report["machines"] == counts(created=1, rejected=2)


def test_progress_goes_from_the_first_byte_to_the_last(bring, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 2)
    seen = []
    text = lines(*[log(number) for number in range(5)])
    bring("x.ndjson", text, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (3, (len(text), len(text)))


def test_a_line_that_is_longer_than_any_record_is_refused(bring):
    report = bring("x.ndjson", lines({"name": "Saw"}, '{"name": "' + "x" * 2**21 + '"}\n', {"name": "Lathe"}))
    assert report["machines"] == counts(created=2, rejected=1)
    assert told(report) == [("x.ndjson:2", None, "error", "unreadable")]


def test_a_table_is_read_line_by_line(tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text(lines(*[{"name": f"M{number}"} for number in range(3)]))
    entries = read.open_file(path).entries()
    assert next(entries).members == {"name": "M0"}
    assert next(entries).line == 2
    entries.close()
