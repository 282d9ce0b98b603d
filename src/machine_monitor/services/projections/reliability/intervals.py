"""Arithmetic of intervals of time: half-open [start, end), in microseconds since 1970, disjoint and in order."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

Interval = tuple[int, int]
Intervals = Sequence[Interval]
# Ends what has no end; later than every instant.
FOREVER = 1 << 62


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Merge intervals that overlap or touch. An empty interval stays if it touches no other."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def intersect(first: Intervals, second: Intervals) -> Iterator[Interval]:
    """Yield what lies in both."""
    i = j = 0
    while i < len(first) and j < len(second):
        start, end = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if start < end:
            yield start, end
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1


class Windows:
    """Windows that follow each other without a gap: the n-th is [bounds[n], bounds[n + 1])."""

    def __init__(self, bounds: Sequence[int]) -> None:
        self._bounds = bounds
        self.count = len(bounds) - 1

    @property
    def span(self) -> Interval:
        """The time from the start of the first window to the end of the last."""
        return self._bounds[0], self._bounds[-1]

    def position_of(self, instant: int) -> int | None:
        """Return the position of the window in which an instant lies; None if it lies in none."""
        position = bisect_right(self._bounds, instant) - 1
        return position if 0 <= position < self.count else None

    def ends_within(self, start: int, end: int) -> range:
        """Return the positions of the windows whose end lies in (start, end)."""
        return range(max(bisect_right(self._bounds, start) - 1, 0), bisect_left(self._bounds, end) - 1)

    def lengths(self) -> list[int]:
        """Return the length of each window."""
        return [end - start for start, end in pairwise(self._bounds)]

    def start_of(self, position: int) -> int:
        """Return the start of a window; that of the one after the last is the end of all."""
        return self._bounds[position]


class RunningCount:
    """A number for each window, to which whole ranges of windows are added in one step."""

    def __init__(self, windows: Windows) -> None:
        self._changes = [0] * (windows.count + 1)

    def add(self, positions: range, number: int = 1) -> None:
        """Add a number to each window of a range."""
        if positions:
            self._changes[positions.start] += number
            self._changes[positions.stop] -= number

    def totals(self) -> list[int]:
        """Return the number of each window."""
        return [*accumulate(self._changes[:-1])]


class CoveredTime:
    """How much of each window the intervals that were added cover; what two of them cover counts twice.

    An interval costs the same however many windows it covers.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._partly = [0] * windows.count
        self._wholly = RunningCount(windows)

    def add(self, intervals: Iterable[Interval]) -> None:
        """Add intervals that lie within the windows."""
        for start, end in intervals:
            first, last = self._windows.position_of(start), self._windows.position_of(end - 1)
            assert first is not None
            assert last is not None
            if first == last:
                self._partly[first] += end - start
            else:
                self._partly[first] += self._windows.start_of(first + 1) - start
                self._partly[last] += end - self._windows.start_of(last)
                self._wholly.add(range(first + 1, last))

    def add_time(self, position: int, time: int) -> None:
        """Add time that intervals in one window cover."""
        self._partly[position] += time

    def totals(self) -> list[int]:
        """Return the covered time of each window."""
        parts = zip(self._partly, self._wholly.totals(), self._windows.lengths(), strict=True)
        return [partly + count * length for partly, count, length in parts]
