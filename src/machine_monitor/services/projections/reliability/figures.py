"""The definitions of reliability: times and counts of each window, from the stops, failures and service of machines.

They are sums, so that those of several machines add up; quotients are taken last.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from machine_monitor.query.stats_groups import seconds
from machine_monitor.services.projections.reliability.carried import NOTHING, CarriedStops, Stop
from machine_monitor.services.projections.reliability.intervals import (
    FOREVER,
    CoveredTime,
    Intervals,
    RunningCount,
    Windows,
    intersect,
    merge,
)

DEFINITION = {
    "window": "From `from` until just before `to`, which is at most now. A day, week, month or year is a window too.",
    "required_time": (
        "The seconds of the window from the machine's first sign of life (the earliest of its `created_at`, and of "
        "`started_at` and `down_from` of its logs), less the time out of service."
    ),
    "operating_time": "`required_time` - `down_time`.",
    "down_time": "The seconds of `required_time` in which the machine was stopped. Overlapping stops count once.",
    "failure_time": "The part of `down_time` that failure stops cover.",
    "external_time": "The part of `down_time` that external stops cover, and no failure stop.",
    "planned_time": "The rest of `down_time`.",
    "failures": (
        "Failure stops that begin in the window, merged where they overlap or touch; and failure logs without a stop "
        "that begin in the window, but not within a merged failure stop."
    ),
    "mtbf": "Mean time between failures: `operating_time` / `failures`. Null without failures.",
    "mttr": "Mean time to repair: the mean length of the merged failure stops that end in the window. Null if none.",
    "availability": "`operating_time` / `required_time`. Null if that is 0.",
    "technical_availability": "`operating_time` / (`operating_time` + `failure_time`). Null if that is 0.",
    "open_stops": "The logs whose stop is not over at `to`.",
    "logs": (
        "A stop is what `down_kind` says; without it, a failure if the log's type counts as one, else planned. "
        "Cancelled and deleted logs count for nothing."
    ),
}


@dataclass
class Stretch:
    """A part [start, end) of the window, with the stops and failures from which its figures are computed.

    `base` is an instant at or before `start`; `carried` are the stops that began before it, and `stops` those that
    began after it, and before `end`. Without a base these are all.
    """

    start: int
    end: int
    stops: Sequence[Stop]
    failures: Sequence[int]
    base: int | None = None
    carried: CarriedStops = NOTHING

    def merged_failures(self) -> Intervals:
        """Return the merged failure stops."""
        carried = [self.carried.failure] if self.carried.failure else []
        return merge([*carried, *((stop.start, stop.end) for stop in self.stops if stop.kind == "failure")])

    def covered(self, *kinds: str, carried_until: int | None) -> Intervals:
        """Return the time that stops of these kinds cover; the carried ones cover it from `base` on."""
        carried = [] if self.base is None or carried_until is None else [(self.base, carried_until)]
        return merge([*carried, *((stop.start, stop.end) for stop in self.stops if stop.kind in kinds)])


class Sums(NamedTuple):
    """What the stops and failures of some time add up to: times in microseconds, and counts.

    `unplanned` is the time that failure and external stops cover; `repair` is the length of the stops that `repairs`
    counts.
    """

    down: int = 0
    unplanned: int = 0
    failure: int = 0
    failures: int = 0
    repairs: int = 0
    repair: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both times."""
        return Sums(*(mine + others for mine, others in zip(self, other, strict=True)))

    def minus(self, earlier: "Sums") -> "Sums":
        """Return the sums of the time that is left without an earlier part."""
        return Sums(*(mine - before for mine, before in zip(self, earlier, strict=True)))


@dataclass
class Machine:
    """The data of a machine from which its figures in a window are computed.

    `sums` pairs the start of a month, or of several, with its sums. The stretches and these months do not overlap; in
    the rest of the window the machine had no stop. `open_counts` pairs instants at which sums begin or end with the
    number of stops that are open then.
    """

    first_sign: int
    in_service: Intervals
    stretches: list[Stretch] = field(default_factory=list)
    sums: list[tuple[int, Sums]] = field(default_factory=list)
    open_counts: list[tuple[int, int]] = field(default_factory=list)


class Figures(NamedTuple):
    """The figures of one window: times in microseconds, and counts."""

    required: int
    sums: Sums
    open_stops: int

    def to_json(self) -> dict[str, Any]:
        """Return the members of a group: times in seconds, and the quotients."""
        sums = self.sums
        operating = self.required - sums.down
        return {
            "required_time": seconds(self.required),
            "operating_time": seconds(operating),
            "down_time": seconds(sums.down),
            "failure_time": seconds(sums.failure),
            "external_time": seconds(sums.unplanned - sums.failure),
            "planned_time": seconds(sums.down - sums.unplanned),
            "failures": sums.failures,
            "mtbf": seconds(operating, sums.failures) if sums.failures else None,
            "mttr": seconds(sums.repair, sums.repairs) if sums.repairs else None,
            "availability": _quotient(operating, self.required),
            "technical_availability": _quotient(operating, operating + sums.failure),
            "open_stops": self.open_stops,
        }


class FigureSums:
    """Adds up the figures of machines, for each of some windows."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._required, self._down, self._unplanned, self._failure = (CoveredTime(windows) for _ in range(4))
        self._failures, self._repairs, self._repair = ([0] * windows.count for _ in range(3))
        self._open_stops = RunningCount(windows)

    def add(self, machine: Machine) -> None:
        """Add the figures of a machine."""
        start, end = self._windows.span
        required = [*intersect([(max(machine.first_sign, start), end)], machine.in_service)]
        self._required.add(required)
        for stretch in machine.stretches:
            self._add_stretch(stretch, required)
        for start_of_month, sums in machine.sums:
            self._add_sums(start_of_month, sums)
        for instant, count in machine.open_counts:
            self._open_stops.add(self._windows.ends_within(instant - 1, instant + 1), count)

    def _add_stretch(self, stretch: Stretch, required: Intervals) -> None:
        span = [*intersect(required, [(stretch.start, stretch.end)])]
        failures, carried = stretch.merged_failures(), stretch.carried
        self._failure.add(intersect(failures, span))
        unplanned = stretch.covered("failure", "external", carried_until=carried.unplanned_until)
        self._unplanned.add(intersect(unplanned, span))
        down = stretch.covered("failure", "external", "planned", carried_until=carried.down_until)
        self._down.add(intersect(down, span))
        self._count_failures(stretch, failures)
        for stop in stretch.stops:
            self._open_stops.add(self._ends_within(stretch, stop.start, stop.end))
        for end in carried.ends:
            self._open_stops.add(self._ends_within(stretch, stretch.start, end))
        self._open_stops.add(self._ends_within(stretch, stretch.start, FOREVER), carried.open_count)

    def _ends_within(self, stretch: Stretch, start: int, end: int) -> range:
        """Return the positions of the windows whose end lies in the stretch, its own end included, and in a stop."""
        return self._windows.ends_within(max(start, stretch.start), min(end, stretch.end + 1))

    def _add_sums(self, start: int, sums: Sums) -> None:
        position = self._windows.position_of(start)
        if position is None:
            return
        for covered, time in (
            (self._down, sums.down),
            (self._unplanned, sums.unplanned),
            (self._failure, sums.failure),
        ):
            covered.add_time(position, time)
        self._failures[position] += sums.failures
        self._repairs[position] += sums.repairs
        self._repair[position] += sums.repair

    def figures(self) -> Iterator[Figures]:
        """Yield the figures of each window."""
        times = (covered.totals() for covered in (self._down, self._unplanned, self._failure))
        sums = map(Sums, *times, self._failures, self._repairs, self._repair)
        return map(Figures, self._required.totals(), sums, self._open_stops.totals())

    def _count_failures(self, stretch: Stretch, stops: Intervals) -> None:
        for start, end in stops:
            self._increase(stretch, self._failures, start)
            self._increase(stretch, self._repairs, end)
            self._increase(stretch, self._repair, end, end - start)
        is_within_stop = _membership(stops)
        for instant in stretch.failures:
            if not is_within_stop(instant):
                self._increase(stretch, self._failures, instant)

    def _increase(self, stretch: Stretch, counts: list[int], instant: int, by: int = 1) -> None:
        """Increase the count of the window in which the instant lies, if it lies in the stretch too."""
        position = self._windows.position_of(instant)
        if position is not None and stretch.start <= instant < stretch.end:
            counts[position] += by


def _membership(intervals: Intervals) -> Callable[[int], bool]:
    """Return a function: whether an instant lies in one of the intervals."""
    starts = [start for start, _ in intervals]

    def is_member(instant: int) -> bool:
        position = bisect_right(starts, instant) - 1
        return position >= 0 and instant < intervals[position][1]

    return is_member


def _quotient(dividend: int, divisor: int) -> int | float | None:
    if divisor == 0:
        return None
    return dividend // divisor if dividend % divisor == 0 else dividend / divisor
