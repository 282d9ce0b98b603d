"""Whatever a file holds, reading it ends with rows or with a sentence."""

import gzip
import io
import zipfile
from contextlib import suppress
from itertools import islice

import openpyxl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from machine_monitor.errors import MonitorError
from machine_monitor.services.imports import ImportOptions, open_file
from machine_monitor.services.imports.mapping import parse
from machine_monitor.services.imports.mapping.proposal import propose
from machine_monitor.services.imports.reader import open_table
from services.tabular.files import UTC

pytestmark = [pytest.mark.slow, pytest.mark.untraced]

bounded = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
cells = st.text(st.sampled_from("a1é\"',;\t \n\\-./:h%0\0\ufeff\u2028") | st.characters(), max_size=12)
tables = st.lists(st.lists(cells, max_size=5), max_size=8)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
PARTS = ("xl/workbook.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml")
FIELDS = {
    "machine": "#1",
    "started_at": {"column": "#1", "dates": ["iso", "dmy", "mdy", "ymd", "excel", "%d %b %Y"]},
    "down_to": {"start_plus": "#1", "durations": ["h", "min", "HhM", "H:M", "H heures M min"], "bad": "null"},
    "type": {"column": "#1", "as": "code", "map": {"a": "error"}},
    "comment": {"template": "{#1:04d}", "bad": "keep"},
    "attributes.n": {"column": "#1", "as": "number", "unit": "%", "min": 0, "max": 9, "bad": "keep"},
    "attributes.b": {"column": "#1", "as": "boolean", "part": -1, "bad": "null"},
    "attributes.i": {"column": "#1", "as": "integer", "thousands": ".", "decimal": "any", "bad": "keep"},
}


def read_in_every_way(path):
    """Read a file as a table, by a proposal, and by a mapping of everything; expected errors are sentences."""
    with suppress(MonitorError):
        table = open_table(path)
        list(islice(table.rows(), 1000))
        parse(propose(table, "fuzz", "UTC"))
    with suppress(MonitorError):
        list(islice(open_file(path, ImportOptions(UTC)).source.candidates(), 1000))
    for header in (0, 1):
        mapping = parse({"name": "fuzz", "zone": "Europe/Paris", "read": {"header": header}, "fields": FIELDS})
        with suppress(MonitorError):
            list(islice(open_file(path, ImportOptions(UTC), mapping).source.candidates(), 1000))


@bounded
@given(data=st.binary(max_size=200))
@example(data=b"\xff\xfe\x00")
@example(data=b"PK\x03\x04" + bytes(100))
@example(data=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
@example(data=b"\xfd7zXZ\x00" + bytes(50))
@example(data=b"\x1f\x8b" + bytes(50))
def test_any_bytes(tmp_path, data):
    (path := tmp_path / "x.csv").write_bytes(data)
    read_in_every_way(path)
    (path := tmp_path / "x.ndjson").write_bytes(data)
    read_in_every_way(path)


@bounded
@given(rows=tables, encoding=encodings, delimiter=st.sampled_from(",;\t|"), packed=st.booleans())
def test_any_table(tmp_path, rows, encoding, delimiter, packed):
    data = "\n".join(delimiter.join(row) for row in rows).encode(encoding, "replace")
    (path := tmp_path / "x.txt").write_bytes(gzip.compress(data) if packed else data)
    read_in_every_way(path)


@bounded
@given(
    part=st.text(max_size=60), name=st.sampled_from(["xl/workbook.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml"])
)
def test_any_part_of_a_workbook(tmp_path, workbook, part, name):
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(file, "w") as changed:
        for each in source.namelist():
            changed.writestr(each, part if each == name else source.read(each))
    (path := tmp_path / "x.xlsx").write_bytes(file.getvalue())
    read_in_every_way(path)


@pytest.fixture(scope="module")
def workbook():
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["a", "b"])
    book.active.append(["x", 1])
    book.save(file)
    return file.getvalue()
