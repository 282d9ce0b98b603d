"""Printable labels for machines: the machine's name, and a QR code with the URL of its page in the console."""

import unicodedata
from collections.abc import Sequence
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
# Widths relative to the font size, at most, in the bold sans-serif fonts of common systems.
LETTER_WIDTH, CAPITAL_WIDTH, IDEOGRAPH_WIDTH, OTHER_WIDTH, PICTOGRAPH_WIDTH = 0.72, 0.87, 1.0, 1.3, 1.4
WIDE_LETTERS = dict.fromkeys("MWmw@%ÆŒæœ—", 1.12) | dict.fromkeys("ЖШЩЮФЫЊЉжшщюфыњљ", OTHER_WIDTH)
# The last letter of Latin, Greek and Cyrillic before scripts whose letters may be much wider.
LAST_EUROPEAN = "\u052f"
LINE_HEIGHT = 1.2
# Below the second size, words are split between lines.
MAX_FONT_SIZE, MIN_FONT_SIZE, NOTE_FONT_SIZE, MIN_NOTE_FONT_SIZE = 8.0, 2.8, 3.2, 1.8
NAME_HEIGHT = CODE - 5
MIN_SECTOR_LETTERS = 4
ZERO_WIDTH_JOINER = "\u200d"
# Of sums of widths.
ROUNDING = 1e-9


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
    ends = f" · {serial}" if sector and serial else serial
    sector = _shorten(sector, TEXT_WIDTH / NOTE_FONT_SIZE - _width(ends))
    # Too few letters of a sector say nothing.
    is_shown = bool(sector) and (not sector.endswith("…") or len(sector) >= MIN_SECTOR_LETTERS)
    note = sector + ends if is_shown else serial
    size = min(NOTE_FONT_SIZE, max(MIN_NOTE_FONT_SIZE, TEXT_WIDTH / max(LETTER_WIDTH, _width(note))))
    return size, _shorten(note, TEXT_WIDTH / size)


def _glyphs(text: str) -> list[str]:
    """Split a text into what is drawn as one: a character with its marks, and characters that a joiner (ZWJ) joins."""
    glyphs: list[str] = []
    for character in text:
        joins = unicodedata.category(character)[0] == "M" or character == ZERO_WIDTH_JOINER
        if glyphs and (joins or glyphs[-1][-1] == ZERO_WIDTH_JOINER):
            glyphs[-1] += character
        else:
            glyphs.append(character)
    return glyphs


def _width(text: str) -> float:
    """Return the width of a text relative to the font size; rather too much than too little."""
    return sum(map(_glyph_width, _glyphs(text)))


def _glyph_width(glyph: str) -> float:
    character = glyph[0]
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    if unicodedata.category(character) == "So":
        return PICTOGRAPH_WIDTH
    if unicodedata.east_asian_width(character) in "WF":
        return IDEOGRAPH_WIDTH
    if character in WIDE_LETTERS:
        return WIDE_LETTERS[character]
    is_european = character <= LAST_EUROPEAN or unicodedata.name(character, "").startswith(("LATIN", "GREEK"))
    if character.isalpha() and not is_european:
        return OTHER_WIDTH
    return CAPITAL_WIDTH if character.isupper() else LETTER_WIDTH


def _shorten(text: str, width: float) -> str:
    """Return the text, or as much of its beginning as fits with an ellipsis."""
    if _width(text) <= width + ROUNDING:
        return text
    first, *_ = _lines(_glyphs(text), width - _width("…")) or [""]
    return f"{first}…"


def _qr_code(url: str) -> str:
    import segno  # noqa: PLC0415 -- megabytes that many services never need

    # Error correction level Q: the code is readable even if a quarter of it is dirty.
    modules = segno.make(url, error="q", micro=False).matrix
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(modules) for x, is_dark in enumerate(row) if is_dark)
    return f'<path transform="translate({MARGIN} {MARGIN}) scale({CODE / len(modules):.5f})" d="{dark}"/>'


def _fit(name: str) -> tuple[float, list[str]]:
    """Return the largest font size at which the name fits, and its lines; below MIN_FONT_SIZE words are split."""
    size = MAX_FONT_SIZE
    while True:
        width, rows = TEXT_WIDTH / size, int(NAME_HEIGHT / (size * LINE_HEIGHT))
        lines = _wrap(name, width) if size > MIN_FONT_SIZE else _lines(_glyphs(name), width)
        if len(lines) <= rows and all(_width(line) <= width for line in lines):
            return size, lines
        size -= 0.4 if size > MIN_FONT_SIZE else 0.1


def _wrap(text: str, width: float) -> list[str]:
    """Wrap a text at its spaces, which the lines lose."""
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _lines(glyphs: Sequence[str], width: float) -> list[str]:
    """Fill lines with glyphs."""
    lines, room = [], 0.0
    for glyph in glyphs:
        room -= _glyph_width(glyph)
        if room < 0:
            lines.append("")
            room = width - _glyph_width(glyph)
        lines[-1] += glyph
    return lines
