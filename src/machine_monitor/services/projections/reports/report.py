"""Assemble the report of a period from the answers of `/reliability`, `/logs/pareto` and `/logs`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from machine_monitor.database import instants
from machine_monitor.database.connect import Database
from machine_monitor.models import LOGS
from machine_monitor.query import lists
from machine_monitor.query.language import values
from machine_monitor.query.language.folding import fold
from machine_monitor.query.language.parser import MAX_LIMIT, QueryPairs, QueryParser, parse_list_query
from machine_monitor.query.language.summaries import MAX_FACET_VALUES, WINDOW_PARAMETERS, parse_bounds
from machine_monitor.query.language.times import TimeContext
from machine_monitor.services.projections.reliability import groups, pareto
from machine_monitor.services.projections.reliability.request import (
    MACHINE,
    is_about_machines,
    parse_reliability_query,
)
from machine_monitor.services.projections.reports.periods import (
    DEFAULT,
    Period,
    begins_within_times,
    parse_period,
    period_before,
    period_of_window,
)

LANGUAGES = ("en", "fr")
PARAMETERS = frozenset({"language"}) | WINDOW_PARAMETERS
MAX_CAUSES = 20
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class ReportQuery:
    """A validated request of a report. `filters` choose machines; `base_url` is the service's, for links, or empty."""

    period: Period
    filters: QueryPairs
    time_context: TimeContext
    language: str = LANGUAGES[0]
    base_url: str = ""

    @property
    def file_stem(self) -> str:
        """The name of the report's file, without its suffix."""
        return f"machine-monitor-{self.period.name}"


@dataclass(frozen=True)
class MachineRow:
    """A machine, its figures as in `/reliability`, and those of the period before."""

    machine: str
    now: Figures
    before: Figures


@dataclass(frozen=True)
class Cause:
    """A cause with its weight and shares as in `/logs/pareto`; `before` is null if it is not known."""

    value: str | None
    weight: float
    share: float
    cumulative: float
    before: float | None


@dataclass(frozen=True)
class Ranking:
    """The causes that weigh most, and the weight of all others."""

    causes: Sequence[Cause]
    rest: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """The figures of a period beside those of the one before. `open_stops` are those at the time of the report."""

    query: ReportQuery
    before: Period
    plant: MachineRow
    machines: Sequence[MachineRow]
    by_downtime: Ranking
    by_failures: Ranking
    open_stops: Sequence[Mapping[str, Any]]
    open_count: int
    is_truncated: bool

    @property
    def notes(self) -> Sequence[str]:
        """The names of the texts that say what the figures do not cover."""
        period = self.query.period
        given = {"unfinished": period.end < period.whole_end, "truncated": self.is_truncated}
        return [name for name, is_given in given.items() if is_given]


def parse_report_query(pairs: QueryPairs, time_context: TimeContext, base_url: str = "") -> ReportQuery:
    """Parse the query string of a report; raises a 422 that names every fault. The last whole week is the default."""
    parser = QueryParser(LOGS, pairs, PARAMETERS)
    parser.reject_filters(is_about_machines)
    parser.conditions(time_context)
    language = parser.parse_reserved("language", values.one_of(LANGUAGES), LANGUAGES[0])
    window = parse_bounds(parser, time_context)
    period = parse_period(DEFAULT, time_context)
    if window.start is not None:
        end = window.end or time_context.now
        if window.start >= min(end, time_context.now):
            parser.add_fault("from", "'from' must be before 'to' and before now.")
        else:
            period = period_of_window(window.start, end, time_context)
            if not begins_within_times(period_before(period, time_context)):
                parser.add_fault("from", "'from' is too early: the period before it must begin after 1970.")
    elif window.end is not None:
        parser.add_fault("to", "'to' needs 'from'. Without both, the report is of the last whole week.")
    parser.raise_faults()
    filters = [pair for pair in pairs if pair[0] not in PARAMETERS]
    return ReportQuery(period, filters, time_context, language, base_url)


async def fetch(database: Database, query: ReportQuery) -> Report:
    """Return the report. Its figures are read one after the other."""
    before = period_before(query.period, query.time_context)
    (plant,), _ = await _figures(database, query, query.period)
    (plant_before,), _ = await _figures(database, query, before)
    machines, is_truncated = await _figures(database, query, query.period, MACHINE)
    machines_before, _ = await _figures(database, query, before, MACHINE)
    open_stops, open_count = await _open_stops(database, query)
    return Report(
        query=query,
        before=before,
        plant=MachineRow("", plant, plant_before),
        machines=_rows(machines, machines_before),
        by_downtime=await _ranking(database, query, before, pareto.DOWNTIME),
        by_failures=await _ranking(database, query, before, pareto.FAILURES),
        open_stops=open_stops,
        open_count=open_count,
        is_truncated=is_truncated,
    )


async def _figures(
    database: Database, query: ReportQuery, period: Period, group_by: str | None = None
) -> tuple[list[Figures], bool]:
    """Return the groups of `/reliability`, and whether there are more."""
    chosen = [] if group_by is None else [("group_by", group_by)]
    parsed = parse_reliability_query([*query.filters, *_window(period), *chosen], query.time_context)
    answer = json.loads(await groups.fetch(database, parsed))
    return answer["groups"], answer["truncated"]


def _rows(now: Sequence[Figures], before: Sequence[Figures]) -> list[MachineRow]:
    """Return the machines with both their figures, those with the most downtime and failures first."""
    earlier = {figures[MACHINE]: figures for figures in before}
    ordered = sorted(now, key=lambda each: (-each["down_time"], -each["failures"], each[MACHINE]))
    return [MachineRow(each[MACHINE], each, earlier.get(each[MACHINE], {})) for each in ordered]


async def _ranking(database: Database, query: ReportQuery, before: Period, weight: str) -> Ranking:
    """Return the causes of the period, each with what it weighed in the period before."""
    answer = await _pareto(database, query, query.period, weight)
    earlier = await _pareto(database, query, before, weight)
    weights = {_cause_key(each["value"]): each["weight"] for each in earlier["groups"]}
    # A cause that is none of those listed weighed nothing, unless there are more than the list can have.
    unlisted = None if earlier["rest"]["values"] else 0
    ranked, others = answer["groups"][:MAX_CAUSES], answer["groups"][MAX_CAUSES:]
    causes = [
        Cause(
            each["value"],
            each["weight"],
            each["share"],
            each["cumulative"],
            weights.get(_cause_key(each["value"]), unlisted),
        )
        for each in ranked
    ]
    rest = answer["rest"]
    totals = {name: rest[name] + sum(each[name] for each in others) for name in ("weight", "share")}
    return Ranking(causes, {"values": rest["values"] + len(others), **totals})


async def _pareto(database: Database, query: ReportQuery, period: Period, weight: str) -> Mapping[str, Any]:
    chosen = [("by", "cause"), ("weight", weight), ("limit", str(MAX_FACET_VALUES))]
    parsed = pareto.parse_pareto_query([*query.filters, *_window(period), *chosen], query.time_context)
    return json.loads(await pareto.fetch(database, parsed))


def _cause_key(value: str | None) -> str | None:
    """Return what a cause is compared by: it may be spelled differently in the period before."""
    return None if value is None else " ".join(fold(value).split())


async def _open_stops(database: Database, query: ReportQuery) -> tuple[list[Mapping[str, Any]], int]:
    """Return the logs whose stop is not over now, the oldest first, and how many there are."""
    chosen: QueryPairs = [
        ("down_from__lte", "now"),
        ("down_to__isnull", "true"),
        ("status__ne", "cancelled"),
        ("sort", "down_from"),
        ("limit", str(MAX_LIMIT)),
        ("count", "exact"),
        ("expand", "machine"),
    ]
    page = await lists.fetch(database, parse_list_query(LOGS, [*query.filters, *chosen], query.time_context))
    answer = json.loads(page.body)
    return answer["items"], answer["total"]


def _window(period: Period) -> QueryPairs:
    return [("from", instants.format_instant(period.start)), ("to", instants.format_instant(period.end))]


def logs_url(query: ReportQuery, **filters: str) -> str:
    """Return the URL of the console's list of these logs of the period; empty without a public address."""
    if not query.base_url:
        return ""
    window = [
        (f"started_at__{operator}", instants.format_instant(moment))
        for operator, moment in (("gte", query.period.start), ("lt", query.period.end))
    ]
    chosen = [pair for pair in query.filters if pair[0] not in filters]
    return f"{query.base_url}ui/logs?{urlencode([*chosen, *filters.items(), *window])}"


def log_url(query: ReportQuery, uuid: str) -> str:
    """Return the URL of a log in the console; empty without a public address."""
    return f"{query.base_url}ui/logs/{uuid}" if query.base_url else ""
