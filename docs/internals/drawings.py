"""Writes the drawings of docs/internals as SVG: `.venv/bin/python docs/internals/drawings.py`. A test holds them fresh.

A drawing is boxes on a grid and arrows between them, so that a change is a change of text.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
COLUMN, ROW, MARGIN = 10, 22, 14
LINE = 17
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1c2733 }
  .code { font: 12px ui-monospace, monospace; white-space: pre }
  .note { fill: #51606f; font-size: 12px }
  rect { fill: #fff; stroke: #8394a5; rx: 4 }
  .ground { fill: #f7f9fb; stroke: none }
  .key { fill: #dcebfa; stroke: #2a6fb5 }
  .stop { fill: #fbe3dc; stroke: #b5482a }
  path { stroke: #51606f; fill: none; stroke-width: 1.3 }
  .head { fill: #51606f; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e3e9ef } .note { fill: #a9b6c2 }
    rect { fill: #1e2832; stroke: #66788a } .ground { fill: #141b22 }
    .key { fill: #173a5c; stroke: #6ba9e5 } .stop { fill: #57271a; stroke: #e58b6b }
    path { stroke: #a9b6c2 } .head { fill: #a9b6c2 }
  }"""


class Box(NamedTuple):
    """A box: its place and size in units of the grid, its lines, and `key`, `stop`, or nothing for its colour."""

    x: float
    y: float
    wide: float
    lines: str
    colour: str = ""
    code: bool = False

    @property
    def high(self) -> float:
        """The height in pixels."""
        return LINE * len(self.lines.splitlines()) + 12

    def at(self, side: str) -> tuple[float, float]:
        """The middle of a side in pixels."""
        left, top, width = self.x * COLUMN + MARGIN, self.y * ROW + MARGIN, self.wide * COLUMN
        places = {
            "left": (left, top + self.high / 2),
            "right": (left + width, top + self.high / 2),
            "top": (left + width / 2, top),
            "bottom": (left + width / 2, top + self.high),
        }
        return places[side]


class Arrow(NamedTuple):
    """An arrow from a side of one box to a side of another, with a label."""

    start: str
    end: str
    label: str = ""


class Note(NamedTuple):
    """A text outside of boxes."""

    x: float
    y: float
    text: str


class Drawing(NamedTuple):
    """A drawing; arrows name boxes and sides: `parse.right`."""

    title: str
    boxes: dict[str, Box]
    arrows: Sequence[Arrow] = ()
    notes: Sequence[Note] = ()


def svg(drawing: Drawing) -> str:
    """The drawing as SVG."""
    right = max(
        [(box.x + box.wide) * COLUMN for box in drawing.boxes.values()] + [_end(note) for note in drawing.notes]
    )
    bottom = max(
        [box.y * ROW + box.high for box in drawing.boxes.values()] + [note.y * ROW + LINE for note in drawing.notes]
    )
    width, height = round(right + 2 * MARGIN), round(bottom + 2 * MARGIN)
    view = f'viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {view} role="img">',
        f"<title>{escape(drawing.title)}</title>",
        f"<style>{STYLE}\n</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        *(part for box in drawing.boxes.values() for part in _box(box)),
        *(part for arrow in drawing.arrows for part in _arrow(drawing.boxes, arrow)),
        *(_text(note.x * COLUMN + MARGIN, note.y * ROW + MARGIN + 13, note.text, "note") for note in drawing.notes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _end(note: Note) -> float:
    return note.x * COLUMN + 6.6 * len(note.text)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    attributes = f' class="{kind}"' * bool(kind) + f' text-anchor="{anchor}"' * bool(anchor)
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(text)}</text>'


def _box(box: Box) -> Iterable[str]:
    left, top = box.x * COLUMN + MARGIN, box.y * ROW + MARGIN
    colour = f' class="{box.colour}"' * bool(box.colour)
    yield f'<rect x="{left:g}" y="{top:g}" width="{box.wide * COLUMN:g}" height="{box.high:g}"{colour}/>'
    for number, line in enumerate(box.lines.splitlines()):
        kind = "code" if box.code or line.startswith("`") else ""
        yield _text(left + 8, top + 19 + number * LINE, line.strip("`"), kind)


def _arrow(boxes: dict[str, Box], arrow: Arrow) -> Iterable[str]:
    (start, out), (end, into) = (place.split(".") for place in (arrow.start, arrow.end))
    (x1, y1), (x2, y2) = boxes[start].at(out), boxes[end].at(into)
    reach = max(abs(x2 - x1), abs(y2 - y1)) / 2
    bends = {"left": (-reach, 0), "right": (reach, 0), "top": (0, -reach), "bottom": (0, reach)}
    (dx1, dy1), (dx2, dy2) = bends[out], bends[into]
    yield f'<path d="M{x1:g} {y1:g} C{x1 + dx1:g} {y1 + dy1:g} {x2 + dx2:g} {y2 + dy2:g} {x2:g} {y2:g}"/>'
    heads = {"left": "-8 -4 -8 4", "right": "8 -4 8 4", "top": "-4 -8 4 -8", "bottom": "-4 8 4 8"}
    ax, ay, bx, by = map(float, heads[into].split())
    yield f'<path class="head" d="M{x2:g} {y2:g} L{x2 + ax:g} {y2 + ay:g} L{x2 + bx:g} {y2 + by:g} Z"/>'
    if arrow.label:
        if into in ("top", "bottom"):
            yield _text((x1 + x2) / 2 + 7, (y1 + y2) / 2 + 4, arrow.label, "note")
        elif abs(y2 - y1) < ROW / 2:
            yield _text((x1 + x2) / 2, (y1 + y2) / 2 - 6, arrow.label, "note", "middle")
        else:
            yield _text(x2 - 14, y2 - 6, arrow.label, "note", "end")


DRAWINGS = {
    "query-to-sql": Drawing(
        "From a query string to a page",
        {
            "text": Box(0, 0, 30, "`?type=error&q=bearing&limit=20", code=True),
            "query": Box(0, 3.4, 30, "ListQuery\nconditions, terms, order, limit\ncomplete and frozen"),
            "shape": Box(0, 8.6, 30, "StatementKey\ntype = ?, a search, -started_at\nno value is in it", "key"),
            "values": Box(36, 8.6, 30, "the values\n`{type: error, q: bearing, ...}"),
            "statement": Box(0, 13.8, 30, "Statement, compiled SQL\ncached: the next request\nonly looks it up", "key"),
            "rows": Box(36, 13.8, 30, "rows\nthe JSON of each record,\nand its values in the order"),
            "page": Box(36, 19, 30, "page\nJSON joined, two cursors made"),
        },
        [
            Arrow("text.bottom", "query.top", "parse: every fault at once, or none"),
            Arrow("query.bottom", "shape.top", "compile_filters"),
            Arrow("query.right", "values.top"),
            Arrow("shape.bottom", "statement.top", "once per key"),
            Arrow("statement.right", "rows.left", ""),
            Arrow("values.bottom", "rows.top", "bind, execute: one hop"),
            Arrow("rows.bottom", "page.top", "no entity, no validation"),
        ],
    ),
    "fts-row-ids": Drawing(
        "The bits of a row id of the search index",
        {
            "seconds": Box(0, 1, 34, "seconds since 1970\n32 bits", "key"),
            "fraction": Box(34, 1, 12, "fraction?\n1 bit"),
            "id": Box(46, 1, 30, "id of the log\n30 bits"),
            "a": Box(
                0, 5.4, 76, "1752040800 | 0 | 3      2025-07-09 06:00:00     a whole second: ids in order", code=True
            ),
            "b": Box(0, 7.2, 76, "1752040799 | 1 | 2      2025-07-09 05:59:59.7   one bucket,", "stop", code=True),
            "c": Box(
                0, 8.6, 76, "1752040799 | 1 | 1      2025-07-09 05:59:59.2   sorted at the end", "stop", code=True
            ),
            "d": Box(0, 10.4, 76, "1751436600 | 0 | 4      2025-07-02 06:10:00     written last, older", code=True),
        },
        [],
        [Note(0, 0, "rowid = (seconds * 2 + has fraction) << 30 | id"), Note(0, 4.4, "read downwards, newest first:")],
    ),
    "keysets": Drawing(
        "The ranges after a cursor, for sort=cause,-started_at",
        {
            "h": Box(0, 0, 56, "cause            started_at   id", code=True),
            "a": Box(0, 1.8, 56, "Blade bent       2025-07-21    4", code=True),
            "b": Box(0, 3.2, 56, "Worn             2025-08-04    9   <- cursor", "stop", code=True),
            "c": Box(0, 5, 56, "Worn             2025-07-09    2", "key", code=True),
            "d": Box(0, 6.4, 56, "Worn             2025-07-02    1", "key", code=True),
            "e": Box(0, 8.2, 56, "Wrong oil        2025-08-11    7", "key", code=True),
            "f": Box(0, 10, 56, "null             2025-08-05    6", "key", code=True),
        },
        [],
        [
            Note(58, 5.7, "1. the same cause, the rest of it"),
            Note(58, 8.3, "2. a greater cause"),
            Note(58, 10.1, "3. no cause: nulls come last"),
        ],
    ),
    "access-paths": Drawing(
        "How a list on SQLite chooses its index",
        {
            "one": Box(0, 0, 36, "Does a filter fix one value\nof an indexed field?"),
            "yes": Box(50, 0, 34, "that index, in order\n`ix_logs_type_started_at_id", "key"),
            "many": Box(0, 4.4, 36, "Several values of it,\nor a field of a related record?"),
            "count": Box(50, 4.4, 34, "count matches, up to 5,001\nin the same statement"),
            "few": Box(50, 9, 34, "few: collect by that index, sort", "key"),
            "walk": Box(50, 11.6, 34, "many: walk through time\n`ix_logs_started_at_id", "key"),
            "none": Box(0, 11.6, 36, "No such filter"),
        },
        [
            Arrow("one.right", "yes.left", "yes"),
            Arrow("one.bottom", "many.top", "no"),
            Arrow("many.right", "count.left", "yes"),
            Arrow("many.bottom", "none.top", "no"),
            Arrow("count.bottom", "few.top", ""),
            Arrow("none.right", "walk.left", ""),
        ],
        [Note(86, 10.2, "one of both yields rows")],
    ),
    "write-batches": Drawing(
        "Concurrent writes share one transaction",
        {
            "a": Box(0, 0, 16, "POST  unit A"),
            "b": Box(0, 2.4, 16, "POST  unit B", "stop"),
            "c": Box(0, 4.8, 16, "PATCH unit C"),
            "queue": Box(28, 2, 18, "waiting units\nat most 1,000"),
            "tx": Box(
                58,
                0,
                32,
                "`BEGIN IMMEDIATE\nA: row, folded texts\nB: refused, wrote nothing\nC: row, folded texts\n"
                "deferred: search, counters\nlast: history and its hashes\n`COMMIT  (one flush to disk)",
                "key",
            ),
            "ra": Box(100, 0, 18, "A: 201"),
            "rb": Box(100, 2.4, 18, "B: 422 its error", "stop"),
            "rc": Box(100, 4.8, 18, "C: 200"),
        },
        [
            Arrow("a.right", "queue.left"),
            Arrow("b.right", "queue.left"),
            Arrow("c.right", "queue.left"),
            Arrow("queue.right", "tx.left", "one thread"),
            Arrow("tx.right", "ra.left"),
            Arrow("tx.right", "rb.left"),
            Arrow("tx.right", "rc.left"),
        ],
    ),
    "hash-chain": Drawing(
        "Each entry carries the hash of itself and of the entry before",
        {
            "a": Box(0, 0, 28, "entry 12\ncreate logs 5b0e...01\n`hash 6c1f...", ""),
            "b": Box(38, 0, 28, "entry 13\nupdate logs 5b0e...01\n`hash 9a40...", ""),
            "c": Box(76, 0, 28, "entry 14\ndelete logs 5b0e...01\n`hash e27d...", "key"),
            "head": Box(76, 5.2, 28, "head 14:e27d...\nkept somewhere else", "key"),
        },
        [
            Arrow("a.right", "b.left", "sha256"),
            Arrow("b.right", "c.left", "sha256"),
            Arrow("c.bottom", "head.top", "mm verify prints it"),
        ],
        [Note(0, 5.4, "hash(n) = SHA-256( hash(n-1) + JSON of entry n )")],
    ),
    "database-file": Drawing(
        "A write is acknowledged if its file is the one at the path",
        {
            "begin": Box(0, 1, 24, "begin\nis it the open file?", "key"),
            "write": Box(34, 1, 24, "check the revision,\nwrite, COMMIT"),
            "end": Box(68, 1, 24, "end\nis it still that file?", "key"),
            "answer": Box(102, 1, 12, "201", ""),
            "refused": Box(34, 6, 24, "503, not written\none line in the log", "stop"),
            "unknown": Box(68, 6, 24, "503, written to a file\nthat was moved", "stop"),
        },
        [
            Arrow("begin.right", "write.left", "yes"),
            Arrow("write.right", "end.left"),
            Arrow("end.right", "answer.left", "yes"),
            Arrow("begin.bottom", "refused.left", "no"),
            Arrow("end.bottom", "unknown.top", "no"),
        ],
    ),
    "counters": Drawing(
        "Writes maintain counters, reads use them where no filter narrows",
        {
            "write": Box(0, 1, 26, "a log is written\ntype error, 9 July 2025"),
            "rows": Box(
                50,
                0,
                46,
                "log_counts\n`type  all              =error   +1\n`type  month  2025-07   =error   +1\n"
                "`type  day    2025-07-09 =error  +1",
                "key",
            ),
            "plain": Box(0, 6.4, 26, "facets, stats\nwithout a filter"),
            "filtered": Box(0, 9.8, 26, "with a filter,\nor in another zone"),
            "logs": Box(50, 9.8, 46, "logs\ncounted by the statement itself"),
        },
        [
            Arrow("write.right", "rows.left", "at the end, one upsert a row"),
            Arrow("plain.right", "rows.bottom", ""),
            Arrow("filtered.right", "logs.left", ""),
        ],
    ),
    "sessions-and-tokens": Drawing(
        "How a request is authenticated",
        {
            "token": Box(0, 0, 32, "`Authorization: Bearer mm_7_Zk...\nnumber 7, secret Zk..."),
            "cookie": Box(0, 4, 32, "`Cookie: mm_session=Qx...\nand X-CSRF-Token for a write"),
            "nothing": Box(0, 8, 32, "neither"),
            "tokens": Box(48, 0, 36, "tokens joined with users\nnumber, not expired, user active\ncompare SHA-256"),
            "sessions": Box(48, 4.8, 36, "sessions joined with users\nby SHA-256; 30 min idle, 12 h"),
            "caller": Box(96, 2.4, 24, "caller\nuser, role, scope", "key"),
            "refused": Box(96, 8, 24, "401", "stop"),
        },
        [
            Arrow("token.right", "tokens.left", "one statement"),
            Arrow("cookie.right", "sessions.left", "one statement"),
            Arrow("tokens.right", "caller.left"),
            Arrow("sessions.right", "caller.left"),
            Arrow("nothing.right", "refused.left", "unless MM_ANONYMOUS=read or serve --open"),
        ],
    ),
    "offline-outbox": Drawing(
        "The way of a log from a keystroke to the service",
        {
            "draft": Box(0, 3.8, 20, "draft\nkept at each key"),
            "queue": Box(32, 3.8, 24, "queue\nuuid, started_at, body", "key"),
            "sent": Box(84, 0, 24, "sent\nremoved from the device", "key"),
            "later": Box(84, 3.8, 24, "stays in the queue\nagain after 2 s to 60 s"),
            "refused": Box(84, 7.6, 24, "refused\nkept, with its reason", "stop"),
        },
        [
            Arrow("draft.right", "queue.left", "Send"),
            Arrow("queue.right", "sent.left", "2xx, 412"),
            Arrow("queue.right", "later.left", "no answer, 401, 429, 5xx"),
            Arrow("queue.right", "refused.left", "other 4xx"),
        ],
        [Note(60, 10.4, "")],
    ),
    "reliability-stops": Drawing(
        "Stops of one machine are merged, and cut to the window",
        {
            "first": Box(22, 1.2, 8, "failure", "stop"),
            "second": Box(26, 2.8, 12, "failure", "stop"),
            "planned": Box(34, 4.4, 12, "planned"),
            "external": Box(56, 1.2, 32, "external", "key"),
            "failure_time": Box(22, 7.4, 16, "failure_time 4 h", "stop"),
            "planned_time": Box(38, 7.4, 8, "2 h"),
            "external_time": Box(56, 7.4, 16, "external_time 4 h", "key"),
        },
        [Arrow("external.bottom", "external_time.top")],
        [
            *(Note(x, 0, text) for x, text in ((22, "Mon 6:00"), (30, "8:00"), (38, "10:00"), (46, "12:00"))),
            *(Note(x, 0, text) for x, text in ((56, "Sun 20:00"), (72, "24:00, the end"), (88, "4:00"))),
            Note(0, 1.5, "stops of four logs"),
            Note(0, 7.7, "what they count as"),
            Note(73, 7.7, "cut at the end: open_stops 1"),
            Note(22, 9.6, "failures: 1, both are one stop from 6:00"),
            Note(56, 9.6, "down_time: 4 + 2 + 4 = 10 h"),
        ],
    ),
}

if __name__ == "__main__":
    for name, drawing in DRAWINGS.items():
        (HERE / f"{name}.svg").write_text(svg(drawing))
