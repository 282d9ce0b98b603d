"""Lines of a file, each with its number; memory does not grow with them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

# No record that can be stored is longer.
MAX_LINE = 1024 * 1024
MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line as it stands in the file, or several that are one record; up to its `end` the file has so many bytes."""

    number: int
    end: int
    raw: bytes


def stands_alone(_line: bytes) -> bool:
    """Of most lines: each is a record."""
    return False


def records(file: BinaryIO, goes_on: Callable[[bytes], bool] = stands_alone) -> Iterator[Line]:
    """The records of a file, blank lines left out; of one that is too long, its beginning.

    A line that `goes_on` is of one record with those that follow, up to one with an odd number of quotes.
    """
    if file.read(len(MARK)) != MARK:
        file.seek(0)
    number, lines = 0, _whole_lines(file)
    for line in lines:
        number += 1
        parts = [line]
        if goes_on(line):
            parts += _continuation(lines)
        raw = b"".join(parts)[: MAX_LINE + 1]
        if raw.strip():
            yield Line(number, file.tell(), raw)
        number += len(parts) - 1


def _continuation(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines up to the one that closes the quote; no more than a record may have."""
    size = 0
    for line in lines:
        yield line
        size += len(line)
        if line.count(b'"') % 2 or size > MAX_LINE:
            return


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Each line; of one that is too long, its beginning."""
    read = partial(file.readline, MAX_LINE + 1)
    while line := read():
        yield line
        while line and not line.endswith(b"\n"):
            line = read()
