"""Turn facts into `Machine` objects, from which the figures are computed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from machine_monitor.services.projections.reliability import carried, facts
from machine_monitor.services.projections.reliability.carried import CarriedStops, Stop
from machine_monitor.services.projections.reliability.facts import Fact, FactWindow
from machine_monitor.services.projections.reliability.figures import Machine, Stretch, Sums
from machine_monitor.services.projections.reliability.intervals import FOREVER, Interval, Intervals

CREATIONS = ("create", "import")


class ServiceEntry(NamedTuple):
    """An entry of a machine's history that says whether it is in service."""

    seq: int
    at: int
    is_creation: bool
    before: bool | None
    after: bool | None


class MonthRow(NamedTuple):
    """The sums of all time before the start of a month, and the stops that last until then or longer.

    The start is in microseconds since 1970.
    """

    start: int
    sums: Sums
    carried: CarriedStops


@dataclass
class MachineFacts:
    """The facts of one machine."""

    is_in_service_now: bool = True
    signs: list[int] = field(default_factory=list)
    entries: list[ServiceEntry] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    months: list[MonthRow] = field(default_factory=list)

    def add(self, fact: Fact) -> None:
        """Add a fact."""
        if fact.start is None:
            return
        if fact.kind == facts.MONTH and fact.text is not None:
            *sums, stops = fact.text.split(" ", len(Sums._fields))
            self.months.append(MonthRow(fact.start, Sums(*map(int, sums)), carried.from_text(stops or None)))
        elif fact.kind == facts.SIGN_OF_LIFE:
            self.signs.append(fact.start)
        elif fact.kind == facts.FAILURE:
            self.failures.append(fact.start)
        elif fact.kind == facts.STOP and fact.text is not None:
            self.stops.append(Stop(fact.start, FOREVER if fact.end is None else fact.end, fact.text))
        elif fact.text is not None and fact.end is not None:
            op, _, changes = fact.text.partition(" ")
            change = json.loads(changes).get(facts.IN_SERVICE)
            if change is not None:
                self.entries.append(ServiceEntry(fact.end, fact.start, op in CREATIONS, *change))

    def last_row(self, until: int) -> MonthRow | None:
        """Return the row of the last month that begins at an instant or before."""
        return max((month for month in self.months if month.start <= until), default=None)

    def machine_in(self, start: int, end: int) -> Machine:
        """Return the machine in the window [start, end), without any sums."""
        return Machine(0, self._in_service(), [self._stretch(start, end, self.last_row(start))])

    def machine(self, window: FactWindow) -> Machine:
        """Return the machine in the window."""
        start, end, first_month = window.microseconds
        found = Machine(min(self.signs, default=FOREVER), self._in_service())
        if start < first_month:
            found.stretches.append(self._stretch(start, first_month, self.last_row(start)))
        # Each month's sums are those until the next row, less those until its own.
        months = sorted(month for month in self.months if month.start >= first_month)
        found.sums = [(month.start, later.sums.minus(month.sums)) for month, later in pairwise(months)]
        found.open_counts = [(month.start, month.carried.count_open()) for month in months if month.start > first_month]
        last = self.last_row(end)
        rest = first_month if last is None else max(first_month, last.start)
        if rest < end:
            found.stretches.append(self._stretch(rest, end, last))
        return found

    def _in_service(self) -> Intervals:
        return service_intervals(self.entries, is_in_service_now=self.is_in_service_now)

    def _stretch(self, start: int, end: int, base: MonthRow | None) -> Stretch:
        if base is None:
            return Stretch(start, end, [stop for stop in self.stops if stop.start < end], self.failures)
        stops = [stop for stop in self.stops if base.start <= stop.start < end]
        return Stretch(start, end, stops, self.failures, base.start, base.carried)


def read_machines(
    rows: Iterable[Sequence], window: FactWindow, in_service_now: Mapping[int, Any]
) -> dict[int, Machine]:
    """Return the machines in the window, by id."""
    found = {machine_id: MachineFacts(is_in_service(now)) for machine_id, now in in_service_now.items()}
    for fact in map(Fact._make, rows):
        # A machine that was created after `machines_statement` ran is not known.
        if fact.machine_id in found:
            found[fact.machine_id].add(fact)
    return {machine_id: each.machine(window) for machine_id, each in found.items()}


def is_in_service(stored: Any) -> bool:
    """Whether a machine with this value of `in_service` is in service; null counts as in service."""
    return stored is None or bool(stored)


def service_intervals(entries: Iterable[ServiceEntry], *, is_in_service_now: bool) -> Intervals:
    """Return when a machine was in service. Before its first entry it is as that entry says; null is in service."""
    ordered = sorted(entries)
    if not ordered:
        return [(0, FOREVER)] if is_in_service_now else []
    first = ordered[0]
    states = [(0, (first.after if first.is_creation else first.before) is not False)]
    states += [(entry.at, entry.after is not False) for entry in ordered]
    intervals: list[Interval] = []
    # A clock that was set back can give an entry an earlier time than the one before it.
    end = FOREVER
    for start, is_in_service in reversed(states):
        if is_in_service and start < end:
            intervals.append((start, end))
        end = min(start, end)
    return intervals[::-1]
