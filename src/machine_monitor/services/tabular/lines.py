"""Read the records of a text file one by one, with line numbers and bounded memory."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

# Longer than any record that can be stored.
MAX_RECORD_BYTES = 1024 * 1024
# The UTF-8 byte order mark.
BOM = b"\xef\xbb\xbf"


class RawRecord(NamedTuple):
    """One record of the file, which may span several lines; `number` is its first line, `end` the position after it."""

    number: int
    end: int
    raw: bytes


def never_continued(_line: bytes) -> bool:
    """Return False. This is the default of `is_continued`: every line is a record."""
    return False


def records(file: BinaryIO, is_continued: Callable[[bytes], bool] = never_continued) -> Iterator[RawRecord]:
    """Yield the records of a file, without blank lines; a record that is too long is truncated.

    If `is_continued` returns True for a line, the record continues up to the next line with an odd number of quotes.
    """
    if file.read(len(BOM)) != BOM:
        file.seek(0)
    number, lines = 0, _whole_lines(file)
    for line in lines:
        number += 1
        parts = [line]
        if is_continued(line):
            parts += _continuation(lines)
        raw = b"".join(parts)[: MAX_RECORD_BYTES + 1]
        if raw.strip():
            yield RawRecord(number, file.tell(), raw)
        number += len(parts) - 1


def _continuation(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines up to the one that closes the quote, or until the record is too long."""
    size = 0
    for line in lines:
        yield line
        size += len(line)
        if line.count(b'"') % 2 or size > MAX_RECORD_BYTES:
            return


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield each line; truncate lines that are too long."""
    read = partial(file.readline, MAX_RECORD_BYTES + 1)
    while line := read():
        yield line
        while line and not line.endswith(b"\n"):
            line = read()
