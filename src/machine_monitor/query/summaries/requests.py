"""What facets and stats are asked for: the grammar of lists, with something to count by in place of pages."""

from collections.abc import Callable
from dataclasses import dataclass

from machine_monitor.query import values, words
from machine_monitor.query.grammar import Condition, Pairs, Reader
from machine_monitor.query.summaries.buckets import UNITS
from machine_monitor.query.times import Clock
from machine_monitor.query.values import BadValue
from machine_monitor.query.vocabulary import Resource
from machine_monitor.suggestions import nearest

MAX_FACETS = 5
MAX_VALUES = 500
DEFAULT_VALUES = 20
MAX_FIELDS = 3
METRICS = ("count", "failures", "downtime")
DEFAULT_METRICS = "count"
FACET_PARAMETERS = frozenset({"q", "by", "limit"})
STATS_PARAMETERS = frozenset({"q", "group_by", "metrics"})

Conditions = tuple[Condition, ...]
Terms = tuple[words.Term, ...] | None


@dataclass(frozen=True)
class Facets:
    """Facets as they were asked for, checked."""

    resource: Resource
    by: tuple[str, ...]
    limit: int
    conditions: Conditions
    terms: Terms


@dataclass(frozen=True)
class Stats:
    """Stats as they were asked for, checked; `group_by` names fields, and at most one unit of the calendar."""

    resource: Resource
    group_by: tuple[str, ...]
    metrics: tuple[str, ...]
    conditions: Conditions
    terms: Terms
    clock: Clock


def read_facets(resource: Resource, pairs: Pairs, clock: Clock) -> Facets:
    """What a query string asks facets for; raises the 422 that names every fault of it."""
    return _SummaryReader(resource, pairs, FACET_PARAMETERS).facets(clock)


def read_stats(resource: Resource, pairs: Pairs, clock: Clock) -> Stats:
    """What a query string asks stats for; raises the 422 that names every fault of it."""
    return _SummaryReader(resource, pairs, STATS_PARAMETERS).stats(clock)


class _SummaryReader(Reader):
    def facets(self, clock: Clock) -> Facets:
        fields = _fields(self.resource)
        conditions, terms = self._matching(clock)
        if "by" not in self.single:
            self._fault("by", "'by' names what to count by.", fields)
        by = self._take("by", _distinct(fields, MAX_FACETS), None)
        limit = self._take("limit", values.bounded(1, MAX_VALUES), str(DEFAULT_VALUES))
        self._raise_faults()
        return Facets(self.resource, by, limit, conditions, terms)

    def stats(self, clock: Clock) -> Stats:
        conditions, terms = self._matching(clock)
        group_by = self._take("group_by", _groups(_fields(self.resource)), None)
        metrics = self._take("metrics", _distinct(METRICS, len(METRICS)), DEFAULT_METRICS)
        self._raise_faults()
        return Stats(self.resource, group_by or (), metrics, conditions, terms, clock)


def _fields(resource: Resource) -> tuple[str, ...]:
    return resource.summary.fields if resource.summary else ()


def _groups(fields: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    chosen = _distinct((*fields, *UNITS), MAX_FIELDS + 1)

    def read(text: str) -> tuple[str, ...]:
        names = chosen(text)
        if sum(name in UNITS for name in names) > 1 or sum(name in fields for name in names) > MAX_FIELDS:
            message = f"Write at most {MAX_FIELDS} fields and one of {', '.join(UNITS)}."
            raise BadValue(message)
        return names

    return read


def _distinct(allowed: tuple[str, ...], at_most: int) -> Callable[[str], tuple[str, ...]]:
    """A reader of names, separated by commas, none of them twice."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in allowed:
                message = f"There is no '{name}' to choose.{nearest(name, allowed)}"
                raise BadValue(message, allowed)
        if len(set(names)) < len(names) or len(names) > at_most:
            message = f"Write 1 to {at_most} different names, separated by commas."
            raise BadValue(message)
        return names

    return read
