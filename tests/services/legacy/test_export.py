"""Exports in the legacy format round-trip, and fields that the format lacks are counted."""

import json

import pytest

from machine_monitor.database.connect import Database
from machine_monitor.errors import UsageError
from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services import legacy
from services.legacy.cases import PARIS, UUID, create, delete, everything, history, patch, read_all

UUID_1 = UUID.format(1)


@pytest.fixture
def second(tmp_path, sqlite_template):
    """A second, empty database."""
    path = tmp_path / "second.db"
    path.write_bytes(sqlite_template.read_bytes())
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close_writer()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize("source", ["legacy-tricky", "legacy.db"])
def test_an_export_of_synced_records_can_be_synced_again(target, second, shared, out, source):
    legacy.sync(target, shared / "data" / source, PARIS)
    report = legacy.export(target, out, PARIS)
    assert report.to_dict()["not_held"] == {}
    back = legacy.sync(second, out, PARIS)
    assert back.clean
    assert everything(second) == everything(target)
    assert report.to_dict() == {
        name: len(read_all(target, resource))
        for name, resource in (("machines", MACHINES), ("logs", LOGS), ("users", USERS))
    } | {"not_held": {}}
    for key in read_all(target, LOGS):
        # The note and the time of an entry are those of its own sync.
        expected, actual = ([entry[:5] for entry in history(base, LOGS, key)] for base in (target, second))
        assert actual == expected


@pytest.mark.untraced
def test_the_real_folder_round_trips(sqlite_database_url, second, shared, out):
    target = Database(sqlite_database_url)
    legacy.sync(target, shared / "data/excavators-legacy", PARIS)
    assert legacy.export(target, out, PARIS).to_dict() == {"machines": 5, "logs": 5485, "users": 1, "not_held": {}}
    assert legacy.sync(second, out, PARIS).counts["logs"]["created"] == 5485
    assert everything(second) == everything(target)
    target.close_writer()


def test_a_file_is_as_the_legacy_tool_wrote_it(target, shared, out):
    legacy.sync(target, shared / "data/legacy-tricky", PARIS)
    legacy.export(target, out, PARIS)
    assert json.loads((out / f"logs/{UUID.format(7)}.json").read_text()) == {
        "machineName": "tour-01",
        "type": "info",
        "project": "testId",
        "comment": "ras",
        "timeStamp": "2025_07_25__15_18_25",
        "userName": "angir",
        "modified": [["2025_07_26__08_00_00", "pma"], ["2025_07_27__09_30_00", "sle"]],
    }
    assert json.loads((out / f"logs/{UUID.format(3)}.json").read_text())["type"] == "empty consumable & reload"
    assert json.loads((out / "machines/fraiseuse é-3.json").read_text(encoding="utf-8"))["in_service"] == "Oui"
    assert json.loads((out / "employs/anne giraud.json").read_text()) == {
        "firstName": "anne",
        "lastName": "giraud",
        "trigram": "angir",
        "authorisation": "admin",
    }


NOT_HELD = [
    ({"severity": "major"}, "severity"),
    ({"status": "open"}, "status"),
    ({"cause": "wear"}, "cause"),
    ({"action": "oil"}, "action"),
    ({"ended_at": "2100-01-01T00:00:00Z"}, "ended_at"),
    ({"started_at": "2025-07-25T13:18:25.5Z"}, "started_at"),
    ({"started_at": "2025-10-26T01:30:00Z"}, "started_at"),
    ({"comment": ""}, "comment"),
    ({"attributes": {"type": "x"}}, "attributes"),
    ({"attributes": {"token": "x"}}, "attributes"),
    ({"attributes": {"empty": ""}}, "attributes"),
    ({"attributes": {"userName": "abc"}}, "attributes"),
]


@pytest.mark.parametrize(("values", "field"), NOT_HELD, ids=str)
def test_a_field_that_the_legacy_format_lacks_is_counted(sqlite_database_url, out, values, field):
    target = Database(sqlite_database_url)
    create(target, MACHINES, name="m")
    create(target, LOGS, uuid=UUID_1, machine="m", type="info", **{"started_at": "2025-01-01T00:00:00Z"} | values)
    assert legacy.export(target, out, PARIS).to_dict()["not_held"] == {f"logs.{field}": 1}
    assert "token" not in (out / f"logs/{UUID_1}.json").read_text()
    target.close_writer()


def test_lost_fields_of_machines_users_and_types_are_counted(sqlite_database_url, out):
    target = Database(sqlite_database_url)
    create(target, MACHINES, name="é" * 120, sector="s")
    create(target, MACHINES, name="日" * 120)
    create(target, MACHINES, name="m", sector=" s ", in_service=None)
    create(target, USERS, trigram="ab", active=False)
    create(target, LOG_TYPES, code="unused")
    create(target, LOG_TYPES, code="used", label="Used", counts_as_failure=True)
    create(
        target,
        LOGS,
        machine="m",
        type="used",
        started_at="2025-01-01T00:00:00.5Z",
        attributes={"userName": "no trigram"},
    )
    create(target, LOGS, uuid=UUID_1, machine="m", type="info")
    delete(target, LOGS, UUID_1)
    report = legacy.export(target, out, PARIS).to_dict()
    assert report.pop("not_held") == {
        "machines.name": 1,
        "machines.sector": 1,
        "users.active": 1,
        "log_types.code": 1,
        "log_types.label": 1,
        "log_types.counts_as_failure": 1,
        "logs.started_at": 1,
    }
    assert report == {"machines": 2, "logs": 1, "users": 1}
    target.close_writer()


def test_a_renamed_machine_is_exported_under_its_new_name(target, second, folder, out):
    legacy.sync(target, folder, PARIS)
    patch(target, MACHINES, "tour-01", name="Lathe 1")
    assert legacy.export(target, out, PARIS).to_dict()["not_held"] == {}
    legacy.sync(second, out, PARIS)
    assert everything(second) == everything(target)


def test_a_folder_that_is_not_empty_is_refused(sqlite_database_url, out):
    target = Database(sqlite_database_url)
    out.mkdir()
    legacy.export(target, out, PARIS)
    (out / "a file").touch()
    for occupied in (out, out / "a file"):
        with pytest.raises(UsageError, match="already"):
            legacy.export(target, occupied, PARIS)
    with pytest.raises(UsageError, match="Cannot write"):
        legacy.export(target, out / "a file" / "below", PARIS)
    target.close_writer()
