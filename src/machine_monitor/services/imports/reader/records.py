"""Split a text file into records, which may span several lines, with line numbers and bounded memory."""

import codecs
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

# Longer than any record that can be stored.
MAX_RECORD_BYTES = 1024 * 1024
# Tells whether a line ends inside quotes; called as `ends_in_quotes(line, inside=...)`.
EndsInQuotes = Callable[..., bool]


class RawRecord(NamedTuple):
    """One record: the number of its first line, its bytes, and whether it is whole: not too long, all quotes closed."""

    number: int
    raw: bytes
    is_whole: bool = True


def never_in_quotes(_line: bytes, *, inside: bool) -> bool:
    """Tell that no quote is open, for formats in which every line is a record."""
    del inside
    return False


def records(file: BinaryIO, ends_in_quotes: EndsInQuotes = never_in_quotes) -> Iterator[RawRecord]:
    """Yield the records without blank lines. A line that is too long is cut.

    If a quote is not closed within MAX_RECORD_BYTES, only its own line is lost: the next line begins a new record.
    """
    number, source = 0, _Lines(file)
    while line := source.next():
        number += 1
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        parts = [line]
        inside, size = ends_in_quotes(line, inside=False), len(line)
        while inside and size <= MAX_RECORD_BYTES and (more := source.next()):
            parts.append(more)
            inside, size = ends_in_quotes(more, inside=True), size + len(more)
        if inside:
            source.put_back(parts[1:])
            del parts[1:]
        raw = b"".join(parts)
        if raw.strip():
            yield RawRecord(number, raw[: MAX_RECORD_BYTES + 1], not inside and len(raw) <= MAX_RECORD_BYTES)
        number += len(parts) - 1


class _Lines:
    """The lines of a file; a line that is too long is cut. Lines can be put back."""

    def __init__(self, file: BinaryIO) -> None:
        self._read = partial(file.readline, MAX_RECORD_BYTES + 1)
        self._waiting: deque[bytes] = deque()

    def next(self) -> bytes:
        """Return the next line, empty at the end."""
        if self._waiting:
            return self._waiting.popleft()
        line = rest = self._read()
        while len(rest) > MAX_RECORD_BYTES and not rest.endswith(b"\n"):
            rest = self._read()
        return line

    def put_back(self, lines: list[bytes]) -> None:
        """Make these the next lines."""
        self._waiting.extendleft(reversed(lines))
