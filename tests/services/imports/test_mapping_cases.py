"""The cases of the mapping language in `../shared`: small tables, each with its mapping and its exact outcome."""

import json

import pytest

from machine_monitor.models import LOGS
from machine_monitor.services import records
from machine_monitor.services.imports import ImportOptions, import_file
from machine_monitor.services.imports.mapping import parse
from services.tabular.files import UTC


@pytest.fixture
def cases(shared):
    path = shared / "data/import-edges.json"
    if not path.exists():
        pytest.skip("needs ../shared/data/import-edges.json")
    return json.loads(path.read_text(encoding="utf-8"))["cases"]


def stored(target):
    return {log["uuid"]: log for log in target.transact(lambda tx: records.read_all(tx, LOGS))}


def value(log, name):
    key = name.removeprefix("attributes.")
    return log["attributes"].get(key) if key != name else log[name]


def outcome(row, expected, logs, problems):
    """Return what became of a row, in the form of the cases."""
    if isinstance(expected, dict):
        return {name: value(logs[row[0]], name) for name in expected} if row[0] in logs else problems
    if row[0] in logs:
        return logs[row[0]]
    refusals = [each for each in problems if each["level"] == "error" and row[1] in each["rows"]]
    return f"refused:{refusals[0]['field'] or ''}" if refusals else "skipped"


@pytest.mark.slow
def test_every_case_has_its_outcome_and_a_second_run_changes_nothing(target, tmp_path, cases):
    path = tmp_path / "table.csv"
    for case in cases:
        path.write_text(case["table"], encoding="utf-8")
        mapping = parse({"name": case["name"], "zone": "UTC", **case["more"], "fields": case["fields"]})
        before = stored(target)
        report = import_file(target, path, ImportOptions(UTC), mapping).to_dict()
        logs = {log["project"]: log for uuid, log in stored(target).items() if uuid not in before}
        delimiter = case["more"].get("read", {}).get("delimiter", ",")
        lines = {line.split(delimiter)[0]: number for number, line in enumerate(case["table"].split("\n"), 1)}
        outcomes = {n: outcome((n, lines[n]), case["expect"][n], logs, report["problems"]) for n in case["expect"]}
        assert (case["name"], outcomes) == (case["name"], case["expect"])
        skipped = list(case["expect"].values()).count("skipped")
        assert report["skipped"] == skipped
        again = import_file(target, path, ImportOptions(UTC), mapping).to_dict()
        assert (again["logs"]["created"], again["logs"]["updated"], again["logs"]["unchanged"]) == (0, 0, len(logs))
