"""The results of a first sync of each legacy source."""

import json
import os
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.services import legacy
from services.legacy.cases import PARIS, UUID, counts, history, patch, problems_of, read_all, rows, total

NOT_A_UUID = "84e274e9-ab8e-5d97-9f73-33cca34de7f1"


@pytest.mark.untraced
def test_the_real_folder_is_imported_then_unchanged_then_has_one_conflict(target, shared):
    source = shared / "data/excavators-legacy"
    report = legacy.sync(target, source, PARIS)
    assert report.clean
    assert {name: outcomes["created"] for name, outcomes in report.counts.items()} == {
        "machines": 5,
        "logs": 5485,
        "users": 1,
        "log_types": 6,
    }
    logs = read_all(target, LOGS)
    assert Counter(log["type"] for log in logs.values()) == Counter(
        PM01=5217, PM02=153, PM06=98, PM04=7, PM13=6, PM05=4
    )
    assert Counter(log["machine"][-1] for log in logs.values()) == Counter(A=151, B=1017, C=992, D=2374, E=951)
    assert {log["user"] for log in logs.values()} == {"uwa"}
    costs = [float(log["attributes"]["cost"]) for log in logs.values() if "cost" in log["attributes"]]
    assert (sum(cost >= 1000 for cost in costs), sum(cost < 0 for cost in costs)) == (1522, 6)
    assert [total(target, LOGS, f"attributes.cost__{condition}") for condition in ("gte=1000", "lt=0")] == [1522, 6]
    in_order = rows(target, "SELECT started_at FROM logs ORDER BY id")
    assert in_order == sorted(in_order)
    edited = next(iter(logs))
    patch(target, LOGS, edited, comment="seen again")
    again = legacy.sync(target, source, PARIS).to_dict()
    assert again["logs"] == counts(unchanged=5484, conflict=1)
    assert again["machines"] == counts(unchanged=5)
    assert [(p["file"], p["field"], p["code"]) for p in again["problems"]] == [
        (f"logs/{edited}.json", "comment", "conflict")
    ]


def test_every_special_case_of_the_tricky_folder(target, shared):
    report = legacy.sync(target, shared / "data/legacy-tricky", PARIS).to_dict()
    assert report["machines"] == counts(created=6, rejected=3)
    assert report["logs"] == counts(created=13, rejected=3)
    assert report["users"] == counts(created=5)
    assert report["log_types"] == counts(created=1, unchanged=3)
    assert report["ignored"] == 1
    machines = read_all(target, MACHINES)
    assert {name: (m["in_service"], m["year_of_acquisition"]) for name, m in machines.items()} == {
        "tour-01": (True, 2019),
        "tour-02": (False, 2019),
        "fraiseuse é-3": (True, 2004),
        "imprimante 3D": (True, 2019),
        "bom": (False, 1998),
        "unknown-9": (None, None),
    }
    assert machines["imprimante 3D"]["sector"] == "2B"
    assert machines["tour-02"]["comment"] == "arrêtée : broche à changer"
    assert machines["tour-01"]["comment"] is None
    assert [problems_of(report, f"machines/{name}.json") for name in ("bad year", "bad flag", "broken")] == [
        [("year_of_acquisition", "error", "invalid")],
        [("in_service", "error", "invalid")],
        [(None, "error", "bad-json")],
    ]
    users = {
        key: (user["role"], user["first_name"], user["last_name"]) for key, user in read_all(target, USERS).items()
    }
    assert users == {
        "angir": ("admin", "anne", "giraud"),
        "jdu": ("operator", "jean", "dupont"),
        "mdu": ("lead", "marie", "durand"),
        "pma": ("supervisor", "paul", "martin"),
        "sle": ("operator", "sophie", "leroy"),
    }
    assert problems_of(report, "employs/sophie leroy.json") == [("authorisation", "note", "unknown-role")]


def test_every_log_of_the_tricky_folder(target, shared):
    report = legacy.sync(target, shared / "data/legacy-tricky", PARIS).to_dict()
    logs = read_all(target, LOGS)
    assert set(logs) == {UUID.format(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14)} | {NOT_A_UUID}
    assert [logs[UUID.format(n)]["type"] for n in (1, 2, 3, 4)] == ["info", "error", "reload", "calibration"]
    assert [logs[UUID.format(n)]["project"] for n in (6, 7)] == ["testID", "testId"]
    assert logs[UUID.format(1)]["started_at"] == "2025-07-25T13:18:25Z"
    assert logs[UUID.format(2)]["comment"] == "broche bruyante, arrêt à 15h\nreprise à 16h"
    assert logs[UUID.format(5)]["machine"] == "unknown-9"
    assert logs[UUID.format(9)]["started_at"] == "2025-10-26T00:30:00Z"
    assert logs[UUID.format(10)]["started_at"] == "2025-03-30T01:30:00Z"
    assert logs[UUID.format(13)]["user"] is None
    assert logs[UUID.format(14)]["attributes"] == {"cost": "183.05", "shift": "night"}
    assert {(log["severity"], log["status"]) for log in logs.values()} == {("info", "done")}
    expected = {
        UUID.format(4): [("type", "note", "undeclared-type")],
        UUID.format(5): [("machineName", "note", "undeclared-machine")],
        UUID.format(9): [("timeStamp", "note", "ambiguous")],
        UUID.format(10): [("timeStamp", "note", "skipped")],
        UUID.format(11): [("timeStamp", "error", "time")],
        UUID.format(12): [("timeStamp", "error", "required")],
        UUID.format(16): [(None, "error", "bad-json")],
        "not-a-uuid": [(None, "note", "derived-uuid")],
    }
    assert {name: problems_of(report, f"logs/{name}.json") for name in expected} == expected
    assert len(report["problems"]) == len(expected) + 4


def test_edits_of_the_legacy_tool_become_history_before_the_import(target, shared):
    legacy.sync(target, shared / "data/legacy-tricky", PARIS)
    first, second, imported = history(target, LOGS, UUID.format(7))
    assert [(op, version, user, via) for op, version, user, via, *_ in (first, second, imported)] == [
        ("update", 1, "pma", "sync"),
        ("update", 1, "sle", "sync"),
        ("import", 1, None, "sync"),
    ]
    assert str(first[6]).startswith("2025-07-26")
    assert str(second[6])[11:16] == "07:30"
    assert first[4] == "{}"
    assert "did not record" in first[5]
    assert [row[:3] for row in history(target, LOGS, UUID.format(8))] == [("update", 1, "pma"), ("import", 1, None)]


def test_drafts_are_imported_on_request(target, shared):
    report = legacy.sync(target, shared / "data/legacy-tricky", PARIS, drafts=True).to_dict()
    assert report["logs"] == counts(created=14, rejected=3)
    (draft,) = [log for log in read_all(target, LOGS).values() if log["comment"] == "unsaved draft"]
    assert (draft["status"], draft["user"], draft["machine"]) == ("open", "angir", "tour-02")
    assert draft["started_at"] == "2025-07-25T13:47:42Z"
    assert problems_of(report, "logs/.temp/angir/2025_07_25__15_47_42.json") == [(None, "note", "draft")]


def test_the_legacy_database(target, shared):
    source = shared / "data/legacy.db"
    before = source.read_bytes()
    report = legacy.sync(target, source, PARIS).to_dict()
    assert report["machines"] == counts(created=3)
    assert report["logs"] == counts(created=3, rejected=1)
    assert report["users"] == counts(created=2)
    assert problems_of(report, f"logs/{UUID.format(22)}") == [("timeStamp", "error", "time")]
    assert [row[:3] for row in history(target, LOGS, UUID.format(21))] == [("update", 1, "mdu"), ("import", 1, None)]
    assert read_all(target, MACHINES)["testMachine"]["in_service"] is False
    assert source.read_bytes() == before
    assert legacy.sync(target, source, PARIS).to_dict()["logs"] == counts(unchanged=3, rejected=1)


def test_the_legacy_database_after_the_folder(target, shared):
    legacy.sync(target, shared / "data/legacy-tricky", PARIS)
    report = legacy.sync(target, shared / "data/legacy.db", PARIS).to_dict()
    assert report["machines"] == counts(created=2, unchanged=1)
    assert report["logs"] == counts(created=2, unchanged=1, rejected=1)
    assert report["users"] == counts(unchanged=2)
    assert {"testMachine", "gone-7"} < set(read_all(target, MACHINES))
    assert {UUID.format(21), UUID.format(23)} < set(read_all(target, LOGS))


@pytest.mark.parametrize("source", ["legacy-tricky", "legacy.db"])
def test_legacy_tokens_are_neither_stored_nor_shown(target, shared, source):
    report = legacy.sync(target, shared / "data" / source, PARIS)
    stored = [rows(target, f"SELECT * FROM {table}") for table in ("users", "history", "legacy_imports")]
    assert "plain-secret" not in str(stored)
    assert "plain-secret" not in str(report.to_dict())
    assert "angir" in str(stored)


def test_progress_ends_at_the_total(target, shared):
    progress = []
    legacy.sync(target, shared / "data/legacy-tricky", PARIS, progress=lambda *pair: progress.append(pair))
    assert progress[-1] == (28, 28)


def test_other_files_are_ignored_and_unreadable_records_rejected(tmp_path, sqlite_database_url):
    machines, drafts = tmp_path / "machines", tmp_path / "logs/.temp"
    drafts.mkdir(parents=True)
    (machines / "folder.json").mkdir(parents=True)
    (machines / ".DS_Store").touch()
    (drafts / "readme.txt").touch()
    (drafts / "no time.json").write_text("{}")
    (machines / "latin.json").write_bytes(b'{"sector": "\xe9"}')
    (machines / "UPPER.JSON").write_text("{}")
    (machines / "loop.json").symlink_to("loop.json")
    Path(os.fsdecode(os.fsencode(machines) + b"/\xe9.json")).write_text("{}")
    target = Database(sqlite_database_url)
    report = legacy.sync(target, tmp_path, PARIS).to_dict()
    assert (report["machines"], report["ignored"]) == (counts(created=1, rejected=3), 2)
    assert {p["code"] for p in report["problems"]} == {"bad-json", "file-name", "unreadable"}
    assert json.dumps(report, ensure_ascii=False).encode()
    assert legacy.sync(target, tmp_path, PARIS, drafts=True).to_dict()["ignored"] == 3
    target.close_writer()


def test_an_invalid_legacy_source_gives_a_clear_error(tmp_path, sqlite_database_url):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.db").write_text("no database at all, but long enough to look for a header in it" * 3)
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    target = Database(sqlite_database_url)
    for name in ("empty", "text.db", "other.db", "missing"):
        with pytest.raises(UsageError, match=name):
            legacy.sync(target, tmp_path / name, PARIS)
    target.close_writer()
