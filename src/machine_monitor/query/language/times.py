"""Parse times: RFC 3339, local time in the site's zone, dates, and relative times such as `-7d`."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2101, 1, 1, tzinfo=UTC)
# The patterns for OpenAPI, which say more than `format: date-time`.
INSTANT_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?$"
)
TIME_FILTER_PATTERN = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
    r"([Zz]|[+ -][0-9]{2}:[0-9]{2})?)?|today|yesterday|now|-[0-9]{1,6}[hdwmy])$"
)
_INSTANT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<hour>\d\d):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<offset>[Zz]|(?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>\d\d))?",
    re.ASCII,
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RELATIVE = re.compile(r"-(\d{1,6})([hdwmy])", re.ASCII)
# An unencoded `+` in a query string is decoded as a space.
_BLANK_OFFSET = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:\d\d)$", re.ASCII)

Shift = Literal["ambiguous", "skipped"]


class BadTime(ValueError):
    """The text is not a valid time; the message says why."""


@dataclass(frozen=True)
class TimeContext:
    """The site's time zone and the current time, for local and relative times."""

    zone: ZoneInfo
    now: datetime

    @property
    def today(self) -> date:
        """The current date in the zone."""
        return self.now.astimezone(self.zone).date()


class DayRange(NamedTuple):
    """A whole day: half-open, [start, end)."""

    start: datetime
    end: datetime


def local_to_utc(local: datetime, zone: ZoneInfo) -> tuple[datetime, Shift | None]:
    """Convert local time to UTC.

    An ambiguous time (clock set back) becomes the earlier instant; a skipped time (clock set forward) is moved forward
    by the gap.
    """
    # fold=0 is the earlier instant; in a gap it means the offset before the change, which moves the time by the gap.
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local:
        return instant, "skipped"
    if instant != local.replace(tzinfo=zone, fold=1).astimezone(UTC):
        return instant, "ambiguous"
    return instant, None


def parse_instant(text: str, zone: ZoneInfo) -> datetime:
    """Parse an RFC 3339 time and convert it to UTC; without an offset it is local time in `zone`. Raises `BadTime`."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        message = "Expected a time in RFC 3339, such as 2025-07-25T13:18:25Z, or a local time such as 2025-07-25T15:18."
        raise BadTime(message)
    day, hour, minute, second, fraction = match.group("day", "hour", "minute", "second", "fraction")
    try:
        time(int(hour))  # Python 3.14 would take 24:00 for the next day
        local = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second or '00'}")
        if fraction is not None:
            local = local.replace(microsecond=int(fraction[:6].ljust(6, "0")))
        return _in_range(_with_offset(local, match, zone))
    except (ValueError, OverflowError):
        message = "This is not a valid time between 1970 and 2100."
        raise BadTime(message) from None


def _with_offset(local: datetime, part: re.Match[str], zone: ZoneInfo) -> datetime:
    if part["offset"] is None:
        return local_to_utc(local, zone)[0]
    if part["sign"] is None:
        return local.replace(tzinfo=UTC)
    hours, minutes = int(part["hours"] or 0), int(part["minutes"] or 0)
    time(hours, minutes)  # raises ValueError for offsets such as 24:00 and 01:60
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if part["sign"] == "-" else 1)
    return local.replace(tzinfo=timezone(offset)).astimezone(UTC)


def _in_range(instant: datetime) -> datetime:
    if not EARLIEST <= instant < LATEST:
        message = "out of range"
        raise ValueError(message)
    return instant


def parse_time_filter(text: str, time_context: TimeContext) -> datetime | DayRange:
    """Parse the time of a filter; raises `BadTime`.

    It is an instant, a date, `today`, `yesterday`, `now`, or a relative time (`-12h`, `-7d`, `-2w`, `-3m`, `-1y`).
    """
    if text == "now":
        return time_context.now
    if text in ("today", "yesterday"):
        return _day_range(time_context.today - timedelta(days=text == "yesterday"), time_context.zone)
    if match := _RELATIVE.fullmatch(text):
        return _relative(int(match[1]), match[2], time_context)
    if _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
            _in_range(datetime.combine(day, time(), UTC))
        except ValueError:
            message = "This is not a valid date between 1970 and 2100."
            raise BadTime(message) from None
        return _day_range(day, time_context.zone)
    text = _BLANK_OFFSET.sub(r"\1+\2", text)
    if not _INSTANT.fullmatch(text):
        message = (
            "Expected a day such as 2025-07-25, a time such as 2025-07-25T13:18:25Z, `today`, `yesterday`, `now`, "
            "or how long ago, such as -12h, -7d or -1m."
        )
        raise BadTime(message)
    return parse_instant(text, time_context.zone)


def _day_range(day: date, zone: ZoneInfo) -> DayRange:
    start = local_to_utc(datetime.combine(day, time()), zone)[0]
    end = local_to_utc(datetime.combine(day + timedelta(days=1), time()), zone)[0]
    return DayRange(start, end)


def _relative(count: int, unit: str, time_context: TimeContext) -> datetime:
    try:
        if unit == "h":
            return _in_range(time_context.now - timedelta(hours=count))
        local = time_context.now.astimezone(time_context.zone).replace(tzinfo=None)
        if unit in "dw":
            earlier = local - timedelta(days=count * (7 if unit == "w" else 1))
        else:
            earlier = _months_before(local, count * (12 if unit == "y" else 1))
        return _in_range(local_to_utc(earlier, time_context.zone)[0])
    except (ValueError, OverflowError):
        message = "This is before 1970, the earliest time."
        raise BadTime(message) from None


def _months_before(local: datetime, count: int) -> datetime:
    """Return the same day `count` months earlier, or the last day of that month if it is shorter."""
    year, month0 = divmod(local.year * 12 + local.month - 1 - count, 12)
    first = local.replace(year=year, month=month0 + 1, day=1)
    last_day = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(local.day, last_day))
