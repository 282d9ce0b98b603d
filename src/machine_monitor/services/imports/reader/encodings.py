"""Recognise the encoding of a text file, and read it as UTF-8.

Three encodings are recognised: UTF-8, UTF-16 and cp1252 (Western European Windows). Any other that Python knows can be
named in the mapping.
"""

import codecs
import io
import re
from typing import BinaryIO

from machine_monitor.errors import UsageError

BOM = codecs.BOM_UTF8
# How much of a file is looked at. A byte further down that is not of the encoding refuses its row.
EVIDENCE_BYTES = 64 * 1024**2
CHUNK_BYTES = 1024 * 1024
# A byte that is never part of UTF-8: it stands for what could not be decoded, so that its row is refused.
INVALID = "\udcff"
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")

codecs.register_error("mark-invalid", lambda error: (INVALID, error.end))


def recognise(file: BinaryIO) -> str:
    """Return the encoding: by its byte order mark, else by the bytes. The file is read from its position.

    A file with more characters of UTF-8 than bytes that are none is UTF-8 with damaged rows.
    """
    sample = file.read(CHUNK_BYTES)
    if sample.startswith(BOM):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if zeros := _utf_16_order(sample):
        return zeros
    valid = invalid = read = 0
    rest = b""
    while sample and read < EVIDENCE_BYTES:
        read += len(sample)
        # Cut at a line: a character is never looked at in halves.
        whole, _, rest = (rest + sample).rpartition(b"\n") if len(sample) == CHUNK_BYTES else (rest + sample, b"", b"")
        if not whole.isascii():
            others, count = _MULTIBYTE.subn(b"", whole)
            valid, invalid = valid + count, invalid + len(_HIGH.findall(others))
        sample = file.read(CHUNK_BYTES)
    return "cp1252" if invalid > valid else "utf-8"


def _utf_16_order(sample: bytes) -> str | None:
    """Recognise UTF-16 without a mark: of each two bytes of Western text, one is zero."""
    even, odd = sample[: 64 * 1024 : 2], sample[1 : 64 * 1024 : 2]
    if len(sample) >= 8 and sample.strip(b"\x00") != b"":
        if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
            return "utf-16-le"
        if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
            return "utf-16-be"
    return None


def check(encoding: str) -> str:
    """Return the encoding if Python can decode text with it; raises `UsageError`."""
    try:
        if codecs.lookup(encoding)._is_text_encoding:  # noqa: SLF001 -- the only way to ask
            return encoding
    except LookupError:
        pass
    raise UsageError(f"There is no text encoding '{encoding}'. Use utf-8, utf-16 or cp1252, for example.")


def as_utf_8(file: BinaryIO, encoding: str) -> BinaryIO:
    """Return the file's text as UTF-8, perhaps with a mark; what cannot be decoded becomes a byte that is no UTF-8."""
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return file
    return io.BufferedReader(_Transcoder(file, encoding), CHUNK_BYTES)


class _Transcoder(io.RawIOBase):
    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("mark-invalid")
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # ty: ignore[incompatible-method-override] -- the buffer of BufferedReader
        while not self._pending:
            data = self._file.read(CHUNK_BYTES)
            text = self._decoder.decode(data, final=not data)
            self._pending = text.removeprefix("\ufeff").encode("utf-8", "surrogateescape")
            if not data:
                break
        count = min(len(buffer), len(self._pending))
        buffer[:count], self._pending = self._pending[:count], self._pending[count:]
        return count
