"""The report as an Excel workbook: real numbers and dates, texts that are never formulas, and native charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from machine_monitor.services.projections.reports.report import MachineRow, Ranking, Report
from machine_monitor.services.projections.reports.texts import FIGURES, LANGUAGES, Language, difference
from machine_monitor.services.tabular.xlsx import truncate

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

# The kinds of figures, as number formats of Excel. Hours and shares keep their full precision.
NUMBER_FORMATS = {
    "hours": "#,##0.0",
    "hours_change": "+#,##0.0;-#,##0.0;0.0",
    "count": "#,##0",
    "count_change": "+#,##0;-#,##0;0",
    "share": "0.0%",
    "share_change": "+0.0%;-0.0%;0.0%",
    "time": "yyyy-mm-dd hh:mm",
}
MACHINE_FIGURES = ("down_time", "failure_time", "failures", "mtbf", "mttr", "availability", "technical_availability")
CHARTED_MACHINES = 20
SECONDS_PER_HOUR = 3600
CHART_SIZE = {"width": 760, "height": 380}
# How many rows of 20 pixels such a chart covers.
CHART_ROWS = 19


def build(report: Report, written_at: datetime) -> bytes:
    """Return the workbook; open stops last until `written_at`."""
    from xlsxwriter import Workbook  # noqa: PLC0415 -- only exports to Excel need it

    target = BytesIO()
    book = Workbook(target, {"in_memory": True})
    writer = _Writer(report, LANGUAGES[report.query.language], book, _formats(book))
    writer.summary(written_at)
    writer.machines()
    writer.causes()
    writer.open_stops(written_at)
    writer.definitions()
    book.close()
    return target.getvalue()


def _formats(book: "Workbook") -> dict[str, Any]:
    formats = {name: book.add_format({"num_format": form}) for name, form in NUMBER_FORMATS.items()}
    return formats | {"head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})}


@dataclass(frozen=True)
class _Writer:
    report: Report
    language: Language
    book: "Workbook"
    formats: Mapping[str, Any]

    def summary(self, written_at: datetime) -> None:
        """Write the periods, what the report does not cover, and the figures of all machines together."""
        sheet, texts = self._sheet("summary", [44, 20, 20, 16]), self.language.texts
        sheet.write_string(0, 0, f"{texts['title']}, {self.report.query.period.name}", self.formats["head"])
        periods = {"period": self.report.query.period, "before": self.report.before}
        head = [[texts[name], period.name, period.start, period.end] for name, period in periods.items()]
        head.append([texts["written"], written_at])
        if self.report.query.filters:
            head.append(
                [texts["machines_chosen"], ", ".join(f"{name}={value}" for name, value in self.report.query.filters)]
            )
        head += [[texts[name]] for name in self.report.notes]
        for row, cells in enumerate(head, 1):
            self._row(sheet, row, cells)
        titles_row = len(head) + 2
        self._head(sheet, titles_row, ["figure", "period", "before", "difference"])
        plant = self.report.plant
        for row, (name, kind) in enumerate(FIGURES.items(), titles_row + 1):
            sheet.write_string(row, 0, self._titled(name, kind))
            self._figures(sheet, row, 1, kind, (plant.now[name], plant.before[name]))

    def machines(self) -> None:
        """Write the machines, each figure beside that of the period before, and a chart of the longest stopped."""
        sheet = self._sheet("machines", [30, *[13] * (3 * len(MACHINE_FIGURES))])
        titles = [self.language.texts["machine"]]
        for name in MACHINE_FIGURES:
            title = self._titled(name, FIGURES[name])
            titles += [title, *(f"{title}: {self.language.texts[each].lower()}" for each in ("before", "difference"))]
        self._titles(sheet, 0, titles)
        for row, machine in enumerate(self.report.machines, 1):
            sheet.write_string(row, 0, truncate(machine.machine))
            self._machine(sheet, row, machine)
        count = min(CHARTED_MACHINES, sum(1 for each in self.report.machines if each.now["down_time"]))
        if count:
            self._machines_chart(sheet, count)

    def causes(self) -> None:
        """Write both rankings of causes, each with its Pareto chart."""
        sheet = self._sheet("causes", [36, 14, 14, 14, 12, 12])
        row = self._ranking(sheet, 0, "hours", self.report.by_downtime)
        self._ranking(sheet, row + 2, "count", self.report.by_failures)

    def open_stops(self, written_at: datetime) -> None:
        """Write the stops that are not over."""
        sheet = self._sheet("open", [30, 16, 16, 36, 18, 16])
        self._head(sheet, 0, ["machine", "sector", "type", "cause", "since", "lasts"])
        for row, stop in enumerate(self.report.open_stops, 1):
            since = datetime.fromisoformat(stop["down_from"])
            cells = [stop["machine"], stop["expanded"]["machine"]["sector"], stop["type"], stop["cause"], since]
            self._row(sheet, row, cells)
            self._number(sheet, (row, 5), "hours", (written_at - since).total_seconds())
        shown = len(self.report.open_stops)
        if shown < self.report.open_count:
            note = self.language.texts["more"].format(shown=shown, count=self.report.open_count)
            sheet.write_string(shown + 2, 0, note)

    def definitions(self) -> None:
        """Write what each figure means."""
        sheet = self._sheet("definitions", [40, 110])
        self._head(sheet, 0, ["figure", "meaning"])
        for row, (name, meaning) in enumerate(self.language.definitions.items(), 1):
            self._row(sheet, row, [self.language.texts[name], meaning])

    def _ranking(self, sheet: "Worksheet", first: int, kind: str, ranking: Ranking) -> int:
        """Write a ranking from the row `first` on; return the first row below it and its chart."""
        texts = self.language.texts
        column = "down_time" if kind == "hours" else "failures"
        titles = [texts["cause"], self._titled(column, kind)]
        self._titles(
            sheet, first, [*titles, *(texts[name] for name in ("before", "difference", "share", "cumulative"))]
        )
        for row, cause in enumerate(ranking.causes, first + 1):
            sheet.write_string(row, 0, truncate(texts["no_cause"] if cause.value is None else cause.value))
            self._figures(sheet, row, 1, kind, (cause.weight, cause.before))
            self._number(sheet, (row, 4), "share", cause.share)
            self._number(sheet, (row, 5), "share", cause.cumulative)
        end = causes_end = first + 1 + len(ranking.causes)
        if ranking.rest["values"]:
            sheet.write_string(end, 0, texts["rest"].format(count=ranking.rest["values"]))
            self._number(sheet, (end, 1), kind, ranking.rest["weight"])
            self._number(sheet, (end, 4), "share", ranking.rest["share"])
            end += 1
        if ranking.causes:
            self._pareto_chart(sheet, first, causes_end, f"causes_by_{'downtime' if kind == 'hours' else 'failures'}")
        return max(end, first + CHART_ROWS)

    def _pareto_chart(self, sheet: "Worksheet", first: int, end: int, title: str) -> None:
        """Insert columns for the weights and a line for the cumulative share, beside the table."""
        name = sheet.get_name()
        categories = [name, first + 1, 0, end - 1, 0]
        columns, line = self._chart("column"), self._chart("line")
        columns.add_series(
            {
                "name": [name, first, 1],
                "categories": categories,
                "values": [name, first + 1, 1, end - 1, 1],
                "fill": {"color": "#777777"},
                "gap": 40,
            }
        )
        line.add_series(
            {
                "name": [name, first, 5],
                "categories": categories,
                "values": [name, first + 1, 5, end - 1, 5],
                "y2_axis": True,
                "line": {"color": "#000000"},
                "marker": {"type": "circle", "fill": {"color": "#000000"}, "border": {"color": "#000000"}},
            }
        )
        columns.combine(line)
        line.set_y2_axis({"min": 0, "max": 1, "num_format": "0%"})
        self._insert(sheet, (first, 7), columns, title)

    def _machines_chart(self, sheet: "Worksheet", count: int) -> None:
        """Insert bars for the downtime of the machines that were stopped longest, below the table."""
        name = sheet.get_name()
        chart = self._chart("bar")
        for column, color in ((1, "#333333"), (2, "#bbbbbb")):
            chart.add_series(
                {
                    "name": self.language.texts["period" if column == 1 else "before"],
                    "categories": [name, 1, 0, count, 0],
                    "values": [name, 1, column, count, column],
                    "fill": {"color": color},
                    "border": {"color": "#333333"},
                }
            )
        chart.set_y_axis({"reverse": True})
        self._insert(sheet, (len(self.report.machines) + 2, 0), chart, "down_time")

    def _chart(self, kind: str) -> Any:
        return self.book.add_chart({"type": kind})

    def _insert(self, sheet: "Worksheet", cell: tuple[int, int], chart: Any, title: str) -> None:
        chart.set_title({"name": self.language.texts[title], "name_font": {"size": 12}})
        chart.set_legend({"position": "bottom"})
        chart.set_size(CHART_SIZE)
        sheet.insert_chart(*cell, chart)

    def _machine(self, sheet: "Worksheet", row: int, machine: MachineRow) -> None:
        for position, name in enumerate(MACHINE_FIGURES):
            values = machine.now[name], machine.before.get(name)
            self._figures(sheet, row, 1 + 3 * position, FIGURES[name], values)

    def _figures(
        self, sheet: "Worksheet", row: int, column: int, kind: str, values: tuple[float | None, float | None]
    ) -> None:
        """Write a figure, that of the period before, and the difference."""
        for offset, value in enumerate(values):
            self._number(sheet, (row, column + offset), kind, value)
        self._number(sheet, (row, column + 2), kind, difference(*values), change=True)

    def _number(
        self, sheet: "Worksheet", cell: tuple[int, int], kind: str, value: float | None, *, change: bool = False
    ) -> None:
        if value is not None:
            shown = value / SECONDS_PER_HOUR if kind == "hours" else value
            sheet.write_number(*cell, shown, self.formats[f"{kind}_change" if change else kind])

    def _row(self, sheet: "Worksheet", row: int, cells: Sequence[str | datetime | None]) -> None:
        for column, value in enumerate(cells):
            if isinstance(value, datetime):
                local = value.astimezone(self.report.query.time_context.zone).replace(tzinfo=None)
                sheet.write_datetime(row, column, local, self.formats["time"])
            elif value is not None:
                # Not `write`, which turns some texts into formulas or links.
                sheet.write_string(row, column, truncate(value))

    def _head(self, sheet: "Worksheet", row: int, names: Sequence[str]) -> None:
        self._titles(sheet, row, [self.language.texts[name] for name in names])

    def _titles(self, sheet: "Worksheet", row: int, titles: Sequence[str]) -> None:
        for column, title in enumerate(titles):
            sheet.write_string(row, column, title, self.formats["head"])

    def _titled(self, name: str, kind: str) -> str:
        """Return the name of a figure, with its unit."""
        title = self.language.texts[name]
        return f"{title} ({self.language.texts['hour_unit']})" if kind == "hours" else title

    def _sheet(self, name: str, widths: Sequence[int]) -> "Worksheet":
        sheet = self.book.add_worksheet(self.language.texts[name])
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return sheet
