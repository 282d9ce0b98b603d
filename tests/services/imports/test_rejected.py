"""The file of refused rows: it appears when it is complete, and holds every refused row in readable form."""

import json

import pytest

from machine_monitor.errors import UsageError
from machine_monitor.models import LOGS
from machine_monitor.services.imports.execution import running
from services.imports.lines import AT, lines, log
from services.legacy.cases import counts, read_all

GOOD, BAD = "name,year_of_acquisition\nSaw,2001\n", "name,year_of_acquisition\nSaw,old\n"


def test_the_file_appears_when_all_rows_are_read(import_text, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "BATCH_SIZE", 1)
    rejected, seen = tmp_path / "bad.csv", []
    text = BAD + "Lathe,older\nPress,2001\n"
    import_text("m.csv", text, rejected=rejected, progress=lambda *_: seen.append(rejected.exists()))
    assert seen == [False, False, False]
    assert [line.split(",")[0] for line in rejected.read_text().splitlines()] == ["name", "Saw", "Lathe"]
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_a_file_of_an_earlier_run_is_removed_if_no_row_is_refused(import_text, tmp_path):
    rejected = tmp_path / "bad.csv"
    import_text("m.csv", BAD, rejected=rejected)
    import_text("m.csv", GOOD, rejected=rejected, dry_run=True)
    assert rejected.exists()
    import_text("m.csv", GOOD, rejected=rejected)
    assert not rejected.exists()


def test_a_failed_import_leaves_the_file_of_an_earlier_run(import_text, tmp_path):
    rejected = tmp_path / "bad.csv"
    rejected.write_text("earlier")

    def fail(*_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        import_text("m.csv", BAD, rejected=rejected, progress=fail)
    assert [path.name for path in tmp_path.glob("bad*")] == ["bad.csv"]
    assert rejected.read_text() == "earlier"


def test_a_path_that_cannot_be_written_is_refused_before_the_first_row(target, import_text, tmp_path):
    with pytest.raises(UsageError, match="Cannot write"):
        import_text("x.ndjson", lines(log(1)), rejected=tmp_path / "none/bad.csv")
    assert read_all(target, LOGS) == {}


def test_lines_that_cannot_be_read_are_kept_and_read_back_once_mended(import_text, tmp_path):
    rejected = tmp_path / "bad.ndjson"
    broken = [json.dumps(log(1))[:-1] + ",}", '["é"]', '{"uuid": "']
    text = ("\n".join(broken) + "\n").encode() + b'{"machine": "\xff"}\n' + lines(log(2, started_at="x")).encode()
    assert import_text("x.ndjson", text, rejected=rejected)["logs"] == counts(rejected=5)
    rejected_lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [members.get("line") for members in rejected_lines] == [*broken, '{"machine": "\ufffd"}', None]
    assert all(members["why"] for members in rejected_lines)
    assert rejected_lines[4]["started_at"] == "x"
    fixed = lines(json.loads(rejected_lines[0]["line"].replace(",}", "}")), {**rejected_lines[4], "started_at": AT})
    assert import_text("fixed.ndjson", fixed)["logs"] == counts(created=2)
