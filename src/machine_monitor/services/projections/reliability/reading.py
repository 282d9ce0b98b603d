"""Turn facts into `Machine` objects, from which the figures are computed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from machine_monitor.services.projections.reliability import carried, facts
from machine_monitor.services.projections.reliability.carried import NOTHING, CarriedStops, Stop
from machine_monitor.services.projections.reliability.facts import Fact, FactWindow
from machine_monitor.services.projections.reliability.figures import Machine, MonthSums, Stretch
from machine_monitor.services.projections.reliability.intervals import FOREVER, Interval, Intervals

CREATIONS = ("create", "import")


class ServiceEntry(NamedTuple):
    """An entry of a machine's history that says whether it is in service."""

    seq: int
    at: int
    is_creation: bool
    before: bool | None
    after: bool | None


@dataclass
class MachineFacts:
    """The facts of one machine. `bases` has the carried stops by the instant over which they are carried."""

    is_in_service_now: bool = True
    signs: list[int] = field(default_factory=list)
    entries: list[ServiceEntry] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    bases: dict[int, CarriedStops] = field(default_factory=dict)
    sums: list[MonthSums] = field(default_factory=list)
    open_counts: list[tuple[int, int]] = field(default_factory=list)

    def add(self, fact: Fact, first_month: int) -> None:
        """Add a fact; sums without a start are those of all months from `first_month` on."""
        if fact.kind == facts.SUMS:
            self._add_sums(fact, first_month)
        elif fact.start is None:
            return
        elif fact.kind == facts.BASE:
            self.bases[fact.start] = carried.from_text(fact.text)
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

    def _add_sums(self, fact: Fact, first_month: int) -> None:
        assert fact.text is not None
        *numbers, stops = fact.text.split(" ", len(facts.SUMMED))
        start = first_month if fact.start is None else fact.start
        self.sums.append(MonthSums(start, *map(int, numbers)))
        if start > first_month and stops:
            self.open_counts.append((start, carried.from_text(stops).count_open()))

    def machine_in(self, start: int, end: int) -> Machine:
        """Return the machine in the window [start, end), without any sums."""
        base = max((base for base in self.bases if base <= start), default=None)
        return Machine(0, self._in_service(), [self._stretch(start, end, base)])

    def machine(self, window: FactWindow) -> Machine:
        """Return the machine in the window."""
        start, end, first_month = window.microseconds
        first_sign, open_counts = min(self.signs, default=FOREVER), [*self.open_counts]
        found = Machine(first_sign, self._in_service(), sums=self.sums, open_counts=open_counts)
        if start < first_month:
            before = max((base for base in self.bases if base <= start), default=None)
            found.stretches.append(self._stretch(start, first_month, before))
        last = max(self.bases, default=None)
        if last is not None and last > first_month:
            found.open_counts.append((last, self.bases[last].count_open()))
        rest = first_month if last is None else max(first_month, last)
        if rest < end:
            found.stretches.append(self._stretch(rest, end, last))
        return found

    def _in_service(self) -> Intervals:
        return service_intervals(self.entries, is_in_service_now=self.is_in_service_now)

    def _stretch(self, start: int, end: int, base: int | None) -> Stretch:
        stops = [stop for stop in self.stops if stop.start < end and (base is None or base <= stop.start)]
        return Stretch(start, end, stops, self.failures, base, NOTHING if base is None else self.bases[base])


def read_machines(
    rows: Iterable[Sequence], window: FactWindow, in_service_now: Mapping[int, Any]
) -> dict[int, Machine]:
    """Return the machines in the window, by id."""
    first_month = window.microseconds[2]
    found = {machine_id: MachineFacts(is_in_service(now)) for machine_id, now in in_service_now.items()}
    for fact in map(Fact._make, rows):
        # A machine that was created after `machines_statement` ran is not known.
        if fact.machine_id in found:
            found[fact.machine_id].add(fact, first_month)
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
