"""A test oracle for `/reliability`: the definitions in plain Python, without any arithmetic of intervals.

Time is cut at every instant at which anything changes. Between two of them nothing does, so that each such cell is
asked what holds in it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

FOREVER = datetime.max.replace(tzinfo=UTC)
ZERO = timedelta(0)


@dataclass(frozen=True)
class Log:
    """A log; `down_from` None is no stop, `down_to` None a stop without an end."""

    started_at: datetime
    down_from: datetime | None
    down_to: datetime | None
    down_kind: str | None
    type: str
    status: str
    is_deleted: bool

    @property
    def counts(self) -> bool:
        return self.status != "cancelled" and not self.is_deleted

    @property
    def kind(self) -> str:
        return self.down_kind or ("failure" if self.type == "error" else "planned")

    @property
    def stop(self) -> tuple[datetime, datetime]:
        return self.down_from, self.down_to or FOREVER


@dataclass(frozen=True)
class Machine:
    """A machine; `service` has the time and the value of its creation and of each later edit of `in_service`."""

    name: str
    sector: str | None
    service: tuple[tuple[datetime, bool | None], ...]
    logs: tuple[Log, ...]

    @property
    def counted(self) -> list[Log]:
        return [log for log in self.logs if log.counts]

    @property
    def first_sign(self) -> datetime:
        return min(
            [self.service[0][0], *(log.started_at for log in self.counted), *(log.down_from for log in self.stops)]
        )

    @property
    def stops(self) -> list[Log]:
        return [log for log in self.counted if log.down_from is not None]

    def is_required(self, instant: datetime) -> bool:
        state = self.service[0][1]
        for at, value in self.service:
            if at <= instant:
                state = value
        return instant >= self.first_sign and state is not False

    def is_stopped(self, instant: datetime, *kinds: str) -> bool:
        return any(log.stop[0] <= instant < log.stop[1] for log in self.stops if log.kind in kinds)

    def merged_failures(self) -> list[tuple[datetime, datetime]]:
        left, merged = [log.stop for log in self.stops if log.kind == "failure"], []
        while left:
            start, end = left.pop()
            while touching := [other for other in left if other[0] <= end and start <= other[1]]:
                left = [other for other in left if other not in touching]
                start, end = min([start, *(s for s, _ in touching)]), max([end, *(e for _, e in touching)])
            merged.append((start, end))
        return merged


def measure(machines: list[Machine], start: datetime, end: datetime) -> dict:
    """Return the figures of one window."""
    required = down = failure = external = repair = ZERO
    failures = repairs = open_stops = 0
    for machine in machines:
        instants = {start, end, machine.first_sign, *(at for at, _ in machine.service)}
        instants |= {instant for log in machine.stops for instant in log.stop}
        for first, last in pairwise(sorted(instant for instant in instants if start <= instant <= end)):
            if machine.is_required(first):
                required += last - first
                down += (last - first) * machine.is_stopped(first, "failure", "planned", "external")
                is_failure = machine.is_stopped(first, "failure")
                failure += (last - first) * is_failure
                external += (last - first) * (machine.is_stopped(first, "external") and not is_failure)
        merged = machine.merged_failures()
        failures += sum(start <= first < end for first, _ in merged)
        failures += sum(
            start <= log.started_at < end and not any(first <= log.started_at < last for first, last in merged)
            for log in machine.counted
            if log.down_from is None and log.kind == "failure"
        )
        ended = [last - first for first, last in merged if start <= last < end]
        repairs, repair = repairs + len(ended), sum(ended, repair)
        open_stops += sum(log.stop[0] < end < log.stop[1] for log in machine.stops)
    operating = required - down
    return {
        "required_time": number(operating + down),
        "operating_time": number(operating),
        "down_time": number(down),
        "failure_time": number(failure),
        "external_time": number(external),
        "planned_time": number(down - failure - external),
        "failures": failures,
        "mtbf": quotient(operating, failures * timedelta(seconds=1)),
        "mttr": quotient(repair, repairs * timedelta(seconds=1)),
        "availability": quotient(operating, required),
        "technical_availability": quotient(operating, operating + failure),
        "open_stops": open_stops,
    }


def number(elapsed: timedelta) -> float:
    return quotient(elapsed, timedelta(seconds=1))


def quotient(dividend: timedelta, divisor: timedelta) -> float | None:
    microsecond = timedelta(microseconds=1)
    return float(Fraction(dividend // microsecond, divisor // microsecond)) if divisor else None


def calendar_windows(start: datetime, end: datetime, form: str, zone: ZoneInfo) -> list[tuple[str, datetime, datetime]]:
    """Return the name, start and end of each bucket; `form` gives a day the name of its bucket."""
    days: dict[str, list[date]] = {}
    day = start.astimezone(zone).date()
    while day <= end.astimezone(zone).date():
        days.setdefault(day.strftime(form), []).append(day)
        day += timedelta(days=1)
    windows = []
    for name, found in days.items():
        first, last = (
            datetime.combine(each, time(), zone).astimezone(UTC) for each in (found[0], found[-1] + timedelta(days=1))
        )
        if max(first, start) < min(last, end):
            windows.append((name, max(first, start), min(last, end)))
    return windows
