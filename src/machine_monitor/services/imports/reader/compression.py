"""Open a file that may be compressed with gzip or xz, as a stream of plain bytes."""

import gzip
import io
import lzma
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from machine_monitor.errors import UsageError

MAGIC = {b"\x1f\x8b": "gz", b"\xfd7zXZ\x00": "xz"}
# What a compressed file may unpack to. More is refused: a few kilobytes could otherwise fill a disk.
MAX_UNPACKED_BYTES = 4 * 1024**3
# What unpacking may need in memory; xz says in its header how much it wants.
MAX_XZ_MEMORY = 256 * 1024**2
BROKEN = (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


class BoundedReader(io.RawIOBase):
    """A stream that fails after MAX_UNPACKED_BYTES, and says so if the compressed file is damaged."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream, self._left = path, stream, MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # ty: ignore[incompatible-method-override] -- the buffer of BufferedReader
        """Read into a buffer; raises `UsageError`."""
        try:
            data = self._stream.read(len(buffer))
        except BROKEN as error:
            raise UsageError(f"{self._path} is damaged: it cannot be unpacked ({error}).") from None
        self._left -= len(data)
        if self._left < 0:
            raise UsageError(f"{self._path} unpacks to more than {MAX_UNPACKED_BYTES // 1024**3} GiB. Split it.")
        buffer[: len(data)] = data
        return len(data)


def kind(path: Path) -> str | None:
    """Return `gz` or `xz` if the file begins like one."""
    with path.open("rb") as file:
        begin = file.read(6)
    return next((name for magic, name in MAGIC.items() if begin.startswith(magic)), None)


@contextmanager
def open_plain(path: Path) -> Generator[tuple[BinaryIO, BinaryIO]]:
    """Open a file; yields its plain bytes, and the file itself, whose position tells the progress."""
    compression = kind(path)
    with path.open("rb") as file:
        if compression is None:
            yield file, file
        elif compression == "gz":
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(BoundedReader(path, unpacked), 1024 * 1024), file  # ty: ignore[invalid-argument-type] -- a GzipFile is read like a binary file
        else:
            with XzStream(file) as unpacked:
                yield io.BufferedReader(BoundedReader(path, unpacked), 1024 * 1024), file  # ty: ignore[invalid-argument-type] -- a raw stream is read like a binary file


class XzStream(io.RawIOBase):
    """Unpack xz with bounded memory, which `lzma.LZMAFile` cannot limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_XZ_MEMORY)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` unpacked bytes; none at the end."""
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data or self._file.read(64 * 1024)
                if not rest.strip(b"\0"):
                    return b""
                self._decompressor = lzma.LZMADecompressor(memlimit=MAX_XZ_MEMORY)
                data = self._decompressor.decompress(rest, max_length=size)
            else:
                packed = self._file.read(64 * 1024) if self._decompressor.needs_input else b""
                if not packed and self._decompressor.needs_input:
                    raise EOFError("it ends early")
                data = self._decompressor.decompress(packed, max_length=size)
            if data:
                return data
