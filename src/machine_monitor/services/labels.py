"""Labels for machines: a QR code that any phone's camera reads as an address, with the machine's name beside it."""

import textwrap
from xml.sax.saxutils import escape

from machine_monitor.query.schema import Selection
from machine_monitor.services.records.storage import StoredRecord

# What a label says of a machine.
SELECTION = Selection(("name", "sector", "serial_number"))
# Millimetres: a label of 90 x 38 goes on the usual sheets and rolls.
WIDTH, HEIGHT, MARGIN = 90, 38, 4
CODE = HEIGHT - 2 * MARGIN
TEXT_LEFT = CODE + 2 * MARGIN
TEXT_WIDTH = WIDTH - MARGIN - TEXT_LEFT
# A capital letter is about two thirds as wide as a line is high.
LETTER, LEADING = 0.72, 1.2
LARGEST, SMALLEST, NOTE = 8.0, 2.8, 3.2
NAME_HEIGHT = CODE - 5


def label(machine: StoredRecord, base: str) -> bytes:
    """An SVG of one label, black on white, that leads to the machine's page of the service at `base`.

    A long name is set smaller, and never cut short.
    """
    name = machine.values["name"]
    note = " · ".join(filter(None, (machine.values["sector"], machine.values["serial_number"])))
    # By its id: a label outlives names.
    code = _code(f"{base}ui/m/{machine.id}")
    size, lines = _fit(name)
    first = MARGIN + size
    spans = "".join(
        f'<text x="{TEXT_LEFT}" y="{first + number * size * LEADING:.2f}" font-size="{size:.2f}" font-weight="600">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    )
    room = int(TEXT_WIDTH / (NOTE * LETTER))
    small = note if len(note) <= room else f"{note[: room - 1]}…"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}mm" height="{HEIGHT}mm" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="system-ui, sans-serif" role="img"><title>{escape(name)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{code}{spans}'
        f'<text x="{TEXT_LEFT}" y="{HEIGHT - MARGIN}" font-size="{NOTE}">{escape(small)}</text></svg>\n'
    ).encode()


def _code(address: str) -> str:
    import segno  # noqa: PLC0415 -- megabytes that many a service never needs

    # A quarter of the code may be dirty, and it can still be read.
    modules = segno.make(address, error="q", micro=False).matrix
    dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(modules) for x, is_dark in enumerate(row) if is_dark)
    return f'<path transform="translate({MARGIN} {MARGIN}) scale({CODE / len(modules):.5f})" d="{dark}"/>'


def _fit(name: str) -> tuple[float, list[str]]:
    """The largest size at which the name fits into its place, and its lines; the smallest takes any, cut anywhere."""
    size = LARGEST
    while True:
        letters, rows = int(TEXT_WIDTH / (size * LETTER)), int(NAME_HEIGHT / (size * LEADING))
        lines = textwrap.wrap(name, letters, break_long_words=False)
        if len(lines) <= rows and max(map(len, lines)) <= letters:
            return size, lines
        if size == SMALLEST:
            return size, [name[start : start + letters] for start in range(0, len(name), letters)]
        size = max(SMALLEST, size - 0.4)
