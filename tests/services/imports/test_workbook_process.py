"""The process that reads XLS and ODS imports nothing of the working directory, and is given no secret."""

import json
import zipfile
from xml.sax.saxutils import escape

import pytest

from machine_monitor.errors import UsageError
from machine_monitor.services.files import isolation
from machine_monitor.services.imports.reader import ReadOptions, open_table

pytestmark = pytest.mark.slow

NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:{0}:1.0"
DOCUMENT = (
    '<office:document-content xmlns:office="{office}" xmlns:table="{table}" xmlns:text="{text}"><office:body>'
    '<office:spreadsheet><table:table table:name="Liste">{rows}</table:table></office:spreadsheet></office:body>'
    "</office:document-content>"
)
CELL = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'


@pytest.fixture
def sheet(tmp_path):
    """An ODS workbook with one sheet, in a folder whose name has an accent."""
    rows = "".join(
        f"<table:table-row>{''.join(CELL.format(escape(cell)) for cell in row)}</table:table-row>"
        for row in (["name", "comment"], ["Säge", "a & b"])
    )
    namespaces = {name: NAMESPACE.format(name) for name in ("office", "table", "text")}
    path = tmp_path / "Été" / "sheet.ods"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", f'<manifest xmlns="{NAMESPACE.format("manifest")}"/>')
        archive.writestr("content.xml", DOCUMENT.format(rows=rows, **namespaces))
    return path


@pytest.mark.parametrize("name", ["python_calamine.py", "json.py", "machine_monitor.py"])
def test_a_module_in_the_working_directory_is_not_imported(sheet, tmp_path, monkeypatch, name):
    (tmp_path / name).write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    table = open_table(sheet.relative_to(tmp_path))
    assert (table.read.format, [*table.names]) == ("ods", ["name", "comment"])
    assert [row.cells for row in table.rows()] == [["Säge", "a & b"]]


def test_a_sheet_that_is_missing_is_named(sheet):
    with pytest.raises(UsageError, match="there is no sheet 'Lists'; there is 'Liste'"):
        open_table(sheet, ReadOptions(sheet="Lists"))


def test_the_environment_of_an_isolated_process_has_no_setting(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("import json, os, sys; print(json.dumps([sys.flags.isolated, sys.argv[1:], sorted(os.environ)]))")
    monkeypatch.setenv("MM_DATABASE_URL", "postgresql://user:secret@host/base")
    monkeypatch.setenv("PYTHONSTARTUP", str(script))
    with isolation.start(script, "one", "two") as process:
        isolated, arguments, names = json.loads(process.stdout.read())
    assert (isolated, arguments) == (1, ["one", "two"])
    # Python itself sets LC_CTYPE where there is no locale.
    assert {*names} - {"LC_CTYPE"} <= {*isolation.PASSED_ON}
