"""Times in requests: RFC 3339, local times, days and relative times, in the site's time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from machine_monitor.database import instants
from machine_monitor.query.language.times import BadTime, DayRange, TimeContext, parse_instant, parse_time_filter

PARIS, PERTH, UTC_ZONE = "Europe/Paris", "Australia/Perth", "UTC"
NOW = datetime(2025, 3, 31, 10, 30, tzinfo=UTC)  # 12:30 in Paris, 18:30 in Perth

INSTANTS = [
    ("2025-07-25T13:18:25Z", UTC_ZONE, "2025-07-25T13:18:25Z"),
    ("2025-07-25t13:18:25z", UTC_ZONE, "2025-07-25T13:18:25Z"),
    ("2025-07-25T13:18", UTC_ZONE, "2025-07-25T13:18:00Z"),
    ("2025-07-25T13:18Z", PARIS, "2025-07-25T13:18:00Z"),
    ("2025-07-25T13:18:25.5Z", UTC_ZONE, "2025-07-25T13:18:25.500000Z"),
    ("2025-07-25T13:18:25.000000Z", UTC_ZONE, "2025-07-25T13:18:25Z"),
    ("2025-07-25T13:18:25.123456999Z", UTC_ZONE, "2025-07-25T13:18:25.123456Z"),
    ("2025-07-25T13:18:25.9999999Z", UTC_ZONE, "2025-07-25T13:18:25.999999Z"),
    ("2025-07-25T13:18:25+02:00", UTC_ZONE, "2025-07-25T11:18:25Z"),
    ("2025-07-25T13:18:25-00:00", PARIS, "2025-07-25T13:18:25Z"),
    ("2025-07-25T13:18:25+05:30", UTC_ZONE, "2025-07-25T07:48:25Z"),
    ("2025-07-25T13:18:25", PARIS, "2025-07-25T11:18:25Z"),
    ("2025-01-25T13:18:25", PARIS, "2025-01-25T12:18:25Z"),
    ("2025-07-25T13:18:25", PERTH, "2025-07-25T05:18:25Z"),
    ("2024-02-29T00:00:00", PERTH, "2024-02-28T16:00:00Z"),
    # This local time occurs twice; the earlier one counts.
    ("2025-10-26T02:30:00", PARIS, "2025-10-26T00:30:00Z"),
    ("2025-10-26T02:00:00", PARIS, "2025-10-26T00:00:00Z"),
    ("2025-10-26T03:00:00", PARIS, "2025-10-26T02:00:00Z"),
    ("2009-03-29T02:30:00", PERTH, "2009-03-28T17:30:00Z"),
    # This local time does not exist; it moves forward by the gap.
    ("2025-03-30T02:30:00", PARIS, "2025-03-30T01:30:00Z"),
    ("2025-03-30T02:00:00", PARIS, "2025-03-30T01:00:00Z"),
    ("2025-03-30T03:00:00", PARIS, "2025-03-30T01:00:00Z"),
    ("2008-10-26T02:30:00", PERTH, "2008-10-25T18:30:00Z"),
    ("1970-01-01T00:00:00Z", UTC_ZONE, "1970-01-01T00:00:00Z"),
    ("2100-12-31T23:59:59.999999Z", UTC_ZONE, "2100-12-31T23:59:59.999999Z"),
    ("2101-01-01T01:00:00+02:00", UTC_ZONE, "2100-12-31T23:00:00Z"),
]
INVALID_INSTANTS = [
    "",
    "now",
    "2025-07-25",
    "2025-07-25T",
    "2025-07-25T13",
    "2025-7-25T13:18:25Z",
    "20250725T131825Z",
    "2025-07-25T13:18:60Z",
    "2025-07-25T24:00:00Z",
    "2025-07-25T13:60:00Z",
    "2025-02-29T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "2025-00-01T00:00:00Z",
    "2025-07-25T13:18:25.Z",
    "2025-07-25T13:18:25,5Z",
    "2025-07-25T13:18:25+2:00",
    "2025-07-25T13:18:25+24:00",
    "2025-07-25T13:18:25+02:60",
    "2025-07-25T13:18:25+0200",
    "2025-07-25T13:18:25 Z",
    " 2025-07-25T13:18:25Z",
    "2025-07-25T13:18:25Z\n",
    "1753449505",
    "1e12",
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00+00:01",
    "2101-01-01T00:00:00Z",
    "2100-12-31T23:59:59-00:01",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0000-01-01T00:00:00Z",
    "٢٠٢٥-07-25T13:18:25Z",
]
TIME_FILTERS = [
    ("now", PARIS, "2025-03-31T10:30:00Z"),
    ("-12h", PARIS, "2025-03-30T22:30:00Z"),
    ("-0h", PARIS, "2025-03-31T10:30:00Z"),
    # 12:30 in Paris before and after the DST change of 30 March.
    ("-1d", PARIS, "2025-03-30T10:30:00Z"),
    ("-2d", PARIS, "2025-03-29T11:30:00Z"),
    ("-1w", PARIS, "2025-03-24T11:30:00Z"),
    ("-2d", PERTH, "2025-03-29T10:30:00Z"),
    ("-1m", PARIS, "2025-02-28T11:30:00Z"),
    ("-13m", PARIS, "2024-02-29T11:30:00Z"),
    ("-4m", PARIS, "2024-11-30T11:30:00Z"),
    ("-3m", PERTH, "2024-12-31T10:30:00Z"),
    ("-1y", PARIS, "2024-03-31T10:30:00Z"),
    ("2025-07-25T13:18:25 02:00", UTC_ZONE, "2025-07-25T11:18:25Z"),
    ("2025-07-25T13:18:25.5 02:00", UTC_ZONE, "2025-07-25T11:18:25.500000Z"),
    ("2025-07-25T13:18 02:00", UTC_ZONE, "2025-07-25T11:18:00Z"),
    ("2025-07-25T13:18:25+02:00", UTC_ZONE, "2025-07-25T11:18:25Z"),
    ("2025-10-26T02:30", PARIS, "2025-10-26T00:30:00Z"),
]
DAYS = [
    ("2025-07-25", UTC_ZONE, "2025-07-25T00:00:00Z", "2025-07-26T00:00:00Z"),
    ("2025-07-25", PARIS, "2025-07-24T22:00:00Z", "2025-07-25T22:00:00Z"),
    ("2025-07-25", PERTH, "2025-07-24T16:00:00Z", "2025-07-25T16:00:00Z"),
    ("2025-03-30", PARIS, "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"),
    ("2025-10-26", PARIS, "2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z"),
    ("today", PARIS, "2025-03-30T22:00:00Z", "2025-03-31T22:00:00Z"),
    ("yesterday", PARIS, "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"),
    ("today", PERTH, "2025-03-30T16:00:00Z", "2025-03-31T16:00:00Z"),
    ("1970-01-01", PARIS, "1969-12-31T23:00:00Z", "1970-01-01T23:00:00Z"),
    ("2100-12-31", UTC_ZONE, "2100-12-31T00:00:00Z", "2101-01-01T00:00:00Z"),
    ("2024-02-29", UTC_ZONE, "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
]
INVALID_TIME_FILTERS = [
    *[text for text in INVALID_INSTANTS if text not in ("now", "2025-07-25")],
    "Today",
    "tomorrow",
    "NOW",
    "7d",
    "+7d",
    "-7",
    "-7 d",
    "-7D",
    "-7s",
    "-d",
    "--7d",
    "-7.5h",
    "-9999y",
    "-999999m",
    "-999999w",
    "-999999d",
    "-999999h",
    "-99999999999999999999h",
    "-\u0667d",
    "1969-12-31",
    "2101-01-01",
    "2025-02-29",
    "2025-07-25 ",
    "2025-W30",
    "2025-07",
]


@pytest.mark.parametrize(("text", "zone", "expected"), INSTANTS)
def test_an_instant_is_rfc_3339_or_local(text, zone, expected):
    assert instants.format_instant(parse_instant(text, ZoneInfo(zone))) == expected


@pytest.mark.parametrize("zone", [UTC_ZONE, PARIS])
@pytest.mark.parametrize("text", INVALID_INSTANTS)
def test_an_invalid_instant_is_refused(text, zone):
    with pytest.raises(BadTime):
        parse_instant(text, ZoneInfo(zone))


@pytest.mark.parametrize(("text", "zone", "expected"), TIME_FILTERS)
def test_a_relative_time_is_relative_to_now(text, zone, expected):
    assert instants.format_instant(parse_time_filter(text, TimeContext(ZoneInfo(zone), NOW))) == expected


@pytest.mark.parametrize(("text", "zone", "start", "end"), DAYS)
def test_a_day_is_in_the_sites_time_zone(text, zone, start, end):
    day = parse_time_filter(text, TimeContext(ZoneInfo(zone), NOW))
    assert isinstance(day, DayRange)
    assert (instants.format_instant(day.start), instants.format_instant(day.end)) == (start, end)


@pytest.mark.parametrize("text", INVALID_TIME_FILTERS)
def test_an_invalid_relative_time_is_refused(text):
    with pytest.raises(BadTime):
        parse_time_filter(text, TimeContext(ZoneInfo(PARIS), NOW))


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2025-03-31T12:00:00Z", "-1m", "2025-02-28T12:00:00Z"),
        ("2024-03-31T12:00:00Z", "-1m", "2024-02-29T12:00:00Z"),
        ("2024-02-29T12:00:00Z", "-1y", "2023-02-28T12:00:00Z"),
        ("2025-01-15T12:00:00Z", "-1m", "2024-12-15T12:00:00Z"),
        ("2025-01-31T12:00:00Z", "-2m", "2024-11-30T12:00:00Z"),
        ("2025-12-31T12:00:00Z", "-12m", "2024-12-31T12:00:00Z"),
    ],
)
def test_subtracting_months_keeps_the_day_or_uses_the_last_of_the_month(now, text, expected):
    time_context = TimeContext(ZoneInfo("UTC"), datetime.fromisoformat(now))
    assert instants.format_instant(parse_time_filter(text, time_context)) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    # One week earlier, this clock time does not exist, or exists twice.
    [("2025-04-06T00:30:00Z", "2025-03-30T01:30:00Z"), ("2025-11-02T01:30:00Z", "2025-10-26T00:30:00Z")],
)
def test_a_week_ago_has_the_same_clock_time_if_it_exists(now, expected):
    time_context = TimeContext(ZoneInfo(PARIS), datetime.fromisoformat(now))
    assert instants.format_instant(parse_time_filter("-1w", time_context)) == expected


def test_hours_throughout_a_year_round_trip():
    first = datetime(2025, 1, 1, tzinfo=UTC)
    for hours in range(0, 8760, 7):
        instant = first + timedelta(hours=hours)
        assert parse_instant(instants.format_instant(instant), ZoneInfo(PERTH)) == instant


def test_an_unreadable_time_of_a_filter_names_days_and_relative_times():
    with pytest.raises(BadTime, match=r"2025-07-25, .*`today`.* -7d"):
        parse_time_filter("lastmonth", TimeContext(ZoneInfo(PARIS), NOW))
