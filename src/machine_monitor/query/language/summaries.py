"""Parse the queries of facets and stats: the filters of lists, plus the fields to group by."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from machine_monitor.query.calendar import UNITS
from machine_monitor.query.grouping import find, groupable_fields
from machine_monitor.query.language import values
from machine_monitor.query.language.parser import ATTRIBUTE_PATTERN, Condition, QueryPairs, QueryParser, Terms
from machine_monitor.query.language.times import BadTime, DayRange, TimeContext, parse_time_filter
from machine_monitor.query.language.values import BadValue
from machine_monitor.query.metrics import IntervalMetric
from machine_monitor.query.schema import Resource
from machine_monitor.suggestions import did_you_mean

MAX_FACETS = 5
MAX_FACET_VALUES = 500
DEFAULT_VALUES = 20
MAX_GROUP_FIELDS = 3
DEFAULT_METRIC = "count"
FACET_PARAMETERS = frozenset({"q", "by", "limit"})
WINDOW_PARAMETERS = frozenset({"from", "to"})
STATS_PARAMETERS = frozenset({"q", "group_by", "metrics"}) | WINDOW_PARAMETERS
MAX_METRICS = 10
# Metrics of one attribute, such as sum:attributes.cost.
ATTRIBUTE_FUNCTIONS = ("sum", "mean", "min", "max")
ATTRIBUTE_METRIC_PATTERN = f"({'|'.join(ATTRIBUTE_FUNCTIONS)}):{ATTRIBUTE_PATTERN}"


class Window(NamedTuple):
    """A span of time, [start, end); None: without that bound."""

    start: datetime | None = None
    end: datetime | None = None


class AttributeMetric(NamedTuple):
    """A function over the numbers that an attribute has."""

    function: str
    key: str


@dataclass(frozen=True)
class FacetsQuery:
    """A validated facets query."""

    resource: Resource
    by: tuple[str, ...]
    limit: int
    conditions: tuple[Condition, ...]
    terms: Terms
    depends_on_now: bool


@dataclass(frozen=True)
class StatsQuery:
    """A validated stats query; `group_by` names fields and at most one calendar unit.

    `metrics` has the names in the requested order, those of attributes included.
    """

    resource: Resource
    group_by: tuple[str, ...]
    metrics: tuple[str, ...]
    conditions: tuple[Condition, ...]
    terms: Terms
    time_context: TimeContext
    window: Window
    depends_on_now: bool

    @property
    def attribute_metrics(self) -> dict[str, AttributeMetric]:
        """The metrics of attributes by name."""
        named = ((name, name.partition(":")) for name in self.metrics if ":" in name)
        return {name: AttributeMetric(function, path.partition(".")[2]) for name, (function, _, path) in named}


def parse_facets_query(resource: Resource, pairs: QueryPairs, time_context: TimeContext) -> FacetsQuery:
    """Parse the query string of facets; raises a 422 that names every fault."""
    parser, fields = QueryParser(resource, pairs, FACET_PARAMETERS), tuple(groupable_fields(resource))
    conditions, terms = parser.conditions(time_context), parser.terms()
    if "by" not in parser.reserved:
        parser.add_fault("by", "'by' is required: name at least one field.", fields)
    by = parser.parse_reserved("by", _distinct_names(fields, MAX_FACETS, _can_group(resource)), ())
    limit = parser.parse_reserved("limit", values.integer_between(1, MAX_FACET_VALUES), DEFAULT_VALUES)
    parser.raise_faults()
    return FacetsQuery(resource, by, limit, conditions, terms, parser.is_relative())


def parse_stats_query(resource: Resource, pairs: QueryPairs, time_context: TimeContext) -> StatsQuery:
    """Parse the query string of stats; raises a 422 that names every fault."""
    parser, allowed_metrics = QueryParser(resource, pairs, STATS_PARAMETERS), metric_names(resource)
    conditions, terms = parser.conditions(time_context), parser.terms()
    parse_group_by = group_by_parser(tuple(groupable_fields(resource)), _can_group(resource))
    group_by = parser.parse_reserved("group_by", parse_group_by, ())
    parse_metrics = _distinct_names(allowed_metrics, MAX_METRICS, _is_attribute_metric(resource))
    metrics = parser.parse_reserved("metrics", parse_metrics, (DEFAULT_METRIC,))
    window = _parse_window(parser, time_context)
    parser.raise_faults()
    # A stop without an end lasts until now.
    declared = resource.summary.metrics if resource.summary else {}
    has_open_ends = any(isinstance(declared.get(name), IntervalMetric) for name in metrics)
    depends_on_now = has_open_ends or parser.is_relative(*WINDOW_PARAMETERS)
    return StatsQuery(resource, group_by, metrics, conditions, terms, time_context, window, depends_on_now)


def parse_bounds(parser: QueryParser, time_context: TimeContext) -> Window:
    """Parse `from` and `to`, in any order. A day as `from` is its start, as `to` its end, so that it is included."""

    def parse(text: str) -> DayRange:
        try:
            moment = parse_time_filter(text, time_context)
        except BadTime as error:
            raise BadValue(str(error)) from None
        return moment if isinstance(moment, DayRange) else DayRange(moment, moment)

    start, end = (parser.parse_reserved(name, parse, None) for name in ("from", "to"))
    return Window(start and start.start, end and end.end)


def _parse_window(parser: QueryParser, time_context: TimeContext) -> Window:
    window = parse_bounds(parser, time_context)
    if window.start and window.end and window.start >= window.end:
        parser.add_fault("from", "'from' must be before 'to'.")
    return window


def metric_names(resource: Resource) -> tuple[str, ...]:
    """Return the metrics that the resource's stats offer."""
    return tuple(resource.summary.metrics) if resource.summary else ()


def group_by_parser(
    fields: tuple[str, ...], is_also_allowed: Callable[[str], bool] = lambda _: False
) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of `group_by`: up to MAX_GROUP_FIELDS fields, and one calendar unit."""
    parse_names = _distinct_names((*fields, *UNITS), MAX_GROUP_FIELDS + 1, is_also_allowed)

    def parse(text: str) -> tuple[str, ...]:
        names = parse_names(text)
        units = sum(name in UNITS for name in names)
        if units > 1 or len(names) - units > MAX_GROUP_FIELDS:
            message = f"Write at most {MAX_GROUP_FIELDS} fields and one of {', '.join(UNITS)}."
            raise BadValue(message)
        return names

    return parse


def _can_group(resource: Resource) -> Callable[[str], bool]:
    return lambda name: find(resource, name) is not None


def _is_attribute_metric(resource: Resource) -> Callable[[str], bool]:
    if "attributes" not in resource.own_fields:
        return lambda _: False
    return lambda name: re.fullmatch(ATTRIBUTE_METRIC_PATTERN, name) is not None


def _distinct_names(
    allowed: tuple[str, ...], at_most: int, is_also_allowed: Callable[[str], bool] = lambda _: False
) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of comma-separated, distinct names."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in allowed and not is_also_allowed(name):
                message = f"Unknown name '{name}'.{did_you_mean(name, allowed)}"
                raise BadValue(message, allowed)
        if len(set(names)) < len(names) or len(names) > at_most:
            message = f"Write 1 to {at_most} different names, separated by commas."
            raise BadValue(message)
        return names

    return parse
