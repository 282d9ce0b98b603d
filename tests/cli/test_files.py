"""`mm export` and `mm import`."""

import json
import os
import signal
import subprocess
import sys

import openpyxl
import pytest

from machine_monitor.services.tabular import exports

LOGS = [
    {"uuid": f"00000000-0000-4000-8000-00000000000{number}", "machine": "Saw", "type": kind, "started_at": at}
    for number, kind, at in (
        (1, "error", "2025-07-25T13:18:25Z"),
        (2, "info", "2025-07-24T13:18:25Z"),
        (3, "error", "2025-07-25T13:18:25Z"),
    )
]


@pytest.fixture
def site(mm, working_folder, database_url):
    """A function that runs a command on a database with three logs of a machine."""
    (working_folder / "given.ndjson").write_text("".join(json.dumps(log) + "\n" for log in LOGS))
    assert mm("import", "given.ndjson", database_url=database_url)[0] == 0
    return mm


def uuids(path):
    return [json.loads(line)["uuid"][-1] for line in path.read_text().splitlines()]


def test_logs_are_written_oldest_first_and_equal_times_in_the_order_of_writing(site, working_folder):
    assert site("export", "logs.ndjson") == (0, "3 logs written\n", "")
    assert uuids(working_folder / "logs.ndjson") == ["2", "1", "3"]
    code, out, _ = site("export", "all.csv", "--json", "--query", "?type=error&sort=-started_at&fields=uuid,type")
    assert (code, json.loads(out)) == (0, {"logs": 2})
    assert (working_folder / "all.csv").read_bytes() == b"".join(
        line.encode() + b"\r\n" for line in ("uuid,type", f"{LOGS[2]['uuid']},error", f"{LOGS[0]['uuid']},error")
    )
    assert site("export", "m.csv", "--resource", "machines", "--dialect", "excel", "--query", "fields=name")[0] == 0
    assert (working_folder / "m.csv").read_text(encoding="utf-8") == "\ufeffname\nSaw\n"
    assert site("export", "M.XLSX", "--timezone", "Europe/Paris")[0] == 0
    sheet = openpyxl.load_workbook(working_folder / "M.XLSX").active
    assert (sheet.max_row, sheet["K2"].value.hour) == (4, 15)
    assert not [path for path in working_folder.iterdir() if path.name.endswith(".partial")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["folder"], "--legacy"),
        (["x.txt"], ".ndjson, .csv or .xlsx"),
        (["given.ndjson"], "--force"),
        (["folder.csv", "--force"], "is a folder: name a file"),
        (["no/such/folder.csv"], "Cannot write"),
        (["x.csv", "--query", "unheard=1"], "There is no parameter 'unheard'"),
        (["x.csv", "--query", "limit=1"], "There is no parameter 'limit'"),
        (["x.csv", "--query", "\udcff"], "not UTF-8"),
        (["x.ndjson", "--dialect", "excel"], "There is no parameter 'dialect'"),
        (["x.csv", "--dialect", "unix"], "rfc4180"),
        (["x.csv", "--resource", "user"], "Did you mean 'users'?"),
        (["x.csv", "--timezone", "Mars"], "no time zone"),
        (["new", "--legacy", "--query", "type=error"], "omit --resource"),
    ],
)
def test_an_invalid_export_is_a_usage_error_and_leaves_no_file(site, working_folder, words, message):
    (working_folder / "folder.csv").mkdir()
    before = {path for path in working_folder.rglob("*") if "test.db" not in path.name}
    code, out, err = site("export", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert {path for path in working_folder.rglob("*") if "test.db" not in path.name} == before
    assert (working_folder / "given.ndjson").read_text().count("\n") == 3


def test_force_replaces_a_file_only_when_the_new_one_is_complete(site, working_folder, monkeypatch):
    before = (working_folder / "given.ndjson").read_text()

    def fail(_rows):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(exports.ndjson, "join_documents", fail)
        code, _, err = site("export", "given.ndjson", "--force")
    assert (code, "No space left" in err) == (2, True)
    assert (working_folder / "given.ndjson").read_text() == before
    assert not (working_folder / "given.ndjson.partial").exists()
    assert site("export", "given.ndjson", "--force")[0] == 0
    assert uuids(working_folder / "given.ndjson") == ["2", "1", "3"]


@pytest.mark.slow
def test_an_interrupted_export_leaves_no_file(working_folder, sqlite_database_url):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    slow = (
        "import signal, sys, time; from machine_monitor.cli import main; "
        "from machine_monitor.services.tabular import exports; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a suite in the background ignores it
        "exports.ndjson.join_documents = lambda _: print('begun', flush=True) or time.sleep(2) or b''; "
        "sys.argv = ['mm', 'export', 'x.ndjson', '--resource', 'machines']; main.main()"
    )
    (working_folder / "m.csv").write_text("name\nSaw\n")
    command = [sys.executable, "-m", "machine_monitor.cli.main", "import", "m.csv"]
    subprocess.run(command, check=True, env=settings | {"MM_DATABASE_URL": sqlite_database_url}, capture_output=True)
    with subprocess.Popen(
        [sys.executable, "-c", slow],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=settings | {"MM_DATABASE_URL": sqlite_database_url},
    ) as running:
        assert running.stdout.readline() == b"begun\n"
        assert (working_folder / "x.ndjson.partial").exists()
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) != 0
    assert not [path for path in working_folder.iterdir() if path.name.startswith("x.ndjson")]


def test_the_exit_code_of_import_tells_the_result(site, working_folder):
    text = json.dumps(LOGS[0] | {"comment": "new"}) + "\n" + "oops\n" + json.dumps(LOGS[1]) + "\n"
    (working_folder / "more.ndjson").write_text(text)
    planned = site("import", "more.ndjson", "--dry-run", "--json")
    code, out, err = site("import", "more.ndjson", "--json")
    assert (code, err, out) == (1, "", planned[1])
    report = json.loads(out)
    assert report["logs"] == {"created": 0, "updated": 1, "unchanged": 1, "conflict": 0, "rejected": 1}
    assert set(report) == {"machines", "logs", "users", "log_types", "ignored", "skipped", "problems"}
    (problem,) = report["problems"]
    assert problem == {
        "file": "more.ndjson:2",
        "field": None,
        "level": "error",
        "code": "row-shape",
        "value": None,
        "count": 1,
        "rows": [2],
        "message": "The line is not JSON: expecting value (line 1, column 1).",
    }
    code, out, _ = site("import", "more.ndjson")
    assert (code, "more.ndjson:2" in out) == (1, True)
    assert site("import", "given.ndjson")[0] == 0
    assert "would" in site("import", "given.ndjson", "--dry-run")[1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "name,sectr\n", "'sector'"),
        ("x.xlsx", "PK\x03\x04", "damaged"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_an_invalid_import_is_a_usage_error(mm, working_folder, name, text, message):
    if text is not None:
        (working_folder / name).write_text(text)
    code, out, err = mm("import", name)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_foreign_table_leads_to_a_mapping_and_the_mapping_to_an_import(mm, working_folder, sqlite_database_url):
    rows = "".join(f"{day};{day}.01.2024;Säge;PM;a\n" for day in range(10, 14)) + "9;31.02.2024;Säge;PM;b\n"
    (working_folder / "orders.csv").write_text(f"Order;Datum;Anlage;Art;Text\n{rows}")
    code, out, err = mm("import", "orders.csv", "--timezone", "Europe/Paris", database_url=sqlite_database_url)
    assert (code, "delimiter ';'" in out) == (2, True)
    command = err.strip().splitlines()[-1]
    assert command == "mm import orders.csv --map orders.csv.map.json --preview"
    code, out, err = mm(*command.split()[1:])
    assert (code, "1 of 4 cells decide" in out, err) == (1, True, "")
    code, out, _ = mm("import", "orders.csv", "--map", "orders.csv.map.json", "--rejected", "bad.csv", "--json")
    assert (code, json.loads(out)["logs"]["created"], json.loads(out)["logs"]["rejected"]) == (1, 4, 1)
    assert (working_folder / "bad.csv").read_text().startswith("Order;Datum;Anlage;Art;Text;why\n9;31.02.2024")
    code, out, _ = mm("import", "orders.csv", "--map", "orders.csv.map.json", "--preview", "--json")
    assert json.loads(out)["preview"]["counts"]["logs"]["unchanged"] == 4


MAPPING = {
    "name": "orders",
    "zone": "UTC",
    "key": ["Order"],
    "fields": {"machine": "Saw", "type": {"const": "info"}, "started_at": "Day"},
}


def test_mappings_are_saved_listed_and_shown(mm, working_folder):
    path = working_folder / "orders.map.json"
    path.write_text(json.dumps(MAPPING))
    assert mm("mapping", "save", path.name)[:2] == (0, "Saved the mapping orders.\n")
    assert json.loads(mm("mapping", "show", "orders")[1]) == MAPPING
    path.write_text(json.dumps({**MAPPING, "resource": "machines"}))
    assert mm("mapping", "save", path.name)[:2] == (0, "Replaced the mapping orders.\n")
    (found,) = json.loads(mm("mapping", "list", "--json")[1])
    assert (found["name"], found["resource"], found["version"]) == ("orders", "machines", 2)
    assert "orders" in mm("mapping", "list")[1]
    code, out, err = mm("mapping", "show", "order")
    assert (code, out) == (2, "")
    assert "Did you mean 'orders'?" in err
    path.write_text(json.dumps({**MAPPING, "kee": []}))
    code, out, err = mm("mapping", "save", path.name)
    assert (code, out) == (2, "")
    assert "Nothing was saved: orders.map.json is no mapping.\n/kee: A mapping has no word 'kee' here." in err


def test_a_saved_mapping_is_used_by_its_name(mm, working_folder):
    (working_folder / "orders.csv").write_text("Order;Day;Saw\n1;2024-01-31;Saw 3\n")
    (working_folder / "orders.map.json").write_text(json.dumps(MAPPING))
    assert mm("mapping", "save", "orders.map.json")[0] == 0
    code, out, err = mm("import", "orders.csv", "--map", "orders", "--json")
    assert (code, err, json.loads(out)["logs"]["created"]) == (0, "", 1)
    code, out, err = mm("import", "orders.csv", "--map", "order", "--json")
    assert (code, out) == (2, "")
    assert "There is no file order, and no saved mapping. There is no mapping 'order'. Did you mean 'orders'?" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--map", "none.json"], "cannot be read"),
        (["--map", "bad.json"], "/fields/machine/column: The table has no column 'Machine'"),
        (["--map", "text.json"], "not JSON"),
        (["--date-missing", "someday"], "--date-missing"),
    ],
)
def test_an_import_that_cannot_begin_says_why_and_makes_no_database(mm, working_folder, words, message):
    (working_folder / "orders.csv").write_text("Order;Datum\n1;31.01.2024\n")
    fields = {"machine": "Machine", "type": {"const": "info"}}
    (working_folder / "bad.json").write_text(json.dumps({"name": "bad", "fields": fields}))
    (working_folder / "text.json").write_text("{")
    code, out, err = mm("import", "orders.csv", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(working_folder.glob("*.db"))


@pytest.mark.parametrize("mapping", [None, "mine"])
def test_an_empty_table_gets_no_mapping_and_costs_none(mm, working_folder, mapping):
    (working_folder / "empty.csv").write_text("")
    path = working_folder / "empty.csv.map.json"
    if mapping is not None:
        path.write_text(mapping)
    code, out, err = mm("import", "empty.csv")
    assert (code, out, "has no table" in err) == (2, "", True)
    assert (path.read_text() if path.exists() else None) == mapping


def test_a_proposal_that_cannot_be_written_is_a_usage_error(mm, working_folder):
    (working_folder / "orders.csv").write_text("Order;Datum\n1;31.01.2024\n")
    (working_folder / "orders.csv.map.json").symlink_to("none/orders.json")
    code, _, err = mm("import", "orders.csv")
    assert (code, "Cannot write orders.csv.map.json: No such file or directory." in err) == (2, True)


def test_columns_that_a_proposal_leaves_out_are_named(mm, working_folder):
    names = ",".join(f"Sensor {number}" for number in range(65))
    (working_folder / "wide.csv").write_text(f"Machine,Date,{names}\nSaw,2024-01-01{',1' * 65}\n")
    _, _, err = mm("import", "wide.csv")
    assert "at most 64 attributes, so it leaves out 'Sensor 64'. Check it" in err


def test_cells_are_printed_as_they_are(mm, working_folder, sqlite_database_url, monkeypatch):
    """In square brackets, Rich sees a colour or the end of one, and between colons a picture."""
    monkeypatch.setenv("COLUMNS", "200")
    odd = "[red]hot[b] :car:"
    (working_folder / "odd.csv").write_text(f"Anlage;Art {odd};Datum\n{odd};[/];31.01.2024\n")
    code, out, _ = mm("import", "odd.csv", database_url=sqlite_database_url)
    assert (code, out.count(odd), out.count("[/]")) == (2, 2, 1)
    fields = {"machine": "Anlage", "type": {"const": "info"}, "started_at": {"column": "#3", "dates": ["dmy"]}}
    mapping = {"name": "odd", "zone": "UTC", "fields": fields | {f"attributes.{odd}": "#2"}}
    (working_folder / "map.json").write_text(json.dumps(mapping))
    code, out, err = mm("import", "odd.csv", "--map", "map.json", "--preview")
    assert (code, err) == (0, "")
    assert all(text in out for text in (f"machine: {odd},", f"attributes.{odd}", f"machine: {odd} 1", "'[/]'"))


@pytest.mark.parametrize("name", ["orders.csv", "link.csv", "orders.map.json", "folder"])
def test_refused_rows_never_go_to_a_file_that_the_import_reads(mm, working_folder, name):
    mapping = {"name": "orders", "fields": {"machine": "m", "type": {"const": "info"}, "started_at": "d"}}
    (working_folder / "orders.map.json").write_text(json.dumps(mapping))
    (working_folder / "orders.csv").write_text("m,d\nSaw,never\n")
    (working_folder / "link.csv").symlink_to("orders.csv")
    (working_folder / "folder").mkdir()
    before = {path: path.is_file() and path.read_text() for path in working_folder.iterdir()}
    code, out, err = mm("import", "orders.csv", "--map", "orders.map.json", "--rejected", name)
    assert (code, out, "--rejected" in err) == (2, "", True)
    assert {path: path.is_file() and path.read_text() for path in working_folder.iterdir()} == before


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    mm, working_folder, sqlite_database_url, monkeypatch
):
    monkeypatch.setattr("machine_monitor.cli.progress.LINE_SECONDS", 0)
    (working_folder / "m.csv").write_text("name\nSaw\n")
    code, _, err = mm("import", "m.csv", database_url=sqlite_database_url)
    assert (code, err) == (0, "Importing: 100%\n")
