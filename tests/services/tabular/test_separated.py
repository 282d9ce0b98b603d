"""Reading and writing of CSV: RFC 4180, with null and the empty text distinguished."""

import csv
import io
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from machine_monitor.database.kinds import TEXT
from machine_monitor.models import MACHINES
from machine_monitor.query.exports import Column
from machine_monitor.query.language.parser import DIALECTS as DIALECT_NAMES
from machine_monitor.services.imports.own_tables import OwnHeader, OwnRows
from machine_monitor.services.imports.reader import open_table
from machine_monitor.services.imports.reader.records import MAX_RECORD_BYTES, records
from machine_monitor.services.imports.reader.separated import Separator
from machine_monitor.services.tabular import guarding
from machine_monitor.services.tabular.separated import DIALECTS

special_texts = st.text(
    st.one_of(st.sampled_from("\",;'=+-@\t\r\n \ufeffa1"), st.characters(exclude_categories=["Cs"]))
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.none() | special_texts, min_size=width, max_size=width), max_size=5)
)


def to_csv(dialect, rows):
    columns = [Column(f"c{i}", TEXT) for i in range(len(rows[0]) if rows else 1)]
    return b"".join(dialect.writer(columns)([rows]))


def without_blank_lines(rows):
    """Drop rows that a reader takes for blank lines: no exported row looks like that."""
    return [row for row in rows if any(cell is not None and cell.encode().strip() for cell in row)]


def is_own_header(names):
    return all(re.fullmatch(r"c\d", name) for name in names)


def from_csv(data):
    """Read a file as an import of an exported file does."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(data)
        rows = OwnRows(open_table(path, is_known=is_own_header), OwnHeader(MACHINES, ()), None)
        return [list(row.cells) for row in rows.table.rows()]


def test_the_dialects_are_those_of_the_grammar():
    assert tuple(DIALECTS) == DIALECT_NAMES


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@given(rows=tables)
@example(rows=[["'", "''", "'=", "'a"], ["=", '"', ";", ","], ["x", None, "", None], ["\r", "\n", "\r\n", '"""']])
@example(rows=[["'0012", "'=a,b", "0012", "'MAR-1"]])
@example(rows=[["a;b"]])
def test_written_rows_are_read_back(dialect, rows):
    rows = without_blank_lines(rows)
    assert from_csv(to_csv(dialect, rows)) == rows


@given(rows=tables)
def test_pythons_csv_reader_reads_the_same_cells(rows):
    rows = without_blank_lines(rows)
    data = to_csv(DIALECTS["rfc4180"], rows).decode()
    read_rows = list(csv.reader(io.StringIO(data, newline=""), strict=True))
    assert read_rows[1:] == [[cell or "" for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        *[(text, True) for text in ("0012", "1E5", "MAR-1", "1234567890123456", "=1", "-5", "+1", "@a", "'a", "1/2")],
        *[
            (text, True)
            for text in ("2025-01-31", "12:30", "1,50", "1.0", "12 %", "TRUE", "vrai", "3-sept", "mars 2024")
        ],
        *[
            (text, False)
            for text in (
                "12",
                "0",
                "Lathe 1",
                "1A",
                "2B",
                "M1",
                "5.5kW",
                "PN-0042",
                "123456789012345",
                "",
                "a=b",
                "May",
            )
        ],
    ],
)
def test_what_a_spreadsheet_would_change_is_guarded(text, guarded):
    assert guarding.guard(text) == ("'" + text if guarded else text)
    assert guarding.unguard(guarding.guard(text)) == text


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('a,"b,""c""",d', ["a", 'b,"c"', "d"]),
        ('5" pipe,"a b"', ['5" pipe', "a b"]),
        (',"",', ["", "", ""]),
    ],
)
def test_quoted_cells_are_split(line, cells):
    assert [cell for cell, _ in Separator().split(line)] == cells


@pytest.mark.parametrize("line", ['"a"b,c', '"a,b', '"a" ,b', 'a,"b""'])
def test_misplaced_quotes_are_an_error(line):
    with pytest.raises(ValueError, match="quote"):
        Separator().split(line)


def test_an_escape_keeps_a_quote_in_its_cell():
    separator = Separator(";", '"', "\\")
    line = r'"x \" y";a\;b;"c:\\d";"e""f"'
    assert [cell for cell, _ in separator.split(line)] == ['x " y', "a;b", "c:\\d", 'e"f']
    assert not separator.ends_in_quotes(line.encode(), inside=False)
    assert separator.ends_in_quotes(rb'a;"b \"', inside=False)


def found_in(data):
    return [
        (record.number, record.raw, record.is_whole) for record in records(io.BytesIO(data), Separator().ends_in_quotes)
    ]


def test_a_record_may_span_lines_and_a_stray_quote_affects_only_its_line():
    data = b'h\n5" pipe,"a\nb"\n"two\n\nlines"\nlast\n'
    assert [(number, raw) for number, raw, _ in found_in(data)] == [
        (1, b"h\n"),
        (2, b'5" pipe,"a\nb"\n'),
        (4, b'"two\n\nlines"\n'),
        (7, b"last\n"),
    ]


@pytest.mark.parametrize("rest", [b"x\n" * MAX_RECORD_BYTES, b"x\n"], ids=["long", "to the end"])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(rest):
    lines = found_in(b'a\n"b\n' + rest)
    assert lines[:3] == [(1, b"a\n", True), (2, b'"b\n', False), (3, b"x\n", True)]
    assert len(lines) == 2 + rest.count(b"\n")


def test_an_endless_line_is_cut_and_the_next_line_is_read():
    long = b"x" * (3 * MAX_RECORD_BYTES)
    lines = list(records(io.BytesIO(long + b"\n\n \r\nshort")))
    assert [(line.number, len(line.raw), line.is_whole) for line in lines] == [
        (1, MAX_RECORD_BYTES + 1, False),
        (4, 5, True),
    ]
