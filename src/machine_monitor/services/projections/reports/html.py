"""The report as one HTML page: no script and no other file, readable in mail clients, and in black and white."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from machine_monitor.services.projections.reports.report import MachineRow, Ranking, Report, log_url, logs_url
from machine_monitor.services.projections.reports.texts import FIGURES, LANGUAGES, Language, difference

# Machines and open stops beyond are in the workbook.
MAX_ROWS = 50
# Borders are printed, and shown by mail clients that leave out backgrounds: bars and lines are borders.
STYLE = """
body { font: 15px/1.4 system-ui, "Segoe UI", Arial, sans-serif; color: #111; background: #fff; margin: 24px auto;
  max-width: 960px; padding: 0 16px }
h1 { font-size: 24px; margin: 0 0 4px } h2 { font-size: 18px; margin: 28px 0 6px } p { margin: 4px 0 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 4px 8px; border-bottom: 1px solid #999 }
th { border-bottom: 2px solid #111 } td.n, th.n { text-align: right; white-space: nowrap }
.note { color: #444 } a { color: #111 } dt { font-weight: bold } dd { margin: 0 0 6px }
@media print { body { margin: 0; max-width: none; font-size: 11px } tr { page-break-inside: avoid } }
"""


class Html(str):
    """Markup that needs no escaping."""

    __slots__ = ()


def render(report: Report, written: datetime) -> bytes:
    """Return the page; `written` is the time that it shows as that of the report."""
    page = _Page(report, LANGUAGES[report.query.language])
    parts = [*page.head(written), *page.summary(), *page.open_stops(written), *page.machines()]
    for name, kind, ranking in (
        ("causes_by_downtime", "hours", report.by_downtime),
        ("causes_by_failures", "count", report.by_failures),
    ):
        parts += page.causes(name, kind, ranking)
    return "\n".join([*parts, *page.definitions(), "</body></html>\n"]).encode()


class _Page:
    """Writes the parts of the page."""

    def __init__(self, report: Report, language: Language) -> None:
        self._report, self._language = report, language
        self._query, self._texts = report.query, language.texts
        self._zone = report.query.time_context.zone

    def head(self, written: datetime) -> Iterable[str]:
        """Yield the beginning: the title, the periods, and the machines that were chosen."""
        period, texts = self._query.period, self._texts
        title = f"{texts['title']}, {period.name}"
        yield f'<!doctype html>\n<html lang="{self._language.code}"><head><meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        yield f"<h1>{escape(title)}</h1>"
        for name, each in (("period", period), ("before", self._report.before)):
            span = " \u2013 ".join(self._language.moment(moment, self._zone) for moment in (each.start, each.end))
            yield f"<p>{escape(texts[name] + texts['colon'])}{escape(each.name)} ({span}, {escape(self._zone.key)})</p>"
        if self._query.filters:
            chosen = ", ".join(f"{name}={value}" for name, value in self._query.filters)
            yield f"<p>{escape(texts['machines_chosen'] + texts['colon'])}{escape(chosen)}</p>"
        for name in self._report.notes:
            yield f"<p><strong>{escape(texts[name])}</strong></p>"
        moment = self._language.moment(written, self._zone)
        yield f'<p class="note">{escape(texts["written"] + texts["colon"])}{moment}</p>'

    def summary(self) -> Iterable[str]:
        """Yield the figures of all machines."""
        plant = self._report.plant
        rows = [
            [
                self._texts[name],
                self._language.figure(kind, plant.now[name]),
                self._language.figure(kind, plant.before[name]),
                self._language.change(kind, difference(plant.now[name], plant.before[name])),
            ]
            for name, kind in FIGURES.items()
        ]
        names = ["figure", "period", "before", "difference"]
        yield from self._section("summary", names, rows, texts=1)

    def open_stops(self, written: datetime) -> Iterable[str]:
        """Yield the stops that are not over."""
        stops = self._report.open_stops[:MAX_ROWS]
        rows = []
        for stop in stops:
            since = datetime.fromisoformat(stop["down_from"])
            link = _link(log_url(self._query, stop["uuid"]), stop["machine"])
            hours = self._language.number((written - since).total_seconds() / 3600, 1)
            cells = [stop["expanded"]["machine"]["sector"], stop["type"], stop["cause"]]
            rows.append([link, *cells, self._language.moment(since, self._zone), hours])
        yield from self._section("open", ["machine", "sector", "type", "cause", "since", "lasts"], rows, texts=4)
        yield from self._more(len(stops), self._report.open_count)

    def machines(self) -> Iterable[str]:
        """Yield the machines that had stops or failures, with a bar for the downtime."""
        moved = [row for row in self._report.machines if _has_events(row)]
        shown = moved[:MAX_ROWS]
        longest = max((row.now["down_time"] for row in shown), default=0)
        rows = [
            [
                _link(logs_url(self._query, machine=row.machine), row.machine),
                _bar(row.now["down_time"], longest),
                *self._pair("hours", row, "down_time"),
                *self._pair("count", row, "failures"),
                self._language.figure("hours", row.now["mttr"]),
                self._language.figure("share", row.now["availability"]),
            ]
            for row in shown
        ]
        names = ["machine", "", "down_time", "difference", "failures", "difference", "mttr", "availability"]
        yield from self._section("machines", names, rows, texts=2)
        yield from self._more(len(shown), len(moved))
        calm = self._texts["calm"].format(count=self._language.number(len(self._report.machines) - len(moved)))
        yield f'<p class="note">{escape(calm)}</p>'

    def causes(self, name: str, kind: str, ranking: Ranking) -> Iterable[str]:
        """Yield a Pareto table: the causes with a bar for their weight."""
        heaviest = max((cause.weight for cause in ranking.causes), default=0)
        rows: list[Sequence[str | None]] = []
        for cause in ranking.causes:
            text = self._texts["no_cause"] if cause.value is None else cause.value
            filters = {"cause__isnull": "true"} if cause.value is None else {"cause": cause.value}
            shares = [self._language.figure("share", share) for share in (cause.share, cause.cumulative)]
            weight = self._language.figure(kind, cause.weight)
            change = self._language.change(kind, difference(cause.weight, cause.before))
            bar = _bar(cause.weight, heaviest)
            rows.append([_link(logs_url(self._query, **filters), text), bar, weight, change, *shares])
        if ranking.rest["values"]:
            rest = self._texts["rest"].format(count=self._language.number(ranking.rest["values"]))
            weight, share = (
                self._language.figure(*each)
                for each in ((kind, ranking.rest["weight"]), ("share", ranking.rest["share"]))
            )
            rows.append([rest, "", weight, "", share, ""])
        column = "down_time" if kind == "hours" else "failures"
        yield from self._section(name, ["cause", "", column, "difference", "share", "cumulative"], rows, texts=2)

    def definitions(self) -> Iterable[str]:
        """Yield what each figure means."""
        yield f"<h2>{escape(self._texts['definitions'])}</h2><dl>"
        for name, meaning in self._language.definitions.items():
            yield f"<dt>{escape(self._texts[name])}</dt><dd>{escape(meaning)}</dd>"
        yield "</dl>"

    def _pair(self, kind: str, row: MachineRow, name: str) -> tuple[str, str]:
        """Return a figure of a machine and what changed."""
        change = difference(row.now[name], row.before.get(name))
        return self._language.figure(kind, row.now[name]), self._language.change(kind, change)

    def _section(
        self, heading: str, names: Sequence[str], rows: Sequence[Sequence[str | None]], *, texts: int
    ) -> Iterable[str]:
        """Yield a heading and a table, whose first columns are texts and the others numbers."""
        yield f"<h2>{escape(self._texts[heading])}</h2>"
        if not rows:
            yield f"<p>{escape(self._texts['none'])}</p>"
            return
        kinds = ["" if position < texts else ' class="n"' for position in range(len(names))]
        head = (
            f"<th{kind}>{escape(self._texts[name]) if name else ''}</th>"
            for kind, name in zip(kinds, names, strict=True)
        )
        yield f"<table><thead><tr>{''.join(head)}</tr></thead><tbody>"
        for row in rows:
            yield f"<tr>{''.join(_cell(kind, text) for kind, text in zip(kinds, row, strict=True))}</tr>"
        yield "</tbody></table>"

    def _more(self, shown: int, count: int) -> Iterable[str]:
        if shown < count:
            numbers = {"shown": self._language.number(shown), "count": self._language.number(count)}
            yield f'<p class="note">{escape(self._texts["more"].format(**numbers))}</p>'


def _has_events(row: MachineRow) -> bool:
    return any(figures.get(name) for figures in (row.now, row.before) for name in ("down_time", "failures"))


def _cell(kind: str, text: str | None) -> str:
    return f"<td{kind}>{text if isinstance(text, Html) else escape(text or '')}</td>"


def _link(url: str, text: str) -> Html:
    return Html(f'<a href="{escape(url)}">{escape(text)}</a>' if url else escape(text))


def _bar(value: float, longest: float) -> Html:
    """Return a bar, as the upper border of a block: it is printed also without backgrounds."""
    if not value:
        return Html("")
    width = max(1, round(160 * value / longest))
    return Html(f'<div style="width:{width}px;border-top:12px solid #555;margin-top:4px;font-size:1px">&nbsp;</div>')
