"""A sync into a database that already contains records."""

import json

from machine_monitor.models import LOG_TYPES, LOGS, MACHINES
from machine_monitor.services import legacy, records
from machine_monitor.services.audit.history import ChangeContext
from services.legacy.cases import (
    AT,
    PARIS,
    UUID,
    counts,
    create,
    delete,
    everything,
    history,
    patch,
    problems_of,
    read_all,
    rows,
    write,
)


def test_a_second_run_writes_nothing(target, shared):
    source = shared / "data/legacy-tricky"
    legacy.sync(target, source, PARIS)
    tables = [rows(target, f"SELECT * FROM {table} ORDER BY 1") for table in ("logs", "history", "legacy_imports")]
    report = legacy.sync(target, source, PARIS).to_dict()
    assert report["machines"] == counts(unchanged=6, rejected=3)
    assert report["logs"] == counts(unchanged=13, rejected=3)
    assert report["users"] == counts(unchanged=5)
    assert report["log_types"] == counts(unchanged=4)
    assert tables == [
        rows(target, f"SELECT * FROM {table} ORDER BY 1") for table in ("logs", "history", "legacy_imports")
    ]


def test_a_dry_run_reports_the_same_and_writes_nothing(target, shared):
    source = shared / "data/legacy-tricky"
    before = everything(target), rows(target, "SELECT count(*) FROM history")
    dry = legacy.sync(target, source, PARIS, dry_run=True).to_dict()
    assert (everything(target), rows(target, "SELECT count(*) FROM history")) == before
    assert legacy.sync(target, source, PARIS).to_dict() == dry


def test_a_later_edit_of_the_legacy_tool_is_recorded(target, folder):
    legacy.sync(target, folder, PARIS)
    path = folder / f"logs/{UUID.format(7)}.json"
    members = json.loads(path.read_text())
    members["modified"].append(["2025_08_01__10_00_00", "mdu"])
    write(path, **members)
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"] == counts(unchanged=12, updated=1, rejected=3)
    assert history(target, LOGS, UUID.format(7))[-1][:3] == ("update", 1, "mdu")
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"] == counts(unchanged=13, rejected=3)
    patch(target, LOGS, UUID.format(7), severity="major")
    members["modified"].append(["2025_08_02__10_00_00", "pma"])
    write(path, **members)
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"] == counts(unchanged=12, conflict=1, rejected=3)


def test_a_changed_file_updates_an_unedited_record(target, folder):
    legacy.sync(target, folder, PARIS)
    path = folder / f"logs/{UUID.format(7)}.json"
    members = json.loads(path.read_text())
    members |= {"comment": "now more", "modified": [*members["modified"], ["2025_08_01__10_00_00", "mdu"]]}
    write(path, **members)
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"] == counts(unchanged=12, updated=1, rejected=3)
    log = read_all(target, LOGS)[UUID.format(7)]
    assert (log["comment"], log["version"]) == ("now more", 2)
    last = [row[:3] for row in history(target, LOGS, UUID.format(7))][-2:]
    assert last == [("update", 1, "mdu"), ("import", 2, None)]
    write(path, **members | {"comment": "and more"})
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"] == counts(unchanged=12, updated=1, rejected=3)
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"] == counts(unchanged=13, rejected=3)


def test_an_edited_field_is_a_conflict_only_if_it_differs(target, folder):
    legacy.sync(target, folder, PARIS)
    patch(target, LOGS, UUID.format(1), severity="major")
    patch(target, LOGS, UUID.format(2), comment="other", project="other")
    patch(target, LOGS, UUID.format(3), attributes={"cost": 3})
    patch(target, MACHINES, "tour-02", comment=None)
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["logs"] == counts(unchanged=11, conflict=2, rejected=3)
    assert report["machines"] == counts(unchanged=5, conflict=1, rejected=3)
    assert problems_of(report, f"logs/{UUID.format(2)}.json") == [("comment, project", "error", "conflict")]
    assert read_all(target, LOGS)[UUID.format(2)]["comment"] == "other"
    write(folder / f"logs/{UUID.format(1)}.json", machineName="tour-01", type="info", timeStamp=AT)
    assert legacy.sync(target, folder, PARIS).to_dict()["logs"]["conflict"] == 3


def test_a_record_deleted_in_the_database_is_a_conflict(target, folder):
    legacy.sync(target, folder, PARIS)
    delete(target, LOGS, UUID.format(1))
    delete(target, MACHINES, "bom")
    write(folder / "logs/00000000-0000-4000-8000-000000000099.json", machineName="bom", type="info",
          timeStamp=AT)  # fmt: skip
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["logs"] == counts(unchanged=12, conflict=1, rejected=4)
    assert report["machines"] == counts(unchanged=5, conflict=1, rejected=3)
    assert problems_of(report, "machines/bom.json") == [(None, "error", "conflict")]
    assert problems_of(report, f"logs/{UUID.format(99)}.json") == [("machineName", "error", "unknown-machine")]


def test_a_machine_renamed_in_the_database_keeps_its_logs(target, folder):
    legacy.sync(target, folder, PARIS)
    patch(target, MACHINES, "tour-01", name="Lathe 1")
    path = folder / f"logs/{UUID.format(6)}.json"
    write(path, **json.loads(path.read_text()) | {"comment": "changed in the file"})
    write(folder / f"logs/{UUID.format(98)}.json", machineName="TOUR-01", type="info", timeStamp=AT)
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["logs"] == counts(created=1, unchanged=12, updated=1, rejected=3)
    assert report["machines"] == counts(unchanged=5, conflict=1, rejected=3)
    assert problems_of(report, "machines/tour-01.json") == [("name", "error", "conflict")]
    logs = read_all(target, LOGS)
    assert logs[UUID.format(98)]["machine"] == logs[UUID.format(6)]["machine"] == "Lathe 1"
    assert "tour-01" not in read_all(target, MACHINES)


def test_a_machine_merged_in_the_database_keeps_its_logs(target, folder):
    legacy.sync(target, folder, PARIS)
    context = ChangeContext("test")
    target.transact(lambda tx: records.merge(tx, records.Target(MACHINES, "tour-01"), "bom", context))
    before = read_all(target, MACHINES)
    assert "tour-01" not in before
    write(folder / f"logs/{UUID.format(98)}.json", machineName="TOUR-01", type="info", timeStamp=AT)
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["logs"] == counts(created=1, unchanged=13, rejected=3)
    assert problems_of(report, "machines/tour-01.json")[0][1:] == ("error", "conflict")
    assert read_all(target, LOGS)[UUID.format(98)]["machine"] == "bom"
    assert read_all(target, MACHINES) == before


def test_an_existing_record_is_not_overwritten(target, folder):
    create(target, MACHINES, name="TOUR-01", sector="elsewhere")
    same = {"sector": "3C", "usage": "scie", "manufacturer": "Kasto", "serial_number": "K-7"}
    create(target, MACHINES, name="bom", **same, year_of_acquisition=1998, in_service=False)
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["machines"] == counts(created=4, unchanged=1, conflict=1, rejected=3)
    assert read_all(target, MACHINES)["TOUR-01"]["sector"] == "elsewhere"
    assert read_all(target, LOGS)[UUID.format(1)]["machine"] == "TOUR-01"
    write(folder / "machines/bom.json", sector="4D")
    assert legacy.sync(target, folder, PARIS).to_dict()["machines"]["updated"] == 1


def test_a_placeholder_becomes_the_machine_that_a_file_declares(target, folder):
    legacy.sync(target, folder, PARIS)
    write(folder / "machines/unknown-9.json", sector="9Z", in_service="oui")
    assert legacy.sync(target, folder, PARIS).to_dict()["machines"] == counts(unchanged=5, updated=1, rejected=3)
    machine = read_all(target, MACHINES)["unknown-9"]
    assert (machine["sector"], machine["in_service"]) == ("9Z", True)


def test_the_later_of_two_files_with_one_key_is_refused(target, tmp_path):
    source = tmp_path / "legacy"
    write(source / "machines/É 1.json", sector="first")
    write(source / "machines/é 1.json", sector="second")
    for name in ("AAAAAAAA-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000001"):
        write(
            source / f"logs/{name}.json",
            machineName="é 1",
            type="Info",
            timeStamp="2025_01_01__00_00_00",
            userName="ab",
        )
    report = legacy.sync(target, source, PARIS).to_dict()
    assert report["machines"] == counts(created=1, rejected=1)
    assert report["logs"] == counts(created=1, rejected=1)
    assert {p["code"] for p in report["problems"] if p["level"] == "error"} == {"duplicate"}
    (log,) = read_all(target, LOGS).values()
    assert (log["uuid"], log["machine"], log["type"]) == ("aaaaaaaa-0000-4000-8000-000000000001", "É 1", "info")


def test_an_inactive_type_takes_no_new_log(target, tmp_path):
    create(target, LOG_TYPES, code="old", active=False)
    write(tmp_path / "legacy/logs/x.json", machineName="a", type="old", timeStamp="2025_01_01__00_00_00")
    report = legacy.sync(target, tmp_path / "legacy", PARIS).to_dict()
    assert report["logs"] == counts(rejected=1)
    assert ("type", "error", "unknown-type") in problems_of(report, "logs/x.json")


def test_a_deleted_placeholder_machine_is_not_created_again(target, folder):
    legacy.sync(target, folder, PARIS)
    patch(target, LOGS, UUID.format(5), machine="tour-02")
    delete(target, MACHINES, "unknown-9")
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["logs"] == counts(unchanged=12, conflict=1, rejected=3)
    assert ("machineName", "error", "conflict") in problems_of(report, f"logs/{UUID.format(5)}.json")
    assert "unknown-9" not in read_all(target, MACHINES)


def test_a_recreated_machine_is_treated_like_an_existing_one(target, folder):
    legacy.sync(target, folder, PARIS)
    delete(target, MACHINES, "bom")
    create(target, MACHINES, name="bom", sector="5E")
    report = legacy.sync(target, folder, PARIS).to_dict()
    assert report["machines"] == counts(unchanged=5, conflict=1, rejected=3)
    assert read_all(target, MACHINES)["bom"]["sector"] == "5E"
