"""`mm report`."""

import io
import json

import pytest
from python_calamine import CalamineWorkbook

LOG = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "machine": "<script>",
    "type": "error",
    "cause": "Broken belt",
    "started_at": "2025-07-23T06:00:00Z",
    "down_from": "2025-07-23T06:00:00Z",
    "down_to": "2025-07-23T08:00:00Z",
}


@pytest.fixture
def site(mm, working_folder, database_url):
    """A function that runs a command on a database with one stop of two hours."""
    (working_folder / "given.ndjson").write_text(json.dumps(LOG) + "\n")
    assert mm("import", "given.ndjson", database_url=database_url)[0] == 0
    return mm


def test_a_report_is_written_as_page_and_as_workbook(site, working_folder):
    words = ("2025-W30", "--language", "fr", "--url", "https://machines.example.org/plant")
    assert site("report", *words, "--to", "week.html") == (0, "week.html: 2025-W30 written\n", "")
    page = (working_folder / "week.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;</a>" in page
    assert "2,0\u00a0h" in page
    assert "https://machines.example.org/plant/ui/logs?machine=%3Cscript%3E" in page
    assert site("report", "2025-W30", "--to", "WEEK.XLSX")[0] == 0
    book = CalamineWorkbook.from_filelike(io.BytesIO((working_folder / "WEEK.XLSX").read_bytes()))
    assert book.get_sheet_by_name("Machines").to_python()[1][:2] == ["<script>", 2.0]
    assert not [path for path in working_folder.iterdir() if path.name.endswith(".partial")]


def test_without_a_file_it_is_named_by_its_period_and_without_a_period_it_is_the_last_week(site, working_folder):
    code, out, _ = site("report")
    (written,) = working_folder.glob("machine-monitor-*-W*.html")
    assert (code, out.split(":")[0]) == (0, written.name)
    # A timer writes the same file again.
    assert site("report")[0] == 0
    assert "href" not in written.read_text(encoding="utf-8")


def test_a_query_chooses_machines(site, working_folder):
    assert site("report", "2025-07", "--to", "m.html", "--query", "machine=none")[0] == 0
    assert "&lt;script&gt;" not in (working_folder / "m.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["weak"], "Did you mean 'week'?"),
        (["--to", "x.pdf"], ".html or .xlsx"),
        (["--to", "folder"], "is a folder: name a file"),
        (["--to", "no/such/x.html"], "There is no folder no/such"),
        (["--language", "de"], "--language must be en or fr"),
        (["--url", "machines"], "is not an address"),
        (["--query", "from=2025-07-01"], "remove from"),
        (["--query", "type=error"], "There is no parameter 'type'"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_sentence(site, working_folder, words, message):
    (working_folder / "folder").mkdir()
    code, _, error = site("report", *words)
    assert code == 2
    assert message in error
    assert not [*working_folder.glob("*.html"), *working_folder.glob("*.pdf")]
