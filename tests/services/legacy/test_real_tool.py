"""What the real legacy tool writes: its own database, drafts without a machine, and a folder that it reads back."""

import json
import sqlite3

import pytest

from machine_monitor.models import LOGS, MACHINES, USERS
from machine_monitor.services import legacy
from services.legacy.cases import AT, PARIS, UUID, delete, problems_of, read_all, write

PEOPLE = (
    ("jean dupont", "secret", "", "", "user"),
    ("Anne De La Tour", None, "Anne", "De La Tour", "admin"),
)


@pytest.fixture
def database(tmp_path):
    """The tool's SQLite file, whose column `trigram` has the name of each person."""
    path = tmp_path / "machineMonitor.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE employs (trigram, token, first_name, last_name, authorisation)")
    connection.executemany("INSERT INTO employs VALUES (?, ?, ?, ?, ?)", PEOPLE)
    connection.commit()
    connection.close()
    return path


def test_people_of_the_tools_database_get_the_trigrams_that_it_makes(target, database):
    report = legacy.sync(target, database, PARIS)
    assert report.clean
    people = {
        key: (user["first_name"], user["last_name"], user["role"]) for key, user in read_all(target, USERS).items()
    }
    assert people == {"jdu": ("jean", "dupont", "operator"), "ato": ("Anne", "De La Tour", "admin")}
    assert problems_of(report.to_dict(), "employs/jean dupont") == [("trigram", "note", "made-trigram")]
    assert legacy.sync(target, database, PARIS).counts["users"]["unchanged"] == 2


def test_a_draft_without_a_machine_is_imported_under_one_that_nobody_has_listed(target, tmp_path):
    draft = "logs/.temp/xyz/2025_07_25__15_47_42.json"
    write(tmp_path / draft, machineName="", type="info", comment="no machine", project="")
    write(tmp_path / "logs/.temp/xyz/2025_07_26__15_47_42.json", machineName="a/b", type="info")
    report = legacy.sync(target, tmp_path, PARIS, drafts=True)
    (log,) = read_all(target, LOGS).values()
    assert (log["machine"], log["status"], log["user"]) == ("(unlisted)", "open", "xyz")
    assert read_all(target, MACHINES)["(unlisted)"]["listed"] is False
    assert {code for _, _, code in problems_of(report.to_dict(), draft)} == {
        "draft",
        "no-machine",
        "undeclared-machine",
        "undeclared-user",
    }
    # What is refused is not said to be imported.
    assert [level for _, level, _ in problems_of(report.to_dict(), draft.replace("25__", "26__"))] == ["error"]


def test_a_file_that_is_gone_is_named_and_its_record_stays(target, tmp_path):
    for number in (1, 2, 3):
        write(tmp_path / f"logs/{UUID.format(number)}.json", machineName=f"M{number}", type="info", timeStamp=AT)
        write(tmp_path / f"machines/M{number}.json", sector="1A")
    legacy.sync(target, tmp_path, PARIS)
    delete(target, LOGS, UUID.format(3))
    for number in (2, 3):
        (tmp_path / f"logs/{UUID.format(number)}.json").unlink()
    (tmp_path / "machines/M1.json").unlink()
    report = legacy.sync(target, tmp_path, PARIS).to_dict()
    missing = {each["file"] for each in report["problems"] if each["code"] == "missing"}
    assert missing == {f"logs/{UUID.format(2)}", "machines/m1"}
    assert (len(read_all(target, LOGS)), len(read_all(target, MACHINES))) == (2, 3)


def test_an_export_names_people_and_roles_as_the_tool_reads_them(target, database, tmp_path):
    legacy.sync(target, database, PARIS)
    legacy.export(target, tmp_path / "out", PARIS)
    files = {path.name: json.loads(path.read_text()) for path in (tmp_path / "out/employs").iterdir()}
    assert {name: file["authorisation"] for name, file in files.items()} == {
        "jean dupont.json": "user",
        "Anne De La Tour.json": "admin",
    }


def test_the_zone_of_a_sync_is_remembered_unless_nothing_is_written(target, database):
    legacy.sync(target, database, PARIS, dry_run=True)
    assert legacy.clock_zone(target) is None
    legacy.sync(target, database, PARIS)
    assert legacy.clock_zone(target) == PARIS
