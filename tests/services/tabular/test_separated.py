"""Reading and writing of CSV: RFC 4180, with null and the empty text distinguished."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from machine_monitor.database.kinds import TEXT
from machine_monitor.query.exports import Column
from machine_monitor.query.language.parser import DIALECTS as DIALECT_NAMES
from machine_monitor.services.tabular import lines
from machine_monitor.services.tabular.separated import DIALECTS

special_texts = st.text(st.one_of(st.sampled_from("\",;'=+-@\t\r\n \ufeffa"), st.characters(exclude_categories=["Cs"])))
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.none() | special_texts, min_size=width, max_size=width), max_size=5)
)


def to_csv(dialect, rows):
    columns = [Column(f"c{i}", TEXT) for i in range(len(rows[0]) if rows else 1)]
    return b"".join(dialect.writer(columns)([rows]))


def without_blank_lines(rows):
    """Drop rows that are a single blank cell: a reader ignores such lines, and no exported row looks like that."""
    return [row for row in rows if len(row) > 1 or row[0] == "" or (row[0] or "").encode().strip()]


def from_csv(dialect, data):
    found = [
        dialect.split(line.raw.decode().rstrip("\r\n"))
        for line in lines.records(io.BytesIO(data), dialect.is_continued)
    ]
    return [[None if cell is None else dialect.text(cell) for cell in row] for row in found[1:]]


def test_the_dialects_are_those_of_the_grammar():
    assert tuple(DIALECTS) == DIALECT_NAMES


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@given(rows=tables)
@example(rows=[["\f"], [" "], [""], [None]])
@example(rows=[["'", "''", "'=", "'a"], ["=", '"', ";", ","], ["", None, "", None], ["\r", "\n", "\r\n", '""']])
def test_written_rows_are_read_back(dialect, rows):
    rows = without_blank_lines(rows)
    assert from_csv(dialect, to_csv(dialect, rows)) == rows


@given(rows=tables)
def test_pythons_csv_reader_reads_the_same_cells(rows):
    rows = without_blank_lines(rows)
    data = to_csv(DIALECTS["rfc4180"], rows).decode()
    found = list(csv.reader(io.StringIO(data, newline=""), strict=True))
    assert found[1:] == [[cell or "" for cell in row] for row in rows]


@pytest.mark.parametrize("line", ['a"b,c', '"a"b,c', '"a,b', 'a,"', '"a" ,b', 'a,"b""'])
def test_misplaced_quotes_are_an_error(line):
    with pytest.raises(ValueError, match="quote"):
        DIALECTS["rfc4180"].split(line)


def test_a_stray_quote_affects_only_its_line():
    data = b'h\n5" pipe\nnext\n"two\nlines"\nlast\n'
    found = [(line.number, line.raw) for line in lines.records(io.BytesIO(data), DIALECTS["rfc4180"].is_continued)]
    assert found == [(1, b"h\n"), (2, b'5" pipe\n'), (3, b"next\n"), (4, b'"two\nlines"\n'), (6, b"last\n")]


def test_an_endless_line_is_cut_and_the_next_line_is_read():
    long = b"x" * (3 * lines.MAX_RECORD_BYTES)
    found = list(lines.records(io.BytesIO(long + b"\n\n \r\nshort")))
    assert [(line.number, len(line.raw)) for line in found] == [(1, lines.MAX_RECORD_BYTES + 1), (4, 5)]


def test_an_unclosed_quote_does_not_consume_the_whole_file():
    data = b'"' + b"x\n" * lines.MAX_RECORD_BYTES + b"short\n"
    found = list(lines.records(io.BytesIO(data), DIALECTS["rfc4180"].is_continued))
    assert len(found[0].raw) == lines.MAX_RECORD_BYTES + 1
    assert (found[-1].number, found[-1].raw) == (lines.MAX_RECORD_BYTES + 1, b"short\n")
