"""The QR code of a label."""

import re

import segno

Modules = set[tuple[int, int]]


def dark_modules(label: str) -> Modules:
    """Return where the QR code of a label, as SVG, has a dark module."""
    return {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", label)}


def modules_of(address: str) -> Modules:
    """Return where the QR code of an address has a dark module."""
    matrix = segno.make(address, error="q", micro=False).matrix
    return {(x, y) for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark}
