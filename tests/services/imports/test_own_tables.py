"""Imports of tables with the columns of this product, row by row."""

from datetime import datetime

import pytest

from machine_monitor.errors import UsageError
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services.imports import ImportOptions, import_file
from machine_monitor.services.imports.execution import running
from machine_monitor.services.imports.reader import open_table
from services.imports.lines import AT, BOM, errors_of, lines, log, problems_of
from services.legacy.cases import counts, create, delete, history, patch, read_all
from services.tabular.files import PARIS, UTC, UUID


def test_each_line_creates_or_changes_the_record_of_its_key(target, import_text):
    first = lines(log(1, comment="a", user="abc"), log(2, severity="minor"))
    report = import_text("first.ndjson", first)
    assert report["logs"] == counts(created=2)
    assert (report["machines"], report["users"]) == (counts(created=1), counts(created=1))
    assert import_text("again.ndjson", first)["logs"] == counts(unchanged=2)
    report = import_text("second.ndjson", lines(log(1, cause="b"), log(2, severity="minor"), log(3)))
    assert report["logs"] == counts(created=1, updated=1, unchanged=1)
    found = read_all(target, LOGS)[UUID.format(1)]
    assert (found["comment"], found["cause"], found["user"], found["version"]) == ("a", "b", "abc", 2)
    assert [(op, via) for op, _, _, via, *_ in history(target, LOGS, UUID.format(1))] == [
        ("create", "import"),
        ("update", "import"),
    ]


ALL = {"severity": "major", "status": "open", "project": "P", "comment": "c", "down_from": AT, "attributes": {"a": 1}}
ALL |= {"down_kind": "planned"}


def test_an_absent_column_keeps_what_is_stored_unless_it_is_reset(target, import_text):
    import_text("x.ndjson", lines(log(1, **ALL)))
    subset = f"uuid,machine,type,status\n{UUID.format(1)},Saw,info,done\n"
    assert import_text("x.csv", subset)["logs"] == counts(updated=1)
    found = read_all(target, LOGS)[UUID.format(1)]
    assert {name: found[name] for name in ALL} == {**ALL, "status": "done"}
    assert import_text("x.csv", f"uuid,comment\n{UUID.format(1)},d\n")["logs"] == counts(updated=1)
    assert import_text("x.csv", subset, absent="reset")["logs"] == counts(updated=1)
    found = read_all(target, LOGS)[UUID.format(1)]
    assert [found[name] for name in ALL] == ["info", "done", None, None, None, {}, None]
    assert found["started_at"] == AT


def test_an_empty_cell_takes_the_default_on_creation_and_keeps_it_on_update(target, import_text):
    text = "uuid,machine,type,started_at,severity,status,comment,attributes\n{},Saw,info,{},{},{},{},\n"
    import_text("x.csv", text.format(UUID.format(1), AT, "", "", ""))
    found = read_all(target, LOGS)[UUID.format(1)]
    assert (found["severity"], found["status"], found["attributes"]) == ("info", "done", {})
    import_text("x.csv", text.format(UUID.format(1), AT, "major", "open", "x"))
    import_text("x.csv", text.format(UUID.format(1), "", "", "", ""))
    found = read_all(target, LOGS)[UUID.format(1)]
    assert (found["severity"], found["status"], found["comment"], found["started_at"]) == ("major", "open", None, AT)


def test_columns_of_attributes_are_filled_and_others_stay(target, import_text):
    head = "uuid,machine,type,started_at,attributes.cost,attributes.ok,attributes.text\n"
    report = import_text("x.csv", f"{head}{UUID.format(1)},Saw,info,{AT},12.5,true,0012\n")
    assert report["problems"] == [] or errors_of(report) == []
    assert read_all(target, LOGS)[UUID.format(1)]["attributes"] == {"cost": 12.5, "ok": True, "text": "0012"}
    patch(target, LOGS, UUID.format(1), attributes={"other": "x", "cost": "12.5"})
    # A text that looks like a number stays a text while its cell shows the same.
    report = import_text("x.csv", f"{head}{UUID.format(1)},Saw,info,{AT},12.5,,0013\n")
    assert report["logs"] == counts(updated=1)
    assert read_all(target, LOGS)[UUID.format(1)]["attributes"] == {"cost": "12.5", "text": "0013", "other": "x"}
    import_text("x.ndjson", lines({"uuid": UUID.format(1), "attributes.cost": 3}))
    assert read_all(target, LOGS)[UUID.format(1)]["attributes"]["cost"] == 3


@pytest.mark.parametrize("column", ["", ",started_at"])
def test_a_log_without_a_start_is_refused_unless_it_gets_a_date(target, import_text, column):
    text = f"uuid,machine,type{column}\n{UUID.format(1)},Saw,info{column and ','}\n"
    report = import_text("x.csv", text)
    assert (report["logs"], errors_of(report)) == (
        counts(rejected=1),
        [([2], "started_at", "error", "missing", None)],
    )
    assert read_all(target, MACHINES) == {}
    at = datetime(2024, 2, 1, 10, tzinfo=UTC)
    report = import_text("x.csv", text, date_missing=at)
    assert report["logs"] == counts(created=1)
    assert ([2], "started_at", "note", "missing", None) in problems_of(report)
    assert read_all(target, LOGS)[UUID.format(1)]["started_at"] == "2024-02-01T10:00:00Z"
    assert import_text("x.csv", text)["logs"] == counts(unchanged=1)


def test_types_and_users_are_found_whatever_their_case_and_kept_as_stored(target, import_text):
    create(target, USERS, trigram="JDU")
    text = lines(
        log(1, type="Maintenance", user="jdu"),
        log(2, type="Repair"),
        log(3, type="repair", user="JDU"),
        log(4, type="Maintenance"),
    )
    report = import_text("x.ndjson", text)
    assert report["logs"] == counts(created=4)
    found = read_all(target, LOGS)
    assert [found[UUID.format(number)]["type"] for number in range(1, 5)] == [
        "maintenance",
        "Repair",
        "Repair",
        "maintenance",
    ]
    assert {found[UUID.format(number)]["user"] for number in (1, 3)} == {"JDU"}
    spellings = [each for each in report["problems"] if each["code"] == "spelling"]
    assert [(each["value"], each["count"], each["rows"]) for each in spellings] == [
        ("Maintenance", 2, [1, 4]),
        ("jdu", 1, [1]),
    ]
    assert import_text("x.ndjson", text)["logs"] == counts(unchanged=4)


def test_records_that_a_log_refers_to_are_created_and_reported_with_their_rows(target, import_text):
    report = import_text("x.ndjson", lines(log(1), log(2, machine="saw", type="PM01", user="nr"), log(3, user="nr")))
    assert [(*each, count["count"]) for each, count in zip(problems_of(report), report["problems"], strict=True)] == [
        ([1, 2, 3], "machine", "note", "unknown-machine", "Saw", 3),
        ([2], "type", "note", "unknown-type", "PM01", 1),
        ([2, 3], "user", "note", "unknown-user", "nr", 2),
    ]
    assert (report["machines"], report["log_types"], report["users"]) == (counts(created=1),) * 3
    assert read_all(target, MACHINES)["Saw"]["in_service"] is None
    assert {entry["machine"] for entry in read_all(target, LOGS).values()} == {"Saw"}


def test_a_refused_line_creates_nothing_and_the_import_continues(target, import_text):
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
            log(5, type="a b"),
            '{"uuid": "' + UUID.format(6) + f'", "machine": "\\ud800", "type": "info", "started_at": "{AT}"}}\n',
            f'{{"uuid": "not-a-uuid", "machine": "Saw", "type": "info", "started_at": "{AT}"}}\n',
            '{"uuid": "' + UUID.format(7) + '", "machine": "Saw", "type": "info", "attributes": {"n": 1e999}}\n',
            log(8, ended_at="1999-01-01T00:00:00Z"),
            log(9),
            "é\n",
        ).encode()
        + b"\xff\n",
    )
    assert (report["logs"], report["machines"], report["users"]) == (
        counts(created=1, rejected=16),
        counts(created=1),
        counts(),
    )
    assert {(row, field, code) for rows, field, _, code, _ in errors_of(report) for row in rows} == {
        (1, "severity", "not-allowed"),
        *((number, None, "row-shape") for number in (2, 3, 6)),
        (18, None, "bad-bytes"),
        *((number, "uuid", "missing") for number in (5, 7)),
        (8, "unheard", "unknown-field"),
        (9, "machine", "not-allowed"),
        (10, "machine", "not-allowed"),
        (11, "type", "not-a-code"),
        (12, "machine", "not-allowed"),
        (13, "uuid", "not-allowed"),
        (15, "ended_at", "before-start"),
    }
    assert [each["count"] for each in report["problems"] if each["code"] == "row-shape"] == [5]
    assert list(read_all(target, LOGS)) == [UUID.format(9)]
    assert not {"Gone", "nobody"} & {*read_all(target, MACHINES), *read_all(target, USERS)}


def test_problems_that_are_alike_are_one(import_text):
    text = lines(
        *[log(number, severity="dreadful", type="a b") for number in range(1, 9)], log(9, severity="x", type="a b")
    )
    report = import_text("x.ndjson", text)
    assert [(each["field"], each["value"], each["count"], each["rows"]) for each in report["problems"]] == [
        ("type", "a b", 9, [1, 2, 3]),
        ("severity", "dreadful", 8, [1, 2, 3]),
        ("severity", "x", 1, [9]),
    ]
    assert report["problems"][0]["file"] == "x.ndjson:1"


def test_a_log_that_is_deleted_in_the_database_is_a_conflict(target, import_text):
    import_text("x.ndjson", lines(log(1), log(2)))
    delete(target, LOGS, UUID.format(1))
    report = import_text("x.ndjson", lines(log(1), log(2, comment="new")))
    assert report["logs"] == counts(updated=1, conflict=1)
    assert problems_of(report) == [([1], None, "error", "conflict", UUID.format(1))]


def test_the_author_cannot_be_changed(target, import_text):
    import_text("x.ndjson", lines(log(1, user="abc"), log(2, user="abc")))
    report = import_text("x.csv", f"uuid,user,cause\n{UUID.format(1)},xyz,b\n{UUID.format(2)},,c\n")
    assert report["logs"] == counts(updated=1, rejected=1)
    assert errors_of(report) == [([2], "user", "error", "not-allowed", "xyz")]
    assert {each["user"] for each in read_all(target, LOGS).values()} == {"abc"}
    assert list(read_all(target, USERS)) == ["abc"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_later_line_updates_the_record_of_an_earlier_line(target, import_text, monkeypatch, dry_run):
    monkeypatch.setattr(running, "BATCH_SIZE", 3)
    numbers = [1, 2, 1, 3, 4, 5, 2, 1]
    text = lines(*[log(number, comment=str(place)) for place, number in enumerate(numbers)])
    assert import_text("x.ndjson", text, dry_run=dry_run)["logs"] == counts(created=5, updated=3)
    found = {entry["uuid"][-1]: (entry["comment"], entry["version"]) for entry in read_all(target, LOGS).values()}
    assert found == ({} if dry_run else {"1": ("7", 3), "2": ("6", 2), "3": ("3", 1), "4": ("4", 1), "5": ("5", 1)})
    assert import_text("m.ndjson", lines({"name": "É"}, {"name": "é"}, {"name": "E\u0301"}), dry_run=dry_run)[
        "machines"
    ] == counts(created=1, updated=2)


def test_a_dry_run_gives_the_same_report_and_writes_nothing(target, import_text, monkeypatch):
    monkeypatch.setattr(running, "BATCH_SIZE", 2)
    text = lines(
        log(1), log(2, severity="dreadful"), log(3, machine="Lathe"), log(4, type="Repair"), log(5, type="repair")
    )
    planned = import_text("x.ndjson", text, dry_run=True)
    assert (read_all(target, LOGS), read_all(target, MACHINES)) == ({}, {})
    assert planned == import_text("x.ndjson", text)
    assert planned["logs"] == counts(created=4, rejected=1)


def test_read_only_fields_are_ignored_and_related_ones_are_named(target, import_text):
    members = {"id": 99, "version": 7, "created_at": "2001-01-01T00:00:00Z", "updated_at": "x", "expanded": {}}
    assert import_text("m.ndjson", lines({"name": "Saw", **members}))["machines"] == counts(created=1)
    assert read_all(target, MACHINES)["Saw"]["version"] == 1
    patch(target, MACHINES, "Saw", sector="1A")
    assert import_text("m.csv", "name,sector,version,id\nSaw,1A,1,5\n")["machines"] == counts(unchanged=1)
    report = import_text("x.csv", f"uuid,machine,type,started_at,machine.sector\n{UUID.format(1)},Saw,info,{AT},2B\n")
    assert [(each["field"], each["code"], each["level"]) for each in report["problems"]] == [
        ("machine.sector", "ignored-column", "note")
    ]
    assert read_all(target, MACHINES)["Saw"]["sector"] == "1A"


def test_times_without_an_offset_are_in_the_sites_time_zone(target, import_text):
    text = "uuid,machine,type,started_at,ended_at\n{},Saw,info,{},\n"
    import_text("x.csv", text.format(UUID.format(1), "2025-07-25T15:18"), PARIS)
    import_text("x.csv", text.format(UUID.format(2), "2025-07-25"), PARIS)
    found = read_all(target, LOGS)
    assert [found[UUID.format(number)]["started_at"] for number in (1, 2)] == [
        "2025-07-25T13:18:00Z",
        "2025-07-24T22:00:00Z",
    ]
    report = import_text("x.csv", text.format(UUID.format(3), "yesterday"), PARIS)
    assert problems_of(report) == [([2], "started_at", "error", "not-a-date", "yesterday")]


def test_new_logs_need_no_uuid_and_the_same_rows_find_them_again(import_text):
    text = f"machine,type,started_at,comment\nSaw,info,{AT},a\nSaw,info,{AT},a\nSaw,info,{AT},b\n"
    with pytest.raises(UsageError, match="--new"):
        import_text("x.csv", text)
    assert import_text("x.csv", text, new=True)["logs"] == counts(created=3)
    longer = text.replace("Saw,info", "Saw,error", 1) + f"Saw,info,{AT},c\nSaw,info,{AT},a\n"
    assert import_text("y.csv", longer, new=True)["logs"] == counts(unchanged=3, created=2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.csv", "No such file"), ("missing.ndjson", "No such file"), ("folder.csv", "`mm sync`")],
)
def test_an_unreadable_file_is_a_usage_error(target, tmp_path, name, reason):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=f"cannot be read: .*{reason}"):
        import_file(target, tmp_path / name, ImportOptions(UTC))


@pytest.mark.parametrize(("name", "text"), [("x.ndjson", ""), ("x.ndjson", BOM + "\n\n"), ("x.csv", "name\r\n")])
def test_a_file_without_records_is_valid(import_text, name, text):
    report = import_text(name, text)
    assert [report[resource] for resource in ("logs", "machines")] == [counts(), counts()]


def test_a_bad_first_line_does_not_prevent_recognizing_the_resource(import_text):
    report = import_text("x.ndjson", BOM + "oops\n" + lines({"name": "Saw"}, log(1)))
    assert report["machines"] == counts(created=1, rejected=2)


def test_progress_runs_from_zero_to_the_file_size(import_text, monkeypatch):
    monkeypatch.setattr(running, "BATCH_SIZE", 2)
    calls = []
    text = lines(*[log(number) for number in range(5)])
    import_text("x.ndjson", text, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert (len(calls), calls[-1]) == (3, (len(text), len(text)))


def test_an_overlong_line_is_refused(import_text):
    report = import_text("x.ndjson", lines({"name": "Saw"}, '{"name": "' + "x" * 2**21 + '"}\n', {"name": "Lathe"}))
    assert report["machines"] == counts(created=2, rejected=1)
    assert problems_of(report) == [([2], None, "error", "row-shape", None)]


def test_a_file_is_read_line_by_line(tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text(lines(*[{"name": f"M{number}"} for number in range(3)]))
    rows = open_table(path).iterate()
    assert next(rows).members == {"name": "M0"}
    assert next(rows).number == 2
    rows.close()


def test_types_and_users_are_imported_with_their_meaning(target, import_text):
    report = import_text("t.csv", "code,label,counts_as_failure,active\nleak,Fuite,true,\nerror,Panne,,\n")
    assert report["log_types"] == counts(created=1, updated=1)
    found = read_all(target, LOG_TYPES)
    assert (found["leak"]["label"], found["leak"]["counts_as_failure"]) == ("Fuite", True)
    assert (found["error"]["label"], found["error"]["counts_as_failure"]) == ("Panne", True)
    assert import_text("u.csv", "trigram,first_name,role\nSIM,Simone,lead\n")["users"] == counts(created=1)
    assert read_all(target, USERS)["SIM"]["role"] == "lead"


def test_a_name_that_no_new_machine_may_have_refuses_its_row_alone(import_text):
    report = import_text("x.ndjson", lines(log(1, machine="\u200b"), log(2)))
    assert (report["logs"], report["machines"]) == (counts(created=1, rejected=1), counts(created=1))
    report = import_text("x.csv", "name,sector\n\u200b,A\nMill,B\n")
    assert report["machines"] == counts(created=1, rejected=1)
    assert errors_of(report) == [([2], "name", "error", "not-allowed", "\u200b")]
