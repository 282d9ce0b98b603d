"""Imports again: what was edited here is left alone, or is a conflict; failures and runs are undone."""

import pytest

from machine_monitor.models import LOG_TYPES, LOGS, MACHINES, USERS
from machine_monitor.services import records
from machine_monitor.services.audit.history import ChangeContext
from machine_monitor.services.imports import files
from machine_monitor.services.imports.execution import running, undoing
from machine_monitor.services.imports.execution.running import ImportRun
from machine_monitor.services.imports.mapping import parse
from machine_monitor.services.imports.options import ImportOptions
from machine_monitor.services.records import Target
from services.legacy.cases import counts, create, delete, history, patch, read_all
from services.tabular.files import UTC

MAPPING = {
    "key": ["id"],
    "fields": {
        "machine": "m",
        "type": {"const": "info"},
        "started_at": {"const": "2024-01-01T00:00:00Z"},
        "comment": "c",
        "cause": "x",
        "severity": "s",
        "attributes.cost": {"column": "k", "as": "number"},
    },
}


def table(*rows):
    return "id,m,c,x,s,k\n" + "".join(f"{row}\n" for row in rows)


def only(target):
    (log,) = read_all(target, LOGS).values()
    return log


def conflicts(report):
    return {(each["field"], each["value"]) for each in report["problems"] if each["code"] == "conflict"}


def test_a_row_that_says_the_same_neither_undoes_an_edit_nor_restores_a_deleted_log(target, import_table):
    assert import_table(table("1,Saw,a,b,major,5"), MAPPING)["logs"] == counts(created=1)
    # The mapping does not name these fields.
    patch(target, LOGS, only(target)["uuid"], project="P", attributes={"other": "x"})
    edited = only(target)
    assert import_table(table("1,Saw,a,b,major,5"), MAPPING)["logs"] == counts(unchanged=1)
    assert only(target) == edited
    delete(target, LOGS, edited["uuid"])
    assert import_table(table("1,Saw,a,b,major,5"), MAPPING)["logs"] == counts(unchanged=1)
    assert read_all(target, LOGS) == {}


def test_an_update_empties_fields_without_a_value_but_keeps_those_with_a_default(target, import_table):
    import_table(table("1,Saw,a,b,major,5"), MAPPING)
    assert import_table(table("1,Saw,,z,,"), MAPPING)["logs"] == counts(updated=1)
    log = only(target)
    assert (log["comment"], log["cause"], log["severity"], log["attributes"]) == (None, "z", "major", {})
    entries = history(target, LOGS, log["uuid"])
    assert [(op, via, note) for op, _, _, via, _, note, _ in entries] == [
        ("create", "import", "test"),
        ("update", "import", "test"),
    ]


def test_a_record_that_was_edited_here_is_left_alone_while_its_row_says_the_same(target, import_table):
    import_table(table("1,Saw,a,b,major,5"), MAPPING)
    patch(target, LOGS, only(target)["uuid"], comment="mine", attributes={"cost": 7})
    assert import_table(table("1,Saw,a,b,major,5"), MAPPING)["logs"] == counts(unchanged=1)
    report = import_table(table("1,Saw,a2,b,major,5"), MAPPING)
    assert report["logs"] == counts(conflict=1)
    assert conflicts(report) == {("comment", "a2"), ("attributes.cost", "5")}
    assert only(target)["comment"] == "mine"
    assert import_table(table("1,Saw,a2,b,major,5"), MAPPING, overwrite=True)["logs"] == counts(updated=1)
    assert (only(target)["comment"], only(target)["attributes"]) == ("a2", {"cost": 5})
    assert import_table(table("1,Saw,a3,b,major,5"), MAPPING)["logs"] == counts(updated=1)


def test_a_record_that_was_deleted_here_is_a_conflict_when_its_row_changes(target, import_table):
    import_table(table("1,Saw,a,b,major,5"), MAPPING)
    delete(target, LOGS, only(target)["uuid"])
    report = import_table(table("1,Saw,a2,b,major,5"), MAPPING)
    assert (report["logs"], read_all(target, LOGS)) == (counts(conflict=1), {})
    assert {field for field, _ in conflicts(report)} == {None}
    assert import_table(table("1,Saw,a2,b,major,5"), MAPPING, overwrite=True)["logs"] == counts(updated=1)
    assert only(target)["comment"] == "a2"


def test_an_edit_by_a_table_of_ours_counts_as_an_edit(target, import_table, import_text):
    import_table(table("1,Saw,a,b,major,5"), MAPPING)
    import_text("x.csv", f"uuid,comment\n{only(target)['uuid']},mine\n")
    assert import_table(table("1,Saw,a,b,major,5"), MAPPING)["logs"] == counts(unchanged=1)
    assert only(target)["comment"] == "mine"


def test_meanings_are_set_for_what_is_new_or_nobody_has_changed(target, import_table):
    create(target, USERS, trigram="OLD", role="lead")
    more = {
        "fields": {**MAPPING["fields"], "type": {"const": "leak"}, "user": {"const": "NEW"}},
        "types": {"LEAK": {"label": "Fuite", "counts_as_failure": True}, "error": {"label": "Panne"}},
        "users": {"new": {"role": "viewer", "first_name": "N"}, "old": {"role": "viewer"}},
        "unknown_user": "create",
    }
    report = import_table(table("1,Saw,a,b,major,5"), MAPPING | more)
    assert (report["log_types"], report["users"]) == (counts(created=1, updated=1), counts(created=1))
    types, users = read_all(target, LOG_TYPES), read_all(target, USERS)
    assert (types["leak"]["label"], types["leak"]["counts_as_failure"], types["error"]["label"]) == (
        "Fuite",
        True,
        "Panne",
    )
    assert (users["NEW"]["role"], users["NEW"]["first_name"], users["OLD"]["role"]) == ("viewer", "N", "lead")
    again = import_table(table("1,Saw,a,b,major,5"), MAPPING | more)
    assert (again["log_types"], again["users"], again["logs"]) == (counts(), counts(), counts(unchanged=1))


def test_machines_are_completed_and_never_overwritten(target, import_table):
    create(target, MACHINES, name="Old", sector="here", model=None)
    mapping = MAPPING | {
        "machine_fields": {"sector": "c", "model": "x", "attributes.y": {"column": "k", "as": "number"}}
    }
    rows = ("1,Old,there,M1,,1", "2,New,A,,,2", "3,new,B,M2,,2")
    for dry_run in (True, False):
        report = import_table(table(*rows), mapping, dry_run=dry_run)
        assert report["machines"] == counts(created=1, updated=1)
        notes = {each["field"]: each["count"] for each in report["problems"] if each["code"] == "machine-differs"}
        assert notes == {"machine.sector": 2}
    found = read_all(target, MACHINES)
    assert [found["Old"][name] for name in ("sector", "model", "attributes")] == ["here", "M1", {"y": 1}]
    assert [found["New"][name] for name in ("sector", "model", "in_service")] == ["A", "M2", None]
    assert import_table(table(*rows), mapping)["machines"] == counts()


def rows_of(count):
    return [f"{number},Saw,c{number},b,major,{number}" for number in range(count)]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_undoes_what_was_written(target, import_table, monkeypatch, capsys, failure):
    monkeypatch.setattr(running, "BATCH_SIZE", 3)
    import_table(table(*rows_of(2)), MAPPING)
    before = read_all(target, LOGS)
    calls = []

    def fail(done, _total):
        calls.append(done)
        if len(calls) == 3:
            raise failure

    changed = [row.replace("c1", "changed") for row in rows_of(12)]
    said = []
    with pytest.raises(running.UsageError if failure is KeyboardInterrupt else failure) as raised:
        import_table(table(*changed), MAPPING, progress=fail, warn=said.append)
    outcome = "What it had written was undone: 7 records deleted, 1 restored to their former values."
    if failure is KeyboardInterrupt:
        assert (said, str(raised.value)) == ([], f"The import was interrupted. {outcome}")
    else:
        assert (said, raised.value.__cause__, capsys.readouterr().err) == ([outcome], None, "")
    after = read_all(target, LOGS)
    assert {key: log["comment"] for key, log in after.items()} == {key: log["comment"] for key, log in before.items()}
    # The same rows restore what was undone.
    assert import_table(table(*changed), MAPPING)["logs"]["rejected"] == 0
    assert len(read_all(target, LOGS)) == 12
    assert import_table(table(*changed), MAPPING)["logs"] == counts(unchanged=12)


def test_a_run_is_undone_except_for_what_others_changed_since(target, import_table, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(table(*rows_of(5)))
    mapping, options = parse({"name": "test", "zone": "UTC", **MAPPING}), ImportOptions(UTC)
    run = ImportRun(target, files.row_source(path, options, mapping), options, mapping)
    start = target.snapshot(undoing.last_entry)
    run.execute()
    logs = {log["comment"]: log["uuid"] for log in read_all(target, LOGS).values()}
    patch(target, LOGS, logs["c0"], cause="mine")
    done = undoing.undo(target, undoing.Run(run.id, start), ChangeContext("import", note="test"))
    assert (done.deleted, done.reverted, done.kept) == (4, 0, 2)  # the log that was changed, and the machine
    assert list(read_all(target, LOGS)) == [logs["c0"]]
    assert list(read_all(target, MACHINES)) == ["Saw"]
    # A person may have restored one of them by hand.
    target.transact(lambda tx: records.restore(tx, Target(LOGS, logs["c1"]), ChangeContext("session")))
    assert import_table(None, MAPPING)["logs"] == counts(created=3, unchanged=2)
    assert import_table(None, MAPPING)["logs"] == counts(unchanged=5)


def test_readers_see_each_transaction_and_others_write_between(target, import_table, monkeypatch):
    monkeypatch.setattr(running, "BATCH_SIZE", 2)
    seen = []

    def look(_done, _total):
        seen.append(len(read_all(target, LOGS)))
        create(target, MACHINES, name=f"other {len(seen)}")

    import_table(table(*rows_of(6)), MAPPING, progress=look)
    assert seen == [2, 4, 6]


def test_a_machine_that_was_renamed_or_merged_here_is_found_by_its_former_name(target, import_table):
    rows = ("1,Saw,a,b,major,5", "2,Lathe,a,b,major,5")
    import_table(table(*rows), MAPPING)
    patch(target, MACHINES, "Saw", name="Saw 1")
    patch(target, MACHINES, "Saw 1", name="Saw 2")
    target.transact(lambda tx: records.merge(tx, Target(MACHINES, "Lathe"), "Saw 2", ChangeContext("session")))
    mapping = MAPPING | {"machine_fields": {"sector": "c"}}
    report = import_table(table(*rows, "3,saw,a,b,major,5"), mapping)
    assert (report["logs"], report["machines"]) == (counts(unchanged=2, created=1), counts(updated=1))
    assert {(each["value"], each["count"]) for each in report["problems"] if each["code"] == "renamed"} == {
        ("Saw", 1),
        ("Lathe", 1),
        ("saw", 1),
    }
    assert [(name, machine["sector"]) for name, machine in read_all(target, MACHINES).items()] == [("Saw 2", "a")]
