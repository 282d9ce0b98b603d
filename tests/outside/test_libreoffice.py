"""Files that LibreOffice writes: exports of ours that went through it are unchanged, in each of its formats."""

import asyncio
import json
import shutil
import subprocess

import pytest

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services import tabular
from machine_monitor.services.imports import ImportOptions, import_file
from machine_monitor.services.imports.mapping import parse
from services.legacy.cases import counts, read_all
from services.tabular.files import PARIS, UUID, put

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(shutil.which("soffice") is None, reason="needs LibreOffice, such as libreoffice-calc-nogui"),
    pytest.mark.timeout(300),
]
# What `--convert-to` takes for CSV: the delimiter, quotes and UTF-8, as a person chooses them in the dialog.
CSV = "csv:Text - txt - csv (StarCalc):{},34,76,1,,0,false,true,false"
TEXTS = (
    "0012",
    "1E5",
    "MAR-1",
    "=1+1",
    "+++INAK+++ a, b; c",
    "'quoted",
    "12345678901234567890",
    "2025-01-31",
    "1,5",
    "ä€",
)


@pytest.fixture
def converted(tmp_path):
    """A function that opens a file in LibreOffice and saves it in another format."""

    def convert(path, form, *options):
        folder = tmp_path / "converted"
        profile = f"-env:UserInstallation=file://{tmp_path}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", form, "--outdir", str(folder), *options, str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=200)
        return folder / f"{path.stem}.{form.split(':')[0]}"

    return convert


@pytest.fixture
def site(sqlite_database_url):
    put(sqlite_database_url, "machines", {"name": "Säge 1"})
    logs = [
        {
            "uuid": UUID.format(number),
            "machine": "Säge 1",
            "type": "info",
            "comment": text,
            "started_at": f"2025-07-{number + 1:02}T13:18:25.635371Z",
            "attributes": {"cost": 1.5, "text": text},
        }
        for number, text in enumerate(TEXTS)
    ]
    put(sqlite_database_url, "logs", *logs)
    return sqlite_database_url


def export(url, path, **options):
    request = tabular.ExportRequest(path, LOGS, **options)
    asyncio.run(tabular.save(Database(url), request, TimeContext(PARIS, instants.now()), lambda *_: None))
    return path


@pytest.mark.parametrize("form", ["xlsx", "ods", "xls"])
def test_a_workbook_of_ours_is_unchanged(site, tmp_path, converted, form):
    path = converted(export(site, tmp_path / "logs.xlsx"), form)
    database = Database(site)
    report = import_file(database, path, ImportOptions(PARIS)).to_dict()
    database.close_writer()
    assert (report["logs"], report["problems"]) == (counts(unchanged=len(TEXTS)), [])


@pytest.mark.parametrize("delimiter", ["44", "59", "9"])
def test_the_excel_dialect_is_unchanged_whatever_the_delimiter_it_is_saved_with(site, tmp_path, converted, delimiter):
    fields = "fields=uuid,machine,type,comment,attributes"
    path = export(site, tmp_path / "logs.csv", dialect="excel", query=fields)
    path = converted(path, CSV.format(delimiter), "--infilter=CSV:59,34,76")
    database = Database(site)
    report = import_file(database, path, ImportOptions(PARIS)).to_dict()
    database.close_writer()
    assert (report["logs"], report["problems"]) == (counts(unchanged=len(TEXTS)), [])


@pytest.mark.parametrize("form", ["xlsx", "ods", "xls"])
def test_a_table_becomes_the_same_records_in_each_format(sqlite_database_url, tmp_path, converted, form):
    path = tmp_path / "table.csv"
    path.write_text("Nr,Datum,Maschine,Kosten\n1,2025-01-31,M1,1.5\n2,2025-02-01 08:30,M2,-2\n", encoding="utf-8")
    fields = {
        "machine": "Maschine",
        "type": {"const": "info"},
        "started_at": {"column": "Datum", "dates": ["iso", "ymd"]},
        "attributes.cost": {"column": "Kosten", "as": "number"},
    }
    mapping = parse({"name": "table", "zone": "Europe/Paris", "key": ["Nr"], "fields": fields})
    database = Database(sqlite_database_url)
    assert import_file(database, path, ImportOptions(PARIS), mapping).to_dict()["logs"] == counts(created=2)
    again = import_file(database, converted(path, form), ImportOptions(PARIS), mapping).to_dict()
    logs = [(log["started_at"], json.dumps(log["attributes"])) for log in read_all(database, LOGS).values()]
    database.close_writer()
    assert again["logs"] == counts(unchanged=2)
    assert logs == [("2025-01-30T23:00:00Z", '{"cost": 1.5}'), ("2025-02-01T07:30:00Z", '{"cost": -2}')]
