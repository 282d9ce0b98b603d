"""Stops that are carried over the start of a month: with them, figures of later times need no earlier logs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from machine_monitor.services.projections.reliability.intervals import FOREVER, Interval


class Stop(NamedTuple):
    """The stop of one log: `kind` is failure, planned or external. An open one ends at FOREVER."""

    start: int
    end: int
    kind: str


class CarriedStops(NamedTuple):
    """The stops that began before an instant and last until then or longer, in microseconds since 1970.

    `failure` is the merged failure stop. The machine is stopped without a plan until `unplanned_until`, and stopped at
    all until `down_until`. `open_count` counts the logs whose stop has no end; `ends` has the later ends of the others.
    """

    failure: Interval | None = None
    unplanned_until: int | None = None
    down_until: int | None = None
    open_count: int = 0
    ends: tuple[int, ...] = ()

    def count_open(self) -> int:
        """Return how many logs have a stop that is not over at the instant."""
        return self.open_count + len(self.ends)

    def to_text(self) -> str | None:
        """Return the stops as JSON; None if there are none."""
        return None if self == NOTHING else json.dumps(self, separators=(",", ":"))


NOTHING = CarriedStops()


def from_text(text: str | None) -> CarriedStops:
    """Return the stops that `to_text` has written."""
    if text is None:
        return NOTHING
    failure, unplanned_until, down_until, open_count, ends = json.loads(text)
    return CarriedStops(failure and (failure[0], failure[1]), unplanned_until, down_until, open_count, tuple(ends))


def carry(before: CarriedStops, stops: Iterable[Stop], instants: Sequence[int]) -> Iterator[CarriedStops]:
    """Yield the stops that are carried over each of some ascending instants.

    `before` is carried over an earlier instant, at or after which all of the `stops` begin.
    """
    sweep, waiting = _Sweep(before), sorted(stops, reverse=True)
    for instant in instants:
        while waiting and waiting[-1].start < instant:
            sweep.add(waiting.pop())
        yield sweep.at(instant)


class _Sweep:
    """Tracks the carried stops while stops are added in the order of their starts."""

    def __init__(self, before: CarriedStops) -> None:
        self._failure, self._unplanned_until, self._down_until, self._open_count, ends = before
        self._ends = [*ends]
        heapify(self._ends)

    def add(self, stop: Stop) -> None:
        if stop.kind == "failure":
            start, end = self._failure or (stop.start, stop.end)
            self._failure = (start, max(end, stop.end)) if stop.start <= end else (stop.start, stop.end)
        if stop.kind != "planned":
            self._unplanned_until = max(self._unplanned_until or 0, stop.end)
        self._down_until = max(self._down_until or 0, stop.end)
        if stop.end == FOREVER:
            self._open_count += 1
        else:
            heappush(self._ends, stop.end)

    def at(self, instant: int) -> CarriedStops:
        while self._ends and self._ends[0] <= instant:
            heappop(self._ends)
        # A failure stop that ends at the instant merges with one that begins there.
        if self._failure is not None and self._failure[1] < instant:
            self._failure = None
        return CarriedStops(
            self._failure,
            _later(self._unplanned_until, instant),
            _later(self._down_until, instant),
            self._open_count,
            tuple(sorted(self._ends)),
        )


def _later(end: int | None, instant: int) -> int | None:
    return end if end is not None and end > instant else None
