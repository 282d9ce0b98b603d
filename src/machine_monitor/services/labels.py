"""Printable labels for machines: the machine's name, and a QR code with the URL of its page in the console."""

import textwrap
from xml.sax.saxutils import escape

from machine_monitor.query.schema import Selection
from machine_monitor.services.records.storage import StoredRecord

# The fields that a label shows.
SELECTION = Selection(("name", "sector", "serial_number"))
# Millimetres. Labels of 90 x 38 fit common sheets and rolls.
WIDTH, HEIGHT, MARGIN = 90, 38, 4
CODE = HEIGHT - 2 * MARGIN
TEXT_LEFT = CODE + 2 * MARGIN
TEXT_WIDTH = WIDTH - MARGIN - TEXT_LEFT
# Relative to the font size: the width of a wide letter, and the line height.
LETTER_WIDTH, LINE_HEIGHT = 0.72, 1.2
MAX_FONT_SIZE, MIN_FONT_SIZE, NOTE_FONT_SIZE, MIN_NOTE_FONT_SIZE = 8.0, 2.8, 3.2, 1.8
NAME_HEIGHT = CODE - 5
MIN_SECTOR_LETTERS = 4


def machine_label(machine: StoredRecord, base_url: str) -> bytes:
    """Return the label of a machine as SVG. Its QR code opens the machine's page of the service at `base_url`.

    A long name or serial number gets a smaller font; a name is never truncated.
    """
    name = machine.values["name"]
    # The URL has the machine's id: printed labels stay valid when a machine is renamed.
    code = _qr_code(f"{base_url}ui/m/{machine.id}")
    size, lines = _fit(name)
    baseline = MARGIN + size
    spans = "".join(
        f'<text x="{TEXT_LEFT}" y="{baseline + number * size * LINE_HEIGHT:.2f}" '
        f'font-size="{size:.2f}" font-weight="600">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    note_size, note = _note(machine.values["sector"] or "", machine.values["serial_number"] or "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}mm" height="{HEIGHT}mm" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="system-ui, sans-serif" role="img"><title>{escape(name)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{code}{spans}'
        f'<text x="{TEXT_LEFT}" y="{HEIGHT - MARGIN}" font-size="{note_size:.2f}">{escape(note)}</text></svg>\n'
    ).encode()


def _note(sector: str, serial: str) -> tuple[float, str]:
    """Return the font size and the text of the line below the name.

    The serial number identifies the machine, so the sector is shortened first.
    """
    letters = int(TEXT_WIDTH / (NOTE_FONT_SIZE * LETTER_WIDTH))
    separator = " · " if sector and serial else ""
    room = letters - len(separator + serial)
    if len(sector) > room:
        # Too few letters of a sector say nothing.
        sector = f"{sector[: room - 1]}…" if room >= MIN_SECTOR_LETTERS else ""
        separator = separator if sector else ""
    note = f"{sector}{separator}{serial}"
    size = min(NOTE_FONT_SIZE, max(MIN_NOTE_FONT_SIZE, TEXT_WIDTH / (max(1, len(note)) * LETTER_WIDTH)))
    letters = int(TEXT_WIDTH / (size * LETTER_WIDTH) + 1e-9)
    return size, note if len(note) <= letters else f"{note[: letters - 1]}…"


def _qr_code(url: str) -> str:
    import segno  # noqa: PLC0415 -- megabytes that many services never need

    # Error correction level Q: the code is readable even if a quarter of it is dirty.
    modules = segno.make(url, error="q", micro=False).matrix
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(modules) for x, is_dark in enumerate(row) if is_dark)
    return f'<path transform="translate({MARGIN} {MARGIN}) scale({CODE / len(modules):.5f})" d="{dark}"/>'


def _fit(name: str) -> tuple[float, list[str]]:
    """Return the largest font size at which the name fits, and its lines. At the smallest size, words may be split."""
    size = MAX_FONT_SIZE
    while True:
        letters, rows = int(TEXT_WIDTH / (size * LETTER_WIDTH)), int(NAME_HEIGHT / (size * LINE_HEIGHT))
        lines = textwrap.wrap(name, letters, break_long_words=False)
        if len(lines) <= rows and max(map(len, lines)) <= letters:
            return size, lines
        if size == MIN_FONT_SIZE:
            return size, [name[start : start + letters] for start in range(0, len(name), letters)]
        size = max(MIN_FONT_SIZE, size - 0.4)
